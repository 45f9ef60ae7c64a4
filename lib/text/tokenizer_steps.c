/* SPDX-License-Identifier: MIT */
/* Normalizers and pre-tokenizers. Text is kept in s->text; a step that changes it writes s->swap and the
 * two change places. Pre-tokenizers work on a list of pieces of s->text; each piece is a text of its own
 * (patterns cannot look beyond it), and pieces that become empty disappear. */
#include "text/tokenizer_impl.h"
#include "base/utf8.h"

#include <utf8proc.h>

void nb_tokenizer_scratch_free(scratch *s) {
  nb_text_free(&s->text);
  nb_text_free(&s->swap);
  nb_regex_scratch_free(&s->regex);
  free(s->list.p);
  free(s->other.p);
  free(s->seg);
  free(s->sym);
  free(s->heap);
}

static void swap_text(scratch *s) {
  nb_text t = s->text;
  s->text = s->swap;
  s->swap = t;
}

static void swap_list(scratch *s) {
  pieces t = s->list;
  s->list = s->other;
  s->other = t;
}

/* The GPT-2 alphabet: visible Latin-1 characters stand for themselves, the other bytes, in order, for
 * U+0100 and on (github.com/openai/gpt-2, src/encoder.py, bytes_to_unicode). */
static bool stands_for_itself(unsigned b) { return (b >= 33 && b <= 126) || (b >= 0xa1 && b != 0xad); }

uint32_t nb_tokenizer_byte_char(unsigned b) {
  if (stands_for_itself(b)) return b;
  return b <= 32 ? 256 + b : b <= 0xa0 ? 256 + 33 + (b - 127) : 256 + 67;
}

int nb_tokenizer_char_byte(uint32_t cp) {
  if (cp < 256) return stands_for_itself(cp) ? (int)cp : -1;
  cp -= 256;
  return cp <= 32 ? (int)cp : cp < 67 ? (int)(cp - 33 + 127) : cp == 67 ? 0xad : -1;
}

/* Appends bytes in the GPT-2 alphabet. */
static nb_status put_byte_level(const char *s, size_t n, nb_text *out, nb_err *err) {
  size_t room;
  if (!nb_mul(n, 2, &room)) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a text of %zu bytes", n);
  NB_TRY(nb_text_reserve(out, room, err));
  for (size_t i = 0; i < n; i++) out->n += nb_utf8_put(nb_tokenizer_byte_char((unsigned char)s[i]), out->s + out->n);
  out->s[out->n] = 0;
  return NB_OK;
}

/* ---- normalizers ---- */

static nb_status check_size(const scratch *s, size_t n, nb_err *err) {
  if (n <= s->most) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "the tokenizer's normalizers write more than %d times as much as the text has",
                 NB_NORMALIZE_TIMES);
}

static nb_status replace_all(const step *k, scratch *s, nb_err *err) {
  nb_regex_iter it = {.s = s->text.s, .n = s->text.n};
  size_t last = 0;
  nb_text_clear(&s->swap);
  for (;;) {
    bool found;
    NB_TRY(nb_regex_next(k->regex, &it, &s->regex, &found, err));
    if (!found) break;
    NB_TRY(nb_text_append(&s->swap, s->text.s + last, it.start - last, err));
    NB_TRY(nb_text_append(&s->swap, k->s.content, k->s.n_content, err));
    NB_TRY(check_size(s, s->swap.n, err));
    last = it.end;
  }
  NB_TRY(nb_text_append(&s->swap, s->text.s + last, s->text.n - last, err));
  swap_text(s);
  return NB_OK;
}

static bool is_ascii(const char *s, size_t n) {
  unsigned char all = 0;
  for (size_t i = 0; i < n; i++) all |= (unsigned char)s[i];
  return all < 0x80;
}

static nb_status unicode_normalize(nb_step_kind kind, scratch *s, nb_err *err) {
  if (is_ascii(s->text.s, s->text.n)) return NB_OK;
  unsigned options = UTF8PROC_STABLE;
  options |= kind == NB_STEP_NFC || kind == NB_STEP_NFKC ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE;
  if (kind == NB_STEP_NFKC || kind == NB_STEP_NFKD) options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t *result = NULL;
  utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s->text.s, (utf8proc_ssize_t)s->text.n, &result,
                                    (utf8proc_option_t)options);
  if (n < 0) return nb_fail(err, NB_ERR_MEMORY, "Unicode normalization: %s", utf8proc_errmsg(n));
  nb_text_clear(&s->text);
  nb_status st = nb_text_append(&s->text, (const char *)result, (size_t)n, err);
  free(result);
  return st;
}

static nb_status lowercase(scratch *s, nb_err *err) {
  nb_text_clear(&s->swap);
  for (size_t i = 0, k; i < s->text.n; i += k) {
    uint32_t cp = nb_utf8_get(s->text.s + i, &k);
    char c[8];
    size_t n = cp == 0x130 ? nb_utf8_put('i', c) + nb_utf8_put(0x307, c + 1) /* the one that becomes two */
                           : nb_utf8_put((uint32_t)utf8proc_tolower((utf8proc_int32_t)cp), c);
    NB_TRY(nb_text_append(&s->swap, c, n, err));
  }
  swap_text(s);
  return NB_OK;
}

static nb_status strip(unsigned flags, scratch *s, nb_err *err) {
  size_t a = 0, b = s->text.n, k;
  while ((flags & NB_STEP_F_LEFT) && a < b && nb_utf8_is_space(nb_utf8_get(s->text.s + a, &k))) a += k;
  while ((flags & NB_STEP_F_RIGHT) && a < b) {
    k = nb_utf8_back(s->text.s, b);
    size_t len;
    if (!nb_utf8_is_space(nb_utf8_get(s->text.s + b - k, &len))) break;
    b -= k;
  }
  nb_text_clear(&s->swap);
  NB_TRY(nb_text_append(&s->swap, s->text.s + a, b - a, err));
  swap_text(s);
  return NB_OK;
}

static nb_status normalize(const step *k, scratch *s, nb_err *err) {
  switch (k->s.kind) {
  case NB_STEP_PREPEND:
    nb_text_clear(&s->swap);
    NB_TRY(nb_text_append(&s->swap, k->s.content, k->s.n_content, err));
    NB_TRY(nb_text_append(&s->swap, s->text.s, s->text.n, err));
    swap_text(s);
    return NB_OK;
  case NB_STEP_REPLACE: return replace_all(k, s, err);
  case NB_STEP_LOWERCASE: return lowercase(s, err);
  case NB_STEP_STRIP: return strip(k->s.flags, s, err);
  case NB_STEP_BYTE_LEVEL:
    nb_text_clear(&s->swap);
    NB_TRY(put_byte_level(s->text.s, s->text.n, &s->swap, err));
    swap_text(s);
    return NB_OK;
  default: return unicode_normalize(k->s.kind, s, err);
  }
}

nb_status nb_tokenizer_normalize(const nb_tokenizer *t, scratch *s, nb_err *err) {
  for (size_t i = 0; i < t->n_step[NB_STAGE_NORMALIZE] && s->text.n; i++) {
    NB_TRY(normalize(&t->step[NB_STAGE_NORMALIZE][i], s, err));
    NB_TRY(check_size(s, s->text.n, err));
    s->most -= s->text.n;
  }
  return NB_OK;
}

/* ---- pre-tokenizers ---- */

static nb_status add_piece(pieces *l, size_t at, size_t n, nb_err *err) {
  if (n == 0) return NB_OK;
  if (l->n == l->cap) NB_TRY(nb_grow(&l->p, &l->cap, l->n + 1, sizeof *l->p, err));
  l->p[l->n++] = (piece){at, n};
  return NB_OK;
}

/* Builds pieces from the alternation of gaps and matches, by a behavior. */
typedef struct splitter {
  nb_behavior behavior;
  bool invert, last_match, open;
  piece last; /* valid while open */
} splitter;

static nb_status splitter_put(splitter *p, scratch *s, size_t at, size_t n, bool match, nb_err *err) {
  match = match != p->invert;
  bool extend = false, keep = true;
  switch (p->behavior) {
  case NB_SPLIT_REMOVED: keep = !match; break;
  case NB_SPLIT_CONTIGUOUS: extend = match == p->last_match; break;
  case NB_SPLIT_MERGED_WITH_PREVIOUS: extend = match && !p->last_match; break;
  case NB_SPLIT_MERGED_WITH_NEXT: extend = !match && p->last_match; break;
  default: break;
  }
  p->last_match = match;
  if (extend && p->open) {
    p->last.n += n;
    return NB_OK;
  }
  if (p->open) NB_TRY(add_piece(&s->other, p->last.at, p->last.n, err));
  p->open = keep;
  p->last = (piece){at, n};
  return NB_OK;
}

static nb_status splitter_end(splitter *p, scratch *s, nb_err *err) {
  return p->open ? add_piece(&s->other, p->last.at, p->last.n, err) : NB_OK;
}

static nb_status split_by_regex(const nb_regex *r, scratch *s, piece p, splitter how, nb_err *err) {
  nb_regex_iter it = {.s = s->text.s + p.at, .n = p.n};
  size_t last = 0;
  for (;;) {
    bool found;
    NB_TRY(nb_regex_next(r, &it, &s->regex, &found, err));
    if (!found) break;
    if (last < it.start) NB_TRY(splitter_put(&how, s, p.at + last, it.start - last, false, err));
    NB_TRY(splitter_put(&how, s, p.at + it.start, it.end - it.start, true, err));
    last = it.end;
  }
  if (last < p.n) NB_TRY(splitter_put(&how, s, p.at + last, p.n - last, false, err));
  return splitter_end(&how, s, err);
}

static nb_status split_by_class(bool (*is)(uint32_t), scratch *s, piece p, splitter how, nb_err *err) {
  size_t last = p.at, end = p.at + p.n;
  for (size_t i = p.at, k; i < end; i += k) {
    if (!is(nb_utf8_get(s->text.s + i, &k))) continue;
    if (last < i) NB_TRY(splitter_put(&how, s, last, i - last, false, err));
    NB_TRY(splitter_put(&how, s, i, k, true, err));
    last = i + k;
  }
  if (last < end) NB_TRY(splitter_put(&how, s, last, end - last, false, err));
  return splitter_end(&how, s, err);
}

/* Splits every piece by a pattern or, without one, by a class of characters. */
static nb_status split_all(const nb_regex *r, bool (*is)(uint32_t), splitter how, scratch *s, nb_err *err) {
  s->other.n = 0;
  for (size_t i = 0; i < s->list.n; i++)
    NB_TRY(r ? split_by_regex(r, s, s->list.p[i], how, err) : split_by_class(is, s, s->list.p[i], how, err));
  swap_list(s);
  return NB_OK;
}

/* Rewrites the pieces one by one into s->swap: `write` appends the new text of one. */
typedef nb_status (*rewrite_fn)(const step *k, const char *text, size_t n, bool first, nb_text *out, nb_err *err);

static nb_status rewrite_all(const step *k, rewrite_fn write, scratch *s, bool first, nb_err *err) {
  nb_text_clear(&s->swap);
  for (size_t i = 0; i < s->list.n; i++) {
    piece *p = &s->list.p[i];
    size_t at = s->swap.n;
    NB_TRY(write(k, s->text.s + p->at, p->n, first && i == 0, &s->swap, err));
    *p = (piece){at, s->swap.n - at};
  }
  swap_text(s);
  return NB_OK;
}

static nb_status write_prefix_space(const step *k, const char *text, size_t n, bool first, nb_text *out, nb_err *err) {
  (void)k, (void)first;
  if (text[0] != ' ') NB_TRY(nb_text_append(out, " ", 1, err));
  return nb_text_append(out, text, n, err);
}

static nb_status write_byte_level(const step *k, const char *text, size_t n, bool first, nb_text *out, nb_err *err) {
  (void)k, (void)first;
  return put_byte_level(text, n, out, err);
}

static nb_status write_metaspace(const step *k, const char *text, size_t n, bool first, nb_text *out, nb_err *err) {
  size_t m = k->s.n_content;
  bool has = text[0] == ' ' || (n >= m && !memcmp(text, k->s.content, m));
  if (!has && (k->s.prepend == NB_PREPEND_ALWAYS || (k->s.prepend == NB_PREPEND_FIRST && first)))
    NB_TRY(nb_text_append(out, k->s.content, m, err));
  for (size_t i = 0; i < n;) {
    const char *space = memchr(text + i, ' ', n - i);
    size_t upto = space ? (size_t)(space - text) : n;
    NB_TRY(nb_text_append(out, text + i, upto - i, err));
    if (space) NB_TRY(nb_text_append(out, k->s.content, m, err));
    i = upto + (space ? 1 : 0);
  }
  return NB_OK;
}

static nb_status pre_tokenize(const step *k, scratch *s, bool first, nb_err *err) {
  bool whole = k->s.flags & NB_STEP_F_INDIVIDUAL;
  splitter how = {.behavior = k->s.behavior, .invert = k->s.flags & NB_STEP_F_INVERT};
  splitter isolated = {.behavior = NB_SPLIT_ISOLATED}, next = {.behavior = NB_SPLIT_MERGED_WITH_NEXT};
  splitter removed = {.behavior = NB_SPLIT_REMOVED}, gaps_removed = {.behavior = NB_SPLIT_REMOVED, .invert = true};
  splitter digits = {.behavior = whole ? NB_SPLIT_ISOLATED : NB_SPLIT_CONTIGUOUS};
  switch (k->s.kind) {
  case NB_STEP_SPLIT: return split_all(k->regex, NULL, how, s, err);
  case NB_STEP_DIGITS: return split_all(NULL, nb_utf8_is_numeric, digits, s, err);
  case NB_STEP_WHITESPACE: return split_all(k->regex, NULL, gaps_removed, s, err);
  case NB_STEP_WHITESPACE_SPLIT: return split_all(NULL, nb_utf8_is_space, removed, s, err);
  case NB_STEP_PUNCTUATION: return split_all(NULL, nb_utf8_is_punctuation, how, s, err);
  case NB_STEP_BYTE_LEVEL:
    if (k->s.flags & NB_STEP_F_PREFIX_SPACE) NB_TRY(rewrite_all(k, write_prefix_space, s, first, err));
    if (k->regex) NB_TRY(split_all(k->regex, NULL, isolated, s, err));
    return rewrite_all(k, write_byte_level, s, first, err);
  case NB_STEP_METASPACE:
    NB_TRY(rewrite_all(k, write_metaspace, s, first, err));
    return k->s.flags & NB_STEP_F_SPLIT ? split_all(k->regex, NULL, next, s, err) : NB_OK;
  default: return NB_OK;
  }
}

nb_status nb_tokenizer_split(const nb_tokenizer *t, scratch *s, bool first, nb_err *err) {
  s->list.n = 0;
  NB_TRY(add_piece(&s->list, 0, s->text.n, err));
  for (size_t i = 0; i < t->n_step[NB_STAGE_SPLIT]; i++)
    NB_TRY(pre_tokenize(&t->step[NB_STAGE_SPLIT][i], s, first, err));
  return NB_OK;
}
