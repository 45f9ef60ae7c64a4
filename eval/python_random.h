/* SPDX-License-Identifier: MIT */
/* Draws as Python's random.Random(seed).sample(range(n), k) makes them, call after call: lm-evaluation-harness chooses
 * examples so, and who would compare with it must ask with the same ones. */
#ifndef NB_PYTHON_RANDOM_H
#define NB_PYTHON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* MT19937 (Matsumoto and Nishimura 1998). */
typedef struct nb_python_random {
  uint32_t state[624];
  size_t at;
} nb_python_random;

void nb_python_random_seed(nb_python_random *r, uint32_t seed);

/* out (k): k different numbers below n, in the order of their drawing; k <= n, and scratch (n). */
void nb_python_random_sample(nb_python_random *r, size_t n, size_t k, uint32_t *out, uint32_t *scratch);

#endif
