/* SPDX-License-Identifier: MIT */
/* What `nibble bench` measures against: every loop does the work that it counts, a kernel whose work is known stays
 * below the limits, and a row above its limit is a fault. */
#include "test.h"

#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "eval/bench.h"

enum { N = 512, K = 1024, T = 512 };

TEST(loops_count_their_work) {
  nb_kernels all[NB_KERNEL_SETS];
  const size_t n = nb_kernels_all(nb_cpu_detect(), all);
  uint8_t *bytes = nb_alloc(NB_PEAK_BYTES, 1); /* as much as they may read */
  CHECK(bytes);
  for (size_t s = 0; s < n && bytes; s++) {
    int units[NB_PEAK_UNITS] = {0};
    for (size_t l = 0; l < NB_KERNEL_SETS; l++)
      for (size_t i = 0; i < all[s].n_peaks[l]; i++) {
        const nb_peak *p = &all[s].peaks[l][i];
        units[p->unit]++;
        CHECK((p->unit == NB_PEAK_READ) == !p->macs && !p->macs == !!p->read);
        CHECK(p->chains >= 1 && p->instruction[0]);
        if (p->macs) CHECK_MSG(p->macs(3) > 0 && p->macs(6) == 2 * p->macs(3), "%s", p->instruction);
        else CHECK_MSG(p->read(bytes, NB_PEAK_BYTES) == NB_PEAK_BYTES, "%s", p->instruction);
      }
    for (int u = 0; u < NB_PEAK_UNITS; u++) CHECK_MSG(units[u] > 0, "%s has no loop for unit %d", all[s].name, u);
  }
  nb_free(bytes);
}

/* A matrix of codes that need no unpacking, and activations: the kernel that comes nearest to the limit. */
typedef struct known {
  nb_kernels k;
  nb_qmat w;
  nb_q8 x;
  void *weights, *scratch;
  float *y;
} known;

static void make_known(known *j) {
  const nb_qfmt u8g64 = {8, 0, 64};
  nb_qmat_layout l;
  CHECK(nb_qmat_plan(N, K, u8g64, &j->w, &l, NULL) == NB_OK);
  j->weights = nb_alloc(l.total, 1);
  j->x = (nb_q8){T, K, K, nb_alloc(T, K), nb_alloc(T * K / NB_QA_GROUP, 4), nb_alloc(T * K / NB_BLOCK, 4)};
  j->y = nb_alloc((size_t)T * N, sizeof *j->y);
  j->scratch = nb_alloc(nb_kernels_linear_scratch(K), 1);
  CHECK(j->weights && j->x.q && j->x.scale && j->x.sum && j->y && j->scratch);
  memset(j->weights, 0x35, l.total);
  CHECK(nb_qmat_view(N, K, u8g64, j->weights, l.total, &j->w, NULL) == NB_OK);
}

static void free_known(known *j) {
  void *all[] = {j->weights, j->x.q, j->x.scale, j->x.sum, j->y, j->scratch};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) nb_free(all[i]);
}

/* Products of `tokens` tokens a second, the best of some. */
static double products(known *j, size_t tokens) {
  double best = 0;
  j->x.T = tokens;
  for (int i = 0; i < 20; i++) {
    double start = nb_clock();
    j->k.linear_q8(&j->w, 0, j->w.n_tiles, &j->x, j->y, N, j->scratch);
    double per_s = 1 / (nb_clock() - start);
    if (per_s > best) best = per_s;
  }
  return best;
}

static void hold(known *j, size_t tokens, nb_peak_unit unit, double work) {
  const nb_limit_memory weights = {j->weights, (size_t)N * K};
  const nb_limit_reads reads = {&weights, 1, weights.size};
  nb_bench_row row = {.tokens = tokens, .work = work};
  for (int i = 0; i < 3; i++) { /* others use this machine as well */
    CHECK(nb_limit_look(&j->k, 1, unit, &reads, &row.limit, NULL) == NB_OK);
    double per_s = products(j, tokens);
    if (per_s > row.per_s) row.per_s = per_s;
    CHECK(nb_limit_look(&j->k, 1, unit, &reads, &row.limit, NULL) == NB_OK);
  }
  char loop[128];
  nb_limit_describe(&row.limit, 1, loop);
  CHECK(row.limit.loop->unit == unit && row.limit.clock_hz > 0 && strstr(loop, row.limit.loop->instruction));
  const double reached = nb_bench_fraction(&row, true);
  CHECK_MSG(!nb_bench_fault(&row), "%s, %zu tokens: %.3f of %.1f G/s, %s", j->k.name, tokens, reached,
            row.limit.per_s / 1e9, loop);
  CHECK_MSG(reached > 0.01, "%s, %zu tokens: only %.4f of %.1f G/s, %s", j->k.name, tokens, reached,
            row.limit.per_s / 1e9, loop);
}

TEST(a_known_kernel_stays_below) {
  known j = {.k = nb_kernels_select(nb_cpu_detect())};
  make_known(&j);
  hold(&j, T, NB_PEAK_INT8, (double)N * K * T);
  hold(&j, 1, NB_PEAK_READ, (double)N * K);
  free_known(&j);
}

TEST(above_the_limit_is_a_fault) {
  const nb_bench_row below = {.per_s = 2, .work = 40, .attention = 5, .limit = {.per_s = 100}},
                     above = {.per_s = 2, .work = 60, .limit = {.per_s = 100}},
                     with = {.per_s = 2, .work = 40, .attention = 11, .limit = {.per_s = 100}};
  CHECK(nb_bench_fraction(&below, false) == 0.8 && nb_bench_fraction(&below, true) == 0.9);
  CHECK(!nb_bench_fault(&below));
  CHECK(nb_bench_fault(&above));
  CHECK(nb_bench_fraction(&with, false) == 0.8 && nb_bench_fault(&with));
}

int main(void) {
  RUN(loops_count_their_work);
  RUN(a_known_kernel_stays_below);
  RUN(above_the_limit_is_a_fault);
  return test_end();
}
