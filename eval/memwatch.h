/* SPDX-License-Identifier: MIT */
/* The most memory of each kind over a run, from samples. */
#ifndef NB_MEMWATCH_H
#define NB_MEMWATCH_H

#include "eval/memory.h"

enum { NB_MEMORY_SERIES = 64 };

typedef struct nb_memory_watch {
  nb_memory first, last, most; /* most.peak_bytes: the system's own peak */
  uint64_t samples;
  /* Over time: every stride-th sample. When it is full, every second goes and the stride doubles. */
  struct {
    uint64_t done, file_bytes, anon_bytes;
  } series[NB_MEMORY_SERIES];
  uint64_t n_series, stride;
} nb_memory_watch;

static inline void nb_memwatch_keep(nb_memory_watch *w, const nb_memory *m, uint64_t done) {
  if (!w->stride) w->stride = 1;
  if ((w->samples - 1) % w->stride) return;
  if (w->n_series == NB_MEMORY_SERIES) {
    for (uint64_t i = 0; i < NB_MEMORY_SERIES / 2; i++) w->series[i] = w->series[2 * i];
    w->n_series /= 2, w->stride *= 2;
    if ((w->samples - 1) % w->stride) return;
  }
  w->series[w->n_series].done = done;
  w->series[w->n_series].file_bytes = m->file_bytes;
  w->series[w->n_series++].anon_bytes = m->anon_bytes;
}

static inline uint64_t nb_memwatch_larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* Takes a sample when so many questions are done. It costs some microseconds. */
static inline void nb_memwatch_sample(nb_memory_watch *w, uint64_t done) {
  nb_memory m;
  if (!nb_memory_read(&m)) return;
  if (!w->samples++) w->first = m;
  w->last = m;
  nb_memwatch_keep(w, &m, done);
  w->most.file_bytes = nb_memwatch_larger(w->most.file_bytes, m.file_bytes);
  w->most.anon_bytes = nb_memwatch_larger(w->most.anon_bytes, m.anon_bytes);
  w->most.peak_bytes = nb_memwatch_larger(w->most.peak_bytes, m.peak_bytes);
}

#endif
