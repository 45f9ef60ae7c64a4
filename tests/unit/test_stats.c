/* SPDX-License-Identifier: MIT */
/* Statistics against scipy and statsmodels (tests/golden/make_stats_goldens.py), and by simulation: how often the gate
 * passes a model that is worse by exactly the margin, and one that is not worse. */
#include "test.h"

#include "formats/json.h"
#include "formats/mapfile.h"
#include "eval/stats.h"

static nb_err err;
static cJSON *golden;

static double at(const cJSON *row, int i) { return cJSON_GetArrayItem(row, i)->valuedouble; }

static int near(double a, double b, double rel) { return fabs(a - b) <= rel * fmax(1e-300, fmax(fabs(a), fabs(b))); }

#define EACH(name) for (const cJSON *g = cJSON_GetObjectItem(golden, name)->child; g; g = g->next)

TEST(distributions) {
  EACH("normal") CHECK(near(nb_stats_normal_quantile(at(g, 0)), at(g, 1), 1e-9) || fabs(at(g, 1)) < 1e-12);
  EACH("binomial") CHECK(near(nb_stats_binomial_cdf((size_t)at(g, 0), (size_t)at(g, 1), at(g, 2)), at(g, 3), 1e-10));
  EACH("wilson") {
    double low, high;
    nb_stats_wilson(at(g, 0), at(g, 1), at(g, 2), &low, &high);
    CHECK(fabs(low - at(g, 3)) < 1e-9 && fabs(high - at(g, 4)) < 1e-9);
  }
}

TEST(paired_proportions) {
  EACH("mcnemar") CHECK(near(nb_stats_mcnemar_exact((size_t)at(g, 0), (size_t)at(g, 1)), at(g, 2), 1e-10));
  EACH("tango") {
    double z = nb_stats_tango_z((size_t)at(g, 0), (size_t)at(g, 1), (size_t)at(g, 2), at(g, 3));
    CHECK_MSG(near(z, at(g, 4), 1e-4), "%g is not %g", z, at(g, 4));
  }
  double low, high; /* the ends of the interval are where the statistic is the quantile */
  nb_stats_tango_interval(20, 35, 700, 0.9, &low, &high);
  CHECK(fabs(nb_stats_tango_z(20, 35, 700, -low) - 1.6448536) < 1e-6 &&
        fabs(nb_stats_tango_z(20, 35, 700, -high) + 1.6448536) < 1e-6);
  CHECK(low < -15.0 / 700 && high > -15.0 / 700);
  nb_stats_tango_interval(0, 0, 100, 0.9, &low, &high);
  CHECK(low < 0 && low > -0.05 && high > 0 && high < 0.05);
}

TEST(many_tests) {
  double holm[64], bh[64];
  size_t n = 0;
  EACH("p") holm[n] = bh[n] = g->valuedouble, n++;
  CHECK_OK(nb_stats_adjust_holm(holm, n, &err));
  CHECK_OK(nb_stats_adjust_bh(bh, n, &err));
  for (size_t i = 0; i < n; i++) {
    CHECK(near(holm[i], at(cJSON_GetObjectItem(golden, "holm"), (int)i), 1e-12));
    CHECK(near(bh[i], at(cJSON_GetObjectItem(golden, "bh"), (int)i), 1e-12));
  }
  for (int k = 1; k < 100; k++) { /* ordered to the last bit */
    const double p[5] = {0.5 / k, 0.3 / k, 0.7 / k, 0.9 / k, 0.1 / k};
    memcpy(holm, p, sizeof p), memcpy(bh, p, sizeof p);
    CHECK_OK(nb_stats_adjust_holm(holm, 5, &err));
    CHECK_OK(nb_stats_adjust_bh(bh, 5, &err));
    for (size_t i = 0; i < 5; i++) CHECK(holm[i] >= bh[i] && bh[i] >= p[i]);
  }
}

TEST(divergences_and_quantiles) {
  double a[8], b[8], x[32];
  size_t n = 0, m = 0;
  EACH("a") a[n++] = g->valuedouble;
  n = 0;
  EACH("b") b[n++] = g->valuedouble;
  CHECK(near(nb_stats_kl(a, b, n), cJSON_GetObjectItem(golden, "kl")->valuedouble, 1e-12));
  CHECK(near(nb_stats_total_variation(a, b, n), cJSON_GetObjectItem(golden, "tv")->valuedouble, 1e-12));
  EACH("x") x[m++] = g->valuedouble;
  EACH("quantiles") CHECK(near(nb_stats_quantile_sorted(x, m, at(g, 0)), at(g, 1), 1e-12));
}

TEST(bootstrap) {
  double diff[400];
  uint32_t cluster[400];
  size_t n = 0;
  nb_bootstrap b, again;
  EACH("diff") diff[n++] = g->valuedouble;
  n = 0;
  EACH("cluster") cluster[n++] = (uint32_t)g->valuedouble;
  const char *names[] = {"bootstrap", "clustered"};
  for (int i = 0; i < 2; i++) {
    const cJSON *g = cJSON_GetObjectItem(golden, names[i]);
    const nb_bootstrap_opts o = {cluster, i ? 20 : 0, 20000, 7, 0.9};
    CHECK_OK(nb_stats_bootstrap_mean(diff, n, &o, &b, &err));
    CHECK(near(b.mean, at(g, 0), 1e-12) && near(b.se, at(g, 1), 0.03));
    CHECK(fabs(b.low - at(g, 2)) < 0.08 * at(g, 1) + 0.0026 && fabs(b.high - at(g, 3)) < 0.08 * at(g, 1) + 0.0026);
  }
  CHECK_OK(nb_stats_bootstrap_mean(diff, n, &(nb_bootstrap_opts){cluster, 20, 20000, 7, 0.9}, &again, &err));
  CHECK(!memcmp(&b, &again, sizeof b));
}

/* How often the gate passes and fails when each of n questions is gained and lost with these chances: over all counts.
 */
static void rates(double gain, double lose, size_t n, double margin, double *pass, double *fail) {
  double sum = 0, all = lgamma((double)n + 1);
  *pass = *fail = 0;
  for (size_t g = 0; g <= n; g++)
    for (size_t l = 0; g + l <= n; l++) {
      size_t same = n - g - l;
      double p = exp(all - lgamma((double)g + 1) - lgamma((double)l + 1) - lgamma((double)same + 1) +
                     (double)g * log(gain) + (double)l * log(lose) + (double)same * log1p(-gain - lose));
      if (p < 1e-12) continue;
      nb_noninferiority t;
      nb_stats_noninferiority_test(g, l, n, margin, 0.05, &t);
      sum += p, *pass += t.verdict == NB_VERDICT_PASS ? p : 0, *fail += t.verdict == NB_VERDICT_FAIL ? p : 0;
    }
  CHECK(fabs(sum - 1) < 1e-6);
}

TEST(the_gate_errs_as_seldom_as_it_says) {
  double pass, fail;
  /* Worse by exactly the margin: either claim is wrong. */
  rates(0.03, 0.05, 1500, 0.02, &pass, &fail);
  CHECK_MSG(pass < 0.051 && fail < 0.051 && pass > 0.045 && fail > 0.045, "pass %.4f, fail %.4f", pass, fail);
  rates(0.002, 0.022, 600, 0.02, &pass, &fail); /* few flips */
  CHECK_MSG(pass < 0.05 && fail < 0.06, "few flips: pass %.4f, fail %.4f", pass, fail);
  rates(0.002, 0.022, 156, 0.02, &pass, &fail); /* three or four flips in all: as stats.h says, the worst found */
  CHECK_MSG(pass < 0.05 && fail < 0.1, "fewest flips: pass %.4f, fail %.4f", pass, fail);
  rates(1e-9, 0.02, 303, 0.02, &pass, &fail);
  CHECK_MSG(pass < 0.06 && fail < 0.1, "only losses: pass %.4f, fail %.4f", pass, fail);
  /* Not worse, with the number of questions that promises 80 % power: n = 6.18 f / margin^2. */
  rates(0.04, 0.04, 1237, 0.02, &pass, &fail);
  CHECK_MSG(pass > 0.78 && pass < 0.82 && fail < 0.001, "power: pass %.4f, fail %.4f", pass, fail);
  /* Clearly worse. */
  rates(0.02, 0.08, 1500, 0.02, &pass, &fail);
  CHECK_MSG(fail > 0.999 && pass < 1e-4, "much worse: pass %.4f, fail %.4f", pass, fail);
}

/* That no answer has flipped does not make few questions enough. */
TEST(needed_without_flips) {
  nb_noninferiority t;
  nb_stats_noninferiority_test(0, 0, 3, 0.01, 0.05, &t);
  CHECK(t.verdict == NB_VERDICT_UNDECIDED && t.power == 0 && t.needed == 268);
  nb_stats_noninferiority_test(0, 0, 267, 0.01, 0.05, &t);
  CHECK(t.verdict == NB_VERDICT_UNDECIDED && t.power == 0);
  nb_stats_noninferiority_test(0, 0, 268, 0.01, 0.05, &t);
  CHECK(t.verdict == NB_VERDICT_PASS && t.power == 1);
  nb_stats_noninferiority_test(0, 0, 268, 0, 0.05, &t);
  CHECK(t.verdict == NB_VERDICT_UNDECIDED && t.power == 0 && isinf(t.needed));
}

TEST(needed_numbers) {
  nb_noninferiority t;
  nb_stats_noninferiority_test(560, 560, 14042, 0.01, 0.05, &t); /* f = 8 %: the 4,900 of the textbook formula */
  CHECK(fabs(t.needed - 4932) < 2 && t.verdict == NB_VERDICT_PASS && t.power > 0.99);
  nb_stats_noninferiority_test(4, 4, 100, 0.01, 0.05, &t);
  CHECK(t.verdict == NB_VERDICT_UNDECIDED && t.power < 0.2 && t.needed > 4000);
  nb_stats_noninferiority_test(0, 0, 100, 0.01, 0.05, &t);
  CHECK(t.verdict == NB_VERDICT_UNDECIDED); /* 100 questions without a flip show little: up to 2.6 % may flip */
  nb_stats_noninferiority_test(0, 0, 2000, 0.01, 0.05, &t);
  CHECK(t.verdict == NB_VERDICT_PASS);
}

int main(void) {
  char *bytes;
  size_t n;
  if (nb_mapfile_read("tests/golden/stats.json", 1 << 20, &bytes, &n, &err) != NB_OK ||
      nb_json_parse(bytes, n, "stats.json", &golden, &err) != NB_OK) {
    printf("FAIL goldens: %s\n0 passed, 1 failed, 0 skipped\n", err.msg);
    return 1;
  }
  free(bytes);
  RUN(distributions);
  RUN(paired_proportions);
  RUN(many_tests);
  RUN(divergences_and_quantiles);
  RUN(bootstrap);
  RUN(the_gate_errs_as_seldom_as_it_says);
  RUN(needed_without_flips);
  RUN(needed_numbers);
  cJSON_Delete(golden);
  return test_end();
}
