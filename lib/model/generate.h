/* SPDX-License-Identifier: MIT */
/* Continuing a text: sampling and the token loop. */
#ifndef NB_GENERATE_H
#define NB_GENERATE_H

#include "model/draft.h"
#include "model/model.h"

typedef struct nb_sampling {
  double temperature; /* 0: the most likely token (the lowest id wins ties) */
  double top_p;       /* 0 to 1: only the smallest set of tokens whose probabilities reach this (Holtzman et al. 2020,
                       * arXiv 1904.09751); 1: all */
  uint64_t seed;      /* the same seed, model and prompt give the same text */
} nb_sampling;

/* The state of a pseudo-random sequence (SplitMix64; Steele et al. 2014). */
typedef struct nb_rng {
  uint64_t state;
} nb_rng;
uint64_t nb_rng_next(nb_rng *r);
double nb_rng_unit(nb_rng *r); /* [0, 1), 53 bits */

/* Where the largest of n > 0 numbers is; the first of equal ones. */
size_t nb_generate_largest(const float *x, size_t n);

/* Chooses a token from V logits, which are overwritten. order: (V) scratch. */
int32_t nb_sampling_pick(float *logits, size_t V, const nb_sampling *s, nb_rng *rng, uint32_t *order);

typedef struct nb_generation {
  nb_sampling sampling;
  size_t max_new; /* tokens to make at most */
  bool ignore_eos;
  nb_kv_type kv_type;
  nb_draft_mode draft; /* as nb_batch_opts has it */
  /* Called with every new token (an end token is not passed); false ends the text. */
  bool (*token)(void *ctx, int32_t id);
  void *ctx;
} nb_generation;

/* What a generation took. */
typedef struct nb_generation_stats {
  size_t prompt_tokens, new_tokens;
  size_t reused;          /* tokens of the prompt that a cache had already (context.h) */
  double prompt_s, new_s; /* seconds in the prompt, and in the new tokens */
  bool ended;             /* by an end token */
  size_t kv_bytes;
  size_t drafted, taken; /* guessed tokens that were tried, and those of them that were right */
} nb_generation_stats;

/* Continues a prompt. A LongRoPE model's cache is made again when the text passes the switch, as in the reference.
 * NB_ERR_ARG when prompt and max_new do not fit the model's positions; NB_ERR_NUMERIC: a state or a logit is not
 * finite. stats may be NULL. */
nb_status nb_generate(nb_session *s, const nb_model *m, const int32_t *prompt, size_t n_prompt, const nb_generation *g,
                      nb_generation_stats *stats, nb_err *err);

#endif
