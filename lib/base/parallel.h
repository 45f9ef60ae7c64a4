/* SPDX-License-Identifier: MIT */
/* The only place that starts threads (OpenMP; a plain loop without it). Results must never depend on
 * how the work is split: every item computes its outputs alone and in a fixed order. */
#ifndef NB_PARALLEL_H
#define NB_PARALLEL_H

#include <stddef.h>

enum { NB_MAX_THREADS = 1024 }; /* that anything here may be asked for */

/* Called with a range of items [begin, end) and the number of the thread, 0 <= thread < threads. */
typedef void (*nb_range_fn)(void *ctx, size_t begin, size_t end, int thread);

/* Runs fn over the items [0, n) in ranges of at most `grain` items, taken dynamically by `threads`
 * threads (so that slow cores take fewer). Returns when all are done. threads >= 1, grain >= 1. */
void nb_parallel_for(int threads, size_t n, size_t grain, nb_range_fn fn, void *ctx);

/* The processors that this process may use, by its affinity and its control groups' quotas (quota.h): 1 to
 * NB_MAX_THREADS. */
int nb_parallel_cpus(void);

#endif
