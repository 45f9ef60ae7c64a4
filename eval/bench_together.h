/* SPDX-License-Identifier: MIT */
/* How fast many texts are written together (model/batch.h), beside a prompt of as many tokens: both read the weights
 * once for a batch of the same size. */
#ifndef NB_BENCH_TOGETHER_H
#define NB_BENCH_TOGETHER_H

#include "model/batch.h"

typedef struct nb_bench_together {
  double prompt_per_s;  /* tokens a second of a prompt of n tokens after the context */
  double written_per_s; /* of n texts after as long contexts, in steps without prompts in which all n run */
  size_t steps;         /* that were timed */
  size_t kv_bytes;
} nb_bench_together;

typedef struct nb_bench_together_opts {
  nb_kv_type kv;
  size_t n;       /* texts */
  size_t context; /* tokens before each of them */
  size_t shared;  /* the first of those, at most all, which the texts have in common */
  size_t tokens;  /* written of each */
} nb_bench_together_opts;

/* Times are of the process's processors, so that neighbours on the machine do not count; with several threads their
 * sum over the number of threads. */
nb_status nb_bench_together_run(nb_session *s, const nb_model *m, const nb_bench_together_opts *o,
                                nb_bench_together *out, nb_err *err);

#endif
