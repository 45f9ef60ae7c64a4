/* SPDX-License-Identifier: MIT */
#include "model/generate.h"

#include "base/assert.h"

#include <math.h>

uint64_t nb_rng_next(nb_rng *r) {
  uint64_t z = r->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

double nb_rng_unit(nb_rng *r) { return (double)(nb_rng_next(r) >> 11) * 0x1p-53; }

size_t nb_generate_largest(const float *x, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

/* Restores a max-heap of probabilities (ids at equal ones: lowest first) below node i. */
static bool before(const float *p, uint32_t a, uint32_t b) { return p[a] > p[b] || (p[a] == p[b] && a < b); }
static void sift(const float *p, uint32_t *heap, size_t n, size_t i) {
  for (;;) {
    size_t best = i, l = 2 * i + 1, r = l + 1;
    if (l < n && before(p, heap[l], heap[best])) best = l;
    if (r < n && before(p, heap[r], heap[best])) best = r;
    if (best == i) return;
    uint32_t t = heap[i];
    heap[i] = heap[best], heap[best] = t;
    i = best;
  }
}

/* The tokens leave a heap in falling order until they hold top_p of the probability: the V log V of a sort is
 * not paid for the tail. */
int32_t nb_sampling_pick(float *logits, size_t V, const nb_sampling *s, nb_rng *rng, uint32_t *order) {
  nb_assert(V > 0 && V <= INT32_MAX);
  size_t best = nb_generate_largest(logits, V);
  if (s->temperature <= 0) return (int32_t)best;
  double total = 0, max = logits[best];
  for (size_t i = 0; i < V; i++) {
    logits[i] = (float)exp(((double)logits[i] - max) / s->temperature);
    total += logits[i];
    order[i] = (uint32_t)i;
  }
  double want = total * fmin(fmax(s->top_p, 0), 1), kept = 0;
  size_t n = V, taken = 0;
  for (size_t i = V / 2; i-- > 0;) sift(logits, order, V, i);
  while (n > 0 && (taken == 0 || kept < want)) { /* the taken ones gather at the end, falling towards the front */
    uint32_t top = order[0];
    order[0] = order[--n];
    order[n] = top;
    sift(logits, order, n, 0);
    kept += logits[top];
    taken++;
  }
  nb_assert(taken == V - n && taken > 0);
  double x = nb_rng_unit(rng) * kept;
  for (size_t i = V; i-- > n;) {
    x -= logits[order[i]];
    if (x < 0) return (int32_t)order[i];
  }
  return (int32_t)order[n]; /* rounding: the last of those kept */
}
