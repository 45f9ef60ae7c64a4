/* SPDX-License-Identifier: MIT */
/* Runs many token sequences through a model in full batches and scores the rows that are asked for, no others. */
#ifndef NB_ENGINE_H
#define NB_ENGINE_H

#include "model/model.h"
#include "eval/tokens.h"

/* Tokens that continue a cache, with the targets among their rows. */
typedef struct nb_job {
  nb_kv *kv;
  const int32_t *tokens; /* (n) */
  size_t n;
  size_t first;            /* the position of tokens[0] in its sequence: what target[].pos counts from */
  const nb_target *target; /* (n_targets) pos ascending, first <= pos < first + n */
  size_t n_targets;
  double *logprob; /* (choices) each target's log-prob is added to its choice's */
} nb_job;

typedef struct nb_engine {
  nb_session *session;
  const nb_model *model;
  float *logits;   /* (NB_ENGINE_ROWS, V) */
  size_t n_tokens; /* run so far */
} nb_engine;

enum {
  NB_ENGINE_ROWS = 16,  /* rows scored at a time */
  NB_ENGINE_PIECES = 64 /* sequences in a batch */
};

/* The session and the model must outlive it. nb_engine_free releases. */
nb_status nb_engine_create(nb_session *s, const nb_model *m, nb_engine *out, nb_err *err);
void nb_engine_free(nb_engine *e);

/* Runs the jobs, whose caches are all different. A target's log-prob does not depend on what else is run.
 * NB_ERR_NUMERIC: one is not finite. */
nb_status nb_engine_run(nb_engine *e, nb_job *job, size_t n_jobs, nb_err *err);

#endif
