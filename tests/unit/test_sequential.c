/* SPDX-License-Identifier: MIT */
/* The sequential test by simulation: looked at after every question, it errs no more often than it says, and it decides
 * early where the difference is plain. */
#include "test.h"

#include "eval/rng.h"
#include "eval/sequential.h"

enum { RUNS = 600 };

/* Shares of runs that pass and fail within n questions, and the mean number of questions until then. */
static void simulate(double gain, double lose, size_t n, double margin, double *pass, double *fail, double *mean) {
  uint64_t state = test_seed(5);
  *pass = *fail = *mean = 0;
  for (size_t r = 0; r < RUNS; r++) {
    nb_sequential s;
    nb_sequential_begin(&s, margin, 0.05);
    while (s.n < n && s.verdict == NB_VERDICT_UNDECIDED) {
      double u = nb_rng_uniform(&state);
      nb_sequential_add(&s, u < gain ? 1 : u < gain + lose ? -1 : 0);
    }
    *pass += s.verdict == NB_VERDICT_PASS, *fail += s.verdict == NB_VERDICT_FAIL, *mean += (double)s.n;
  }
  *pass /= RUNS, *fail /= RUNS, *mean /= RUNS;
}

TEST(errors_stay_below_alpha_however_often_one_looks) {
  double pass, fail, mean;
  simulate(0.03, 0.05, 3000, 0.02, &pass, &fail, &mean); /* worse by exactly the margin */
  CHECK_MSG(pass <= 0.05 && fail <= 0.05 && pass + fail > 0.002, "pass %.3f, fail %.3f", pass, fail);
  simulate(0.001, 0.021, 2000, 0.02, &pass, &fail, &mean);
  CHECK_MSG(pass <= 0.05 && fail <= 0.05, "few flips: pass %.3f, fail %.3f", pass, fail);
}

TEST(plain_differences_are_decided_early) {
  double pass, fail, mean;
  simulate(0.02, 0.02, 14042, 0.02, &pass, &fail, &mean);
  CHECK_MSG(pass > 0.99 && mean < 4000, "no drop: pass %.3f after %.0f", pass, mean);
  simulate(0.02, 0.12, 14042, 0.02, &pass, &fail, &mean);
  CHECK_MSG(fail > 0.99 && mean < 500, "a drop of ten points: fail %.3f after %.0f", fail, mean);
}

TEST(the_verdict_is_of_all_that_was_added) {
  nb_sequential s;
  nb_sequential_begin(&s, 0.01, 0.05);
  while (nb_sequential_add(&s, -1) == NB_VERDICT_UNDECIDED) continue;
  CHECK(s.verdict == NB_VERDICT_FAIL && s.n < 20 && nb_sequential_fail(&s) >= 20);
  for (int i = 0; i < 1000; i++) nb_sequential_add(&s, 1);
  CHECK(s.verdict == NB_VERDICT_PASS && nb_sequential_fail(&s) < 1);
}

/* Whatever the order, the same number. */
TEST(evidence_does_not_depend_on_the_order) {
  double diff[500], first[2] = {0, 0};
  uint64_t state = test_seed(9);
  for (int order = 0; order < 50; order++) {
    nb_sequential s;
    nb_sequential_begin(&s, 0.013, 0.05);
    for (size_t i = 0; i < 500; i++) diff[i] = (double)(i % 7) / 7 - (double)(i % 11) / 11;
    for (size_t i = 500; i > 1; i--) {
      size_t k = (size_t)nb_rng_below(&state, i);
      double t = diff[i - 1];
      diff[i - 1] = diff[k], diff[k] = t;
    }
    nb_sequential_weigh(&s, diff, 500);
    if (!order) first[0] = nb_sequential_pass(&s), first[1] = nb_sequential_fail(&s);
    CHECK(s.n == 500 && nb_sequential_pass(&s) == first[0] && nb_sequential_fail(&s) == first[1]);
  }
}

int main(void) {
  RUN(errors_stay_below_alpha_however_often_one_looks);
  RUN(plain_differences_are_decided_early);
  RUN(the_verdict_is_of_all_that_was_added);
  RUN(evidence_does_not_depend_on_the_order);
  return test_end();
}
