/* SPDX-License-Identifier: MIT */
#include "random.h"
#include "test.h"

#include "quant/bits.h"

static nb_err err;

/* The least loss by trying everything. */
static double exhaustive(const nb_bits_option *o, size_t n, size_t m, uint64_t budget) {
  if (n == 0) return 0;
  double best = INFINITY;
  for (size_t j = 0; j < m; j++)
    if (o[j].bytes <= budget) best = fmin(best, o[j].loss + exhaustive(o + m, n - 1, m, budget - o[j].bytes));
  return best;
}

TEST(near_the_best_and_within_the_budget) {
  enum { N = 6, M = 4 };
  double worst = 1;
  draw_from(1);
  for (int trial = 0; trial < 200; trial++) {
    nb_bits_option o[N * M];
    uint64_t least = 0, most = 0;
    for (int i = 0; i < N; i++) {
      double s = exp(4 * uniform());
      for (int j = 0; j < M; j++)
        o[i * M + j] = (nb_bits_option){100 * (uint64_t)(3 + j) + (uint64_t)(40 * uniform()), s * pow(0.25, j)};
      least += o[i * M].bytes, most += o[i * M + M - 1].bytes;
    }
    uint64_t budget = least + (uint64_t)((double)(most - least) * uniform()), sum = 0;
    uint8_t pick[N];
    nb_bits_option total;
    double again = 0;
    CHECK_OK(nb_bits_pick(o, N, M, budget, pick, &total, &err));
    for (int i = 0; i < N; i++) sum += o[i * M + pick[i]].bytes, again += o[i * M + pick[i]].loss;
    CHECK(total.bytes == sum && sum <= budget && fabs(total.loss - again) < 1e-9);
    worst = fmax(worst, total.loss / exhaustive(o, N, M, budget));
  }
  CHECK_MSG(worst < 1.6, "%g times the least loss", worst); /* six items are few: rounding to whole items hurts */
}

TEST(a_budget_too_small_names_the_least) {
  nb_bits_option o[4] = {{100, 1}, {200, .1}, {150, 1}, {50, INFINITY}};
  uint8_t pick[2];
  nb_bits_option total;
  CHECK(nb_bits_pick(o, 2, 2, 249, pick, &total, &err) == NB_ERR_ARG);
  CHECK(total.bytes == 250 && strstr(err.msg, "250"));
  CHECK_OK(nb_bits_pick(o, 2, 2, 250, pick, &total, &err));
  CHECK(total.bytes == 250 && pick[0] == 0 && pick[1] == 0);
  CHECK_OK(nb_bits_pick(o, 2, 2, UINT64_MAX, pick, &total, &err));
  CHECK(total.bytes == 350 && pick[0] == 1);
}

TEST(more_bytes_never_lose_more) {
  enum { N = 40, M = 5 };
  nb_bits_option o[N * M];
  uint8_t pick[N];
  double last = INFINITY;
  draw_from(2);
  for (int i = 0; i < N; i++) {
    double s = exp(6 * uniform());
    for (int j = 0; j < M; j++) o[i * M + j] = (nb_bits_option){1000 * (uint64_t)(3 + j), s * pow(0.25, j)};
  }
  for (uint64_t budget = 120000; budget <= 280000; budget += 5000) {
    nb_bits_option total;
    CHECK_OK(nb_bits_pick(o, N, M, budget, pick, &total, &err));
    CHECK(total.loss <= last * 1.0001);
    last = total.loss;
  }
}

int main(void) {
  RUN(near_the_best_and_within_the_budget);
  RUN(a_budget_too_small_names_the_least);
  RUN(more_bytes_never_lose_more);
  return test_end();
}
