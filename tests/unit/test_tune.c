/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "quant/backward.h"
#include "quant/calib.h"
#include "base/cpu.h"
#include "quant/fold.h"
#include "base/mem.h"
#include "formats/open.h"
#include "quant/tune.h"

static nb_err err;

enum { T = 40, SEQS = 8 };

typedef struct fixture {
  nb_model m;
  nb_opened checkpoint;
  nb_session *s;
  nb_kv *kv;
  int32_t text[T * SEQS];
  float *x, *sign; /* (T, D): a layer's input; what the outputs are weighted with to make a loss */
} fixture;

static uint32_t state;
static float noise(void) { return (float)((state = state * 1664525u + 1013904223u) >> 8) / (float)(1 << 23) - 1; }

static nb_status open_fixture(fixture *f) {
  memset(f, 0, sizeof *f);
  nb_session_opts so = {.threads = 1, .max_tokens = T, .cpu_features = nb_cpu_detect()};
  NB_TRY(nb_open("tests/golden/model/gqa_f16", NB_OPEN_NO_TOKENIZER, 1, &f->checkpoint, &err));
  f->m = f->checkpoint.model;
  NB_TRY(nb_session_create(&f->m.config, &so, &f->s, &err));
  NB_TRY(nb_kv_create_layers(&f->m.config, 1, T, NB_KV_F32, 0, &f->kv, &err));
  size_t n = T * f->m.config.hidden;
  f->x = nb_alloc(n, 4), f->sign = nb_alloc(n, 4);
  for (size_t i = 0; i < n; i++) f->x[i] = noise(), f->sign[i] = noise();
  for (int i = 0; i < T * SEQS; i++) f->text[i] = (i * 37 + 11 + i / T * 5) % (int32_t)f->m.config.vocab;
  return NB_OK;
}

static void close_fixture(fixture *f) {
  nb_free(f->x), nb_free(f->sign);
  nb_kv_free(f->kv);
  nb_session_free(f->s);
  nb_opened_free(&f->checkpoint);
}

/* ---- gradients against differences of the forward pass ---- */

/* The sum of sign * output of a layer, by the forward pass. */
static double layer_loss(fixture *f, const nb_layer *l) {
  size_t n = T * f->m.config.hidden;
  float *y = nb_alloc(n, 4);
  nb_segment seg = {f->kv, f->text, T};
  double sum = 0;
  memcpy(y, f->x, n * sizeof *y);
  if (nb_session_begin(f->s, &seg, 1, &err) != NB_OK || nb_session_layer(f->s, l, 0, y, NULL, &err) != NB_OK) sum = NAN;
  for (size_t i = 0; i < n; i++) sum += (double)f->sign[i] * y[i];
  nb_free(y);
  return sum;
}

/* Values and their gradients. */
typedef struct slope {
  const float *v; /* (n, count) */
  const float *g; /* (n) of each `count` values in a row together */
  size_t n, count;
  bool factor; /* g is of a factor on them, at factor 1; else of what is added to them */
} slope;

/* The loss with the values moved along their gradient by `by`. */
static double moved(fixture *f, const nb_layer *l, const slope *s, float by) {
  size_t n = s->n * s->count;
  float *old = nb_alloc(n, 4), *v = (float *)(uintptr_t)s->v;
  memcpy(old, v, n * sizeof *v);
  for (size_t i = 0; i < n; i++) {
    float step = by * s->g[i / s->count];
    v[i] = s->factor ? old[i] * (1 + step) : old[i] + step;
  }
  double loss = layer_loss(f, l);
  memcpy(v, old, n * sizeof *v);
  nb_free(old);
  return loss;
}

static void check_gradient(fixture *f, const nb_layer *l, const char *what, slope s) {
  double square = 0;
  for (size_t i = 0; i < s.n; i++) square += (double)s.g[i] * s.g[i];
  CHECK_MSG(square > 0, "%s: no gradient", what);
  float by = (float)(1e-2 / sqrt(square));
  double got = (moved(f, l, &s, by) - moved(f, l, &s, -by)) / (2 * by);
  CHECK_MSG(fabs(got / square - 1) < 2e-3, "%s: the slope along the gradient is %g, not %g", what, got, square);
}

TEST(gradients_are_the_slopes_of_the_forward_pass) {
  fixture f;
  CHECK_OK(open_fixture(&f));
  size_t D = f.m.config.hidden;
  for (size_t at = 0; at < f.m.config.layers; at++) {
    nb_fold copy;
    nb_backward *b;
    CHECK_OK(nb_fold_create(&f.m.config, &f.m.weights.parts, &f.m.weights.layer[at], &copy, &err));
    CHECK_OK(nb_backward_create(&f.m.config, T, 2, nb_cpu_detect(), &b, &err));
    float *rows[16];
    nb_layer_grad g = {.attn_norm = nb_alloc(D, 4), .ffn_norm = nb_alloc(D, 4), .row = rows};
    const nb_parts *parts = &f.m.weights.parts;
    for (size_t s = 0; s < parts->per_layer; s++) g.row[s] = nb_alloc(copy.layer.w[s].N, 4);
    float *dx = nb_alloc(T * D, 4);
    memcpy(dx, f.sign, T * D * sizeof *dx);
    CHECK_OK(nb_backward_layer(b, &copy.layer, f.x, dx, &g, &err));
    check_gradient(&f, &copy.layer, "attn_norm", (slope){copy.layer.vec[NB_ATTN_NORM], g.attn_norm, D, 1, false});
    check_gradient(&f, &copy.layer, "ffn_norm", (slope){copy.layer.vec[NB_FFN_NORM], g.ffn_norm, D, 1, false});
    check_gradient(&f, &copy.layer, "the input", (slope){f.x, dx, T * D, 1, false});
    for (size_t s = 0; s < parts->per_layer; s++) {
      const nb_linear *w = &copy.layer.w[s];
      check_gradient(&f, &copy.layer, nb_role_name(nb_parts_matrix(parts, s)->role),
                     (slope){w->dense.data, g.row[s], w->N, w->K, true});
      nb_free(g.row[s]);
    }
    nb_free(g.attn_norm), nb_free(g.ffn_norm), nb_free(dx);
    nb_backward_free(b);
    nb_fold_free(&copy);
  }
  close_fixture(&f);
}

/* What is seen of a layer: its matrices' inputs by site, and the gradients at their outputs. */
typedef struct seen {
  float *x[NB_SITES], *dy[16];
  size_t n; /* matrices */
} seen;

static void see_inputs(void *ctx, size_t site, const float *x, size_t n, size_t K) {
  seen *s = ctx;
  s->x[site] = memcpy(nb_alloc(n * K, 4), x, n * K * sizeof *x);
}

static void see_outputs(void *ctx, size_t i, const float *dy, size_t N, size_t ld) {
  seen *s = ctx;
  s->dy[i] = nb_alloc(T * N, 4);
  for (size_t t = 0; t < T; t++) memcpy(s->dy[i] + t * N, dy + t * ld, N * sizeof *dy);
  s->n++;
}

/* With the gradient by each row's factor, which is a slope of the forward pass (above), comes that by each output: the
 * sum over tokens of the two is the same. From o's alone come those of q, k and v. */
TEST(gradients_at_the_outputs_of_matrices) {
  fixture f;
  CHECK_OK(open_fixture(&f));
  const nb_layer *l = &f.m.weights.layer[0];
  const nb_parts *parts = &f.m.weights.parts;
  size_t D = f.m.config.hidden, ld;
  nb_backward *b;
  seen s = {.n = 0};
  const nb_tap tap = {see_inputs, &s};
  float *rows[16] = {0}, *y = memcpy(nb_alloc(T * D, 4), f.x, T * D * 4),
        *dx = memcpy(nb_alloc(T * D, 4), f.sign, T * D * 4);
  nb_segment seg = {f.kv, f.text, T};
  CHECK_OK(nb_session_begin(f.s, &seg, 1, &err));
  CHECK_OK(nb_session_layer(f.s, l, 0, y, &tap, &err));
  CHECK_OK(nb_backward_create(&f.m.config, T, 2, nb_cpu_detect(), &b, &err));
  for (size_t i = 0; i < parts->per_layer; i++) rows[i] = nb_alloc(l->w[i].N, 4);
  nb_layer_grad g = {.row = rows, .outputs = see_outputs, .ctx = &s};
  CHECK_OK(nb_backward_layer(b, l, f.x, dx, &g, &err));
  CHECK(s.n == parts->per_layer);
  for (size_t i = 0; i < parts->per_layer; i++) {
    const nb_part *p = nb_parts_matrix(parts, i);
    float *w = nb_alloc(p->K, 4);
    double error = 0, size = 0;
    for (size_t n = 0; n < p->N; n++) {
      double sum = 0;
      nb_linear_row(&l->w[i], n, w);
      for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < p->K; k++) sum += (double)s.dy[i][t * p->N + n] * w[k] * s.x[p->site][t * p->K + k];
      error += (sum - rows[i][n]) * (sum - rows[i][n]), size += sum * sum;
    }
    CHECK_MSG(size > 0 && error < 1e-6 * size, "%s: off by %g of %g", nb_role_name(p->role), sqrt(error), sqrt(size));
    nb_free(w);
  }
  nb_backward_enter(b, l, f.x);
  const float *qkv = nb_backward_qkv(b, l, s.dy[nb_layer_index(&f.m.config, NB_O, 0)], &ld);
  for (size_t i = 0; i < 3; i++) {
    static const nb_role roles[] = {NB_Q, NB_K, NB_V};
    size_t at = nb_layer_index(&f.m.config, roles[i], 0), N = l->w[at].N;
    for (size_t t = 0; t < T; t++) CHECK(!memcmp(qkv + t * ld, s.dy[at] + t * N, N * sizeof *qkv));
    qkv += N;
  }
  for (size_t i = 0; i < 16; i++) nb_free(rows[i]), nb_free(s.dy[i]);
  for (size_t i = 0; i < NB_SITES; i++) nb_free(s.x[i]);
  nb_free(y), nb_free(dx);
  nb_backward_free(b);
  close_fixture(&f);
}

/* ---- tuning ---- */

typedef struct coded {
  nb_model m;
  nb_layer layer[8];
  nb_linear w[64];
  void *data[64];
  size_t n;
} coded;

static nb_status keep(void *ctx, const nb_quantized *q, nb_err *e) {
  coded *c = ctx;
  nb_linear *w = &c->w[q->matrix];
  nb_qfmt fmt = {(uint8_t)(q->matrix < c->m.weights.parts.embed ? 3 : 6), 0, 64};
  void *p = c->data[c->n++] = nb_alloc(q->n_bytes, 1);
  memcpy(p, q->data, q->n_bytes);
  w->coded = true;
  return nb_qmat_view(w->N, w->K, fmt, p, q->n_bytes, &w->qmat, e);
}

/* The model at 3 bits. */
static nb_status code(fixture *f, coded *c) {
  nb_qfmt formats[64];
  const nb_parts *parts = &f->m.weights.parts;
  memset(c, 0, sizeof *c);
  c->m = f->m;
  memcpy(c->w, f->m.weights.w, parts->n_matrices * sizeof *c->w);
  for (size_t l = 0; l < f->m.config.layers; l++) {
    c->layer[l] = f->m.weights.layer[l];
    c->layer[l].w = c->w + nb_parts_first(parts, l);
  }
  c->m.weights.layer = c->layer, c->m.weights.w = c->w;
  for (size_t i = 0; i < 64; i++) formats[i] = (nb_qfmt){i < parts->embed ? 3 : 6, 0, 64};
  nb_calib_opts o = {.threads = 1, .cpu_features = nb_cpu_detect(), .put = keep, .ctx = c};
  return nb_calib_fast(&f->m.weights, formats, 1, &o, &err);
}

TEST(tuning_lessens_the_divergence_and_repeats) {
  fixture f;
  coded c;
  nb_tuned one, three, longer;
  CHECK_OK(open_fixture(&f));
  CHECK_OK(code(&f, &c));
  nb_tune_opts o = {.tokens = f.text,
                    .n_seqs = SEQS,
                    .seq_len = T,
                    .n_check = 2,
                    .batch = 2,
                    .max_steps = 30,
                    .rate = 3e-3,
                    .threads = 1,
                    .cpu_features = nb_cpu_detect()};
  CHECK_OK(nb_tune(&f.m, &c.m, &o, &one, &err));
  CHECK_MSG(one.after < 0.95 * one.before && one.kept > 0, "%g, before %g", one.after, one.before);
  o.threads = 3;
  CHECK_OK(nb_tune(&f.m, &c.m, &o, &three, &err));
  size_t D = f.m.config.hidden, last = f.m.weights.parts.embed - 1;
  CHECK(!memcmp(one.vectors, three.vectors, (2 * f.m.config.layers + 1) * D * sizeof(float)));
  CHECK(!memcmp(one.row_scale, three.row_scale, (one.row_at[last] + D) * sizeof(uint16_t)));
  /* A limit by time is repeated by the number of steps that it allowed. */
  o.max_steps = 0, o.max_seconds = 1e-9;
  CHECK_OK(nb_tune(&f.m, &c.m, &o, &longer, &err));
  CHECK(longer.steps == 1);
  nb_tuned_free(&three);
  o.max_steps = 1, o.max_seconds = 0;
  CHECK_OK(nb_tune(&f.m, &c.m, &o, &three, &err));
  CHECK(!memcmp(longer.vectors, three.vectors, (2 * f.m.config.layers + 1) * D * sizeof(float)));
  nb_tuned_free(&one), nb_tuned_free(&three), nb_tuned_free(&longer);
  /* A rate that harms everything: what there was is kept. */
  o.rate = 10, o.max_steps = 4;
  CHECK_OK(nb_tune(&f.m, &c.m, &o, &one, &err));
  CHECK(one.kept == 0 && one.after == one.before);
  CHECK(!memcmp(one.vectors, f.m.weights.vectors, (2 * f.m.config.layers + 1) * D * sizeof(float)));
  nb_tuned_free(&one);
  o.n_check = SEQS;
  CHECK(nb_tune(&f.m, &c.m, &o, &one, &err) == NB_ERR_ARG);
  for (size_t i = 0; i < c.n; i++) nb_free(c.data[i]);
  close_fixture(&f);
}

int main(void) {
  state = (uint32_t)test_seed(1);
  RUN(gradients_are_the_slopes_of_the_forward_pass);
  RUN(gradients_at_the_outputs_of_matrices);
  RUN(tuning_lessens_the_divergence_and_repeats);
  return test_end();
}
