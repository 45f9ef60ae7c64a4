/* SPDX-License-Identifier: MIT */
/* Runs a task's questions through a model. What the questions of a subject have in common at their beginning is run
 * once, and every question goes on from a fork of that cache; several share a batch. The log-probs are the same bits
 * as when every sequence is run alone (nb_run_opts.alone does that). */
#ifndef NB_RUNNER_H
#define NB_RUNNER_H

#include "model/model.h"
#include "base/progress.h"
#include "eval/tokens.h"

/* What a question got. */
typedef struct nb_answer {
  double logprob[NB_MAX_CHOICES];   /* (item->n_choices) natural log, summed over the choice's tokens */
  uint32_t chars[NB_MAX_CHOICES];   /* length of the choices' texts: code points, */
  uint32_t bytes[NB_MAX_CHOICES];   /* and bytes */
  const struct nb_written *written; /* what was written instead; NULL: choices were scored (marker.h) */
  uint64_t prompt_hash;             /* XXH3 of context and continuations */
  uint32_t shots;                   /* examples that fit */
  uint32_t n_tokens;                /* of the longest sequence */
  nb_fit fit;                       /* NB_FIT_NOT: it was not run and counts as wrong */
} nb_answer;

typedef struct nb_run_opts {
  bool plain; /* without what the tokenizer's template adds (BOS) */
  nb_overlong overlong;
  bool alone; /* every sequence in a cache of its own, one at a time: for tests */
  nb_kv_type kv;
  bool texts;                  /* written answers keep their prompts */
  uint64_t seed;               /* of the sampling of written answers */
  size_t kv_bytes;             /* memory for the caches of written answers; 0: no bound */
  int threads;                 /* that build and encode prompts */
  const nb_progress *progress; /* questions done of n; may be NULL */
  /* Called for each question once it is answered, in an order of its own; may be NULL. A failure ends the run. */
  nb_status (*answered)(void *ctx, size_t index, const nb_answer *a, nb_err *err);
  /* Called when a batch's caches are at their fullest, done questions being answered; may be NULL. */
  nb_status (*busy)(void *ctx, size_t done, nb_err *err);
  /* Asked between groups of questions; true ends the run with the others unanswered. May be NULL. */
  bool (*enough)(void *ctx);
  void *ctx; /* of all three */
} nb_run_opts;

typedef struct nb_run_stats {
  size_t tokens;       /* run through the model */
  size_t tokens_alone; /* had every sequence been run whole */
  size_t kv_bytes;     /* the most that caches held at a time */
  double prompt_seconds, model_seconds;
  /* of written answers (model/batch.h) */
  size_t new_tokens, steps, most_running, gave_way;
} nb_run_stats;

/* What is asked of whom. Nothing is owned. */
typedef struct nb_run_set {
  const nb_prompter *prompter;
  const nb_tokenizer *tok;
  const nb_model *model;
  nb_session *session;
  const nb_item *const *items; /* (n); those of one subject should stand together */
  size_t n;
  const bool *skip; /* (n) or NULL: these are not asked, and their answers are left as they are */
} nb_run_set;

/* Answers the items: answer[i] for items[i]. Errors name the question. */
nb_status nb_runner_run(const nb_run_set *set, const nb_run_opts *o, nb_answer *answer, nb_run_stats *stats,
                        nb_err *err);

#endif
