/* SPDX-License-Identifier: MIT */
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif
#include "base/parallel.h"
#include "base/parallel_impl.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __APPLE__
#include <pthread/qos.h>
#include <sys/sysctl.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

/* ---- priorities ---- */

static _Thread_local nb_priority preferred; /* what the caller asks of its helpers */

nb_priority nb_parallel_prefer(nb_priority p) {
  nb_assert(p < NB_PRIORITIES);
  const nb_priority was = preferred;
  preferred = p;
  return was;
}

#ifdef __APPLE__
void nb_parallel_apply(nb_priority p, int nice) {
  static _Thread_local nb_priority applied;
  static const qos_class_t class[NB_PRIORITIES] = {QOS_CLASS_DEFAULT, QOS_CLASS_USER_INITIATED, QOS_CLASS_UTILITY,
                                                   QOS_CLASS_BACKGROUND};
  (void)nice;
  if (p == applied) return;
  applied = p;
  pthread_set_qos_class_self_np(class[p], 0);
}
static int own_nice(void) { return 0; }
#elif defined(__linux__)
/* setpriority of "this process" means the calling thread on Linux. */
void nb_parallel_apply(nb_priority p, int nice) {
  static _Thread_local int applied = 1 << 20;
  static const int value[NB_PRIORITIES] = {0, -4, 10, 19};
  const int want = p == NB_PRIORITY_SAME ? nice : value[p];
  if (want == applied) return;
  applied = want;
  (void)setpriority(PRIO_PROCESS, 0, want);
}
static int own_nice(void) { return getpriority(PRIO_PROCESS, 0); }
#else
void nb_parallel_apply(nb_priority p, int nice) { (void)p, (void)nice; }
static int own_nice(void) { return 0; }
#endif

/* Threads that were never asked for another priority are left alone. */
static _Thread_local bool asked;

static bool asks(void) {
  asked |= preferred != NB_PRIORITY_SAME;
  return asked;
}

/* ---- the loop ---- */

typedef struct range {
  size_t n, grain;
  nb_range_fn fn;
  void *ctx;
} range;

static void run_chunk(void *ctx, size_t c, int thread) {
  const range *r = ctx;
  r->fn(r->ctx, c * r->grain, nb_min(r->n, (c + 1) * r->grain), thread);
}

static void run_threads(int threads, size_t chunks, range *r) {
  const bool set = asks();
  const nb_priority p = preferred;
  const int nice = set ? own_nice() : 0;
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  {
    if (set && omp_get_thread_num()) nb_parallel_apply(p, nice);
#pragma omp for schedule(dynamic, 1)
    for (size_t c = 0; c < chunks; c++) {
      nb_assert(omp_get_thread_num() < threads);
      run_chunk(r, c, omp_get_thread_num());
    }
  }
#elif !defined(NB_NO_POOL)
  nb_parallel_pool(threads, chunks, run_chunk, r, set ? p : NB_PRIORITIES, nice);
#else
  (void)threads, (void)p, (void)nice;
  for (size_t c = 0; c < chunks; c++) run_chunk(r, c, 0);
#endif
}

void nb_parallel_for(int threads, size_t n, size_t grain, nb_range_fn fn, void *ctx) {
  nb_assert(threads >= 1 && threads <= NB_MAX_THREADS);
  nb_assert(grain >= 1 && n <= SIZE_MAX - grain);
  range r = {n, grain, fn, ctx};
  const size_t chunks = (n + grain - 1) / grain;
  if (threads > 1 && chunks < (size_t)threads) threads = (int)chunks;
  if (threads > 1) run_threads(threads, chunks, &r);
  else
    for (size_t c = 0; c < chunks; c++) run_chunk(&r, c, 0);
}

/* ---- processors ---- */

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

#if defined(__APPLE__)
int nb_parallel_fast_cpus(const char *root) {
  int n = 0;
  size_t size = sizeof n;
  (void)root;
  if (sysctlbyname("hw.perflevel0.logicalcpu", &n, &size, NULL, 0) || n < 1) return nb_parallel_cpus();
  return n < nb_parallel_cpus() ? n : nb_parallel_cpus();
}
#else
/* The number in a file of one line; -1: there is none. */
static long read_number(const char *path) {
  long x = -1;
  FILE *f = fopen(path, "r");
  if (!f) return -1;
  if (fscanf(f, "%ld", &x) != 1) x = -1;
  fclose(f);
  return x;
}

/* Of two kinds that differ by less than a fifth (the largest core of a phone and the three next to it) both are fast.
 */
int nb_parallel_fast_cpus(const char *root) {
  long capacity[NB_MAX_THREADS], most = 0;
  int n = 0, fast = 0;
  const int all = nb_parallel_cpus();
  char path[512];
  for (; n < NB_MAX_THREADS; n++) {
    snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/cpu_capacity", root, n);
    capacity[n] = read_number(path);
    if (capacity[n] < 1) break;
    if (capacity[n] > most) most = capacity[n];
  }
  for (int i = 0; i < n; i++) fast += capacity[i] * 5 >= most * 4;
  return fast && fast < all ? fast : all;
}
#endif
