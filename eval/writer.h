/* SPDX-License-Identifier: MIT */
/* Runs the questions of a task whose answers are written: prompts go to a batch (model/batch.h) as it has room, texts
 * end at the task's stop strings, and rules mark them as they end. A question's texts depend on its prompt, the seed
 * and its id alone. */
#ifndef NB_WRITER_H
#define NB_WRITER_H

#include "eval/runner.h"

/* As nb_runner_run; what answers point to (nb_answer.written) comes from the pool. A prompt that leaves less room than
 * the task's max_tokens gets shorter texts. */
nb_status nb_writer_run(const nb_run_set *set, const nb_encode_opts *encode, const nb_run_opts *o, nb_pool *pool,
                        nb_answer *answer, nb_run_stats *stats, nb_err *err);

#endif
