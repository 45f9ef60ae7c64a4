/* SPDX-License-Identifier: MIT */
/* What a machine reaches with nothing else to do: what its speeds are measured against. A limit that a program can
 * exceed is none, so it is the best of many loops (kernels/peak.h), looked for again and again while others use the
 * machine as well, and what is above it all the same is a fault of the measurement. */
#ifndef NB_LIMITS_H
#define NB_LIMITS_H

#include "base/status.h"
#include "kernels/kernels.h"

typedef struct nb_limit {
  double per_s;        /* multiply-adds, or bytes, a second, of all threads together; 0: nothing was measured yet */
  const nb_peak *loop; /* the one that reached it */
  double clock_hz;     /* the caller's thread's right after it: dependent additions a second, which take a cycle each */
  size_t bytes;        /* NB_PEAK_READ: of the memory that was read, again and again */
  bool huge; /* NB_PEAK_READ: it was on huge pages, which the system was asked for; else on those as they were */
} nb_limit;

/* Memory that lies together. */
typedef struct nb_limit_memory {
  const void *data;
  size_t size;
} nb_limit_memory;

/* What NB_PEAK_READ reads: what the measured work reads, where it lies, and as much on huge pages. So caches, which may
 * be larger than a model, help the one as much as the other. */
typedef struct nb_limit_reads {
  const nb_limit_memory *memory; /* (n) what is smaller than NB_PEAK_BYTES is left out */
  size_t n;
  size_t bytes; /* that the work reads before it begins again: of more than 1 GiB, or an eighth of the machine's memory,
                 * so much is taken on huge pages, which caches help more */
} nb_limit_reads;

/* Raises *best to what the machine reaches now with `threads` threads: the best of all of the table's loops of this
 * unit. reads: of NB_PEAK_READ. Takes a tenth to half a second. NB_ERR_MEMORY. */
nb_status nb_limit_look(const nb_kernels *k, int threads, nb_peak_unit unit, const nb_limit_reads *reads,
                        nb_limit *best, nb_err *err);

/* "vpdpbusd zmm, 12 chains, 3.71 GHz: 128.0 a cycle and thread", of 128 bytes at most. */
void nb_limit_describe(const nb_limit *l, int threads, char out[128]);

#endif
