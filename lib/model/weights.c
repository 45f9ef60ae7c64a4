/* SPDX-License-Identifier: MIT */
#include "model/weights.h"

#include "base/assert.h"
#include "base/f16.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* ---- matrices ---- */

nb_linear nb_linear_dense(const nb_tensor *t) {
  nb_assert(t->n_dims == 2);
  nb_linear l = {.N = t->shape[0], .K = t->shape[1], .coded = false, .dense = *t};
  l.run = l.stride = l.N;
  return l;
}

const void *nb_linear_dense_row(const nb_linear *w, size_t n) {
  nb_assert(!w->coded && n < w->N && w->run > 0 && w->run <= w->stride);
  size_t row = n / w->run * w->stride + n % w->run;
  return (const uint8_t *)w->dense.data + row * nb_tensor_bytes(&w->dense, w->K);
}

/* n elements, stored at p as those of t are, as floats. */
static void to_floats(const nb_tensor *t, const void *p, size_t n, float *out) {
  const uint8_t *b = p;
  if (t->blocks) {
    nb_ggml_read(t->blocks, p, n, out);
    return;
  }
  if (t->dtype == NB_F32) {
    memcpy(out, p, n * sizeof *out);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, b + 2 * i, sizeof h);
    out[i] = t->dtype == NB_BF16 ? nb_bf16_f32(h) : nb_f16_f32(h);
  }
}

void nb_tensor_floats(const nb_tensor *t, size_t first, size_t n, float *out) {
  nb_assert(nb_tensor_bytes(t, first + n) <= t->n_bytes);
  nb_assert(!t->blocks || (first % t->blocks->block == 0 && n % t->blocks->block == 0));
  to_floats(t, (const uint8_t *)t->data + nb_tensor_bytes(t, first), n, out);
}

void nb_linear_row(const nb_linear *w, size_t n, float *out) {
  if (w->coded) nb_qmat_dequant_row(&w->qmat, n, out);
  else to_floats(&w->dense, nb_linear_dense_row(w, n), w->K, out);
}

/* ---- a layer's matrices ---- */

size_t nb_layer_index(const nb_config *c, nb_role role, size_t expert) {
  enum { ATTENTION = 4 }; /* q, k, v, o come first */
  size_t ffn = ATTENTION + (c->experts ? 1 + 3 * expert : 0), gate = c->gated ? 1 : 0;
  nb_assert(expert == 0 || expert < c->experts);
  nb_assert((role != NB_GATE || c->gated) && (role != NB_ROUTER || c->experts));
  switch (role) {
  case NB_Q: return 0;
  case NB_K: return 1;
  case NB_V: return 2;
  case NB_O: return 3;
  case NB_ROUTER: return ATTENTION;
  case NB_GATE: return ffn;
  case NB_UP: return ffn + gate;
  default: return ffn + gate + 1;
  }
}

void nb_layer_copy(const nb_parts *parts, const nb_layer *from, nb_linear *w, nb_layer *out) {
  memmove(w, from->w, parts->per_layer * sizeof *w);
  *out = *from;
  out->w = w;
}

/* ---- named tensors ---- */

/* Whether a stored shape is (rows, K), with the experts of one tensor as its first dimension. */
static bool fits(const nb_config *c, const nb_part *p, const nb_tensor *t, size_t rows, bool experts) {
  if (!p->matrix) return t->n_dims == 1 && t->shape[0] == rows;
  if (experts) return t->n_dims == 3 && t->shape[0] == c->experts && t->shape[1] == rows && t->shape[2] == p->K;
  return t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == p->K;
}

static nb_status wrong_shape(const char *name, const nb_tensor *t, size_t rows, const nb_part *p, nb_err *err) {
  if (!p->matrix)
    return nb_fail(err, NB_ERR_FORMAT, "tensor %s has %zu elements, but config.json makes it %zu", name, t->shape[0],
                   rows);
  return nb_fail(err, NB_ERR_FORMAT, "tensor %s has shape (%zu%s%.0zu), but config.json makes it (%zu, %zu)", name,
                 t->shape[0], t->n_dims > 1 ? ", " : "", t->n_dims > 1 ? t->shape[1] : 0, rows, p->K);
}

nb_status nb_weights_find(const nb_named_source *named, const nb_config *c, const nb_part *p, nb_tensor *out,
                          nb_row_map *rows, nb_err *err) {
  const nb_tensor_source *src = named->tensors;
  char name[128];
  nb_rows_of of;
  size_t k = 0;
  while (nb_arch_tensor_name(named->arch, p, k, name, &of) && !src->has(src->ctx, name)) k++;
  if (!nb_arch_tensor_name(named->arch, p, k, name, &of)) {
    k = 0; /* the first name is the one that is missed */
    if (!nb_arch_tensor_name(named->arch, p, 0, name, &of))
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s has no tensor %s: config.json and architecture do not agree",
                     named->arch->architecture, nb_role_name(p->role));
  }
  NB_TRY(src->find(src->ctx, name, out, err));
  *rows = nb_arch_rows(c, p, of);
  if (!fits(c, p, out, rows->stored, of == NB_ROWS_EXPERT || of == NB_ROWS_EXPERT_GATE_UP))
    return wrong_shape(name, out, rows->stored, p, err);
  return NB_OK;
}

static nb_status named_matrix(void *ctx, const nb_config *c, const nb_part *p, size_t i, nb_linear *out, nb_err *err) {
  nb_row_map rows;
  nb_tensor t;
  (void)i;
  NB_TRY(nb_weights_find(ctx, c, p, &t, &rows, err));
  *out = (nb_linear){.N = p->N, .K = p->K, .run = rows.run, .stride = rows.stride};
  size_t row_bytes = nb_tensor_bytes(&t, p->K);
  out->dense = (nb_tensor){.dtype = t.dtype,
                           .n_dims = 2,
                           .shape = {p->N, p->K, 1, 1},
                           .data = (const uint8_t *)t.data + rows.first * row_bytes,
                           .n_bytes = p->N * row_bytes,
                           .blocks = t.blocks};
  return NB_OK;
}

static nb_status named_vector(void *ctx, const nb_config *c, const nb_part *p, size_t i, float *out, nb_err *err) {
  const nb_named_source *named = ctx;
  nb_row_map rows;
  nb_tensor t;
  (void)i;
  NB_TRY(nb_weights_find(named, c, p, &t, &rows, err));
  for (size_t n = 0; n < p->K; n++)
    nb_tensor_floats(&t, rows.first + n / rows.run * rows.stride + n % rows.run, 1, out + n);
  bool norm = p->role < NB_ATTN_NORM_BIAS;
  if (norm && named->arch->norm_plus_one)
    for (size_t n = 0; n < p->K; n++) out[n] = 1.0f + out[n];
  return NB_OK;
}

void nb_weights_named(const nb_named_source *named, nb_weight_source *src) {
  *src = (nb_weight_source){named_matrix, named_vector, (void *)(uintptr_t)named};
}

/* ---- binding ---- */

static nb_status bind_matrix(const nb_config *c, const nb_weight_source *src, const nb_part *p, size_t i,
                             nb_linear *out, nb_err *err) {
  char what[64];
  NB_TRY(src->matrix(src->ctx, c, p, i, out, err));
  if (out->N == p->N && out->K == p->K) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s is %zu x %zu, but the configuration makes it %zu x %zu",
                 nb_part_describe(p, what), out->N, out->K, p->N, p->K);
}

static nb_status bind_vector(const nb_config *c, const nb_weight_source *src, const nb_part *p, size_t i, float *out,
                             nb_err *err) {
  char what[64];
  NB_TRY(src->vector(src->ctx, c, p, i, out, err));
  for (size_t k = 0; k < p->K; k++)
    if (!isfinite(out[k]))
      return nb_fail(err, NB_ERR_NUMERIC, "%s is NaN or infinite at element %zu", nb_part_describe(p, what), k);
  return NB_OK;
}

nb_status nb_weights_bind(const nb_config *c, const nb_weight_source *src, nb_weights *out, nb_err *err) {
  nb_status st;
  size_t floats = 0, at = 0;
  memset(out, 0, sizeof *out);
  NB_GOTO(nb_parts_create(c, &out->parts, err));
  const nb_parts *parts = &out->parts;
  for (size_t i = 0; i < parts->n; i++) floats += parts->part[i].matrix ? 0 : parts->part[i].K;
  NB_GOTO(nb_new(&out->w, parts->n_matrices, sizeof *out->w, "the matrices", err));
  NB_GOTO(nb_new(&out->layer, c->layers, sizeof *out->layer, "the layers", err));
  NB_GOTO(nb_new(&out->vectors, floats, sizeof(float), "the norms and biases", err));
  for (size_t m = 0; m < parts->n_matrices; m++)
    NB_GOTO(bind_matrix(c, src, nb_parts_matrix(parts, m), parts->matrix[m], &out->w[m], err));
  nb_assert(nb_parts_first(parts, c->layers) == parts->embed); /* behind the layers */
  for (size_t l = 0; l < c->layers; l++) out->layer[l].number = l, out->layer[l].w = out->w + nb_parts_first(parts, l);
  for (size_t i = 0; i < parts->n; i++) {
    const nb_part *p = &parts->part[i];
    if (p->matrix) continue;
    NB_GOTO(bind_vector(c, src, p, i, out->vectors + at, err));
    const float **of = p->layer >= 0 ? out->layer[p->layer].vec : out->vec;
    of[p->role] = out->vectors + at;
    at += p->K;
  }
  return NB_OK;
fail:
  nb_weights_free(out);
  return st;
}

void nb_weights_free(nb_weights *w) {
  nb_free(w->w);
  nb_free(w->layer);
  nb_free(w->vectors);
  nb_parts_free(&w->parts);
  memset(w, 0, sizeof *w);
}
