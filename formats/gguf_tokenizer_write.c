/* SPDX-License-Identifier: MIT */
/* A tokenizer as a GGUF file's metadata, such that llama.cpp gives the same ids. */
#include "formats/gguf_tokenizer.h"

#include "base/mem.h"
#include "text/tokenizer_view.h"

#include <stdio.h>
#include <string.h>

static bool same(const char *a, size_t n, const char *b) { return b ? strlen(b) == n && !memcmp(a, b, n) : n == 0; }

/* The pre-tokenizer that does what the steps do, or NULL. */
static const nb_gguf_pre *find_pre(const nb_tokenizer *t) {
  bool nfc = false, digits = false, bytes = false, whole = nb_tokenizer_bpe_flags(t) & NB_BPE_IGNORE_MERGES;
  const nb_step *split = NULL, *s;
  for (size_t i = 0; (s = nb_tokenizer_step_at(t, NB_STAGE_NORMALIZE, i)); i++) {
    if (s->kind != NB_STEP_NFC) return NULL;
    nfc = true;
  }
  for (size_t i = 0; (s = nb_tokenizer_step_at(t, NB_STAGE_SPLIT, i)); i++) {
    if (s->kind == NB_STEP_DIGITS && !split && !bytes && s->flags & NB_STEP_F_INDIVIDUAL) digits = true;
    else if (s->kind == NB_STEP_SPLIT && !split && !bytes && s->flags == NB_STEP_F_REGEX) split = s;
    else if (s->kind == NB_STEP_BYTE_LEVEL && !bytes && !(s->flags & NB_STEP_F_REGEX) == !!split) bytes = true;
    else return NULL;
  }
  for (const nb_gguf_pre *p = nb_gguf_pres; bytes && p->name; p++)
    if (p->nfc == nfc && p->digits == digits && p->whole_words == whole && !p->pattern == !split &&
        (!split || same(split->pattern, split->n_pattern, p->pattern)))
      return p;
  return NULL;
}

static int token_type(const nb_tokenizer *t, int32_t id, bool spm) {
  unsigned flags = nb_tokenizer_token_flags(t, id);
  size_t n;
  const char *text = nb_tokenizer_token_text(t, id, &n);
  if (!text || !flags) return NB_GGUF_TOKEN_UNUSED;
  if (spm && id == nb_tokenizer_unk(t)) return NB_GGUF_TOKEN_UNKNOWN;
  if (flags & NB_TOKEN_ADDED) return flags & NB_TOKEN_SPECIAL ? NB_GGUF_TOKEN_CONTROL : NB_GGUF_TOKEN_USER;
  return spm && n == 6 && !memcmp(text, "<0x", 3) ? NB_GGUF_TOKEN_BYTE : NB_GGUF_TOKEN_NORMAL;
}

static nb_status put_tokens(const nb_tokenizer *t, size_t n_vocab, bool spm, nb_gguf_writer *w, nb_err *err) {
  int32_t *types;
  char unused[32];
  NB_TRY(nb_new(&types, n_vocab, sizeof *types, "types of tokens", err));
  nb_status st;
  NB_GOTO(nb_gguf_put_strings(w, "tokenizer.ggml.tokens", n_vocab, err));
  for (size_t i = 0; i < n_vocab; i++) {
    size_t n;
    const char *text = nb_tokenizer_token_text(t, (int32_t)i, &n);
    types[i] = token_type(t, (int32_t)i, spm);
    if (types[i] == NB_GGUF_TOKEN_UNUSED) n = (size_t)snprintf(unused, sizeof unused, "[PAD%zu]", i), text = unused;
    NB_GOTO(nb_gguf_put_element(w, text, n, err));
  }
  st = nb_gguf_put_i32s(w, "tokenizer.ggml.token_type", types, n_vocab, err);
fail:
  nb_free(types);
  return st;
}

/* Merging by score, highest first, joins what the merges join in the order of their ranks. */
static nb_status put_scores(const nb_tokenizer *t, size_t n_vocab, nb_gguf_writer *w, nb_err *err) {
  float *scores;
  size_t n = nb_tokenizer_n_merges(t);
  NB_TRY(nb_new(&scores, n_vocab, sizeof *scores, "scores of tokens", err));
  for (size_t i = 0; i < n_vocab; i++) scores[i] = -(float)n - 1;
  for (size_t i = n; i-- > 0;) {
    int32_t left, right, result;
    nb_tokenizer_merge_at(t, i, &left, &right, &result);
    if ((size_t)result < n_vocab) scores[result] = -(float)i;
  }
  nb_status st = nb_gguf_put_f32s(w, "tokenizer.ggml.scores", scores, n_vocab, err);
  nb_free(scores);
  return st;
}

static nb_status put_merges(const nb_tokenizer *t, nb_gguf_writer *w, nb_err *err) {
  nb_text line = {0};
  nb_status st;
  size_t n = nb_tokenizer_n_merges(t);
  NB_GOTO(nb_gguf_put_strings(w, "tokenizer.ggml.merges", n, err));
  for (size_t i = 0; i < n; i++) {
    int32_t id[3];
    nb_tokenizer_merge_at(t, i, &id[0], &id[1], &id[2]);
    nb_text_clear(&line);
    for (int k = 0; k < 2; k++) {
      size_t bytes;
      const char *text = nb_tokenizer_token_text(t, id[k], &bytes);
      if (k) NB_GOTO(nb_text_append(&line, " ", 1, err));
      NB_GOTO(nb_text_append(&line, text, bytes, err));
    }
    NB_GOTO(nb_gguf_put_element(w, line.s, line.n, err));
  }
fail:
  nb_text_free(&line);
  return st;
}

/* The kind "llama": tokens are text with U+2581 for spaces, unknown characters become bytes. */
static nb_status put_spm(const nb_tokenizer *t, size_t n_vocab, nb_gguf_writer *w, nb_err *err) {
  bool prefix = false;
  const nb_step *s;
  for (size_t i = 0; (s = nb_tokenizer_step_at(t, NB_STAGE_NORMALIZE, i)); i++)
    if (s->kind == NB_STEP_PREPEND) prefix = true;
  for (size_t i = 0; (s = nb_tokenizer_step_at(t, NB_STAGE_SPLIT, i)); i++)
    if (s->kind == NB_STEP_METASPACE && s->prepend != NB_PREPEND_NEVER) prefix = true;
  NB_TRY(nb_gguf_put_string(w, "tokenizer.ggml.model", "llama", 5, err));
  NB_TRY(nb_gguf_put_string(w, "tokenizer.ggml.pre", "default", 7, err));
  NB_TRY(nb_gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", prefix, err));
  NB_TRY(put_tokens(t, n_vocab, true, w, err));
  return put_scores(t, n_vocab, w, err);
}

static nb_status put_byte_level(const nb_tokenizer *t, size_t n_vocab, nb_gguf_writer *w, nb_err *err) {
  const nb_gguf_pre *pre = find_pre(t);
  if (!pre)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "the tokenizer splits text in a way that GGUF has no name for: its ids would differ in llama.cpp");
  NB_TRY(nb_gguf_put_string(w, "tokenizer.ggml.model", "gpt2", 4, err));
  NB_TRY(nb_gguf_put_string(w, "tokenizer.ggml.pre", pre->name, strlen(pre->name), err));
  NB_TRY(put_tokens(t, n_vocab, false, w, err));
  return put_merges(t, w, err);
}

static nb_status put_id(nb_gguf_writer *w, const char *key, int32_t id, nb_err *err) {
  return id < 0 ? NB_OK : nb_gguf_put_u32(w, key, (uint32_t)id, err);
}

/* Whether text is merged as it is, and not as the byte-level alphabet. */
static bool merges_text(const nb_tokenizer *t) {
  const nb_step *s;
  for (size_t i = 0; (s = nb_tokenizer_step_at(t, NB_STAGE_SPLIT, i)); i++)
    if (s->kind == NB_STEP_BYTE_LEVEL) return false;
  return true;
}

nb_status nb_gguf_tokenizer_write(const nb_tokenizer *t, size_t n_vocab, nb_gguf_writer *w, nb_err *err) {
  bool spm = merges_text(t);
  const nb_ids *before = nb_tokenizer_before(t), *after = nb_tokenizer_after(t);
  int32_t bos = nb_tokenizer_bos(t), eos = nb_tokenizer_eos(t);
  const char *chat = nb_tokenizer_chat_template(t);
  if (nb_tokenizer_n_vocab(t) > n_vocab)
    return nb_fail(err, NB_ERR_FORMAT, "the tokenizer has ids up to %zu, but the model's vocabulary is %zu",
                   nb_tokenizer_n_vocab(t) - 1, n_vocab);
  if (before->n > 1 || after->n > 1)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "the tokenizer puts %zu tokens before a text and %zu after it; GGUF: at most 1", before->n,
                   after->n);
  if (before->n) bos = before->id[0];
  if (after->n) eos = after->id[0];
  NB_TRY(spm ? put_spm(t, n_vocab, w, err) : put_byte_level(t, n_vocab, w, err));
  NB_TRY(put_id(w, "tokenizer.ggml.bos_token_id", bos, err));
  NB_TRY(put_id(w, "tokenizer.ggml.eos_token_id", eos, err));
  NB_TRY(put_id(w, "tokenizer.ggml.unknown_token_id", nb_tokenizer_unk(t), err));
  NB_TRY(nb_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", before->n == 1, err));
  NB_TRY(nb_gguf_put_bool(w, "tokenizer.ggml.add_eos_token", after->n == 1, err));
  return *chat ? nb_gguf_put_string(w, "tokenizer.chat_template", chat, strlen(chat), err) : NB_OK;
}
