/* SPDX-License-Identifier: MIT */
/* The solver in GGUF's block types: what it reports is what its bytes lose, and that is less than rounding each weight
 * by itself loses, errors weighted by the inputs. */
#include "random.h"
#include "test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "quant/gptq.h"

static nb_err err;
enum { N = 130, K = 512, T = 700 };

/* H = x^T x of correlated inputs, some of them large. */
static float *statistics(const nb_kernels *k, float *x) {
  enum { RANK = 24 };
  static float mix[RANK * K];
  float *H = nb_alloc(K * K, sizeof *H), z[RANK];
  nb_rounded in;
  draw_from(5);
  for (size_t i = 0; i < RANK * K; i++) mix[i] = gauss() * (i % K % 37 == 5 ? 8 : 1);
  for (size_t t = 0; t < T; t++) {
    for (size_t r = 0; r < RANK; r++) z[r] = gauss();
    for (size_t i = 0; i < K; i++) {
      x[t * K + i] = gauss() * 0.3f;
      for (size_t r = 0; r < RANK; r++) x[t * K + i] += z[r] * mix[r * K + i];
    }
  }
  CHECK(H && nb_rounded_create(T, K, &in, &err) == NB_OK);
  nb_rounded_take(&in, k, x, T, K, 2);
  nb_hess_add(k, H, &in, 2);
  nb_rounded_free(&in);
  return H;
}

/* The squared error of the outputs over the inputs x. */
static double output_error(const float *w, const nb_ggml_type *type, const uint8_t *rows, const float *x) {
  static float q[K];
  double sum = 0;
  for (size_t n = 0; n < N; n++) {
    nb_ggml_read(type, rows + n * (K / type->block * type->bytes), K, q);
    for (size_t t = 0; t < T; t++) {
      double e = 0;
      for (size_t k = 0; k < K; k++) e += ((double)w[n * K + k] - q[k]) * x[t * K + k];
      sum += e * e;
    }
  }
  return sum;
}

TEST(less_is_lost_than_by_rounding) {
  static float x[T * K], w[N * K];
  static uint8_t plain[N * K * 2], solved[2][N * K * 2];
  static const struct {
    const char *type;
    double most; /* of what plain rounding loses */
  } want[] = {{"q4_0", 0.5}, {"q4_1", 0.5}, {"q4_k", 0.5}, {"iq4_nl", 0.5}, {"q8_0", 0.6}};
  nb_kernels k = nb_kernels_select(nb_cpu_detect());
  nb_hess h;
  CHECK_OK(nb_hess_prepare(&k, statistics(&k, x), K, &(nb_hess_opts){1e-6, 2, "test"}, &h, &err));
  for (size_t i = 0; i < N * K; i++) w[i] = gauss() * 0.05f + 0.01f;
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    const nb_ggml_type *type = nb_ggml_find_name(want[i].type);
    const nb_gptq_opts o = {true, 2, 2, "test"}, one = {true, 2, 1, "test"};
    const nb_gptq_rows rows = {.w = w, .N = N};
    nb_gptq_report r = {0, 0, 0, 0}, again = r;
    nb_blocks b;
    CHECK(nb_blocks_make(type, &b));
    size_t row = nb_blocks_row_bytes(&b, K);
    for (size_t n = 0; n < N; n++) nb_ggml_write(type, w + n * K, h.diag, K, plain + n * row);
    CHECK_OK(nb_gptq_solve_blocks(&h, &rows, &b, &o, solved[0], &r, &err));
    CHECK_OK(nb_gptq_solve_blocks(&h, &rows, &b, &one, solved[1], &again, &err));
    CHECK_MSG(!memcmp(solved[0], solved[1], N * row), "%s: other bytes by other threads", want[i].type);
    double before = output_error(w, type, plain, x), after = output_error(w, type, solved[0], x);
    CHECK_MSG(after < want[i].most * before, "%s: %g of %g", want[i].type, after, before);
    /* a little is of damping and of the rounding of the inputs */
    CHECK_MSG(fabs(r.solved / after - 1) < 0.25, "%s: reported %g, is %g", want[i].type, r.solved, after);
  }
  nb_hess_free(&h);
}

/* Whatever steps and offsets are wished for, a row reads back as what was stored. */
TEST(rows_read_back) {
  static const char *const types[] = {"q4_0", "q4_1", "q4_k", "iq4_nl", "q8_0"};
  float w[K], h[K], step[K / 32], offset[K / 32], q[K];
  uint8_t code[K], row[2 * K];
  draw_from(11);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    nb_blocks b;
    CHECK(nb_blocks_make(nb_ggml_find_name(types[i]), &b));
    for (size_t k = 0; k < K; k++) w[k] = gauss(), h[k] = 1;
    nb_blocks_round(&b, w, h, K, row, step, offset);
    for (size_t g = 0; g < K / 32; g++) {
      step[g] = nb_blocks_step(&b, row, g, step[g] * (float)(0.5 + uniform()));
      offset[g] = nb_blocks_offset(&b, row, g, offset[g] * (float)(0.5 + uniform()) + 0.1f);
      CHECK(b.offset || offset[g] == 0);
    }
    for (size_t k = 0; k < K; k++) code[k] = (uint8_t)((size_t)(uniform() * 256) % (size_t)b.grid.levels);
    nb_blocks_store(&b, code, step, offset, K, row);
    nb_ggml_read(b.type, row, K, q);
    for (size_t k = 0; k < K; k++) {
      float is = step[k / 32] * (float)b.grid.value[code[k]] + offset[k / 32];
      CHECK_MSG(q[k] == is, "%s: weight %zu is %g, not %g", types[i], k, (double)q[k], (double)is);
    }
  }
  nb_blocks b;
  CHECK(!nb_blocks_make(nb_ggml_find_name("f16"), &b));
}

int main(void) {
  RUN(less_is_lost_than_by_rounding);
  RUN(rows_read_back);
  return test_end();
}
