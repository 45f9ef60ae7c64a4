/* SPDX-License-Identifier: MIT */
/* The tensor names of Phi3ForCausalLM, and how its fused matrices divide into slices. Another architecture is
 * another file like this one. */
#include "base/mem.h"
#include "model/weights.h"

#include <stdio.h>
#include <string.h>

static nb_status find_matrix(const nb_tensor_source *src, const char *name, size_t N, size_t K, nb_tensor *t,
                             nb_err *err) {
  NB_TRY(src->find(src->ctx, name, t, err));
  if (t->n_dims != 2 || t->shape[0] != N || t->shape[1] != K)
    return nb_fail(err, NB_ERR_FORMAT, "tensor %s has shape (%zu%s%.0zu), but config.json makes it (%zu, %zu)", name,
                   t->shape[0], t->n_dims > 1 ? ", " : "", t->n_dims > 1 ? t->shape[1] : 0, N, K);
  return NB_OK;
}

/* Rows [row0, row0 + n) of a matrix. */
static nb_linear rows(const nb_tensor *t, size_t row0, size_t n) {
  nb_tensor part = *t;
  size_t row_bytes = t->shape[1] * nb_dtype_bytes(t->dtype);
  part.data = (const char *)t->data + row0 * row_bytes;
  part.shape[0] = n;
  part.n_bytes = n * row_bytes;
  return nb_linear_dense(&part);
}

static const char *const matrix_name[NB_SLOTS] = {"self_attn.qkv_proj", "self_attn.qkv_proj", "self_attn.qkv_proj",
                                                  "self_attn.o_proj",   "mlp.gate_up_proj",   "mlp.gate_up_proj",
                                                  "mlp.down_proj"};
static const char *const norm_name[] = {"input_layernorm", "post_attention_layernorm"};

static nb_status slot(void *ctx, const nb_config *c, size_t layer, nb_slot s, nb_linear *out, nb_err *err) {
  size_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim, N, K, row0 = 0, fused;
  nb_slot_shape(c, s, &N, &K);
  fused = N;
  if (s <= NB_V) fused = q + 2 * kv, row0 = s == NB_Q ? 0 : s == NB_K ? q : q + kv;
  if (s == NB_GATE || s == NB_UP) fused = 2 * c->ffn, row0 = s == NB_UP ? c->ffn : 0;
  char name[96];
  snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, matrix_name[s]);
  nb_tensor t;
  NB_TRY(find_matrix(ctx, name, fused, K, &t, err));
  *out = rows(&t, row0, N);
  return NB_OK;
}

static nb_status vocab(void *ctx, const nb_config *c, bool head, nb_linear *out, nb_err *err) {
  nb_tensor t;
  const char *name = head ? "lm_head.weight" : "model.embed_tokens.weight";
  NB_TRY(find_matrix(ctx, name, c->vocab, c->hidden, &t, err));
  *out = nb_linear_dense(&t);
  return NB_OK;
}

static nb_status norm(void *ctx, const nb_config *c, size_t layer, int which, nb_tensor *out, nb_err *err) {
  const nb_tensor_source *src = ctx;
  char name[96] = "model.norm.weight";
  if (which < 2) snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, norm_name[which]);
  NB_TRY(src->find(src->ctx, name, out, err));
  if (out->n_dims != 1 || out->shape[0] != c->hidden)
    return nb_fail(err, NB_ERR_FORMAT, "tensor %s has %zu elements, but config.json makes it %zu", name, out->shape[0],
                   c->hidden);
  return NB_OK;
}

/* Whether name is "PREFIX" "middle" ".weight". */
static bool is_weight(const char *name, const char *prefix, const char *middle) {
  size_t p = strlen(prefix), m = strlen(middle);
  return !strncmp(name, prefix, p) && !strncmp(name + p, middle, m) && !strcmp(name + p + m, ".weight");
}

bool nb_phi3_knows(const nb_config *c, const char *name) {
  size_t layer = 0;
  char prefix[48];
  if (is_weight(name, "", "model.embed_tokens") || is_weight(name, "", "model.norm") || is_weight(name, "", "lm_head"))
    return true;
  for (const char *p = name + strcspn(name, "0123456789"); *p >= '0' && *p <= '9' && layer < c->layers; p++)
    layer = 10 * layer + (size_t)(*p - '0');
  if (layer >= c->layers) return false;
  snprintf(prefix, sizeof prefix, "model.layers.%zu.", layer);
  for (int s = 0; s < NB_SLOTS; s++)
    if (is_weight(name, prefix, matrix_name[s])) return true;
  return is_weight(name, prefix, norm_name[0]) || is_weight(name, prefix, norm_name[1]);
}

void nb_phi3_source(const nb_tensor_source *tensors, nb_weight_source *src) {
  src->slot = slot;
  src->vocab = vocab;
  src->norm = norm;
  src->ctx = (void *)(uintptr_t)tensors;
}
