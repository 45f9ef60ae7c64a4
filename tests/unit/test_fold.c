/* SPDX-License-Identifier: MIT */
#include "random.h"
#include "test.h"

#include "base/cpu.h"
#include "quant/fold.h"
#include "base/mem.h"
#include "formats/open.h"

static nb_err err;

enum { T = 48 };

typedef struct fixture {
  nb_config c;
  nb_opened checkpoint;
  nb_weights w;
  nb_session *s;
  nb_kv *kv;
  int32_t text[T];
  float *H[NB_SITES]; /* of the last run */
} fixture;

static nb_status open_fixture(fixture *x, const char *path) {
  memset(x, 0, sizeof *x);
  nb_session_opts so = {.threads = 1, .max_tokens = T, .cpu_features = nb_cpu_detect()};
  NB_TRY(nb_open(path, NB_OPEN_NO_TOKENIZER, 1, &x->checkpoint, &err));
  x->c = x->checkpoint.model.config, x->w = x->checkpoint.model.weights;
  NB_TRY(nb_session_create(&x->c, &so, &x->s, &err));
  NB_TRY(nb_kv_create_layers(&x->c, 1, T, NB_KV_F32, 0, &x->kv, &err));
  for (int i = 0; i < T; i++) x->text[i] = (i * 37 + 11) % (int32_t)x->c.vocab;
  return NB_OK;
}

static void close_fixture(fixture *x) {
  for (int i = 0; i < NB_SITES; i++) nb_free(x->H[i]);
  nb_kv_free(x->kv);
  nb_session_free(x->s);
  nb_opened_free(&x->checkpoint);
}

static void see(void *ctx, size_t site, const float *v, size_t n, size_t K) {
  fixture *x = ctx;
  nb_free(x->H[site]);
  x->H[site] = nb_alloc(K * K, 4);
  for (size_t t = 0; t < n; t++)
    for (size_t i = 0; i < K; i++)
      for (size_t k = 0; k <= i; k++) x->H[site][i * K + k] += v[t * K + i] * v[t * K + k];
}

/* The layer's outputs (T, D). */
static float *run(fixture *x, const nb_layer *l) {
  const nb_tap tap = {see, x};
  nb_segment seg = {x->kv, x->text, T};
  float *y = nb_alloc(T * x->c.hidden, 4);
  if (nb_session_begin(x->s, &seg, 1, &err) != NB_OK) return y;
  nb_session_embed(x->s, nb_weights_embed(&x->w), y);
  if (nb_session_layer(x->s, l, 0, y, &tap, &err) != NB_OK) y[0] = NAN;
  return y;
}

static double distance(const float *a, const float *b, size_t n) {
  double d = 0, t = 0;
  for (size_t i = 0; i < n; i++) d += pow(a[i] - (double)b[i], 2), t += pow(a[i], 2);
  return sqrt(d / t);
}

/* Some inputs are made large, as in trained models, without changing what the layer computes. */
static void make_outliers(const nb_config *c, const nb_parts *parts, nb_fold *f) {
  const nb_layer *l = &f->layer;
  for (size_t k = 0; k < c->hidden; k += 29) {
    ((float *)(uintptr_t)l->vec[NB_ATTN_NORM])[k] *= 30, ((float *)(uintptr_t)l->vec[NB_FFN_NORM])[k] *= 30;
    for (size_t s = 0; s < parts->per_layer; s++)
      if (nb_parts_matrix(parts, s)->site == NB_SITE_ATTN || nb_parts_matrix(parts, s)->site == NB_SITE_FFN)
        for (size_t i = 0; i < l->w[s].N; i++) ((float *)(uintptr_t)l->w[s].dense.data)[i * c->hidden + k] *= 1.0f / 30;
  }
}

/* Folds the scales of all sites of all layers of a model, for matrices coded as forms say. */
static void fold_all(const char *path, const nb_fold_forms *forms) {
  fixture x;
  nb_fold f;
  CHECK_OK(open_fixture(&x, path));
  bool all[NB_SITES] = {false};
  for (size_t l = 0; l < x.c.layers; l++) {
    CHECK_OK(nb_fold_create(&x.c, &x.w.parts, &x.w.layer[l], &f, &err));
    make_outliers(&x.c, &x.w.parts, &f);
    float *before = run(&x, &f.layer);
    for (size_t s = 0; s < NB_SITES; s++) {
      CHECK(nb_fold_legal(&x.c, s));
      const nb_fold_inputs in = {x.H[s], T, NULL, 0};
      CHECK_OK(nb_fold_scale(&f, nb_session_kernels(x.s), s, &in, forms, 2, &err));
      x.H[s] = NULL; /* taken over */
    }
    float *after = run(&x, &f.layer);
    CHECK_MSG(distance(before, after, T * x.c.hidden) < 1e-5, "%g", distance(before, after, T * x.c.hidden));
    CHECK_MSG(f.power[NB_SITE_ATTN] > 0 && f.power[NB_SITE_FFN] > 0, "layer %zu", l);
    for (int i = 0; i < NB_SITES; i++) all[i] |= f.power[i] > 0;
    nb_free(before), nb_free(after);
    nb_fold_free(&f);
  }
  for (int i = 0; i < NB_SITES; i++) CHECK_MSG(all[i], "site %d was never scaled", i);
  close_fixture(&x);
}

TEST(scales_change_no_output_and_help_rounding) {
  nb_qfmt fmt[16];
  const nb_ggml_type *blocks[16];
  for (int s = 0; s < 16; s++) {
    CHECK_OK(nb_qfmt_parse("u3g64", &fmt[s], &err));
    blocks[s] = nb_ggml_find(NB_GGML_Q4_0);
  }
  fold_all("tests/golden/model/gqa_f16", &(nb_fold_forms){fmt, NULL, false});
  fold_all("tests/golden/model/sharded", &(nb_fold_forms){NULL, blocks, true});
}

/* Inputs of a head of which few are large, as H and as rows. */
static float *outlying(size_t n, size_t K, float **H) {
  float *x = nb_alloc(n * K, 4);
  *H = nb_alloc(K * K, 4);
  draw_from(7);
  for (size_t i = 0; i < n * K; i++) x[i] = gauss() * (i % K % 61 == 5 ? 40 : 1);
  for (size_t t = 0; t < n; t++)
    for (size_t i = 0; i < K; i++)
      for (size_t k = 0; k <= i; k++) (*H)[i * K + k] += x[t * K + i] * x[t * K + k];
  return x;
}

/* Mean square of what int8 leaves of a matrix's outputs for inputs x / s. */
static double lost(const nb_kernels *k, const float *x, const float *w, const float *s, size_t n, size_t N, size_t K) {
  float *in = nb_alloc(2 * K, 4), *scale = nb_alloc(K, 4);
  int8_t *q = nb_alloc(2 * K, 1);
  int32_t *sum = nb_alloc(K, 4);
  double total = 0;
  for (size_t t = 0; t < n; t++) {
    for (size_t i = 0; i < K; i++) in[i] = x[t * K + i] / s[i];
    nb_kernels_round_q8(k, in, K, q, scale, sum, in + K);
    for (size_t r = 0; r < N; r++) {
      double y = 0;
      for (size_t i = 0; i < K; i++) y += (double)w[r * K + i] * s[i] * (in[i] - in[K + i]);
      total += y * y / (double)n;
    }
  }
  nb_free(in), nb_free(scale), nb_free(q), nb_free(sum);
  return total;
}

TEST(scales_spare_inputs_that_are_rounded_beside_large_ones) {
  enum { N = 96, K = 256, SEEN = 64 };
  const nb_kernels k = nb_kernels_select(nb_cpu_detect());
  float *w = nb_alloc(N * K, 4), s[K], one[K], *H;
  float *x = outlying(SEEN, K, &H);
  for (size_t i = 0; i < N * K; i++) w[i] = gauss();
  const nb_tensor t = {.dtype = NB_F32, .n_dims = 2, .shape = {N, K}, .data = w, .n_bytes = N * K * 4};
  const nb_linear head = nb_linear_dense(&t);
  nb_qfmt fmt;
  CHECK_OK(nb_qfmt_parse("u8g64", &fmt, &err)); /* its own rounding hardly counts */
  const nb_fold_inputs in = {H, SEEN, x, SEEN};
  CHECK_OK(nb_fold_head(&k, &in, &head, &(nb_fold_forms){&fmt, NULL, false}, 2, s, &err));
  for (size_t i = 0; i < K; i++) one[i] = 1;
  double before = lost(&k, x, w, one, SEEN, N, K), after = lost(&k, x, w, s, SEEN, N, K);
  CHECK_MSG(after < 0.3 * before, "%g before, %g after", before, after);
  nb_free(w), nb_free(x);
}

int main(void) {
  RUN(scales_change_no_output_and_help_rounding);
  RUN(scales_spare_inputs_that_are_rounded_beside_large_ones);
  return test_end();
}
