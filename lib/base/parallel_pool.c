/* SPDX-License-Identifier: MIT */
/* Threads of our own, for systems whose compiler has no OpenMP (iOS). Every thread that calls has its own helpers, as
 * with OpenMP: they sleep between calls, after a short wait in which the next call mostly comes, and end when their
 * caller does. */
#include "base/parallel_impl.h"

#ifdef NB_POOL

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SPINS = 4000 }; /* looks at the clock of calls before a helper sleeps: some 10 microseconds */

typedef struct helper helper;

typedef struct pool {
  pthread_mutex_t lock;
  pthread_cond_t called, done;
  helper *first; /* a list, the latest first */
  int n_helpers, working;
  bool over, busy;   /* busy: in a call; one within it runs alone */
  atomic_uint calls; /* changes with every call */
  /* the call */
  int threads;
  size_t chunks;
  atomic_size_t next;
  void (*chunk)(void *ctx, size_t c, int thread);
  void *ctx;
  nb_priority p;
  int nice;
} pool;

struct helper {
  pool *of;
  pthread_t thread;
  int number; /* from 1 */
  unsigned seen;
  helper *next;
};

static void take_chunks(pool *p, int thread) {
  for (size_t c; (c = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->chunks;)
    p->chunk(p->ctx, c, thread);
}

static void *help(void *arg) {
  helper *h = arg;
  pool *p = h->of;
  for (;;) {
    for (int i = 0; i < SPINS && atomic_load_explicit(&p->calls, memory_order_acquire) == h->seen; i++) {
    }
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&p->calls, memory_order_relaxed) == h->seen) pthread_cond_wait(&p->called, &p->lock);
    h->seen = atomic_load_explicit(&p->calls, memory_order_relaxed);
    const bool over = p->over, mine = h->number < p->threads;
    pthread_mutex_unlock(&p->lock);
    if (over) return NULL;
    if (!mine) continue;
    if (p->p < NB_PRIORITIES) nb_parallel_apply(p->p, p->nice);
    take_chunks(p, h->number);
    pthread_mutex_lock(&p->lock);
    if (--p->working == 0) pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->lock);
  }
}

/* ---- a pool for every calling thread ---- */

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;

static void end_pool(void *arg) {
  pool *p = arg;
  pthread_mutex_lock(&p->lock);
  p->over = true;
  atomic_fetch_add(&p->calls, 1);
  pthread_cond_broadcast(&p->called);
  pthread_mutex_unlock(&p->lock);
  for (helper *h = p->first, *next; h; h = next) {
    next = h->next;
    pthread_join(h->thread, NULL);
    free(h);
  }
  pthread_cond_destroy(&p->called), pthread_cond_destroy(&p->done);
  pthread_mutex_destroy(&p->lock);
  free(p);
}

static void make_key(void) { has_key = pthread_key_create(&key, end_pool) == 0; }

static pool *own_pool(void) {
  pthread_once(&once, make_key);
  pool *p = has_key ? pthread_getspecific(key) : NULL;
  if (p || !has_key) return p;
  p = calloc(1, sizeof *p);
  if (!p) return NULL;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->called, NULL), pthread_cond_init(&p->done, NULL);
  if (pthread_setspecific(key, p)) end_pool(p), p = NULL;
  return p;
}

/* Adds helpers up to n; fewer where the system has no more. */
static int helpers(pool *p, int n) {
  while (p->n_helpers < n) {
    helper *h = calloc(1, sizeof *h);
    if (!h) break;
    *h = (helper){.of = p, .number = p->n_helpers + 1, .seen = atomic_load(&p->calls), .next = p->first};
    if (pthread_create(&h->thread, NULL, help, h)) {
      free(h);
      break;
    }
    p->first = h;
    p->n_helpers++;
  }
  return p->n_helpers < n ? p->n_helpers : n;
}

void nb_parallel_pool(int threads, size_t chunks, void (*chunk)(void *ctx, size_t c, int thread), void *ctx,
                      nb_priority priority, int nice) {
  pool *p = own_pool();
  const int n = p && !p->busy ? helpers(p, threads - 1) : 0;
  if (!n) {
    for (size_t c = 0; c < chunks; c++) chunk(ctx, c, 0);
    return;
  }
  p->busy = true;
  pthread_mutex_lock(&p->lock);
  p->threads = n + 1, p->chunks = chunks, p->chunk = chunk, p->ctx = ctx, p->p = priority, p->nice = nice;
  p->working = n;
  atomic_store_explicit(&p->next, 0, memory_order_relaxed);
  atomic_fetch_add_explicit(&p->calls, 1, memory_order_release);
  pthread_cond_broadcast(&p->called);
  pthread_mutex_unlock(&p->lock);
  take_chunks(p, 0);
  pthread_mutex_lock(&p->lock);
  while (p->working) pthread_cond_wait(&p->done, &p->lock);
  pthread_mutex_unlock(&p->lock);
  p->busy = false;
}

#else

typedef int nb_parallel_no_pool; /* a file is not empty in C */

#endif
