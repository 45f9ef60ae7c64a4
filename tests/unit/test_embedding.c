/* SPDX-License-Identifier: MIT */
/* What the embedding's rounding is weighed by, and that weighing pays where the norms are uneven. */
#include "test.h"

#include "base/mem.h"
#include "formats/open.h"
#include "quant/coded.h"
#include "quant/embedding.h"

static nb_err err;
enum { MOST = 256 };

static void open_model(const char *name, nb_opened *m) {
  char path[256];
  snprintf(path, sizeof path, "tests/golden/model/%s", name);
  CHECK_OK(nb_open(path, NB_OPEN_NO_TOKENIZER, 1, m, &err));
}

/* What the matrices behind a norm of layer 0 make of a row's element k alone: the sum of their squared outputs. */
static double reads(const nb_opened *m, nb_role norm, const nb_role *roles, size_t n, size_t k) {
  const nb_layer *l = &m->model.weights.layer[0];
  float row[MOST];
  double sum = 0;
  for (size_t i = 0; i < n; i++) {
    const nb_linear *w = nb_layer_matrix(&m->model.config, l, roles[i], 0);
    for (size_t r = 0; r < w->N; r++) {
      nb_linear_row(w, r, row);
      sum += pow((double)row[k] * (double)l->vec[norm][k], 2);
    }
  }
  return sum;
}

TEST(elements_count_by_what_reads_them) {
  static const nb_role attn[] = {NB_Q, NB_K, NB_V}, ffn[] = {NB_GATE, NB_UP};
  nb_opened m;
  float h[MOST];
  double a[MOST], f[MOST], all_a = 0, all_f = 0, mean = 0;
  open_model("gqa_f16", &m);
  size_t D = m.model.config.hidden;
  CHECK(D <= MOST);
  ((float *)(uintptr_t)m.model.weights.layer[0].vec[NB_ATTN_NORM])[7] *= 20;
  CHECK_OK(nb_embedding_importance(&m.model.config, &m.model.weights, h, &err));
  for (size_t k = 0; k < D; k++) {
    a[k] = reads(&m, NB_ATTN_NORM, attn, 3, k), f[k] = reads(&m, NB_FFN_NORM, ffn, 2, k);
    all_a += a[k], all_f += f[k], mean += (double)h[k] / (double)D;
  }
  CHECK_MSG(fabs(mean - 1) < 1e-5, "mean %g", mean);
  for (size_t k = 0; k < D; k++) {
    double want = (double)D / 2 * (a[k] / all_a + f[k] / all_f);
    CHECK_MSG(fabs((double)h[k] - want) < 0.003 * (want + 1), "element %zu: %g, not %g", k, h[k], want);
    CHECK(k == 7 || h[k] < h[7]);
  }
  nb_opened_free(&m);
}

/* Errors as the first layer reads them: less is lost when rounding is weighed by that. */
TEST(weighing_pays) {
  nb_opened m;
  float h[MOST], x[MOST];
  double lost[2] = {0, 0};
  open_model("sharded", &m);
  size_t D = m.model.config.hidden;
  float *norm = (float *)(uintptr_t)m.model.weights.layer[0].vec[NB_ATTN_NORM];
  for (size_t k = 0; k < D; k += 16) norm[k] *= 20;
  CHECK_OK(nb_embedding_importance(&m.model.config, &m.model.weights, h, &err));
  const nb_linear *e = nb_weights_embed(&m.model.weights);
  for (int weighed = 0; weighed < 2; weighed++) {
    nb_coded c;
    const nb_quant_opts how = {weighed ? h : NULL, 1, 1, "the embedding"};
    CHECK_OK(nb_coded_blocks(e, nb_ggml_find(NB_GGML_Q4_0), &how, &c, &err));
    for (size_t r = 0; r < e->N; r++) {
      nb_linear_row(e, r, x);
      for (size_t k = 0; k < D; k++) lost[weighed] += (double)h[k] * pow((double)x[k] - (double)c.values[r * D + k], 2);
    }
    nb_coded_free(&c);
  }
  CHECK_MSG(lost[1] < 0.8 * lost[0], "%g of %g", lost[1], lost[0]);
  nb_opened_free(&m);
}

TEST(weights_that_are_not_finite) {
  nb_opened m;
  float h[MOST];
  open_model("gqa_f16", &m);
  ((float *)(uintptr_t)m.model.weights.layer[0].vec[NB_FFN_NORM])[3] = NAN;
  CHECK(nb_embedding_importance(&m.model.config, &m.model.weights, h, &err) == NB_ERR_NUMERIC);
  nb_opened_free(&m);
}

int main(void) {
  RUN(elements_count_by_what_reads_them);
  RUN(weighing_pays);
  RUN(weights_that_are_not_finite);
  return test_end();
}
