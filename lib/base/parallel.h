/* SPDX-License-Identifier: MIT */
/* The only place that starts threads: a pool of its own (parallel_pool.c), OpenMP's where the compiler is told to have
 * it
 * (`make OPENMP=1`), or none with NB_NO_POOL defined. Results must never depend on how the work is split: every item
 * computes its outputs alone and in a fixed order. */
#ifndef NB_PARALLEL_H
#define NB_PARALLEL_H

#include <stddef.h>

enum { NB_MAX_THREADS = 1024 }; /* that anything here may be asked for */

/* Called with a range of items [begin, end) and the number of the thread, 0 <= thread < threads. */
typedef void (*nb_range_fn)(void *ctx, size_t begin, size_t end, int thread);

/* Runs fn over the items [0, n) in ranges of at most `grain` items, taken dynamically by `threads`
 * threads (so that slow cores take fewer). Returns when all are done. threads >= 1, grain >= 1. Thread 0 is the caller;
 * the others stay for its next call and end with it. */
void nb_parallel_for(int threads, size_t n, size_t grain, nb_range_fn fn, void *ctx);

/* How the other threads stand beside the system's other work: as the caller's, or by a nice value (Linux, Android) or a
 * class of quality of service (Apple). What the system refuses stays as it was. */
typedef enum nb_priority {
  NB_PRIORITY_SAME,
  NB_PRIORITY_HIGH,       /* nice -4, user-initiated */
  NB_PRIORITY_LOW,        /* nice 10, utility */
  NB_PRIORITY_BACKGROUND, /* nice 19, background */
  NB_PRIORITIES
} nb_priority;

/* What the calling thread's next nb_parallel_for asks of the others, until it says otherwise; returns what it was. Kept
 * a thread, because a thread's helpers are its own. */
nb_priority nb_parallel_prefer(nb_priority p);

/* The processors that this process may use, by its affinity and its control groups' quotas (quota.h): 1 to
 * NB_MAX_THREADS. */
int nb_parallel_cpus(void);

/* Those of them that are of the fastest kind, at least 1: on a phone the others take so much longer that work is
 * waited for. All where the system does not tell them apart. root: "" for this machine; for tests a folder with
 * /sys/devices/system/cpu in it (cpuN/cpu_capacity, docs.kernel.org/scheduler/sched-capacity.html). */
int nb_parallel_fast_cpus(const char *root);

#endif
