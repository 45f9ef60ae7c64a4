/* SPDX-License-Identifier: MIT */
#include "model/draft.h"

#include "base/assert.h"
#include "base/mem.h"

#include <math.h>

/* Before a text has told anything: how often guesses are right by class, counted as so many that were seen. */
static const double expected[NB_DRAFT_CLASSES] = {0.1, 0.3, 0.5, 0.65, 0.75, 0.85};
static const double EXPECTED_SEEN = 4, MOST_SEEN = 24;
/* What a token more costs, in passes of one token, before a pass was timed; and the least gain that is tried for: what
 * the times may be wrong by. */
static const double EXPECTED_COST = 0.12, LEAST_GAIN = 1.04;
/* What is in the purse at first, and at most; and what a right guess on paper brings. */
static const double PURSE = 2, ON_PAPER = 0.25;

static size_t class_of(size_t length) {
  nb_assert(length > 0);
  return length <= 2 ? length - 1 : length <= 4 ? 2 : length <= 8 ? 3 : length < NB_DRAFT_MATCH ? 4 : 5;
}

void nb_draft_find(const nb_draft_history *h, const int32_t *ids, size_t n, nb_draft *out) {
  *out = (nb_draft){0};
  for (size_t at = n; at-- > 1;) { /* ids[at - 1] is to be as ids[n - 1] */
    size_t length = 0, most = nb_min(at, NB_DRAFT_MATCH);
    while (length < most && ids[at - 1 - length] == ids[n - 1 - length]) length++;
    if (length && (length > out->length || (length == out->length && h->near && at >= h->near)))
      out->length = length, out->from = at;
  }
  if (!out->length) return;
  for (size_t i = 0; i <= NB_DRAFT_MOST; i++)
    out->ids[i] = out->from + i < n ? ids[out->from + i] : out->ids[out->from + i - n];
}

/* How often a guess after a match of this length is right. */
static double right_share(const nb_draft_history *h, size_t length) {
  size_t k = class_of(length);
  return (h->hits[k] * h->seen[k] + expected[k] * EXPECTED_SEEN) / (h->seen[k] + EXPECTED_SEEN);
}

/* A pass of T tokens in passes of one: as it was timed, on the line between its timed neighbours, or beyond the last of
 * them. A pass of one token is timed. */
static double cost_of(const nb_draft_costs *c, size_t T) {
  size_t below = T, above = T;
  if (T == 1) return 1;
  while (below > 1 && c->of[below] == 0) below--;
  while (above <= NB_DRAFT_MOST + 1 && c->of[above] == 0) above++;
  double low = below == 1 ? 1 : c->of[below];
  if (above > NB_DRAFT_MOST + 1) return low + EXPECTED_COST * (double)(T - below);
  return above == below ? low : low + (c->of[above] - low) * (double)(T - below) / (double)(above - below);
}

/* The number of guesses, at most `most` and for at most `purse`, that gains most. */
static size_t most_gain(const nb_draft *d, const nb_draft_history *h, const nb_draft_costs *c, size_t most,
                        double purse) {
  double best = LEAST_GAIN, tokens = 1, right = 1;
  size_t n = 0;
  for (size_t k = 1; k <= nb_min(most, NB_DRAFT_MOST); k++) {
    double cost = cost_of(c, k + 1);
    right *= right_share(h, d->length + k - 1);
    tokens += right;
    if (tokens / cost > best && cost - 1 <= purse) best = tokens / cost, n = k;
  }
  return n;
}

size_t nb_draft_worth(nb_draft *d, nb_draft_history *h, const nb_draft_costs *c, size_t most) {
  if (!d->length || c->one == 0) return 0;
  size_t n = most_gain(d, h, c, most, PURSE - h->spent);
  bool on_paper = !n && most_gain(d, h, c, nb_min(most, 1), INFINITY);
  d->paid = on_paper ? 1 : n, d->worth = on_paper ? ON_PAPER : 1;
  h->spent = fmin(h->spent + cost_of(c, d->paid + 1) - 1, PURSE);
  return n;
}

void nb_draft_learn(nb_draft_history *h, const nb_draft *d, size_t i, bool right) {
  size_t k = class_of(d->length + i);
  nb_assert(d->length && i <= NB_DRAFT_MOST);
  h->hits[k] = (h->hits[k] * h->seen[k] + (right ? 1 : 0)) / (h->seen[k] + 1);
  h->seen[k] = fmin(h->seen[k] + 1, MOST_SEEN);
  if (right) h->near = d->from + i + 1;
  if (right && i < d->paid) h->spent = fmax(h->spent - d->worth, 0);
}

/* Moves an estimate towards a new value, down quickly and up slowly: other work on the machine only ever adds. */
static double follow(double old, double now) { return old + (now < old ? 0.5 : 0.1) * (now - old); }

void nb_draft_timed(nb_draft_costs *c, size_t T, double seconds) {
  nb_assert(T >= 1 && T <= NB_DRAFT_MOST + 1);
  if (T == 1) c->one = c->one > 0 ? follow(c->one, seconds) : seconds;
  if (T == 1 || c->one == 0) return;
  double now = fmin(fmax(seconds / c->one, 1), (double)T);
  c->of[T] = follow(c->of[T] > 0 ? c->of[T] : cost_of(c, T), now);
}
