/* SPDX-License-Identifier: MIT */
/* The tokenizer and chat template in a GGUF file's metadata. Ids are those of the Hugging Face tokenizer that the file
 * was made from: for tokenizer.ggml.model "llama" the merges are made from the scores as transformers makes them, for
 * "gpt2" the pattern that splits the text goes by tokenizer.ggml.pre. What is not known is refused by name. */
#ifndef NB_GGUF_TOKENIZER_H
#define NB_GGUF_TOKENIZER_H

#include "formats/gguf.h"
#include "text/tokenizer.h"

/* Released with nb_tokenizer_free. NB_ERR_UNSUPPORTED, naming the kind, for another model or pre-tokenizer;
 * NB_ERR_FORMAT for lists that are missing, too long or of different lengths, and ids out of range. */
nb_status nb_gguf_tokenizer_read(const nb_gguf *g, nb_tokenizer **out, nb_err *err);

/* The same of the file at path, which need not hold any tensors. */
nb_status nb_gguf_tokenizer_open(const char *path, nb_tokenizer **out, nb_err *err);

/* Writes a tokenizer's keys for a model whose vocabulary is n_vocab wide; ids without a token are filled up.
 * NB_ERR_UNSUPPORTED when GGUF cannot say what it does, so that ids would differ. */
nb_status nb_gguf_tokenizer_write(const nb_tokenizer *t, size_t n_vocab, nb_gguf_writer *w, nb_err *err);

/* Types of tokens in tokenizer.ggml.token_type. */
enum {
  NB_GGUF_TOKEN_NORMAL = 1,
  NB_GGUF_TOKEN_UNKNOWN = 2,
  NB_GGUF_TOKEN_CONTROL = 3,
  NB_GGUF_TOKEN_USER = 4,
  NB_GGUF_TOKEN_UNUSED = 5,
  NB_GGUF_TOKEN_BYTE = 6
};

/* How byte-level text is split before merging. */
typedef struct nb_gguf_pre {
  const char *name;    /* in tokenizer.ggml.pre */
  const char *pattern; /* a regular expression; NULL: GPT-2's, which the byte-level step has */
  bool nfc;            /* the text is normalized first */
  bool digits;         /* each digit stands alone */
  bool whole_words;    /* a word that is a token is that token, whatever the merges say */
  bool add_bos;        /* when the file does not say */
} nb_gguf_pre;

/* The kind of that name, or NULL; and all of them, ending with one without a name. */
const nb_gguf_pre *nb_gguf_pre_find(const char *name, size_t n);
extern const nb_gguf_pre nb_gguf_pres[];

#endif
