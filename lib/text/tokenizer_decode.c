/* SPDX-License-Identifier: MIT */
/* Ids to text: the tokens' spellings, as a list of strings, go through the decoder steps. */
#include "text/tokenizer_impl.h"
#include "base/assert.h"
#include "base/utf8.h"

/* A list of strings, one behind the other. */
typedef struct strings {
  nb_text text;
  size_t *end; /* (n) where each ends in text */
  size_t n, cap;
} strings;

static nb_status end_string(strings *l, nb_err *err) {
  nb_assert(l->n == 0 || l->end[l->n - 1] <= l->text.n);
  if (l->n == l->cap) NB_TRY(nb_grow(&l->end, &l->cap, l->n + 1, sizeof *l->end, err));
  l->end[l->n++] = l->text.n;
  return NB_OK;
}

static nb_status add_string(strings *l, const char *s, size_t n, nb_err *err) {
  NB_TRY(nb_text_append(&l->text, s, n, err));
  return end_string(l, err);
}

static void clear_strings(strings *l) {
  nb_text_clear(&l->text);
  l->n = 0;
}

static void free_strings(strings *l) {
  nb_text_free(&l->text);
  free(l->end);
}

/* The value of a token like <0x0A>, or -1. */
static int byte_token(const char *s, size_t n) {
  if (n != 6 || memcmp(s, "<0x", 3) || s[5] != '>') return -1;
  int v = 0;
  for (int i = 3; i < 5; i++) {
    int c = s[i], d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (i == 3 && c == '+') d = 0; /* Rust's number parser takes a sign */
    if (d < 0) return -1;
    v = v * 16 + d;
  }
  return v;
}

/* A run of byte tokens becomes one string, or one U+FFFD each when it is not valid UTF-8. */
static nb_status end_byte_run(nb_text *run, strings *out, nb_err *err) {
  nb_status st = NB_OK;
  if (run->n == 0) return st;
  if (nb_utf8_valid_prefix(run->s, run->n) == run->n) st = add_string(out, run->s, run->n, err);
  else
    for (size_t i = 0; i < run->n && st == NB_OK; i++) st = add_string(out, "\xef\xbf\xbd", 3, err);
  nb_text_clear(run);
  return st;
}

static nb_status byte_fallback(const strings *in, strings *out, nb_err *err) {
  nb_text run = {0};
  nb_status st = NB_OK;
  for (size_t i = 0, at = 0; i < in->n; at = in->end[i++]) {
    size_t n = in->end[i] - at;
    int b = byte_token(in->text.s + at, n);
    char c = (char)b;
    if (b >= 0) {
      NB_GOTO(nb_text_append(&run, &c, 1, err));
      continue;
    }
    NB_GOTO(end_byte_run(&run, out, err));
    NB_GOTO(add_string(out, in->text.s + at, n, err));
  }
  st = end_byte_run(&run, out, err);
fail:
  nb_text_free(&run);
  return st;
}

/* All strings become one. A string in which some character is not of the GPT-2 alphabet stays as it is. */
static nb_status byte_level(const strings *in, strings *out, nb_err *err) {
  nb_text bytes = {0};
  nb_status st = NB_OK;
  for (size_t i = 0, at = 0; i < in->n; at = in->end[i++]) {
    size_t before = bytes.n, n = in->end[i] - at;
    for (size_t j = at, k; j < in->end[i]; j += k) {
      int b = nb_tokenizer_char_byte(nb_utf8_get(in->text.s + j, &k));
      char c = (char)b;
      if (b < 0) {
        bytes.n = before;
        NB_GOTO(nb_text_append(&bytes, in->text.s + at, n, err));
        break;
      }
      NB_GOTO(nb_text_append(&bytes, &c, 1, err));
    }
  }
  NB_GOTO(nb_utf8_repair(bytes.s, bytes.n, &out->text, err));
  st = end_string(out, err);
fail:
  nb_text_free(&bytes);
  return st;
}

/* What a decoding's steps share. */
typedef struct decoding {
  size_t most; /* bytes that a step's strings may come to */
  nb_regex_scratch regex;
} decoding;

static nb_status replace(const step *k, const char *s, size_t n, bool first, decoding *d, strings *out, nb_err *err) {
  nb_regex_iter it = {.s = s, .n = n};
  bool metaspace = k->s.kind == NB_STEP_METASPACE, drop = first && k->s.prepend != NB_PREPEND_NEVER;
  size_t last = 0;
  for (bool found;; last = it.end) {
    NB_TRY(nb_regex_next(k->regex, &it, &d->regex, &found, err));
    if (!found) break;
    NB_TRY(nb_text_append(&out->text, s + last, it.start - last, err));
    if (!metaspace) NB_TRY(nb_text_append(&out->text, k->s.content, k->s.n_content, err));
    else if (!drop) NB_TRY(nb_text_append(&out->text, " ", 1, err));
    if (out->text.n > d->most)
      return nb_fail(err, NB_ERR_FORMAT, "the tokenizer's decoders make more than %d times as much of these tokens",
                     NB_NORMALIZE_TIMES);
  }
  return add_string(out, s + last, n - last, err);
}

static nb_status strip_chars(const step *k, const char *s, size_t n, strings *out, nb_err *err) {
  size_t m = k->s.n_content, a = 0;
  for (uint32_t i = 0; i < k->s.start && n - a >= m && !memcmp(s + a, k->s.content, m); i++) a += m;
  for (uint32_t i = 0; i < k->s.stop && n - a >= m && !memcmp(s + n - m, k->s.content, m); i++) n -= m;
  return add_string(out, s + a, n - a, err);
}

static nb_status run_step(const step *k, const strings *in, decoding *d, strings *out, nb_err *err) {
  clear_strings(out);
  if (k->s.kind == NB_STEP_BYTE_FALLBACK) return byte_fallback(in, out, err);
  if (k->s.kind == NB_STEP_BYTE_LEVEL) return byte_level(in, out, err);
  if (k->s.kind == NB_STEP_FUSE) return add_string(out, in->text.s, in->text.n, err);
  for (size_t i = 0, at = 0; i < in->n; at = in->end[i++]) {
    const char *s = in->text.s + at;
    size_t n = in->end[i] - at;
    NB_TRY(k->s.kind == NB_STEP_STRIP_CHARS ? strip_chars(k, s, n, out, err) : replace(k, s, n, i == 0, d, out, err));
  }
  return NB_OK;
}

/* What the decoders see of a token: of an added token that is looked for normalized, the normalized text. */
static nb_status add_spelling(const nb_tokenizer *t, int32_t id, strings *l, nb_err *err) {
  nb_assert(id >= 0 && (size_t)id < t->n_ids && t->token[id].flags);
  const token *k = &t->token[id];
  if ((k->flags & NB_TOKEN_ADDED) && (k->flags & NB_TOKEN_NORMALIZED))
    for (size_t i = 0; i < t->normal.n; i++)
      if (t->normal.item[i].id == id) return add_string(l, t->normal.item[i].text, t->normal.item[i].n, err);
  return add_string(l, t->pool.s + k->at, k->n, err);
}

nb_status nb_tokenizer_decode(const nb_tokenizer *t, const int32_t *id, size_t n, bool skip_special, nb_text *out,
                              nb_err *err) {
  strings a = {0}, b = {0};
  decoding d = {.most = 0};
  nb_status st = NB_OK;
  for (size_t i = 0; i < n; i++) {
    if (id[i] < 0 || (size_t)id[i] >= t->n_ids || !t->token[id[i]].flags) continue;
    if (skip_special && (t->token[id[i]].flags & NB_TOKEN_SPECIAL)) continue;
    if (a.n && !t->n_step[NB_STAGE_DECODE]) NB_GOTO(nb_text_append(&a.text, " ", 1, err)); /* without a decoder */
    NB_GOTO(add_spelling(t, id[i], &a, err));
  }
  NB_GOTO(nb_text_append(&a.text, "", 0, err));
  d.most = nb_tokenizer_most(a.text.n);
  for (size_t i = 0; i < t->n_step[NB_STAGE_DECODE]; i++) {
    NB_GOTO(run_step(&t->step[NB_STAGE_DECODE][i], &a, &d, &b, err));
    NB_GOTO(nb_text_append(&b.text, "", 0, err));
    strings swap = a;
    a = b;
    b = swap;
  }
  st = nb_text_append(out, a.text.s, a.text.n, err);
fail:
  nb_regex_scratch_free(&d.regex);
  free_strings(&a);
  free_strings(&b);
  return st;
}

/* ---- one id at a time ---- */

/* `ids` are the last ones: the first n_shown of them have been shown, as context for the rest. Text of the
 * rest is what decoding all of them gives beyond what decoding the shown ones gave. */
struct nb_decoder {
  const nb_tokenizer *t;
  bool skip_special;
  nb_ids ids;
  size_t n_shown;
  nb_text shown; /* the text of the shown ids, when decoded alone */
  nb_text all;
};

nb_status nb_decoder_new(const nb_tokenizer *t, bool skip_special, nb_decoder **out, nb_err *err) {
  NB_TRY(nb_new(out, 1, sizeof **out, "a decoder", err));
  (*out)->t = t;
  (*out)->skip_special = skip_special;
  return NB_OK;
}

void nb_decoder_free(nb_decoder *d) {
  if (!d) return;
  nb_ids_free(&d->ids);
  nb_text_free(&d->shown);
  nb_text_free(&d->all);
  nb_free(d);
}

static bool ends_unfinished(const nb_text *t) { return t->n >= 3 && !memcmp(t->s + t->n - 3, "\xef\xbf\xbd", 3); }

static nb_status show(nb_decoder *d, bool last, nb_text *out, nb_err *err) {
  nb_text_clear(&d->all);
  NB_TRY(nb_tokenizer_decode(d->t, d->ids.id, d->ids.n, d->skip_special, &d->all, err));
  if (d->all.n <= d->shown.n || (ends_unfinished(&d->all) && !last)) return NB_OK;
  NB_TRY(nb_text_append(out, d->all.s + d->shown.n, d->all.n - d->shown.n, err));
  nb_assert(d->n_shown <= d->ids.n);
  size_t n = d->ids.n - d->n_shown; /* the ids just shown stay as context */
  memmove(d->ids.id, d->ids.id + d->n_shown, n * sizeof *d->ids.id);
  d->ids.n = d->n_shown = n;
  nb_text_clear(&d->shown);
  return nb_tokenizer_decode(d->t, d->ids.id, n, d->skip_special, &d->shown, err);
}

nb_status nb_decoder_step(nb_decoder *d, int32_t id, nb_text *out, nb_err *err) {
  NB_TRY(nb_ids_push(&d->ids, id, err));
  return show(d, false, out, err);
}

nb_status nb_decoder_finish(nb_decoder *d, nb_text *out, nb_err *err) {
  nb_status st = show(d, true, out, err);
  d->ids.n = d->n_shown = 0;
  nb_text_clear(&d->shown);
  return st;
}
