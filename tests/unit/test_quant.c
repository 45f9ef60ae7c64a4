/* SPDX-License-Identifier: MIT */
#include "random.h"
#include "test.h"

#include "base/f16.h"
#include "base/mem.h"
#include "quant/quant.h"

static nb_err err;

static nb_linear dense(const float *w, size_t N, size_t K) {
  nb_tensor t = {NB_F32, 2, {N, K, 1, 1}, w, N * K * 4, NULL};
  return nb_linear_dense(&t);
}

/* Relative squared error of a format on a Gaussian matrix. */
static double gaussian_loss(const char *name) {
  enum { N = 48, K = 512 };
  static float w[N * K];
  nb_qfmt f;
  nb_grid g;
  nb_qmat m;
  nb_qmat_layout l;
  nb_quant_loss loss;
  draw_from(42);
  for (size_t i = 0; i < N * K; i++) w[i] = gauss() * 0.02f;
  nb_linear lin = dense(w, N, K);
  if (nb_qfmt_parse(name, &f, &err) != NB_OK || nb_qmat_plan(N, K, f, &m, &l, &err) != NB_OK) return 1;
  nb_grid_make(f, NULL, &g);
  void *data = nb_alloc(l.total, 1);
  if (nb_quant_plain(&g, &lin, &(nb_quant_opts){NULL, 1, 2, "test"}, data, l.total, &loss, &err) != NB_OK) return 2;
  if (nb_qmat_view(N, K, f, data, l.total, &m, &err) != NB_OK) return 3;
  double e = 0, t = 0;
  float q[K];
  for (size_t n = 0; n < N; n++) {
    nb_qmat_dequant_row(&m, n, q);
    for (size_t k = 0; k < K; k++) e += pow(w[n * K + k] - (double)q[k], 2), t += pow(w[n * K + k], 2);
  }
  CHECK_MSG(fabs(e / t - loss.error / loss.total) < 1e-6, "%s: reported %g, is %g", name, loss.error / loss.total,
            e / t);
  nb_free(data);
  return e / t;
}

TEST(losses_are_those_of_theory) {
  /* Bounds from a simulation in NumPy (make_tables.py for the tables); uniform 8 bits: 1/12 of a step squared. */
  static const struct {
    const char *fmt;
    double low, high;
  } want[] = {{"t4g32", .0045, .0062}, {"t4g64", .0055, .0072},  {"t4g128", .0066, .0082}, {"t3g64", .023, .031},
              {"t5g64", .0012, .0019}, {"u4g32", .0055, .0075},  {"u4g64", .0068, .0090},  {"u3g64", .024, .038},
              {"u6g64", .0004, .0007}, {"u8g64", .00001, .00006}};
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    double loss = gaussian_loss(want[i].fmt);
    CHECK_MSG(loss > want[i].low && loss < want[i].high, "%s: %g", want[i].fmt, loss);
  }
}

TEST(nearest_is_nearest) {
  static const char *const fmt[] = {"u3g32", "u4g32", "u5g32", "u6g32", "u8g32", "t3g32", "t4g32", "t5g32"};
  for (int f = 0; f < 8; f++) {
    nb_qfmt q;
    nb_grid g;
    CHECK_OK(nb_qfmt_parse(fmt[f], &q, &err));
    nb_grid_make(q, NULL, &g);
    for (int c = 1; c < g.levels; c++) CHECK(g.value[c] > g.value[c - 1]);
    for (float x = -140; x < 140; x += 0.37f) {
      double mine = fabs(x - g.value[nb_grid_nearest(&g, x)]), best = 1e9;
      for (int c = 0; c < g.levels; c++) best = fmin(best, fabs(x - g.value[c]));
      CHECK_MSG(mine <= best + (q.kind ? 1.01 : 1e-3), "%s: %g", fmt[f], x);
    }
    CHECK(nb_grid_nearest(&g, NAN) < (unsigned)g.levels && nb_grid_nearest(&g, INFINITY) == (unsigned)g.levels - 1);
  }
}

TEST(every_shape_and_format) {
  static const size_t shape[][2] = {{1, 1}, {3, 33}, {16, 64}, {17, 100}, {50, 320}};
  static const char *const fmt[] = {"u3g32", "t3g64", "t4g128", "u4g256", "t5g32", "u6g64", "u7g128", "u8g32"};
  for (int s = 0; s < 5; s++)
    for (int f = 0; f < 8; f++) {
      size_t N = shape[s][0], K = shape[s][1];
      nb_qfmt q;
      nb_grid g;
      nb_qmat m;
      nb_qmat_layout l;
      float *w = nb_alloc(N * K, 4);
      for (size_t i = 0; i < N * K; i++) w[i] = gauss();
      nb_linear lin = dense(w, N, K);
      CHECK_OK(nb_qfmt_parse(fmt[f], &q, &err));
      CHECK_OK(nb_qmat_plan(N, K, q, &m, &l, &err));
      nb_grid_make(q, NULL, &g);
      void *a = nb_alloc(l.total, 1), *b = nb_alloc(l.total, 1);
      nb_quant_loss loss;
      CHECK_OK(nb_quant_plain(&g, &lin, &(nb_quant_opts){NULL, 0, 1, "test"}, a, l.total, &loss, &err));
      CHECK_OK(nb_quant_plain(&g, &lin, &(nb_quant_opts){NULL, 0, 3, "test"}, b, l.total, NULL, &err));
      CHECK(memcmp(a, b, l.total) == 0);
      CHECK(loss.error < 0.08 * loss.total);
      CHECK(nb_quant_plain(&g, &lin, &(nb_quant_opts){NULL, 0, 1, "test"}, a, l.total - 64, NULL, &err) ==
            NB_ERR_FORMAT);
      nb_free(a), nb_free(b), nb_free(w);
    }
}

TEST(bad_weights_are_named) {
  static float w[32 * 64];
  static const float bad[] = {NAN, INFINITY, -INFINITY, 2e30f};
  nb_qfmt f = {4, 1, 64};
  nb_grid g;
  nb_qmat m;
  nb_qmat_layout l;
  nb_grid_make(f, NULL, &g);
  CHECK_OK(nb_qmat_plan(32, 64, f, &m, &l, &err));
  void *data = nb_alloc(l.total, 1);
  nb_linear lin = dense(w, 32, 64);
  for (int i = 0; i < 4; i++) {
    w[20 * 64 + 7] = bad[i];
    CHECK(nb_quant_plain(&g, &lin, &(nb_quant_opts){NULL, 0, 2, "layer 3 up"}, data, l.total, NULL, &err) ==
          NB_ERR_NUMERIC);
    CHECK_MSG(strstr(err.msg, "layer 3 up") && strstr(err.msg, "row 20, column 7"), "%s", err.msg);
  }
  nb_free(data);
}

TEST(importance_moves_the_scale) {
  /* One important weight among many: its error must be far below that without importances. */
  nb_grid g;
  nb_grid_make((nb_qfmt){3, 0, 64}, NULL, &g);
  double with = 0, without = 0;
  draw_from(5);
  for (int trial = 0; trial < 500; trial++) {
    float w[64], h[64];
    for (int k = 0; k < 64; k++) w[k] = gauss(), h[k] = k == 10 ? 1000 : 1;
    float s = nb_quant_fit_group(&g, w, h, 64, 1), u = nb_quant_fit_group(&g, w, NULL, 64, 1);
    with += pow(w[10] - s * g.value[nb_grid_nearest(&g, w[10] / s)], 2);
    without += pow(w[10] - u * g.value[nb_grid_nearest(&g, w[10] / u)], 2);
  }
  CHECK_MSG(with < 0.3 * without, "%g, %g", with, without);
}

TEST(scales_round_to_the_grid) {
  float s[5] = {0.5f, -1.0f, 0.001f, 0, 0.9999f};
  int8_t q[5];
  uint16_t r;
  nb_quant_round_scales(s, 5, 127, q, &r);
  for (int i = 0; i < 5; i++) CHECK(fabs(nb_bf16_f32(r) * q[i] - s[i]) < 0.006);
  CHECK(q[3] == 0);
  float z[2] = {0, 0};
  nb_quant_round_scales(z, 2, 127, q, &r);
  CHECK(r == 0 && q[0] == 0 && q[1] == 0);
}

int main(void) {
  RUN(losses_are_those_of_theory);
  RUN(nearest_is_nearest);
  RUN(every_shape_and_format);
  RUN(bad_weights_are_named);
  RUN(importance_moves_the_scale);
  RUN(scales_round_to_the_grid);
  return test_end();
}
