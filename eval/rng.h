/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same everywhere: SplitMix64 (Steele, Lea and Flood 2014). */
#ifndef NB_RNG_H
#define NB_RNG_H

#include <stdint.h>

/* The next 64 bits; *state is any seed to begin with. */
static inline uint64_t nb_rng_next(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* A number below n (n > 0), each as likely: what would be biased is drawn again. */
static inline uint64_t nb_rng_below(uint64_t *state, uint64_t n) {
  uint64_t x, limit = UINT64_MAX - UINT64_MAX % n;
  do x = nb_rng_next(state);
  while (x >= limit);
  return x % n;
}

/* In [0, 1). */
static inline double nb_rng_uniform(uint64_t *state) { return (double)(nb_rng_next(state) >> 11) * 0x1p-53; }

#endif
