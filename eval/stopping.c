/* SPDX-License-Identifier: MIT */
#include "eval/stopping.h"

#include "eval/rng.h"

#include <stdlib.h>

enum { CHUNK = 128 };

static int by_place(const void *a, const void *b) {
  const nb_item *x = *(const nb_item *const *)a, *y = *(const nb_item *const *)b;
  return (x > y) - (x < y);
}

static size_t chunk_end(const nb_stopping *s) { return nb_min(s->looked + CHUNK, s->e->n); }

nb_status nb_stopping_begin(nb_evaluation *e, const nb_result *base, double margin, double alpha, uint64_t seed,
                            nb_stopping *out, nb_err *err) {
  uint64_t state = e->order = seed ? seed : 1;
  *out = (nb_stopping){.base = base, .e = e, .row = calloc(e->n, sizeof *out->row)};
  out->diff = calloc(e->n, sizeof *out->diff);
  if (!out->row || !out->diff) {
    nb_stopping_free(out);
    return nb_fail(err, NB_ERR_MEMORY, "out of memory: answers");
  }
  nb_sequential_begin(&out->test, margin, alpha);
  for (size_t i = e->n; i > 1; i--) {
    size_t k = (size_t)nb_rng_below(&state, i);
    const nb_item *t = e->item[i - 1];
    e->item[i - 1] = e->item[k], e->item[k] = t;
  }
  for (size_t i = 0; i < e->n; i += CHUNK) qsort(e->item + i, nb_min(CHUNK, e->n - i), sizeof *e->item, by_place);
  return NB_OK;
}

void nb_stopping_free(nb_stopping *s) {
  free(s->row), free(s->diff);
  *s = (nb_stopping){0};
}

static bool complete(const nb_stopping *s) {
  for (size_t i = s->looked; i < chunk_end(s); i++)
    if (!s->row[i].category) return false;
  return s->looked < s->e->n;
}

/* Looks at a chunk more: takes its differences, checks that the questions are the baseline's, and weighs all so far. */
static nb_status look(nb_stopping *s, nb_err *err) {
  nb_result chunk = {.protocol = s->e->protocol, .row = s->row + s->looked, .n = chunk_end(s) - s->looked};
  nb_compare_opts co = {.alpha = s->test.alpha, .margin = s->test.margin, .common = true, .any_model = true, .reps = 2};
  nb_comparison c;
  NB_TRY(nb_compare(s->base, &chunk, &co, &c, err));
  for (size_t i = 0; i < c.n; i++) s->diff[s->n_diff++] = c.pair[i].cand_score - c.pair[i].base_score;
  nb_comparison_free(&c);
  s->looked = chunk_end(s);
  nb_sequential_weigh(&s->test, s->diff, s->n_diff);
  return NB_OK;
}

nb_status nb_stopping_answered(nb_stopping *s, size_t index, const nb_item *item, const nb_answer *a, nb_err *err) {
  s->row[index] = (nb_row){*item, *a, "", false};
  while (s->test.verdict == NB_VERDICT_UNDECIDED && complete(s)) NB_TRY(look(s, err));
  return NB_OK;
}

size_t nb_stopping_enough(const nb_stopping *s) { return s->test.verdict == NB_VERDICT_UNDECIDED ? 0 : s->looked; }
