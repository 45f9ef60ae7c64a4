/* SPDX-License-Identifier: MIT */
#include "model/weights.h"

#include "base/f16.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

const char *nb_slot_name(nb_slot s) {
  static const char *const name[NB_SLOTS] = {"q", "k", "v", "o", "gate", "up", "down"};
  return name[s];
}

void nb_slot_shape(const nb_config *c, nb_slot s, size_t *N, size_t *K) {
  size_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
  switch (s) {
  case NB_Q: *N = q, *K = c->hidden; break;
  case NB_K:
  case NB_V: *N = kv, *K = c->hidden; break;
  case NB_O: *N = c->hidden, *K = q; break;
  case NB_GATE:
  case NB_UP: *N = c->ffn, *K = c->hidden; break;
  default: *N = c->hidden, *K = c->ffn; break;
  }
}

nb_linear nb_linear_dense(const nb_tensor *t) {
  nb_linear l = {.N = t->shape[0], .K = t->shape[1], .coded = false, .dense = *t};
  return l;
}

void nb_tensor_floats(const nb_tensor *t, size_t first, size_t n, float *out) {
  const uint8_t *p = (const uint8_t *)t->data + first * nb_dtype_bytes(t->dtype);
  if (t->dtype == NB_F32) {
    memcpy(out, p, n * sizeof *out);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    out[i] = t->dtype == NB_BF16 ? nb_bf16_f32(h) : nb_f16_f32(h);
  }
}

void nb_linear_row(const nb_linear *w, size_t n, float *out) {
  if (w->coded) nb_qmat_dequant_row(&w->qmat, n, out);
  else nb_tensor_floats(&w->dense, n * w->K, w->K, out);
}

static nb_status check_shape(const nb_linear *l, size_t N, size_t K, const char *what, nb_err *err) {
  if (l->N == N && l->K == K) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s is %zu x %zu, but the configuration makes it %zu x %zu", what, l->N, l->K, N,
                 K);
}

static nb_status bind_norm(const nb_config *c, const nb_weight_source *src, size_t layer, int which, float *out,
                           nb_err *err) {
  nb_tensor t;
  NB_TRY(src->norm(src->ctx, c, layer, which, &t, err));
  if (t.n_dims != 1 || t.shape[0] != c->hidden)
    return nb_fail(err, NB_ERR_FORMAT, "layer %zu: a norm weight has %zu elements, but hidden_size is %zu", layer,
                   t.shape[0], c->hidden);
  nb_tensor_floats(&t, 0, c->hidden, out);
  for (size_t i = 0; i < c->hidden; i++)
    if (!isfinite(out[i])) {
      static const char *const name[] = {"input norm", "post-attention norm"};
      if (which == 2) return nb_fail(err, NB_ERR_NUMERIC, "the final norm is NaN or infinite at element %zu", i);
      return nb_fail(err, NB_ERR_NUMERIC, "layer %zu: the %s is NaN or infinite at element %zu", layer, name[which], i);
    }
  return NB_OK;
}

nb_status nb_weights_bind_layer(const nb_config *c, const nb_weight_source *src, size_t layer, float *norms,
                                nb_layer *out, nb_err *err) {
  for (int s = 0; s < NB_SLOTS; s++) {
    size_t N, K;
    char what[48] = "layer's ";
    nb_slot_shape(c, (nb_slot)s, &N, &K);
    NB_TRY(src->slot(src->ctx, c, layer, (nb_slot)s, &out->w[s], err));
    strcat(what, nb_slot_name((nb_slot)s));
    nb_status st = check_shape(&out->w[s], N, K, what, err);
    if (st != NB_OK) return nb_fail_in(err, st, "layer %zu", layer);
  }
  out->number = layer;
  out->attn_norm = norms;
  out->ffn_norm = norms + c->hidden;
  NB_TRY(bind_norm(c, src, layer, 0, out->attn_norm, err));
  return bind_norm(c, src, layer, 1, out->ffn_norm, err);
}

nb_status nb_weights_bind(const nb_config *c, const nb_weight_source *src, nb_weights *out, nb_err *err) {
  nb_status st;
  memset(out, 0, sizeof *out);
  NB_GOTO(nb_new(&out->layer, c->layers, sizeof *out->layer, "the layers", err));
  NB_GOTO(nb_new(&out->norms, (2 * c->layers + 1) * c->hidden, sizeof(float), "the norms", err));
  NB_GOTO(src->vocab(src->ctx, c, false, &out->embed, err));
  NB_GOTO(check_shape(&out->embed, c->vocab, c->hidden, "the embedding", err));
  if (c->tie_embeddings) out->head = out->embed;
  else NB_GOTO(src->vocab(src->ctx, c, true, &out->head, err));
  NB_GOTO(check_shape(&out->head, c->vocab, c->hidden, "the head", err));
  for (size_t l = 0; l < c->layers; l++)
    NB_GOTO(nb_weights_bind_layer(c, src, l, out->norms + 2 * l * c->hidden, &out->layer[l], err));
  out->norm = out->norms + 2 * c->layers * c->hidden;
  NB_GOTO(bind_norm(c, src, 0, 2, out->norm, err));
  return NB_OK;
fail:
  nb_weights_free(out);
  return st;
}

void nb_weights_free(nb_weights *w) {
  nb_free(w->layer);
  nb_free(w->norms);
  memset(w, 0, sizeof *w);
}
