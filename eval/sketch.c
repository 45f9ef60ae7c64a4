/* SPDX-License-Identifier: MIT */
#include "eval/sketch.h"

#include <stdio.h>
#include <xxhash.h>

/* ---- grams ---- */

/* Goes over a text gram by gram. */
typedef struct walk {
  const unsigned char *text;
  size_t n, at;
  uint64_t word[NB_SKETCH_WORDS]; /* a ring */
  size_t words;                   /* met so far */
} walk;

static bool is_letter(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c > 127;
}

/* The hash of the next word (FNV-1a over its lower-case bytes); false at the end. */
static bool next_word(walk *w, uint64_t *hash) {
  while (w->at < w->n && !is_letter(w->text[w->at])) w->at++;
  if (w->at == w->n) return false;
  *hash = 0xcbf29ce484222325u;
  for (; w->at < w->n && is_letter(w->text[w->at]); w->at++) {
    unsigned char c = w->text[w->at];
    *hash = (*hash ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 0x100000001b3u;
  }
  return true;
}

static bool next_gram(walk *w, uint64_t *gram) {
  uint64_t hash, row[NB_SKETCH_WORDS];
  do {
    if (!next_word(w, &hash)) return false;
    w->word[w->words++ % NB_SKETCH_WORDS] = hash;
  } while (w->words < NB_SKETCH_WORDS);
  for (size_t i = 0; i < NB_SKETCH_WORDS; i++) row[i] = w->word[(w->words + i) % NB_SKETCH_WORDS];
  *gram = XXH3_64bits(row, sizeof row) >> (64 - 4 * NB_SKETCH_DIGITS);
  return true;
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* ---- making ---- */

static void sort_once(nb_sketch *s) {
  size_t n = 0;
  if (s->n) qsort(s->gram, s->n, sizeof *s->gram, by_value);
  for (size_t i = 0; i < s->n; i++)
    if (!n || s->gram[i] != s->gram[n - 1]) s->gram[n++] = s->gram[i];
  s->n = nb_min(n, NB_SKETCH_MAX);
}

nb_status nb_sketch_make(const char *text, size_t n, nb_sketch *out, nb_err *err) {
  walk w = {.text = (const unsigned char *)text, .n = n};
  uint64_t window[NB_SKETCH_WINDOW], gram;
  size_t seen = 0, cap = 0, taken = SIZE_MAX; /* the gram that was kept last */
  *out = (nb_sketch){0};
  for (; next_gram(&w, &gram); seen++) {
    window[seen % NB_SKETCH_WINDOW] = gram;
    size_t first = seen + 1 < NB_SKETCH_WINDOW ? 0 : seen + 1 - NB_SKETCH_WINDOW, best = first;
    for (size_t i = first; i <= seen; i++)
      if (window[i % NB_SKETCH_WINDOW] <= window[best % NB_SKETCH_WINDOW]) best = i;
    if (best == taken) continue;
    taken = best;
    nb_status st = nb_grow(&out->gram, &cap, out->n + 1, sizeof *out->gram, err);
    if (st != NB_OK) return nb_sketch_free(out), st;
    out->gram[out->n++] = window[best % NB_SKETCH_WINDOW];
  }
  sort_once(out);
  return NB_OK;
}

void nb_sketch_free(nb_sketch *s) {
  free(s->gram);
  *s = (nb_sketch){0};
}

/* ---- as digits ---- */

nb_status nb_sketch_print(const nb_sketch *s, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < s->n; i++) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%0*llx", NB_SKETCH_DIGITS, (unsigned long long)s->gram[i]);
    NB_TRY(nb_text_append(out, digits, (size_t)n, err));
  }
  return NB_OK;
}

nb_status nb_sketch_parse(const char *digits, nb_sketch *out, nb_err *err) {
  size_t n = strlen(digits), cap = 0;
  *out = (nb_sketch){0};
  if (n % NB_SKETCH_DIGITS || n / NB_SKETCH_DIGITS > NB_SKETCH_MAX || strspn(digits, "0123456789abcdef") != n)
    return nb_fail(err, NB_ERR_FORMAT, "not a sketch: at most %d times %d hexadecimal digits", NB_SKETCH_MAX,
                   NB_SKETCH_DIGITS);
  NB_TRY(nb_grow(&out->gram, &cap, n / NB_SKETCH_DIGITS + 1, sizeof *out->gram, err));
  for (size_t i = 0; i < n; i += NB_SKETCH_DIGITS) {
    char gram[NB_SKETCH_DIGITS + 1] = {0};
    memcpy(gram, digits + i, NB_SKETCH_DIGITS);
    out->gram[out->n++] = strtoull(gram, NULL, 16);
  }
  sort_once(out);
  return NB_OK;
}

/* ---- finding ---- */

bool nb_sketch_finds(const nb_sketch *s, const char *text, size_t n) {
  walk w = {.text = (const unsigned char *)text, .n = n};
  uint64_t gram;
  while (s->n && next_gram(&w, &gram))
    if (bsearch(&gram, s->gram, s->n, sizeof gram, by_value)) return true;
  return false;
}
