/* SPDX-License-Identifier: MIT */
#include "eval/bench_replay.h"

#include "base/clock.h"
#include "base/mem.h"

#include <math.h>

typedef struct watch {
  double first; /* when the first token came */
} watch;

static bool on_token(void *ctx, int32_t id) {
  watch *w = ctx;
  (void)id;
  if (w->first == 0) w->first = nb_clock();
  return true;
}

/* A batch of its own each time: nothing is known of what passes take. */
static nb_status write_once(nb_session *s, const nb_model *m, const nb_batch_opts *o, nb_bench_replay *x, double *best,
                            nb_err *err) {
  nb_batch *b;
  watch w = {0};
  const nb_batch_request r = {.prompt = x->prompt,
                              .n_prompt = x->n_prompt,
                              .max_new = x->n_answer,
                              .given = x->answer,
                              .ignore_eos = true,
                              .token = on_token,
                              .ctx = &w};
  NB_TRY(nb_batch_create(s, m, o, &b, err));
  nb_status st = nb_batch_submit(b, &r, NULL, err);
  for (bool busy = true; busy && st == NB_OK;) st = nb_batch_step(b, &busy, err);
  *best = fmin(*best, nb_clock() - w.first);
  if (o->draft != NB_DRAFT_NEVER)
    x->guessed = nb_batch_stats_of(b)->drafted_tokens, x->right = nb_batch_stats_of(b)->taken_tokens;
  nb_batch_free(b);
  return st;
}

nb_status nb_bench_replay_run(nb_session *s, const nb_model *m, nb_kv_type kv, size_t repeat, nb_bench_replay *x,
                              nb_err *err) {
  x->plain_s = x->guessing_s = INFINITY;
  for (size_t i = 0; i < 2 * repeat; i++) {
    bool guess = (i & 1) != (i >> 1 & 1); /* each way first in turn */
    const nb_batch_opts o = {.kv = kv, .most = 1, .draft = guess ? NB_DRAFT_WORTH : NB_DRAFT_NEVER};
    NB_TRY(write_once(s, m, &o, x, guess ? &x->guessing_s : &x->plain_s, err));
  }
  return NB_OK;
}
