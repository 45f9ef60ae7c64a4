/* SPDX-License-Identifier: MIT */
/* Numbers drawn for tests: the same on every machine. */
#ifndef NB_TEST_RANDOM_H
#define NB_TEST_RANDOM_H

#include "seed.h"

static uint64_t state;

/* Begins at a test's own seed, moved by $NB_SEED. */
static inline void draw_from(uint64_t own) { state = test_seed(own); }

/* From 0 to below 1 (Knuth's MMIX generator). */
static inline double uniform(void) {
  return (double)((state = state * 6364136223846793005u + 1442695040888963407u) >> 11) * 0x1p-53;
}

/* About normal, with standard deviation 1, between -6 and 6. */
static inline float gauss(void) {
  double s = 0;
  for (int i = 0; i < 12; i++) s += uniform();
  return (float)(s - 6);
}

#endif
