/* SPDX-License-Identifier: MIT */
#ifndef NB_CLOCK_H
#define NB_CLOCK_H

#include <time.h>

/* Seconds on a clock that only goes forward, from an arbitrary start. */
static inline double nb_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
