/* SPDX-License-Identifier: MIT */
#include "eval/sequential.h"

#include "base/assert.h"

#include <math.h>

/* Bet k puts this share of the largest bet that can never lose everything: 0.5, 0.5/1.6, 0.5/1.6^2, ... */
static double share(size_t k) { return 0.5 * pow(1.6, -(double)k); }

void nb_sequential_begin(nb_sequential *s, double margin, double alpha) {
  *s = (nb_sequential){.margin = margin, .alpha = alpha, .verdict = NB_VERDICT_UNDECIDED};
}

/* The mean of the capitals. */
static double capital(const double *logs) {
  double most = logs[0], sum = 0;
  for (size_t k = 1; k < NB_BETS; k++) most = fmax(most, logs[k]);
  for (size_t k = 0; k < NB_BETS; k++) sum += exp(logs[k] - most);
  return exp(most) * sum / NB_BETS;
}

double nb_sequential_pass(const nb_sequential *s) { return capital(s->pass); }
double nb_sequential_fail(const nb_sequential *s) { return capital(s->fail); }

nb_verdict nb_sequential_add(nb_sequential *s, double diff) {
  nb_assert(s->margin >= 0 && s->margin < 1 && s->alpha > 0 && diff >= -1 && diff <= 1);
  double x = diff + s->margin; /* at the margin its mean is 0; it lies between margin - 1 and margin + 1 */
  for (size_t k = 0; k < NB_BETS; k++) {
    s->pass[k] += log1p(share(k) * x / (1 - s->margin));
    s->fail[k] += log1p(-share(k) * x / (1 + s->margin));
  }
  s->n++;
  return s->verdict = nb_sequential_pass(s) >= 1 / s->alpha   ? NB_VERDICT_PASS
                      : nb_sequential_fail(s) >= 1 / s->alpha ? NB_VERDICT_FAIL
                                                              : NB_VERDICT_UNDECIDED;
}

nb_verdict nb_sequential_weigh(nb_sequential *s, double *diff, size_t n) {
  nb_sequential_begin(s, s->margin, s->alpha);
  nb_stats_sort_doubles(diff, n);
  for (size_t i = 0; i < n; i++) nb_sequential_add(s, diff[i]);
  return s->verdict;
}

/* ---- a mean above a limit ---- */

void nb_excess_begin(nb_excess *x, double limit) { *x = (nb_excess){.limit = limit}; }

void nb_excess_add(nb_excess *x, double value) {
  nb_assert(x->limit > 0 && value >= 0);
  for (size_t k = 0; k < NB_BETS; k++) x->log[k] += log1p(share(k) * (value / x->limit - 1));
}

void nb_excess_weigh(nb_excess *x, double *value, size_t n) {
  nb_excess_begin(x, x->limit);
  nb_stats_sort_doubles(value, n);
  for (size_t i = 0; i < n; i++) nb_excess_add(x, fmax(0, value[i])); /* rounding may leave a hair below 0 */
}

double nb_excess_evidence(const nb_excess *x) { return capital(x->log); }
