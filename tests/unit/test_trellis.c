/* SPDX-License-Identifier: MIT */
/* Trellis codes: the path is the best there is, what is stored is what was chosen, and less is lost than with a table.
 */
#include "random.h"
#include "test.h"

#include "base/mem.h"
#include "quant/fit_table.h"
#include "quant/trellis.h"

static nb_err err;

static nb_grid grid_of(unsigned bits) {
  nb_grid g;
  nb_grid_make((nb_qfmt){(uint8_t)bits, NB_TRELLIS, 64}, NULL, &g);
  return g;
}

static nb_trellis_column draw_column(void) {
  nb_trellis_column c = {.rows = 9 + (unsigned)(uniform() * 8)};
  for (int r = 0; r < NB_TILE; r++) {
    c.step[r] = (float)(uniform() < 0.1 ? 0 : 0.02 * (uniform() - 0.5));
    c.x[r] = c.step[r] * 45 * gauss();
  }
  return c;
}

static double cost_of(const nb_grid *g, const nb_trellis_column *c, int r, unsigned level) {
  double e = c->step[r] == 0 ? 0 : (double)c->x[r] / c->step[r] - g->value[level];
  return e * e;
}

/* What the path with these lowest bits costs, each row at the best level that it allows. */
static double path_cost(const nb_grid *g, const nb_trellis_column *c, unsigned lowest) {
  double sum = 0;
  for (unsigned r = 0; r < NB_TILE; r++) {
    unsigned own = lowest >> r & 1, s = lowest >> nb_qmat_trellis_before(r) ^ lowest >> nb_qmat_trellis_after(r);
    double best = INFINITY;
    if (r >= c->rows && own) return INFINITY;
    if (r >= c->rows) continue;
    for (unsigned l = 2 * (s & 1) + own; l < (unsigned)g->levels; l += 4) best = fmin(best, cost_of(g, c, (int)r, l));
    sum += best;
  }
  return sum;
}

TEST(the_ring_passes_every_row_once) {
  unsigned seen = 0;
  for (unsigned i = 0, r = 0; i < NB_TILE; i++, r = nb_qmat_trellis_after(r)) {
    CHECK(r < NB_TILE && !(seen >> r & 1));
    seen |= 1u << r;
    CHECK(nb_qmat_trellis_before(nb_qmat_trellis_after(r)) == r);
  }
}

static bool is_path(const uint8_t *level, unsigned rows) {
  for (unsigned r = 0; r < NB_TILE; r++) {
    unsigned code = nb_qmat_trellis_code(level[r]), before = nb_qmat_trellis_code(level[nb_qmat_trellis_before(r)]);
    unsigned after = nb_qmat_trellis_code(level[nb_qmat_trellis_after(r)]);
    if (nb_qmat_trellis_level(code, before, after) % 4 != level[r] % 4 || (r >= rows && code % 2)) return false;
  }
  return true;
}

/* All 65,536 paths. A level is the nearest by a weight rounded to a unit, so that a path may cost a trifle more. */
TEST(no_path_costs_less) {
  draw_from(11);
  for (int round = 0; round < 6; round++) {
    nb_grid g = grid_of(3 + (unsigned)round % 3);
    nb_trellis_column c = draw_column();
    uint8_t level[NB_TILE];
    nb_trellis_round(&g, &c, level);
    double mine = 0, least = INFINITY;
    CHECK(is_path(level, c.rows));
    for (unsigned r = 0; r < c.rows; r++) mine += cost_of(&g, &c, (int)r, level[r]);
    for (unsigned path = 0; path < 1u << NB_TILE; path++) least = fmin(least, path_cost(&g, &c, path));
    CHECK_MSG(mine >= least * (1 - 1e-5) && mine <= least + 60, "%g, %g", mine, least);
  }
}

/* Sums of a few vectors that have much in common. */
static void draw_sums(float A[NB_TILE][NB_TILE]) {
  memset(A, 0, NB_TILE * sizeof *A);
  for (int t = 0; t < 40; t++) {
    float v[NB_TILE], shared = gauss();
    for (int i = 0; i < NB_TILE; i++) v[i] = (float)(i + 2) * (gauss() + shared);
    for (int i = 0; i < NB_TILE; i++)
      for (int j = 0; j < NB_TILE; j++) A[i][j] += v[i] * v[j];
  }
}

static double tied_cost(const nb_grid *g, const nb_trellis_column *c, float A[NB_TILE][NB_TILE], const uint8_t *level) {
  double sum = 0;
  for (unsigned i = 0; i < c->rows; i++)
    for (unsigned j = 0; j < c->rows; j++)
      sum +=
          (double)A[i][j] * (c->x[i] - c->step[i] * g->value[level[i]]) * (c->x[j] - c->step[j] * g->value[level[j]]);
  return sum;
}

TEST(ties_are_the_sums_by_rows) {
  float A[NB_TILE][NB_TILE];
  nb_trellis_ties t;
  draw_from(2);
  draw_sums(A);
  for (unsigned rows = 1; rows <= NB_TILE; rows += 5) {
    nb_trellis_tie(A[0], rows, &t);
    unsigned ring[NB_TILE] = {0};
    for (unsigned i = 1; i < NB_TILE; i++) ring[i] = nb_qmat_trellis_after(ring[i - 1]);
    for (unsigned i = 0; i < NB_TILE; i++)
      for (unsigned j = 0; j < NB_TILE; j++) {
        bool there = ring[i] < rows && ring[j] < rows;
        double sum = 0, want = there ? A[ring[i]][ring[j]] : 0;
        for (unsigned k = 0; k < NB_TILE; k++) sum += (double)t.mix[k][i] * t.weight[k] * t.mix[k][j];
        CHECK_MSG(fabs(sum - want) < 1e-3 * A[15][15], "%u rows: %g, %g", rows, sum, want);
        CHECK(t.sums[ring[i]][ring[j]] == (there ? A[ring[i]][ring[j]] : 0) && (j <= i || t.mix[i][j] == 0));
      }
  }
}

/* Against the best path of rows that are not tied, by what tied ones lose. A sum of squares alone is the same thing. */
TEST(rows_that_are_tied_make_good_each_other) {
  float A[NB_TILE][NB_TILE];
  nb_trellis_ties ties;
  uint8_t alone[NB_TILE], together[NB_TILE];
  draw_from(7);
  for (int bits = 3; bits <= 5; bits++) {
    nb_grid g = grid_of((unsigned)bits);
    double with = 0, without = 0;
    for (int round = 0; round < 200; round++) {
      nb_trellis_column c = draw_column();
      draw_sums(A);
      nb_trellis_round(&g, &c, alone);
      nb_trellis_tie(A[0], c.rows, &ties);
      c.ties = &ties;
      nb_trellis_round(&g, &c, together);
      CHECK(is_path(together, c.rows));
      with += tied_cost(&g, &c, A, together) / 200, without += tied_cost(&g, &c, A, alone) / 200;
      memset(A, 0, sizeof A);
      for (unsigned r = 0; r < NB_TILE; r++) A[r][r] = c.step[r] != 0 ? 1 / (c.step[r] * c.step[r]) : 0;
      nb_trellis_tie(A[0], c.rows, &ties);
      nb_trellis_round(&g, &c, together);
      double a = tied_cost(&g, &c, A, alone), b = tied_cost(&g, &c, A, together);
      CHECK_MSG(fabs(a - b) < 1e-4 * a, "%g alone, %g tied by nothing", a, b);
    }
    CHECK_MSG(with < (bits < 5 ? 0.45 : 0.55) * without, /* what lies beyond the table counts more */
              "%d bits: %g, %g without", bits, with, without);
  }
}

/* A matrix rounded to a format: its error, and the codes' values back. */
static void rounded_for(const float *w, const float *h, size_t N, size_t K, const char *format, float *out,
                        double *error) {
  nb_qfmt f;
  nb_grid g;
  nb_qmat m;
  nb_qmat_layout l;
  nb_quant_loss loss;
  CHECK_OK(nb_qfmt_parse(format, &f, &err));
  CHECK_OK(nb_qmat_plan(N, K, f, &m, &l, &err));
  nb_grid_make(f, NULL, &g);
  nb_tensor t = {NB_F32, 2, {N, K, 1, 1}, w, N * K * sizeof *w, NULL};
  nb_linear lin = nb_linear_dense(&t);
  void *data = nb_alloc(l.total, 1);
  const nb_quant_opts how = {h, h != NULL, 2, "test"};
  CHECK_OK(nb_quant_plain(&g, &lin, &how, data, l.total, &loss, &err));
  CHECK_OK(nb_qmat_view(N, K, f, data, l.total, &m, &err));
  for (size_t n = 0; n < N; n++) nb_qmat_dequant_row(&m, n, out + n * K);
  nb_free(data);
  *error = loss.error / loss.total;
}

static void rounded(const float *w, size_t N, size_t K, const char *format, float *out, double *error) {
  rounded_for(w, NULL, N, K, format, out, error);
}

/* An embedding's elements can differ so. A scale can put one weight of a group on a value, but must know on which: it
 * had lost ten times as much as a table before it did. */
TEST(a_few_inputs_rule) {
  enum { N = 40, K = 256 };
  static float w[N * K], q[N * K], h[K];
  draw_from(9);
  for (size_t i = 0; i < N * K; i++) w[i] = gauss();
  for (int rule = 10; rule <= 1000; rule *= 100)
    for (int bits = 3; bits <= 5; bits++) {
      char trellis[32], table[32];
      double with_table = 1, mine = 1;
      for (size_t k = 0; k < K; k++) h[k] = k % 64 == 5 ? (float)rule : 1;
      snprintf(trellis, sizeof trellis, "c%dg64", bits), snprintf(table, sizeof table, "t%dg64", bits);
      rounded_for(w, h, N, K, table, q, &with_table), rounded_for(w, h, N, K, trellis, q, &mine);
      CHECK_MSG(mine < (rule > 100 ? 2 : 1) * with_table, "%d: %s %g, %s %g", rule, trellis, mine, table, with_table);
    }
}

/* 25 rows: the last tile has 9. What is read from the file is what was counted. */
TEST(less_is_lost_than_with_a_table) {
  enum { N = 25, K = 300 };
  static float w[N * K], q[N * K];
  draw_from(5);
  for (size_t i = 0; i < N * K; i++) w[i] = gauss();
  for (size_t k = 0; k < K; k++) w[7 * K + k] = 0;
  for (int bits = 3; bits <= 5; bits++)
    for (int group = 32; group <= 256; group *= 2) {
      char trellis[32], table[32];
      double error = 0, all = 0, with_table = 1, mine = 1;
      snprintf(trellis, sizeof trellis, "c%dg%d", bits, group), snprintf(table, sizeof table, "t%dg%d", bits, group);
      rounded(w, N, K, table, q, &with_table), rounded(w, N, K, trellis, q, &mine);
      CHECK_MSG(mine < (group == 32 ? 0.97 : 0.9) * with_table, "%s %g, %s %g", trellis, mine, table, with_table);
      for (size_t i = 0; i < N * K; i++) error += pow((double)w[i] - q[i], 2), all += (double)w[i] * w[i];
      CHECK_MSG(fabs(error / all - mine) < 1e-6, "%s: %g, stored %g", trellis, mine, error / all);
    }
}

/* Of weights that are not as the default table expects them, a fitted one loses less; of none it stays. */
TEST(tables_are_fitted) {
  enum { N = 64, K = 256 };
  static float w[N * K], q[N * K];
  static uint8_t data[1 << 16];
  draw_from(3);
  for (size_t i = 0; i < N * K; i++) w[i] = (float)(uniform() < 0.5 ? -0.5 : 0.5) + 0.02f * gauss();
  nb_tensor t = {NB_F32, 2, {N, K, 1, 1}, w, sizeof w, NULL};
  nb_linear lin = nb_linear_dense(&t);
  nb_grid fitted = grid_of(3), plain = fitted;
  nb_quant_loss before, after;
  nb_qmat m;
  nb_qmat_layout l;
  CHECK_OK(nb_qmat_plan(N, K, plain.fmt, &m, &l, &err));
  CHECK(l.total <= sizeof data);
  const nb_quant_opts how = {NULL, 0, 2, "test"};
  CHECK_OK(nb_quant_plain(&plain, &lin, &how, data, l.total, &before, &err));
  CHECK_OK(nb_fit_table(&fitted, w, N, K, NULL, 2, &err));
  for (int i = 1; i < fitted.levels; i++) CHECK(fitted.value[i] >= fitted.value[i - 1]);
  memset(data, 0, sizeof data);
  CHECK_OK(nb_quant_plain(&fitted, &lin, &how, data, l.total, &after, &err));
  CHECK_MSG(after.error < 0.5 * before.error, "%g, with the default table %g", after.error, before.error);
  memset(w, 0, sizeof w);
  fitted = plain;
  CHECK_OK(nb_fit_table(&fitted, w, N, K, NULL, 2, &err));
  CHECK(memcmp(fitted.value, plain.value, sizeof plain.value) == 0);
  double none = 1;
  rounded(w, N, K, "c3g64", q, &none);
  for (size_t i = 0; i < N * K; i++) CHECK(q[i] == 0);
}

int main(void) {
  RUN(the_ring_passes_every_row_once);
  RUN(no_path_costs_less);
  RUN(ties_are_the_sums_by_rows);
  RUN(rows_that_are_tied_make_good_each_other);
  RUN(less_is_lost_than_with_a_table);
  RUN(a_few_inputs_rule);
  RUN(tables_are_fitted);
  return test_end();
}
