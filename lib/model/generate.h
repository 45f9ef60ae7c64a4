/* SPDX-License-Identifier: MIT */
/* Choosing a token: sampling and its random numbers. What goes on with a text is a context (context.h), with many at
 * once a batch (batch.h). */
#ifndef NB_GENERATE_H
#define NB_GENERATE_H

#include <stddef.h>
#include <stdint.h>

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

#endif
