/* SPDX-License-Identifier: MIT */
#include "eval/stopping.h"

#include "eval/rng.h"

#include <stdlib.h>

enum { CHUNK = 128 };

static int by_place(const void *a, const void *b) {
  const nb_item *x = *(const nb_item *const *)a, *y = *(const nb_item *const *)b;
  return (x > y) - (x < y);
}

/* Where the chunk ends that begins at `begin` and is the look-th. */
static size_t chunk_end(const nb_stopping *s, size_t begin, size_t look) {
  size_t size = CHUNK;
  for (size_t i = 0; i <= look && i < NB_STOPPING_MAX_CHUNKS && s->o.chunk[i]; i++) size = s->o.chunk[i];
  return nb_min(begin + size, s->e->n);
}

nb_status nb_stopping_begin(nb_evaluation *e, const nb_result *base, const nb_stopping_opts *o, nb_stopping *out,
                            nb_err *err) {
  uint64_t state = e->order = o->seed ? o->seed : 1;
  *out = (nb_stopping){.o = *o, .base = base, .e = e, .verdict = NB_VERDICT_UNDECIDED};
  out->row = calloc(e->n, sizeof *out->row);
  out->diff = calloc(e->n, sizeof *out->diff), out->kl = calloc(e->n, sizeof *out->kl);
  if (!out->row || !out->diff || !out->kl) {
    nb_stopping_free(out);
    return nb_fail(err, NB_ERR_MEMORY, "out of memory: answers");
  }
  if (!o->alpha_fail) out->o.alpha_fail = o->alpha;
  nb_sequential_begin(&out->test, o->margin, o->alpha);
  nb_excess_begin(&out->excess, o->max_kld);
  for (size_t i = e->n; i > 1; i--) {
    size_t k = (size_t)nb_rng_below(&state, i);
    const nb_item *t = e->item[i - 1];
    e->item[i - 1] = e->item[k], e->item[k] = t;
  }
  for (size_t i = 0, look = 0, end; i < e->n; i = end, look++) {
    end = chunk_end(out, i, look);
    qsort(e->item + i, end - i, sizeof *e->item, by_place);
  }
  return NB_OK;
}

void nb_stopping_free(nb_stopping *s) {
  free(s->row), free(s->diff), free(s->kl);
  *s = (nb_stopping){0};
}

static bool complete(const nb_stopping *s) {
  for (size_t i = s->looked; i < chunk_end(s, s->looked, s->looks); i++)
    if (!s->row[i].category) return false;
  return s->looked < s->e->n;
}

/* A claim is made when its evidence reaches 1 over the error that it may have. */
static nb_verdict judge(const nb_stopping *s) {
  bool far = s->o.alpha_kld > 0 && nb_excess_evidence(&s->excess) >= 1 / s->o.alpha_kld;
  if (far || nb_sequential_fail(&s->test) >= 1 / s->o.alpha_fail) return NB_VERDICT_FAIL;
  if (s->o.refuse_only) return NB_VERDICT_UNDECIDED;
  return nb_sequential_pass(&s->test) >= 1 / s->o.alpha ? NB_VERDICT_PASS : NB_VERDICT_UNDECIDED;
}

/* Looks at a chunk more: takes its differences, checks that the questions are the baseline's, and weighs all so far. */
static nb_status look(nb_stopping *s, nb_err *err) {
  size_t end = chunk_end(s, s->looked, s->looks);
  nb_result chunk = {.protocol = s->e->protocol, .row = s->row + s->looked, .n = end - s->looked};
  nb_compare_opts co = {.alpha = s->o.alpha, .margin = s->o.margin, .common = true, .any_model = true, .reps = 2};
  nb_comparison c;
  NB_TRY(nb_compare(s->base, &chunk, &co, &c, err));
  for (size_t i = 0; i < c.n; i++, s->n_diff++)
    s->diff[s->n_diff] = c.pair[i].cand_score - c.pair[i].base_score, s->kl[s->n_diff] = c.pair[i].kl;
  nb_comparison_free(&c);
  s->looked = end, s->looks++;
  nb_sequential_weigh(&s->test, s->diff, s->n_diff);
  if (s->o.alpha_kld > 0) nb_excess_weigh(&s->excess, s->kl, s->n_diff);
  s->verdict = judge(s);
  return NB_OK;
}

nb_status nb_stopping_answered(nb_stopping *s, size_t index, const nb_item *item, const nb_answer *a, nb_err *err) {
  s->row[s->from + index] = (nb_row){*item, *a, "", false};
  while (s->verdict == NB_VERDICT_UNDECIDED && complete(s)) NB_TRY(look(s, err));
  return NB_OK;
}

size_t nb_stopping_enough(const nb_stopping *s) {
  bool paused = s->pause && s->looked >= s->pause;
  return s->verdict == NB_VERDICT_UNDECIDED && !paused ? 0 : s->looked - s->from;
}
