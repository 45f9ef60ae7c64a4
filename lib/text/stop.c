/* SPDX-License-Identifier: MIT */
#include "text/stop.h"

#include "base/assert.h"

nb_status nb_stop_begin(const nb_tokenizer *t, const char *const *stop, size_t n, nb_stop *out, nb_err *err) {
  *out = (nb_stop){.stop = stop, .n = n};
  NB_TRY(nb_text_append(&out->text, "", 0, err));
  nb_status st = nb_decoder_new(t, true, &out->decoder, err);
  if (st != NB_OK) nb_stop_free(out);
  return st;
}

void nb_stop_free(nb_stop *s) {
  nb_decoder_free(s->decoder);
  nb_text_free(&s->text);
  *s = (nb_stop){0};
}

static const char *find(const nb_stop *s, size_t from, const char *what) {
  size_t n = strlen(what);
  for (size_t i = from; i + n <= s->text.n; i++)
    if (!memcmp(s->text.s + i, what, n)) return s->text.s + i;
  return NULL;
}

static void cut(nb_stop *s, size_t n) {
  nb_assert(n <= s->text.n);
  s->text.n = s->safe = n;
  s->text.s[n] = 0;
}

/* Cuts the text at each stop string in turn. */
static void cut_at_stops(nb_stop *s) {
  for (size_t i = 0; i < s->n; i++) {
    const char *hit = find(s, s->from, s->stop[i]);
    if (hit) cut(s, (size_t)(hit - s->text.s)), s->ended = true;
  }
}

/* The length of the longest end of the text that begins a stop string. */
static size_t may_become(const nb_stop *s) {
  size_t most = 0;
  for (size_t i = 0; i < s->n; i++)
    for (size_t k = nb_min(strlen(s->stop[i]) - 1, s->text.n); k > most; k--)
      if (!memcmp(s->text.s + s->text.n - k, s->stop[i], k)) most = k;
  return most;
}

static void look(nb_stop *s) {
  nb_assert(s->from <= s->text.n && s->safe <= s->text.n);
  cut_at_stops(s);
  if (s->ended) return;
  s->safe = s->text.n - may_become(s);
  s->from = s->safe;
}

nb_status nb_stop_token(nb_stop *s, int32_t id, nb_err *err) {
  NB_TRY(nb_decoder_step(s->decoder, id, &s->text, err));
  look(s);
  return NB_OK;
}

nb_status nb_stop_finish(nb_stop *s, nb_err *err) {
  if (s->ended) return NB_OK;
  NB_TRY(nb_decoder_finish(s->decoder, &s->text, err));
  look(s);
  s->safe = s->text.n;
  return NB_OK;
}
