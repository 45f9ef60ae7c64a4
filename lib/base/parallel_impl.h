/* SPDX-License-Identifier: MIT */
/* What parallel.c and parallel_pool.c share. */
#ifndef NB_PARALLEL_IMPL_H
#define NB_PARALLEL_IMPL_H

#include "base/parallel.h"

/* Of a thread that helps: makes its priority the one that is asked for. nice: the caller's own. */
void nb_parallel_apply(nb_priority p, int nice);

/* parallel_pool.c: as nb_parallel_for with 2 threads or more; fewer run where the system gives no more. */
void nb_parallel_pool(int threads, size_t chunks, void (*chunk)(void *ctx, size_t c, int thread), void *ctx,
                      nb_priority p, int nice);

#endif
