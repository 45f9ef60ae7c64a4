/* SPDX-License-Identifier: MIT */
/* Threads of our own. Every thread that calls has its own helpers; they end when it does.
 *
 * Waiting: between two calls, and at the end of one, a thread looks for a short time whether the other is there, since
 * on an idle machine it mostly is within microseconds and waking a thread takes longer than that. How short follows
 * from what came of it: twice as long after it was worth it, half as long after it was not, and not at all for a while
 * after the system took the processor away meanwhile, which it does when others want it. So nothing spins on a machine
 * that is busy, and nothing has to be set by hand.
 *
 * A call waits only for helpers that have begun on it: one that the system does not let run has no part in it. */
#include "base/parallel_impl.h"

#if !defined(NB_NO_POOL) && !defined(_OPENMP)

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* What the pool's threads tell each other, in one word: the number of the call, whether it is over, and how many
 * helpers are at work on it. */
typedef uint64_t gate;
#define GATE_CALL ((gate)1 << 32) /* and above */
#define GATE_OVER ((gate)1 << 31)
static uint32_t call_of(gate g) { return (uint32_t)(g >> 32); }
static uint32_t working(gate g) { return (uint32_t)(g & (GATE_OVER - 1)); }

/* How long a thread looks before it sleeps. */
typedef struct patience {
  double limit;     /* seconds */
  unsigned skipped; /* waits in a row that did not look, since it is not worth it */
} patience;
static const double MOST = 1e-3, LEAST = 5e-6; /* waking takes 5 to 60 microseconds; below the least it is not tried */
static const double TAKEN_AWAY = 50e-6;        /* between two looks, which take far below 1 microsecond */
enum { TRY_AGAIN = 32 };                       /* waits until a thread that gave up looks again */

typedef struct helper helper;

typedef struct pool {
  _Atomic gate gate;
  atomic_uint sleepers; /* helpers that wait for `called` */
  atomic_bool sleeping; /* the caller waits for `done` */
  atomic_bool over;
  pthread_mutex_t lock;
  pthread_cond_t called, done;
  helper *first; /* a list, the latest first */
  int n_helpers;
  patience patience; /* the caller's */
  /* the call: written while no helper is at work */
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
  uint32_t seen;
  patience patience;
  helper *next;
};

/* A thread that is at work on a call, whose own calls run alone. */
static _Thread_local bool inside;

static void take_chunks(pool *p, int thread) {
  inside = true;
  for (size_t c; (c = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < p->chunks;)
    p->chunk(p->ctx, c, thread);
  inside = false;
}

/* ---- waiting ---- */

static bool is_called(pool *p, uint32_t seen) {
  return call_of(atomic_load(&p->gate)) != seen || atomic_load(&p->over);
}
static bool is_done(pool *p, uint32_t seen) {
  (void)seen;
  return working(atomic_load(&p->gate)) == 0;
}

/* Looks until `there` for as long as the patience says; whether it came. */
static bool look(patience *how, bool (*there)(pool *p, uint32_t seen), pool *p, uint32_t seen) {
  if (there(p, seen)) return true;
  if (how->limit < LEAST) {
    if (++how->skipped < TRY_AGAIN) return false;
    how->limit = 2 * LEAST;
  }
  how->skipped = 0;
  const double start = nb_clock();
  for (double before = start, now; !there(p, seen); before = now) {
    now = nb_clock();
    if (now - before > TAKEN_AWAY) return how->limit = 0, there(p, seen);
    if (now - start > how->limit) return how->limit /= 2, false;
  }
  how->limit = how->limit < MOST / 2 ? 2 * how->limit : MOST;
  return true;
}

static void wait_for_call(helper *h) {
  pool *p = h->of;
  if (look(&h->patience, is_called, p, h->seen)) return;
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->sleepers, 1); /* before the last look: whoever calls after it sees a sleeper */
  while (!is_called(p, h->seen)) pthread_cond_wait(&p->called, &p->lock);
  atomic_fetch_sub(&p->sleepers, 1);
  pthread_mutex_unlock(&p->lock);
}

static void wake_helpers(pool *p) {
  if (!atomic_load(&p->sleepers)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_broadcast(&p->called);
  pthread_mutex_unlock(&p->lock);
}

static void wait_for_helpers(pool *p) {
  if (look(&p->patience, is_done, p, 0)) return;
  pthread_mutex_lock(&p->lock);
  atomic_store(&p->sleeping, true);
  while (!is_done(p, 0)) pthread_cond_wait(&p->done, &p->lock);
  atomic_store(&p->sleeping, false);
  pthread_mutex_unlock(&p->lock);
}

/* ---- helpers ---- */

/* Whether the helper is at work on the call that goes on; false: it is over already. */
static bool join(helper *h) {
  pool *p = h->of;
  gate g = atomic_load(&p->gate);
  h->seen = call_of(g);
  while (!(g & GATE_OVER) && call_of(g) == h->seen)
    if (atomic_compare_exchange_weak(&p->gate, &g, g + 1)) return true;
  return false;
}

static void leave(pool *p) {
  gate g = atomic_fetch_sub(&p->gate, 1);
  if (working(g) != 1 || !atomic_load(&p->sleeping)) return;
  pthread_mutex_lock(&p->lock);
  pthread_cond_signal(&p->done);
  pthread_mutex_unlock(&p->lock);
}

static void *help(void *arg) {
  helper *h = arg;
  pool *p = h->of;
  for (;;) {
    wait_for_call(h);
    if (atomic_load(&p->over)) return NULL;
    if (!join(h)) continue;
    if (h->number < p->threads) {
      if (p->p < NB_PRIORITIES) nb_parallel_apply(p->p, p->nice);
      take_chunks(p, h->number);
    }
    leave(p);
  }
}

/* ---- a pool for every calling thread ---- */

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;

static void end_pool(void *arg) {
  pool *p = arg;
  atomic_store(&p->over, true);
  wake_helpers(p);
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
  atomic_store(&p->gate, GATE_OVER);
  p->patience.limit = MOST;
  if (pthread_setspecific(key, p)) end_pool(p), p = NULL;
  return p;
}

/* Adds helpers up to n; fewer where the system has no more. */
static int helpers(pool *p, int n) {
  while (p->n_helpers < n) {
    helper *h = calloc(1, sizeof *h);
    if (!h) break;
    *h = (helper){.of = p,
                  .number = p->n_helpers + 1,
                  .seen = call_of(atomic_load(&p->gate)),
                  .patience = {MOST, 0},
                  .next = p->first};
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
  pool *p = inside ? NULL : own_pool();
  const int n = p ? helpers(p, threads - 1) : 0;
  if (!n) {
    for (size_t c = 0; c < chunks; c++) chunk(ctx, c, 0);
    return;
  }
  p->threads = n + 1, p->chunks = chunks, p->chunk = chunk, p->ctx = ctx, p->p = priority, p->nice = nice;
  atomic_store_explicit(&p->next, 0, memory_order_relaxed);
  atomic_store(&p->gate, (gate)(uint32_t)(call_of(atomic_load(&p->gate)) + 1) * GATE_CALL);
  wake_helpers(p);
  take_chunks(p, 0);
  atomic_fetch_or(&p->gate, GATE_OVER);
  wait_for_helpers(p);
}

#else

typedef int nb_parallel_no_pool; /* a file is not empty in C */

#endif
