/* SPDX-License-Identifier: MIT */
/* Where the numbers of tests that draw begin: each test has a seed of its own, which $NB_SEED moves, so that the same
 * test can be run on other numbers. Without it, or with 0, the numbers are the same every time. What is drawn so must
 * hold for every seed; a test of rates has room for many standard errors. */
#ifndef NB_TEST_SEED_H
#define NB_TEST_SEED_H

#include <stdint.h>
#include <stdlib.h>

/* `own` moved by $NB_SEED: by its bits mixed (0 stays 0), since generators that count would only begin later in the
 * same numbers if they were moved by a multiple of their step. */
static inline uint64_t test_seed(uint64_t own) {
  const char *given = getenv("NB_SEED");
  uint64_t z = given ? strtoull(given, NULL, 10) : 0;
  for (int i = 0; i < 2; i++) z = (z ^ z >> 32) * 0xd6e8feb86659fd93u;
  return own + (z ^ z >> 32);
}

#endif
