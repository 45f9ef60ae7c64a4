/* SPDX-License-Identifier: MIT */
/* How fast a known text would be written, with guesses of the next tokens (model/draft.h) and without. The tokens that
 * are taken are the given ones, everything else is as when the model picks them; so a file with random weights, whose
 * own texts say nothing, tells the speed at its size on texts that people wrote. */
#ifndef NB_BENCH_REPLAY_H
#define NB_BENCH_REPLAY_H

#include "model/batch.h"

typedef struct nb_bench_replay {
  const int32_t *prompt; /* (n_prompt) */
  const int32_t *answer; /* (n_answer > 1) */
  size_t n_prompt, n_answer;
  /* results: seconds of the answer from its second token on, the best of the repetitions, and of the last one what was
   * guessed and what of that was right */
  double plain_s, guessing_s;
  size_t guessed, right;
} nb_bench_replay;

/* Writes the answer `repeat` times each way, in turns. NB_ERR_ARG: it does not fit the model. */
nb_status nb_bench_replay_run(nb_session *s, const nb_model *m, nb_kv_type kv, size_t repeat, nb_bench_replay *x,
                              nb_err *err);

#endif
