/* SPDX-License-Identifier: MIT */
#include "eval/stats.h"

#include "base/assert.h"
#include "base/mem.h"
#include "eval/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- distributions ---- */

double nb_stats_normal_cdf(double z) { return 0.5 * erfc(-z / sqrt(2)); }

/* Bisection to the last bit: slow, and as exact as erfc. */
double nb_stats_normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 200 && low < high; i++) {
    double mid = 0.5 * (low + high);
    if (mid == low || mid == high) break;
    if (nb_stats_normal_cdf(mid) < p) low = mid;
    else high = mid;
  }
  return 0.5 * (low + high);
}

void nb_stats_wilson(double k, double n, double level, double *low, double *high) {
  if (n <= 0) {
    *low = 0, *high = 1;
    return;
  }
  double z = nb_stats_normal_quantile(0.5 + level / 2), p = k / n, z2 = z * z / n;
  double mid = (p + z2 / 2) / (1 + z2), half = sqrt(p * (1 - p) * z2 + z2 * z2 / 4) / (1 + z2);
  *low = k <= 0 ? 0 : fmax(0, mid - half);
  *high = k >= n ? 1 : fmin(1, mid + half);
}

static double log_choose(double n, double k) { return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1); }

double nb_stats_binomial_cdf(size_t k, size_t n, double p) {
  if (k >= n) return 1;
  double sum = 0;
  for (size_t i = 0; i <= k; i++)
    sum += exp(log_choose((double)n, (double)i) + (double)i * log(p) + (double)(n - i) * log1p(-p));
  return fmin(1, sum);
}

/* ---- paired proportions ---- */

double nb_stats_mcnemar_exact(size_t gained, size_t lost) {
  if (gained == lost) return 1;
  return fmin(1, 2 * nb_stats_binomial_cdf(nb_min(gained, lost), gained + lost, 0.5));
}

/* The statistic for the difference `delta` = P(gained) - P(lost), -1 < delta < 1. */
static double tango(double gained, double lost, double n, double delta) {
  double b = -gained - lost + (2 * n - gained + lost) * delta;
  double c = -lost * delta * (1 - delta);
  double p = (sqrt(fmax(0, b * b - 8 * n * c)) - b) / (4 * n); /* P(lost) that fits best under delta */
  double var = n * (2 * p + delta * (1 - delta));
  double diff = gained - lost - n * delta;
  return var > 0 ? diff / sqrt(var) : diff > 0 ? INFINITY : diff < 0 ? -INFINITY : 0;
}

double nb_stats_tango_z(size_t gained, size_t lost, size_t n, double margin) {
  return tango((double)gained, (double)lost, (double)n, -margin);
}

/* The delta at which the statistic is z: it falls as delta grows. */
static double solve_tango(double gained, double lost, double n, double z) {
  double low = -1 + 1e-12, high = 1 - 1e-12;
  for (int i = 0; i < 100; i++) {
    double mid = 0.5 * (low + high);
    if (tango(gained, lost, n, mid) > z) low = mid;
    else high = mid;
  }
  return 0.5 * (low + high);
}

void nb_stats_tango_interval(size_t gained, size_t lost, size_t n, double level, double *low, double *high) {
  nb_assert(n > 0 && gained + lost <= n);
  double z = nb_stats_normal_quantile(0.5 + level / 2);
  *low = solve_tango((double)gained, (double)lost, (double)n, z);
  *high = solve_tango((double)gained, (double)lost, (double)n, -z);
}

const char *nb_verdict_name(nb_verdict v) {
  return v == NB_VERDICT_PASS ? "pass" : v == NB_VERDICT_FAIL ? "fail" : "undecided";
}

void nb_stats_noninferiority_test(size_t gained, size_t lost, size_t n, double margin, double alpha,
                                  nb_noninferiority *out) {
  double N = (double)n, flips = (double)(gained + lost) / N, d = ((double)gained - (double)lost) / N;
  double za = nb_stats_normal_quantile(1 - alpha), zb = nb_stats_normal_quantile(0.8);
  out->z = nb_stats_tango_z(gained, lost, n, margin);
  out->p_pass = nb_stats_normal_cdf(-out->z), out->p_fail = nb_stats_normal_cdf(out->z);
  out->verdict = out->p_pass <= alpha ? NB_VERDICT_PASS : out->p_fail <= alpha ? NB_VERDICT_FAIL : NB_VERDICT_UNDECIDED;
  double k = (za + zb) * (za + zb), least = za * za * (1 - margin) / margin; /* what passes when no answer flips */
  out->needed = margin > 0 ? ceil(fmax(k * flips / (margin * margin), least)) : INFINITY;
  double gap = margin + d;
  out->needed_observed = gap != 0 ? ceil(k * (flips - d * d) / (gap * gap)) : INFINITY;
  out->power = !(N >= least) ? 0 : flips > 0 ? nb_stats_normal_cdf(margin * sqrt(N / flips) - za) : 1;
}

/* ---- bootstrap ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void nb_stats_sort_doubles(double *x, size_t n) { qsort(x, n, sizeof *x, by_value); }

double nb_stats_quantile_sorted(const double *x, size_t n, double q) {
  nb_assert(n > 0 && q >= 0 && q <= 1);
  double at = q * (double)(n - 1);
  size_t i = (size_t)at;
  return i + 1 < n ? x[i] + (at - (double)i) * (x[i + 1] - x[i]) : x[n - 1];
}

/* Sums and sizes of the clusters. */
static void cluster_sums(const double *diff, const uint32_t *cluster, size_t n, bool own, double *sum, double *count) {
  for (size_t i = 0; i < n; i++) {
    size_t c = own ? i : cluster[i];
    sum[c] += diff[i], count[c] += 1;
  }
}

nb_status nb_stats_bootstrap_mean(const double *diff, size_t n, const nb_bootstrap_opts *o, nb_bootstrap *out,
                                  nb_err *err) {
  bool own = o->n_clusters == 0;
  size_t k = own ? n : o->n_clusters, reps = o->reps;
  uint64_t seed = o->seed;
  nb_assert(n > 0 && reps > 0 && (own || o->cluster));
  double *sum = NULL, *count = NULL, *mean = NULL, total = 0, m1 = 0, m2 = 0;
  nb_status st;
  *out = (nb_bootstrap){0};
  NB_GOTO(nb_new(&sum, k, sizeof *sum, "a bootstrap", err));
  NB_GOTO(nb_new(&count, k, sizeof *count, "a bootstrap", err));
  NB_GOTO(nb_new(&mean, reps, sizeof *mean, "a bootstrap", err));
  cluster_sums(diff, o->cluster, n, own, sum, count);
  for (size_t i = 0; i < n; i++) total += diff[i];
  out->mean = total / (double)n;
  for (size_t r = 0; r < reps; r++) {
    double s = 0, c = 0;
    for (size_t i = 0; i < k; i++) {
      size_t pick = (size_t)nb_rng_below(&seed, k);
      s += sum[pick], c += count[pick];
    }
    mean[r] = c > 0 ? s / c : 0;
    m1 += mean[r];
  }
  m1 /= (double)reps;
  for (size_t r = 0; r < reps; r++) m2 += (mean[r] - m1) * (mean[r] - m1);
  out->se = reps > 1 ? sqrt(m2 / (double)(reps - 1)) : 0;
  nb_stats_sort_doubles(mean, reps);
  out->low = nb_stats_quantile_sorted(mean, reps, (1 - o->level) / 2);
  out->high = nb_stats_quantile_sorted(mean, reps, (1 + o->level) / 2);
fail:
  nb_free(sum), nb_free(count), nb_free(mean);
  return st;
}

/* ---- many tests ---- */

typedef struct ranked {
  double p;
  size_t i;
} ranked;

static int by_p(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  return x->p != y->p ? (x->p > y->p) - (x->p < y->p) : (x->i > y->i) - (x->i < y->i);
}

static nb_status rank(const double *p, size_t n, ranked **out, nb_err *err) {
  NB_TRY(nb_new(out, n ? n : 1, sizeof **out, "p-values", err));
  for (size_t i = 0; i < n; i++) (*out)[i] = (ranked){p[i], i};
  qsort(*out, n, sizeof **out, by_p);
  return NB_OK;
}

nb_status nb_stats_adjust_holm(double *p, size_t n, nb_err *err) {
  ranked *r;
  NB_TRY(rank(p, n, &r, err));
  double worst = 0;
  for (size_t i = 0; i < n; i++) p[r[i].i] = worst = fmax(worst, fmin(1, r[i].p * (double)(n - i)));
  nb_free(r);
  return NB_OK;
}

nb_status nb_stats_adjust_bh(double *p, size_t n, nb_err *err) {
  ranked *r;
  NB_TRY(rank(p, n, &r, err));
  double best = 1;
  /* A factor of at least 1, rounded by itself: then no result is below its p. */
  for (size_t i = n; i-- > 0;) p[r[i].i] = best = fmin(best, r[i].p * ((double)n / (double)(i + 1)));
  nb_free(r);
  return NB_OK;
}

/* ---- divergences ---- */

double nb_stats_kl(const double *p, const double *q, size_t n) {
  double kl = 0;
  for (size_t i = 0; i < n; i++)
    if (p[i] > 0) kl += p[i] * log(p[i] / q[i]);
  return fmax(0, kl);
}

double nb_stats_total_variation(const double *p, const double *q, size_t n) {
  double tv = 0;
  for (size_t i = 0; i < n; i++) tv += fabs(p[i] - q[i]);
  return tv / 2;
}
