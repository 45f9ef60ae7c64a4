/* SPDX-License-Identifier: MIT */
/* The most memory of each kind over a run, from samples. */
#ifndef NB_MEMWATCH_H
#define NB_MEMWATCH_H

#include "memory.h"

typedef struct nb_memory_watch {
  nb_memory first, last, most; /* most.peak_bytes: the system's own peak */
  uint64_t samples;
} nb_memory_watch;

static inline uint64_t nb_larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Takes a sample; call it between pieces of work. It costs some microseconds. */
static inline void nb_memory_sample(nb_memory_watch *w) {
  nb_memory m;
  if (!nb_memory_read(&m)) return;
  if (!w->samples++) w->first = m;
  w->last = m;
  w->most.file_bytes = nb_larger(w->most.file_bytes, m.file_bytes);
  w->most.anon_bytes = nb_larger(w->most.anon_bytes, m.anon_bytes);
  w->most.peak_bytes = nb_larger(w->most.peak_bytes, m.peak_bytes);
}

#endif
