/* SPDX-License-Identifier: MIT */
/* Threads: every item once, on threads that are numbered below what was asked for, whichever library starts them; their
 * priority; processors of two kinds. */
#include "test.h"

#include "base/parallel.h"
#include "tempdir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

enum { ITEMS = 5000, THREADS = 4 };

typedef struct job {
  atomic_int seen[ITEMS];
  atomic_int wrong;
  atomic_int nice[THREADS]; /* of each thread + 100; 0: it had nothing to do */
} job;

static void visit(void *ctx, size_t begin, size_t end, int thread) {
  job *j = ctx;
  if (thread < 0 || thread >= THREADS || end <= begin || end > ITEMS) atomic_fetch_add(&j->wrong, 1);
  else atomic_store(&j->nice[thread], getpriority(PRIO_PROCESS, 0) + 100);
  for (size_t i = begin; i < end; i++) atomic_fetch_add(&j->seen[i], 1);
  for (volatile int i = 0; i < 2000; i++) {
  }
}

static void run(job *j, size_t n, size_t grain, int threads) {
  memset(j, 0, sizeof *j);
  nb_parallel_for(threads, n, grain, visit, j);
  bool once = true;
  for (size_t i = 0; i < ITEMS; i++) once &= atomic_load(&j->seen[i]) == (i < n);
  CHECK_MSG(once && !atomic_load(&j->wrong), "%zu items by %zu on %d threads", n, grain, threads);
}

TEST(every_item_once) {
  static job j;
  for (int threads = 1; threads <= THREADS; threads++)
    for (size_t n = 0; n <= ITEMS; n = n * 3 + 1) run(&j, n, n % 7 + 1, threads);
}

static void *call_often(void *arg) {
  job *j = arg;
  for (int i = 0; i < 200; i++) run(j, 97, 3, 1 + i % THREADS);
  return NULL;
}

TEST(many_callers) {
  static job j[6];
  pthread_t t[6];
  for (int i = 0; i < 6; i++) CHECK(pthread_create(&t[i], NULL, call_often, &j[i]) == 0);
  for (int i = 0; i < 6; i++) CHECK(pthread_join(t[i], NULL) == 0);
}

/* A call within a call does its work, too. */
static void call_again(void *ctx, size_t begin, size_t end, int thread) {
  (void)begin, (void)end, (void)thread;
  static job j[THREADS];
  run(&j[thread], 50, 1, 2);
  atomic_fetch_add((atomic_int *)ctx, 1);
}

TEST(a_call_within_a_call) {
  atomic_int n = 0;
  nb_parallel_for(2, 20, 1, call_again, &n);
  CHECK(atomic_load(&n) == 20);
}

static double processor_s(void) {
  struct rusage r;
  getrusage(RUSAGE_SELF, &r);
  return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void pause_us(long us) { nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL); }

/* Calls find the others looking, falling asleep and asleep. */
TEST(calls_after_pauses) {
  static job j;
  for (long i = 0; i < 300; i++) {
    run(&j, 50, 1, THREADS);
    pause_us(i * 37 % 3000);
  }
}

/* Whoever waits does not spin: it looks for a millisecond at most. */
TEST(waiting_threads_sleep) {
  static job j;
  run(&j, ITEMS, 1, THREADS);
  const double before = processor_s();
  pause_us(500000);
  const double used = processor_s() - before;
  CHECK_MSG(used < 0.05, "%d threads waited for half a second and used %.3f s", THREADS, used);
}

TEST(priority_of_the_others) {
#if defined(__linux__)
  static job j;
  const int own = getpriority(PRIO_PROCESS, 0);
  CHECK(nb_parallel_prefer(NB_PRIORITY_BACKGROUND) == NB_PRIORITY_SAME);
  for (int i = 0; i < 30; i++) {
    run(&j, ITEMS, 1, THREADS);
    CHECK(!j.nice[0] || atomic_load(&j.nice[0]) == own + 100);
    for (int t = 1; t < THREADS; t++) CHECK_MSG(!j.nice[t] || j.nice[t] == 119, "%d", (int)j.nice[t] - 100);
  }
  CHECK(nb_parallel_prefer(NB_PRIORITY_SAME) == NB_PRIORITY_BACKGROUND);
  CHECK(getpriority(PRIO_PROCESS, 0) == own);
#endif
}

static void put_cpu(const char *root, int number, const char *capacity) {
  char path[900];
  snprintf(path, sizeof path,
           "mkdir -p '%s/sys/devices/system/cpu/cpu%d' && echo %s >'%s/sys/devices/system/cpu/cpu%d/cpu_capacity'",
           root, number, capacity, root, number);
  CHECK(system(path) == 0);
}

TEST(fast_processors) {
#if !defined(__APPLE__)
  char *a = temp_subdir("alike"), *b = temp_subdir("big_little");
  const int all = nb_parallel_cpus();
  CHECK(nb_parallel_fast_cpus("/no/such") == all && nb_parallel_fast_cpus("") >= 1);
  for (int i = 0; i < 8; i++) put_cpu(a, i, "1024");
  CHECK(nb_parallel_fast_cpus(a) == all);
  put_cpu(b, 0, "1024"); /* one of this kind, whatever else is there */
  for (int i = 1; i < 8; i++) put_cpu(b, i, i < 4 ? "400" : "junk");
  CHECK(nb_parallel_fast_cpus(b) == 1);
  put_cpu(b, 1, "900"); /* as good as the fastest */
  CHECK(nb_parallel_fast_cpus(b) == (all < 2 ? all : 2));
  free(a), free(b);
#endif
}

int main(void) {
  RUN(every_item_once);
  RUN(many_callers);
  RUN(a_call_within_a_call);
  RUN(calls_after_pauses);
  RUN(waiting_threads_sleep);
  RUN(priority_of_the_others);
  RUN(fast_processors);
  temp_remove();
  return test_end();
}
