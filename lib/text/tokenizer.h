/* SPDX-License-Identifier: MIT */
/* Text to token ids and back, equal to Hugging Face's `tokenizers` library (github.com/huggingface/
 * tokenizers) for byte-pair-encoding models: the same normalizers, added tokens, pre-tokenizers, merges,
 * post-processor templates and decoders. A tokenizer is built by formats/tokenizer_dir.h or loaded from
 * the bytes that nb_tokenizer_save wrote; after that it is immutable, and any number of threads may use
 * it at once (every call has its own scratch memory).
 *
 * Text need not be valid UTF-8: every maximal ill-formed sequence counts as one U+FFFD, as with Python's
 * bytes.decode("utf-8", errors="replace"). Text may contain NULs. */
#ifndef NB_TOKENIZER_H
#define NB_TOKENIZER_H

#include "base/text.h"

typedef struct nb_tokenizer nb_tokenizer;

/* A growable list of ids. Start from {0}; release with nb_ids_free. */
typedef struct nb_ids {
  int32_t *id;
  size_t n, cap;
} nb_ids;

nb_status nb_ids_push(nb_ids *ids, int32_t id, nb_err *err);
void nb_ids_free(nb_ids *ids);

enum {
  NB_ENCODE_ADD_SPECIAL = 1,  /* add what the file's template adds: BOS, perhaps EOS */
  NB_ENCODE_PLAIN_SPECIAL = 2 /* a special token's text inside the text is text like any other */
};

/* Whether text[0..n) begins with the text of bos_token, or of eos_token where there is none: lm-evaluation-harness adds
 * no other before such a text. */
bool nb_tokenizer_begun(const nb_tokenizer *t, const char *text, size_t n);

/* Appends the ids of text[0..n_bytes) to out. Fails only when memory is out or a pattern of the
 * tokenizer needs too many steps on this text; out then holds some of the ids. */
nb_status nb_tokenizer_encode(const nb_tokenizer *t, const char *text, size_t n_bytes, unsigned flags, nb_ids *out,
                              nb_err *err);

/* Appends the text of n ids to out: always valid UTF-8, bytes that make no character become U+FFFD. Ids
 * that name no token are left out (a model's head may be wider than its vocabulary). With skip_special,
 * special tokens are left out too. */
nb_status nb_tokenizer_decode(const nb_tokenizer *t, const int32_t *id, size_t n, bool skip_special, nb_text *out,
                              nb_err *err);

/* Decoding one id at a time, for text that is shown while it is generated. */
typedef struct nb_decoder nb_decoder;

/* The tokenizer must outlive the decoder. Released with nb_decoder_free. */
nb_status nb_decoder_new(const nb_tokenizer *t, bool skip_special, nb_decoder **out, nb_err *err);
/* Appends to out the text that `id` completes: possibly none, and never a part of a character. All
 * pieces together are what nb_tokenizer_decode gives for all ids, once nb_decoder_finish was called. */
nb_status nb_decoder_step(nb_decoder *d, int32_t id, nb_text *out, nb_err *err);
/* Appends what is still held back (an unfinished character, as U+FFFD) and starts afresh. */
nb_status nb_decoder_finish(nb_decoder *d, nb_text *out, nb_err *err);
void nb_decoder_free(nb_decoder *d);

/* One more than the highest id; one more than the highest of the model's tokens, without those that are only added
 * (some folders name a padding token that their model has no row for: harmless until a text holds it). */
size_t nb_tokenizer_n_vocab(const nb_tokenizer *t);
size_t nb_tokenizer_n_model(const nb_tokenizer *t);
/* Bytes of memory that its tables take. */
size_t nb_tokenizer_bytes(const nb_tokenizer *t);
/* The id of the token with exactly this text, -1 when there is none. */
int32_t nb_tokenizer_token_id(const nb_tokenizer *t, const char *text);
/* The token as the vocabulary spells it (byte-level alphabet, U+2581 for a space), NUL-terminated and
 * owned by the tokenizer; *n_bytes (may be NULL) is its length. NULL when `id` names no token. */
const char *nb_tokenizer_token_text(const nb_tokenizer *t, int32_t id, size_t *n_bytes);
/* Whether `id` is an added token that is marked special. */
bool nb_tokenizer_is_special(const nb_tokenizer *t, int32_t id);

/* The tokens that the tokenizer's settings name, which chat templates see under these names: "bos_token",
 * "eos_token", "unk_token", "pad_token" and whatever else there is. The i-th name and its id, NULL behind the last;
 * the id of a name, -1 when there is none; the two that everyone asks for. */
const char *nb_tokenizer_name(const nb_tokenizer *t, size_t i, int32_t *id);
int32_t nb_tokenizer_named(const nb_tokenizer *t, const char *name);
int32_t nb_tokenizer_bos(const nb_tokenizer *t);
int32_t nb_tokenizer_eos(const nb_tokenizer *t);
/* The chat template's Jinja text ("" when there is none), owned by the tokenizer. */
const char *nb_tokenizer_chat_template(const nb_tokenizer *t);

/* Appends the compact form of a tokenizer to out (layout: formats/FORMAT.md). */
nb_status nb_tokenizer_save(const nb_tokenizer *t, nb_text *out, nb_err *err);
/* Reads that form. The bytes may be hostile; they are not used after the call. */
nb_status nb_tokenizer_load(const void *bytes, size_t n, nb_tokenizer **out, nb_err *err);

/* NULL is accepted. */
void nb_tokenizer_free(nb_tokenizer *t);

#endif
