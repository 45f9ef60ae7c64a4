/* SPDX-License-Identifier: MIT */
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif
#include "base/assert.h"
#include "base/parallel.h"

#include "base/mem.h"
#include "base/quota.h"

#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

void nb_parallel_for(int threads, size_t n, size_t grain, nb_range_fn fn, void *ctx) {
  nb_assert(threads >= 1 && threads <= NB_MAX_THREADS);
  nb_assert(grain >= 1 && n <= SIZE_MAX - grain);
  size_t chunks = (n + grain - 1) / grain;
  if (threads > 1 && chunks < (size_t)threads) threads = (int)chunks;
#ifdef _OPENMP
  if (threads > 1) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (size_t c = 0; c < chunks; c++) {
      nb_assert(omp_get_thread_num() < threads);
      fn(ctx, c * grain, nb_min(n, (c + 1) * grain), omp_get_thread_num());
    }
    return;
  }
#endif
  for (size_t c = 0; c < chunks; c++) fn(ctx, c * grain, nb_min(n, (c + 1) * grain), 0);
}

/* Those that the process may be scheduled on. */
static long allowed_cpus(void) {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
#endif
  return sysconf(_SC_NPROCESSORS_ONLN);
}

int nb_parallel_cpus(void) {
  long n = allowed_cpus();
#if defined(__linux__)
  int quota = nb_quota_cpus("");
  if (quota && quota < n) n = quota;
#endif
  return n < 1 ? 1 : n < NB_MAX_THREADS ? (int)n : NB_MAX_THREADS;
}
