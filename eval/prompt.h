/* SPDX-License-Identifier: MIT */
/* Prompts, built byte for byte as the protocol that a task describes has them. */
#ifndef NB_PROMPT_H
#define NB_PROMPT_H

#include "eval/dataset.h"
#include "base/text.h"
#include "eval/turns.h"

#include <xxhash.h>

/* Builds the prompts of one task. */
typedef struct nb_prompter {
  const nb_task *task;
  size_t shots;           /* examples wanted */
  const nb_dataset *pool; /* where they come from; NULL when shots is 0 */
  const nb_item **shared; /* (shots) the examples that all prompts share: NB_SHOTS_SPREAD and NB_SHOTS_FIRST */
  nb_dataset given;       /* examples that the task itself holds; pool points to it then */
  const nb_dataset *set;  /* NB_SHOTS_RANDOM: the questions, and */
  uint32_t *drawn;        /* (set->n, shots) the rows of each one's examples, */
  const nb_item **by_row; /* (pool->n) and the pool's items by row */
  nb_turns_form form;     /* how turns become a text; {0}: one after another */
} nb_prompter;

/* shots: how many examples; pool: the split that they come from, unless the task holds its own (may be NULL then).
 * set: the questions, of which items are asked; only for NB_SHOTS_RANDOM, else it may be NULL. All must outlive the
 * prompter. NB_ERR_ARG: the pool does not have so many. nb_prompter_free releases. */
nb_status nb_prompter_create(const nb_task *t, size_t shots, const nb_dataset *pool, const nb_dataset *set,
                             nb_prompter *out, nb_err *err);
void nb_prompter_free(nb_prompter *p);

/* What is scored: the log-prob of each choice's continuation after its context. */
typedef struct nb_prompt {
  size_t n;              /* choices; 0 where the answer is written */
  size_t n_contexts;     /* 1, or n for NB_SCORE_PARTIAL */
  nb_text *context;      /* (n_contexts) */
  nb_text *continuation; /* (n) delimiter and target; all the same text for NB_SCORE_PARTIAL */
  size_t *chars, *bytes; /* (n) length of each choice's text, for acc_norm and acc_bytes */
} nb_prompt;

/* Contexts longer than this are refused: no model takes them, and there may be a million. */
enum { NB_MAX_PROMPT_BYTES = 1 << 24 };

/* Builds item's prompt with the first `shots` examples (at most the prompter's). nb_prompt_free releases. An item
 * is never its own example: where the pool is the evaluated split, it is left out by its id. */
nb_status nb_prompt_build(const nb_prompter *p, const nb_item *item, size_t shots, nb_prompt *out, nb_err *err);
void nb_prompt_free(nb_prompt *p);

/* Context i's text for choice i. */
static inline const nb_text *nb_prompt_context(const nb_prompt *p, size_t choice) {
  return &p->context[p->n_contexts == 1 ? 0 : choice];
}

/* Hashes everything that is scored, with lengths, so that no two different prompts give the same bytes. */
void nb_prompt_hash(const nb_prompt *p, XXH3_state_t *state);

#endif
