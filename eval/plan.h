/* SPDX-License-Identifier: MIT */
/* Every prompt of a run, built and encoded before the first is run: what does not fit is known at the start, and so is
 * exactly what the answers will be answers to (run_key.h). */
#ifndef NB_PLAN_H
#define NB_PLAN_H

#include "base/progress.h"
#include "eval/tokens.h"

typedef struct nb_planned {
  uint64_t prompt_hash; /* XXH3 of the prompt's texts */
  uint32_t n_tokens;    /* of the longest sequence, as it is run */
  uint32_t shots;       /* examples that fit */
  nb_fit fit;
} nb_planned;

typedef struct nb_plan {
  nb_planned *question; /* (n) in the items' order */
  size_t n;
  size_t n_cut, n_not; /* questions that lost tokens; that do not fit */
  size_t max_tokens;   /* what the model takes */
  uint64_t hash[2];    /* XXH3-128 of all prompts and all token sequences */
} nb_plan;

/* What is planned: the questions, and how they become tokens. Nothing is owned. */
typedef struct nb_plan_set {
  const nb_prompter *prompter;
  const nb_tokenizer *tok;
  const nb_encode_opts *encode;
  const nb_item *const *items; /* (n) */
  size_t n;
} nb_plan_set;

/* Builds the plan with so many threads; nb_plan_free releases. progress may be NULL. */
nb_status nb_plan_make(const nb_plan_set *set, int threads, const nb_progress *progress, nb_plan *out, nb_err *err);
void nb_plan_free(nb_plan *p);

/* The largest number of examples below the prompter's with which all of the plan's questions would fit whole; -1: not
 * even without any. */
nb_status nb_plan_fewer_shots(const nb_plan *plan, const nb_plan_set *set, int *shots, nb_err *err);

#endif
