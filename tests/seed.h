/* SPDX-License-Identifier: MIT */
/* Where the numbers of tests that draw begin: each test has a seed of its own, which $NB_SEED moves, so that the same
 * test can be run on other numbers. Without it, or with 0, the numbers are the same every time. What is drawn so must
 * hold for every seed; a test of rates has room for many standard errors. */
#ifndef NB_TEST_SEED_H
#define NB_TEST_SEED_H

#include <stdint.h>
#include <stdlib.h>

/* `own` moved by $NB_SEED. */
static inline uint64_t test_seed(uint64_t own) {
  const char *given = getenv("NB_SEED");
  return own + (given ? strtoull(given, NULL, 10) : 0) * 0x9e3779b97f4a7c15u;
}

#endif
