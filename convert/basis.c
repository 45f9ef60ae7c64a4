/* SPDX-License-Identifier: MIT */
#include "convert/basis.h"

#include "quant/fold.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

typedef struct job {
  const nb_config *c;
  const nb_weights *a, *b;
  const basis *basis;
  float *rows; /* two rows a thread */
} job;

/* A layer's factors, one after another. */
typedef struct layer_factors {
  float *qkv, *gate_up; /* (D) columns */
  float *v, *up;        /* (kv_heads * head_dim), (F) rows */
  float *o, *down;      /* (heads * head_dim), (F) columns */
} layer_factors;

static size_t n_factors(const nb_config *c) {
  return 2 * c->hidden + (c->kv_heads + c->heads) * c->head_dim + 2 * c->ffn;
}

static layer_factors factors_at(const nb_config *c, float *p) {
  layer_factors f = {.qkv = p, .gate_up = p + c->hidden, .v = p + 2 * c->hidden};
  f.up = f.v + c->kv_heads * c->head_dim, f.down = f.up + c->ffn, f.o = f.down + c->ffn;
  return f;
}

static bool same_norms(const nb_config *c, const nb_weights *a, const nb_weights *b) {
  size_t bytes = c->hidden * sizeof(float);
  for (size_t l = 0; l < c->layers; l++)
    if (memcmp(a->layer[l].attn_norm, b->layer[l].attn_norm, bytes) ||
        memcmp(a->layer[l].ffn_norm, b->layer[l].ffn_norm, bytes))
      return false;
  return true;
}

/* The factors of columns whose inputs the norms scale. A norm of 0 hides its column. */
static void columns(const float *a, const float *b, size_t D, float *out) {
  for (size_t k = 0; k < D; k++) out[k] = a[k] != 0 && isfinite(b[k] / a[k]) ? b[k] / a[k] : 1;
}

/* The factors of rows of b that are nearly multiples of a's. */
static void rows(const nb_linear *a, const nb_linear *b, const nb_basis_factors *f, float *x, float *out) {
  float *y = x + a->K;
  for (size_t n = 0; n < a->N; n++) {
    double ab = 0, aa = 0, bb = 0;
    nb_linear_row(a, n, x);
    nb_linear_row(b, n, y);
    for (size_t k = 0; k < a->K; k++) {
      double v = (double)y[k] * f->col[k];
      ab += x[k] * v, aa += (double)x[k] * x[k], bb += v * v;
    }
    float r = (float)(aa / ab);
    out[n] = ab > 0 && ab * ab > 0.5 * aa * bb && isfinite(r) ? r : 1;
  }
}

static void layer_range(void *ctx, size_t begin, size_t end, int thread) {
  job *j = ctx;
  const nb_config *c = j->c;
  float *x = j->rows + (size_t)thread * 2 * c->hidden;
  for (size_t l = begin; l < end; l++) {
    const nb_layer *a = &j->a->layer[l], *b = &j->b->layer[l];
    nb_basis_factors *slot = j->basis->slot + l * NB_SLOTS;
    layer_factors f = factors_at(c, j->basis->own + l * n_factors(c));
    columns(a->attn_norm, b->attn_norm, c->hidden, f.qkv);
    columns(a->ffn_norm, b->ffn_norm, c->hidden, f.gate_up);
    slot[NB_Q].col = slot[NB_K].col = slot[NB_V].col = f.qkv;
    slot[NB_GATE].col = slot[NB_UP].col = f.gate_up;
    rows(&a->w[NB_V], &b->w[NB_V], &slot[NB_V], x, f.v);
    rows(&a->w[NB_UP], &b->w[NB_UP], &slot[NB_UP], x, f.up);
    slot[NB_V].row = f.v, slot[NB_UP].row = f.up, slot[NB_O].col = f.o, slot[NB_DOWN].col = f.down;
    for (size_t k = 0; k < c->ffn; k++) f.down[k] = 1 / f.up[k];
    for (size_t k = 0; k < c->heads * c->head_dim; k++) f.o[k] = 1 / f.v[nb_fold_channel(c, NB_TAP_O, k)];
  }
}

nb_status nb_basis_between(const nb_config *c, const nb_weights *a, const nb_weights *b, int threads, basis *out,
                           nb_err *err) {
  nb_status st;
  job j = {c, a, b, out, NULL};
  memset(out, 0, sizeof *out);
  NB_GOTO(nb_new(&out->slot, c->layers * NB_SLOTS, sizeof *out->slot, "the basis", err));
  if (same_norms(c, a, b)) return NB_OK;
  NB_GOTO(nb_new(&out->own, c->layers * n_factors(c), sizeof *out->own, "the basis", err));
  NB_GOTO(nb_new(&j.rows, (size_t)threads * 2 * c->hidden, sizeof *j.rows, "the basis", err));
  nb_parallel_for(threads, c->layers, 1, layer_range, &j);
fail:
  nb_free(j.rows);
  if (st != NB_OK) nb_basis_free(out);
  return st;
}

void nb_basis_free(basis *b) {
  nb_free(b->slot);
  nb_free(b->own);
  memset(b, 0, sizeof *b);
}

void nb_basis_apply(const nb_basis_factors *f, size_t n, size_t K, float *row) {
  float scale = f->row ? f->row[n] : 1;
  if (f->row || f->col)
    for (size_t k = 0; k < K; k++) row[k] *= scale * (f->col ? f->col[k] : 1);
}
