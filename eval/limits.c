/* SPDX-License-Identifier: MIT */
#if defined(__linux__)
#define _GNU_SOURCE /* MADV_HUGEPAGE */
#endif
#include "eval/limits.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "eval/memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
  MOST_BYTES = 1 << 30,
  HUGE_PAGE = 2 << 20, /* of x86 and AArch64 */
  PART = 1 << 20,      /* bytes that a thread reads at a time, at least */
  MAX_LOOPS = 64,
  FINALISTS = 4, /* loops that are tried again */
  AGAIN = 3,     /* as often */
  ITEMS = 16     /* of a thread in a try: a thread that others hold up takes fewer */
};
static const double FIRST_S = 0.002, AGAIN_S = 0.006; /* a try takes; waking threads then costs 1 % */

/* A loop, and what came of it. */
typedef struct candidate {
  const nb_peak *loop;
  size_t times; /* rounds of an item, or items: what takes a try's time */
  double best;  /* a second */
} candidate;

/* One try of one loop. */
typedef struct trial {
  const nb_peak *loop;
  int threads;
  size_t rounds;               /* of an item */
  const nb_limit_memory *part; /* read: (n_parts) what a thread reads at a time, */
  size_t n_parts, at, pass;    /* from which part on, and how often each */
  size_t bytes;                /* of all parts */
  bool huge;
  uint64_t done;
} trial;

static void run_items(void *ctx, size_t begin, size_t end, int thread) {
  trial *t = ctx;
  uint64_t done = 0;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    if (t->loop->macs) {
      done += t->loop->macs(t->rounds);
      continue;
    }
    const nb_limit_memory *p = &t->part[(t->at + i) % t->n_parts];
    for (size_t n = 0; n < t->pass; n++) done += t->loop->read(p->data, p->size);
  }
  __atomic_fetch_add(&t->done, done, __ATOMIC_RELAXED);
}

/* Runs a candidate's loop so often as it says: seconds. */
static double run_once(candidate *c, trial *t) {
  size_t items = t->part ? c->times : (size_t)t->threads * ITEMS;
  t->loop = c->loop, t->done = 0;
  t->rounds = c->times;
  double start = nb_clock();
  nb_parallel_for(t->threads, items, 1, run_items, t);
  double s = nb_clock() - start;
  if (t->part)
    t->at = (t->at + items) % t->n_parts; /* on where it stopped: the caches hold the least of what follows */
  c->best = fmax(c->best, (double)t->done / s);
  return s;
}

/* Tries it once, for about so many seconds. */
static void run_for(candidate *c, trial *t, double seconds) {
  for (;;) {
    double s = run_once(c, t);
    if (s >= seconds / 2) return;
    c->times *= (size_t)fmin(16, ceil(seconds / fmax(s, 1e-6)));
  }
}

/* The calling thread's clock, from additions that wait for each other. */
static double clock_hz(void) {
  enum { ADDITIONS = 1 << 16 };
  uint64_t x = 1, y = 3;
  double best = INFINITY;
  for (int i = 0; i < 3; i++) {
    double start = nb_clock();
    for (int a = 0; a < ADDITIONS; a += 16) _Pragma("GCC unroll 16") for (int j = 0; j < 16; j++) {
        x += y;
        __asm__ volatile("" : "+r"(x), "+r"(y));
      }
    best = fmin(best, nb_clock() - start);
  }
  return ADDITIONS / best;
}

static int by_rate(const candidate *a, const candidate *b) { return a->best > b->best; }

/* Every loop once, then the best of them more often. */
static void look(const nb_kernels *k, nb_peak_unit unit, trial *t, nb_limit *best) {
  candidate c[MAX_LOOPS];
  size_t n = 0;
  for (size_t s = 0; s < NB_KERNEL_SETS; s++)
    for (size_t i = 0; i < k->n_peaks[s] && n < MAX_LOOPS; i++)
      if (k->peaks[s][i].unit == unit) c[n++] = (candidate){&k->peaks[s][i], 16, 0};
  for (size_t i = 0; i < n; i++) {
    run_for(&c[i], t, FIRST_S);
    for (size_t j = i; j > 0 && by_rate(&c[j], &c[j - 1]); j--) { /* the best first */
      candidate swap = c[j];
      c[j] = c[j - 1], c[j - 1] = swap;
    }
  }
  for (size_t i = 0; i < FINALISTS * AGAIN; i++) {
    candidate *f = &c[i % nb_min(n, FINALISTS)];
    run_for(f, t, t->threads > 1 ? AGAIN_S : FIRST_S);
    if (f->best <= best->per_s) continue;
    *best = (nb_limit){f->best, f->loop, clock_hz(), t->bytes, t->huge};
  }
}

/* ---- memory ---- */

/* What each of the pieces has of whole parts of `size` bytes, and what is left of it: counts them, or fills out. */
static size_t cut(const nb_limit_memory *memory, size_t n, size_t size, nb_limit_memory *out) {
  size_t parts = 0;
  for (size_t i = 0; i < n; i++)
    for (size_t at = 0, take; memory[i].size - at >= NB_PEAK_BYTES; at += take, parts++) {
      take = nb_min(size, (memory[i].size - at) / NB_PEAK_BYTES * NB_PEAK_BYTES);
      if (out) out[parts] = (nb_limit_memory){(const uint8_t *)memory[i].data + at, take};
    }
  return parts;
}

/* Reads those pieces of memory, in parts that every thread has at least one of. */
static nb_status look_at_memory(const nb_kernels *k, trial *t, const nb_limit_memory *memory, size_t n, nb_limit *best,
                                nb_err *err) {
  nb_limit_memory *part;
  size_t bytes = 0;
  for (size_t i = 0; i < n; i++) bytes += memory[i].size;
  const size_t share = nb_min(bytes / (size_t)t->threads, PART);
  const size_t size = nb_max(share / NB_PEAK_BYTES, 1) * NB_PEAK_BYTES;
  t->n_parts = cut(memory, n, size, NULL);
  if (!t->n_parts) return NB_OK;
  NB_TRY(nb_new(&part, t->n_parts, sizeof *part, "the bandwidth test", err));
  cut(memory, n, size, part);
  t->part = part, t->at = 0, t->pass = nb_max(PART / size, 1), t->bytes = bytes;
  look(k, NB_PEAK_READ, t, best);
  nb_free(part);
  return NB_OK;
}

static void fill(void *ctx, size_t begin, size_t end, int thread) {
  const nb_limit_memory *m = ctx;
  (void)thread;
  for (size_t i = begin; i < end; i++) memset((uint8_t *)(uintptr_t)m->data + i * PART, 1, PART);
}

#ifdef MADV_HUGEPAGE
/* Whether the system gives huge pages to those who ask. */
static bool has_huge_pages(void) {
  char line[64] = "[never]";
  FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
  if (f && !fgets(line, sizeof line, f)) line[0] = 0;
  if (f) fclose(f);
  return !strstr(line, "[never]");
}
static void ask_for_huge_pages(void *p, size_t n) { (void)madvise(p, n, MADV_HUGEPAGE); }
#else
static bool has_huge_pages(void) { return false; }
static void ask_for_huge_pages(void *p, size_t n) { (void)p, (void)n; }
#endif

/* As many bytes of memory of its own: on huge pages, or as the system gives it. */
static nb_status look_at_own(const nb_kernels *k, trial *t, size_t bytes, nb_limit *best, nb_err *err) {
  const size_t size = nb_round_up(nb_max(bytes, 1), PART), all = nb_round_up(size, HUGE_PAGE) + HUGE_PAGE;
  uint8_t *map = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED)
    return nb_fail(err, NB_ERR_MEMORY, "the bandwidth test needs %zu bytes: %s", all, strerror(errno));
  uint8_t *begin = map + (HUGE_PAGE - (uintptr_t)map % HUGE_PAGE) % HUGE_PAGE;
  nb_limit_memory own = {begin, nb_max(bytes, NB_PEAK_BYTES)};
  if (t->huge) ask_for_huge_pages(begin, nb_round_up(size, HUGE_PAGE));
  nb_parallel_for(t->threads, size / PART, 1, fill, &own); /* pages that were never written are all the same one */
  nb_status st = look_at_memory(k, t, &own, 1, best, err);
  munmap(map, all);
  return st;
}

static nb_status look_at_reads(const nb_kernels *k, trial *t, const nb_limit_reads *r, nb_limit *best, nb_err *err) {
  const size_t bytes = nb_min(r->bytes, nb_min(MOST_BYTES, nb_memory_of_machine() / 8));
  NB_TRY(look_at_memory(k, t, r->memory, r->n, best, err));
  const bool in_place = t->n_parts > 0;
  t->huge = bytes >= HUGE_PAGE && has_huge_pages();
  return t->huge || !in_place ? look_at_own(k, t, bytes, best, err) : NB_OK;
}

nb_status nb_limit_look(const nb_kernels *k, int threads, nb_peak_unit unit, const nb_limit_reads *reads,
                        nb_limit *best, nb_err *err) {
  trial t = {.threads = threads};
  if (unit == NB_PEAK_READ) return look_at_reads(k, &t, reads, best, err);
  look(k, unit, &t, best);
  return NB_OK;
}

/* ---- words ---- */

void nb_limit_describe(const nb_limit *l, int threads, char out[128]) {
  const nb_peak *p = l->loop;
  if (p->macs) {
    snprintf(out, 128, "%s, %d chains, %.2f GHz: %.1f a cycle and thread", p->instruction, p->chains, l->clock_hz / 1e9,
             l->per_s / l->clock_hz / threads);
    return;
  }
  char ahead[32] = "nothing asked for early";
  if (p->ahead) snprintf(ahead, sizeof ahead, "%d bytes asked ahead", p->ahead);
  snprintf(out, 128, "%s, %d stream%s a thread, %s, %s pages, %.2f GHz", p->instruction, p->chains,
           p->chains > 1 ? "s" : "", ahead, l->huge ? "huge" : "the data's own", l->clock_hz / 1e9);
}
