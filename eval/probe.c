/* SPDX-License-Identifier: MIT */
#include "eval/probe.h"

#include "eval/rng.h"
#include "formats/jsonout.h"

#include <stdio.h>

static const char *const names[] = {"Lisbon", "Nairobi", "Oslo",  "Lima",   "Hanoi", "Quito", "Vienna", "Dublin",
                                    "Havana", "Riga",    "Accra", "Bogota", "Sofia", "Amman", "Minsk",  "Tirana"};
enum { NAMES = sizeof names / sizeof *names, TRIES = 8 };

typedef struct needle {
  const char *name;
  unsigned number; /* of five digits, so that all are equally long */
} needle;

static void draw(uint64_t *rng, needle out[NB_PROBE_NEEDLES]) {
  for (size_t i = 0; i < NB_PROBE_NEEDLES; i++) {
    bool twice;
    do {
      out[i] = (needle){names[nb_rng_below(rng, NAMES)], 10000 + (unsigned)nb_rng_below(rng, 90000)};
      twice = false;
      for (size_t k = 0; k < i; k++) twice = twice || out[k].name == out[i].name || out[k].number == out[i].number;
    } while (twice);
  }
}

/* The text that passages are cut from. */
typedef struct source {
  const nb_tokenizer *t;
  const int32_t *ids; /* (n) */
  size_t n;
} source;

/* A text with its needles. */
typedef struct hidden {
  size_t number;
  needle x[NB_PROBE_NEEDLES];
  nb_text text;
  size_t tokens;
} hidden;

/* Appends source tokens [from, from + n), counted on around the end. */
static nb_status piece(const source *s, size_t from, size_t n, nb_text *out, nb_err *err) {
  while (n) {
    size_t at = from % s->n, take = nb_min(n, s->n - at);
    NB_TRY(nb_tokenizer_decode(s->t, s->ids + at, take, true, out, err));
    from += take, n -= take;
  }
  return NB_OK;
}

/* A text of `hay` source tokens with the needles between: at depths 1/8, 3/8, 5/8, 7/8. */
static nb_status build(const source *s, size_t from, size_t hay, hidden *out, nb_err *err) {
  size_t done = 0;
  nb_text_clear(&out->text);
  for (size_t i = 0; i <= NB_PROBE_NEEDLES; i++) {
    size_t end = i == NB_PROBE_NEEDLES ? hay : hay * (2 * i + 1) / (2 * NB_PROBE_NEEDLES);
    NB_TRY(piece(s, from + done, end - done, &out->text, err));
    done = end;
    char sentence[100];
    if (i == NB_PROBE_NEEDLES) break;
    snprintf(sentence, sizeof sentence, "\nThe secret number of %s is %u.\n", out->x[i].name, out->x[i].number);
    NB_TRY(nb_text_append_str(&out->text, sentence, err));
  }
  return NB_OK;
}

static nb_status count(const nb_tokenizer *t, const nb_text *text, size_t *n, nb_err *err) {
  nb_ids ids = {0};
  nb_status st = nb_tokenizer_encode(t, text->s, text->n, 0, &ids, err);
  *n = ids.n;
  nb_ids_free(&ids);
  return st;
}

/* The question for needle i. */
static nb_status write_row(const nb_probe_opts *o, const hidden *h, size_t i, nb_text *out, nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  char text[100];
  nb_jsonout_open(&j, NULL, '{');
  snprintf(text, sizeof text, "%zu:%zu:%zu", o->length, h->number, i);
  nb_jsonout_string(&j, "id", text);
  snprintf(text, sizeof text, "%zu tokens", o->length);
  nb_jsonout_string(&j, "subject", text);
  nb_jsonout_fixed(&j, "depth", (double)(2 * i + 1) / (2 * NB_PROBE_NEEDLES), 3);
  nb_jsonout_u64(&j, "tokens", h->tokens);
  nb_jsonout_string(&j, "passage", h->text.s);
  snprintf(text, sizeof text, "What is the secret number of %s?", h->x[i].name);
  nb_jsonout_string(&j, "question", text);
  nb_jsonout_open(&j, "choices", '[');
  for (size_t c = 0; c < NB_PROBE_NEEDLES; c++) {
    snprintf(text, sizeof text, "%u", h->x[c].number);
    nb_jsonout_string(&j, NULL, text);
  }
  nb_jsonout_close(&j, ']');
  nb_jsonout_u64(&j, "answer", i);
  nb_jsonout_close(&j, '}');
  NB_TRY(j.st);
  return nb_text_append(out, "\n", 1, err);
}

nb_status nb_probe_make(const nb_tokenizer *t, const int32_t *ids, size_t n, const nb_probe_opts *o, nb_text *out,
                        nb_err *err) {
  const source s = {t, ids, n};
  hidden h = {.number = 0};
  uint64_t rng = o->seed;
  nb_status st = NB_OK;
  if (o->length < NB_PROBE_MIN || o->length > (size_t)1 << 24 || !n)
    return nb_fail(err, NB_ERR_ARG, "texts of %zu tokens, from a source of %zu, are out of range (%d at least)",
                   o->length, n, NB_PROBE_MIN);
  for (size_t k = 0; k < o->texts; k++) {
    size_t hay = o->length;
    h.number = k, h.tokens = 0;
    draw(&rng, h.x);
    /* Cut until it fits: a text's tokens are not quite those of its pieces. */
    for (size_t i = 0; i < TRIES; i++) {
      NB_GOTO(build(&s, k * o->length, hay, &h, err));
      NB_GOTO(count(t, &h.text, &h.tokens, err));
      if (h.tokens <= o->length) break;
      hay -= nb_min(hay, h.tokens - o->length);
    }
    if (h.tokens > o->length)
      NB_GOTO(nb_fail(err, NB_ERR_ARG, "no text of at most %zu tokens can be made of this source", o->length));
    for (size_t i = 0; i < NB_PROBE_NEEDLES; i++) NB_GOTO(write_row(o, &h, i, out, err));
  }
fail:
  nb_text_free(&h.text);
  return st;
}
