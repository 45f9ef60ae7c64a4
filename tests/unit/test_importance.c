/* SPDX-License-Identifier: MIT */
#include "quant/importance.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "formats/open.h"
#include "test.h"

#include <math.h>

static nb_err err;

enum { SEQS = 3, LEN = 20 };

static float *measure(const nb_opened *m, const int32_t *tokens, int threads) {
  float *out = nb_alloc(nb_importance_count(&m->model.config), sizeof *out);
  nb_importance_opts o = {tokens, SEQS, LEN, threads, nb_cpu_detect(), NULL};
  if (nb_importance_measure(&m->model.config, &m->model.weights, &o, out, &err) != NB_OK)
    printf("  %s\n", err.msg), exit(1);
  return out;
}

/* Where the inputs of a layer's matrix begin. */
static size_t of(const nb_model *m, size_t layer, nb_role role) {
  const nb_parts *parts = &m->weights.parts;
  return nb_importance_of(&m->config,
                          nb_parts_matrix(parts, nb_parts_first(parts, layer) + nb_layer_index(&m->config, role, 0)));
}

static bool near(double x, double y) { return fabs(x - y) <= 1e-5 * fabs(y) + 1e-12; }

/* The ends of the model by another way: the whole forward pass, and the norm written out. */
TEST(mean_squares_of_what_the_forward_pass_sees) {
  nb_opened m;
  CHECK_OK(nb_open("tests/golden/model/gqa_f16", NB_OPEN_NO_TOKENIZER, 1, &m, &err));
  const nb_config *c = &m.model.config;
  size_t D = c->hidden, wrong = 0;
  const nb_parts *parts = &m.model.weights.parts;
  size_t head = nb_importance_of(c, nb_parts_matrix(parts, parts->head));
  int32_t tokens[SEQS * LEN];
  for (int i = 0; i < SEQS * LEN; i++) tokens[i] = (i * 37 + i / 5) % (int)c->vocab;
  float *got = measure(&m, tokens, 2), *again = measure(&m, tokens, 1);
  CHECK(!memcmp(got, again, nb_importance_count(c) * sizeof *got));
  double *want = calloc(2 * D, sizeof *want);
  nb_session *s;
  nb_session_opts so = {.threads = 1, .max_tokens = LEN, .cpu_features = nb_cpu_detect()};
  CHECK_OK(nb_session_create(c, &so, &s, &err));
  float *row = nb_alloc(D, sizeof *row);
  for (int q = 0; q < SEQS; q++) {
    nb_kv *kv;
    CHECK_OK(nb_kv_create(c, LEN, NB_KV_F32, nb_config_stretch(c, LEN), &kv, &err));
    CHECK_OK(nb_session_prefill(s, &m.model, kv, tokens + q * LEN, LEN, &err));
    const float *h = nb_session_hidden(s);
    for (int t = 0; t < LEN; t++) {
      double square = 0;
      nb_linear_row(nb_weights_embed(&m.model.weights), (size_t)tokens[q * LEN + t], row);
      for (size_t k = 0; k < D; k++) square += (double)row[k] * row[k] / (double)D;
      for (size_t k = 0; k < D; k++) {
        double x = row[k] / sqrt(square + (double)c->norm_eps) * m.model.weights.layer[0].vec[NB_ATTN_NORM][k];
        want[k] += x * x / (SEQS * LEN);
        want[D + k] += (double)h[(size_t)t * D + k] * h[(size_t)t * D + k] / (SEQS * LEN);
      }
    }
    nb_kv_free(kv);
  }
  double error = 0, total = 0;
  for (size_t k = 0; k < D; k++) wrong += !near(got[k], want[k]);
  for (size_t k = 0; k < D; k++) error += pow(got[head + k] - want[D + k], 2), total += pow(want[D + k], 2);
  CHECK_MSG(error < 1e-4 * total, "%g of %g", error, total); /* the layers before are rounded to 8 bits */
  CHECK_MSG(wrong == 0, "%zu of %zu", wrong, 2 * D);
  /* Matrices that share inputs share numbers; the sites lie one after another. */
  CHECK(of(&m.model, 0, NB_Q) == 0 && of(&m.model, 0, NB_V) == 0);
  CHECK(of(&m.model, 0, NB_O) == D);
  CHECK(of(&m.model, 0, NB_GATE) == D + c->heads * c->head_dim);
  CHECK(of(&m.model, 0, NB_UP) == of(&m.model, 0, NB_GATE));
  CHECK(of(&m.model, 0, NB_DOWN) == of(&m.model, 0, NB_UP) + D);
  CHECK(of(&m.model, 1, NB_Q) == of(&m.model, 0, NB_DOWN) + c->ffn);
  CHECK(nb_importance_count(c) == head + D);
  for (size_t i = 0; i < nb_importance_count(c); i++) wrong += !(got[i] > 0);
  CHECK(wrong == 0);
  nb_free(got), nb_free(again), nb_free(row), free(want);
  nb_session_free(s);
  nb_opened_free(&m);
}

int main(void) {
  RUN(mean_squares_of_what_the_forward_pass_sees);
  return test_end();
}
