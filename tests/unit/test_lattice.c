/* SPDX-License-Identifier: MIT */
/* Matrices that are rounded already keep their codes, and their values where a format holds them. */
#include "random.h"
#include "test.h"

#include "base/f16.h"
#include "base/mem.h"
#include "formats/packed.h"
#include "quant/lattice.h"

static nb_err err;
enum { N = 48, K = 512 };

/* Rounds a dense matrix to a format; what its rows are then goes to out (w->N, w->K). */
static void rounded(const nb_linear *w, const char *format, float *out) {
  nb_qfmt f;
  nb_grid g;
  nb_qmat m;
  nb_qmat_layout l;
  CHECK_OK(nb_qfmt_parse(format, &f, &err));
  CHECK_OK(nb_qmat_plan(w->N, w->K, f, &m, &l, &err));
  nb_grid_make(f, NULL, &g);
  void *data = nb_alloc(l.total, 1);
  CHECK(data);
  const nb_quant_opts how = {NULL, 0, 2, "test"};
  CHECK_OK(nb_quant_plain(&g, w, &how, data, l.total, NULL, &err));
  CHECK_OK(nb_qmat_view(w->N, w->K, f, data, l.total, &m, &err));
  for (size_t n = 0; n < w->N; n++) nb_qmat_dequant_row(&m, n, out + n * w->K);
  nb_free(data);
}

static unsigned below(unsigned n) { return (unsigned)(uniform() * (double)n) % n; }

/* Steps of int8 times bfloat16, and all codes: bit for bit. */
TEST(values_that_a_format_holds) {
  static float w[N * K], q[N * K];
  static const char *const formats[] = {"u3g32", "u4g32", "u4g64", "u4g128", "u5g64", "u6g64", "u8g32", "u8g256"};
  draw_from(7);
  for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
    nb_qfmt fmt;
    CHECK_OK(nb_qfmt_parse(formats[f], &fmt, &err));
    for (size_t n = 0; n < N; n++) {
      float row = nb_bf16_f32(nb_f32_bf16((float)(0.001 + 0.01 * uniform()))), step = 0;
      for (size_t k = 0; k < K; k++) {
        if (k % fmt.group == 0) step = row * (float)(below(127) + 1);
        int half = 1 << (fmt.bits - 1);
        int code = (int)below((unsigned)(2 * half)) - half;
        if (k % fmt.group == 1) code = -half; /* else a group may have a larger step by chance */
        if (k % fmt.group == 2) code = half - 1;
        w[n * K + k] = n == 3 ? 0 : step * (float)code;
      }
    }
    nb_tensor t = {NB_F32, 2, {N, K, 1, 1}, w, sizeof w};
    nb_linear lin = nb_linear_dense(&t);
    rounded(&lin, formats[f], q);
    CHECK_MSG(!memcmp(w, q, sizeof w), "%s", formats[f]);
  }
}

/* The largest error of a matrix of a golden, rounded to a format, as a part of its largest weight; with `store` its
 * rows are stored in its type before. */
static double golden(const char *kind, const char *name, const char *format, bool store) {
  static float q[64 * 64], w[64 * 64];
  char path[256];
  nb_safetensors c;
  nb_text notes = {0};
  double worst = 0, peak = 0;
  snprintf(path, sizeof path, "tests/golden/packed/%s", kind);
  CHECK(nb_safetensors_open(path, &c, &err) == NB_OK && nb_packed_open(path, 1, &c, &notes, &err) == NB_OK);
  const nb_st_tensor *t = nb_safetensors_lookup(&c, name);
  CHECK(t && t->view.shape[0] * t->view.shape[1] <= 64 * 64);
  if (t) {
    nb_linear lin = nb_linear_dense(&t->view);
    rounded(&lin, format, q);
    size_t n = lin.N * lin.K;
    nb_tensor_floats(&t->view, 0, n, w);
    for (size_t i = 0; i < n; i++) {
      if (store) q[i] = t->view.dtype == NB_BF16 ? nb_bf16_f32(nb_f32_bf16(q[i])) : nb_f16_f32(nb_f32_f16(q[i]));
      worst = fmax(worst, fabs((double)q[i] - w[i])), peak = fmax(peak, fabs((double)w[i]));
    }
  }
  nb_text_free(&notes);
  nb_safetensors_close(&c);
  return worst / peak;
}

TEST(matrices_of_other_tools) {
  static const char *const names[] = {"model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.up_proj.weight",
                                      "model.layers.0.self_attn.q_proj.weight"};
  for (size_t i = 0; i < 3; i++) {
    /* int8 by channel with scales in bfloat16: the format holds code and scale, and so their product before rounding */
    CHECK(golden("ct_int8", names[i], "u8g256", true) == 0);
    /* half floats have more bits than a format's steps: every code is kept, the steps move by little */
    double four = golden("gptq4_sym", names[i], "u4g32", false),
           eight = golden("ct8_channel", names[i], "u8g256", false);
    CHECK_MSG(four < 0.004 && eight < 0.004 && four > 0, "%g %g", four, eight);
    /* zero points are not held, nor is another group */
    CHECK(golden("ct4_zeros", names[i], "u4g32", false) > 0.01);
  }
}

/* Half-float scales of a row move by at most 1/253 of the largest in root mean square (formats/PACKED.md): 127 steps
 * make that, the row's step rounded to bfloat16, and the choice of the step can only be better. */
TEST(scales_that_no_format_holds) {
  enum { MOST = 48 };
  double worst = 0;
  draw_from(13);
  for (int t = 0; t < 3000; t++) {
    float s[MOST], peak = 0;
    int8_t q[MOST];
    uint16_t row;
    size_t n = 1 + below(MOST);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
      s[i] = nb_f16_f32(nb_f32_f16(0.01f * expf((t % 3) * 0.5f * gauss())));
      peak = fmaxf(peak, s[i]);
    }
    nb_lattice_scales(s, n, q, &row);
    for (size_t i = 0; i < n; i++) sum += pow((double)s[i] - (double)nb_bf16_f32(row) * q[i], 2);
    worst = fmax(worst, sqrt(sum / (double)n) / (double)peak);
  }
  CHECK_MSG(worst > 0 && worst <= 1.0 / 253, "%g", worst);
}

TEST(what_is_no_lattice) {
  nb_grid g;
  nb_qfmt u4 = {4, 0, 32};
  float w[32];
  draw_from(3);
  nb_grid_make(u4, NULL, &g);
  for (int t = 0; t < 20000; t++) {
    for (int k = 0; k < 32; k++) w[k] = gauss();
    CHECK(nb_lattice_step(&g, NB_F32, w, 32) == 0);
  }
  for (int k = 0; k < 32; k++) w[k] = (float)(k % 16 - 7); /* -7 to 8 */
  CHECK(nb_lattice_step(&g, NB_F32, w, 32) == -1);
  w[0] = 9;
  CHECK(nb_lattice_step(&g, NB_F32, w, 32) == 0);
  memset(w, 0, sizeof w);
  CHECK(nb_lattice_step(&g, NB_F32, w, 32) == 0);
}

int main(void) {
  RUN(values_that_a_format_holds);
  RUN(matrices_of_other_tools);
  RUN(scales_that_no_format_holds);
  RUN(what_is_no_lattice);
  return test_end();
}
