/* SPDX-License-Identifier: MIT */
/* Statistics of right and wrong answers. Formulas are checked against scipy and statsmodels (tests/golden/stats.json).
 */
#ifndef NB_STATS_H
#define NB_STATS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

double nb_stats_normal_cdf(double z);
/* The z with nb_stats_normal_cdf(z) = p, 0 < p < 1. */
double nb_stats_normal_quantile(double p);

/* Wilson's score interval (1927) for k of n at a level such as 0.95; k may be a sum of fractions. n = 0: 0 to 1. */
void nb_stats_wilson(double k, double n, double level, double *low, double *high);

/* P(X <= k) for X binomial with n trials of probability p. */
double nb_stats_binomial_cdf(size_t k, size_t n, double p);

/* Exact McNemar test: the two-sided p-value that `gained` and `lost` flips come from a fair coin. 1 without flips. */
double nb_stats_mcnemar_exact(size_t gained, size_t lost);

/* Tango's score statistic (1998) for a difference of paired proportions: normal under "accuracy fell by exactly
 * `margin`", positive when it fell by less. gained and lost flips among n questions; 0 <= margin < 1. */
double nb_stats_tango_z(size_t gained, size_t lost, size_t n, double margin);

/* Two-sided interval at `level` for the difference (gained - lost) / n that inverts that statistic. */
void nb_stats_tango_interval(size_t gained, size_t lost, size_t n, double level, double *low, double *high);

typedef enum nb_verdict { NB_VERDICT_PASS, NB_VERDICT_FAIL, NB_VERDICT_UNDECIDED } nb_verdict;
const char *nb_verdict_name(nb_verdict v); /* "pass", "fail", "undecided" */

typedef struct nb_noninferiority {
  nb_verdict verdict;     /* pass: the drop is below the margin; fail: it is above; each with error near alpha */
  double z;               /* nb_stats_tango_z at the margin */
  double p_pass, p_fail;  /* one-sided p-values of the two claims */
  double needed;          /* questions that show it with power 80 % when there is no true difference; never fewer than
                           * pass when no answer flips; infinite for a margin of 0 */
  double needed_observed; /* and when the observed difference is the true one; infinite at the margin */
  double power;           /* of n questions, when there is no true difference */
} nb_noninferiority;

/* Whether accuracy fell by less than `margin` (0.01: one point). The flips observed stand for those to come. The errors
 * are near alpha where tens of answers flip, since the statistic is only then normal: at 0.05, margins of 1 to 5 points
 * and 100 to 1,600 questions the exact chance of a false pass is at most 0.058, and that of a false fail up to 0.10
 * where but three or four answers flip. */
void nb_stats_noninferiority_test(size_t gained, size_t lost, size_t n, double margin, double alpha,
                                  nb_noninferiority *out);

/* How a bootstrap draws. */
typedef struct nb_bootstrap_opts {
  const uint32_t *cluster; /* (n) below n_clusters: which one a question is in */
  size_t n_clusters;       /* that are drawn whole; 0: every question is its own, and cluster is not read */
  size_t reps;             /* resamples */
  uint64_t seed;           /* that they are drawn from */
  double level;            /* of the interval, 0 to 1 */
} nb_bootstrap_opts;

/* Mean of diff (n), with a percentile bootstrap interval. NB_ERR_MEMORY. */
typedef struct nb_bootstrap {
  double mean, se, low, high;
} nb_bootstrap;
nb_status nb_stats_bootstrap_mean(const double *diff, size_t n, const nb_bootstrap_opts *o, nb_bootstrap *out,
                                  nb_err *err);

/* Adjusts p (n) in place for n tests: Holm (1979) bounds the chance of any false claim, Benjamini and Hochberg (1995)
 * the expected share of false claims. NB_ERR_MEMORY. */
nb_status nb_stats_adjust_holm(double *p, size_t n, nb_err *err);
nb_status nb_stats_adjust_bh(double *p, size_t n, nb_err *err);

/* Divergences of two distributions over n choices: KL(p || q) in nats, total variation in 0 to 1. */
double nb_stats_kl(const double *p, const double *q, size_t n);
double nb_stats_total_variation(const double *p, const double *q, size_t n);

/* Sorts n numbers, smallest first. */
void nb_stats_sort_doubles(double *x, size_t n);

/* The q-quantile of sorted x (n > 0), interpolated linearly (type 7). */
double nb_stats_quantile_sorted(const double *x, size_t n, double q);

#endif
