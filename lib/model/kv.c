/* SPDX-License-Identifier: MIT */
#include "model/kv_impl.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

static nb_status create(const nb_kv *shape, nb_kv **out, nb_err *err) {
  nb_status st;
  nb_kv *kv = NULL;
  size_t blocks, heads;
  *out = NULL;
  NB_GOTO(nb_new(&kv, 1, sizeof *kv, "a cache", err));
  *kv = *shape;
  kv->block_bytes = nb_kv_block_bytes(kv->type, kv->head_dim);
  nb_assert(kv->layers && kv->kv_heads && kv->head_dim <= NB_MAX_HEAD_DIM && kv->type < NB_KV_TYPES);
  nb_assert(kv->capacity > kv->n_shared * NB_KV_BLOCK && kv->length <= kv->capacity);
  kv->n_own = (kv->capacity + NB_KV_BLOCK - 1) / NB_KV_BLOCK - kv->n_shared;
  if (!nb_mul(kv->layers, kv->kv_heads, &heads) || !nb_mul(heads, kv->n_own, &blocks)) blocks = SIZE_MAX;
  kv->data = nb_alloc(blocks, kv->block_bytes);
  if (!kv->data) {
    st = nb_fail(err, NB_ERR_MEMORY, "out of memory: a cache of %zu tokens needs %zu x %zu bytes", kv->capacity, blocks,
                 kv->block_bytes);
    goto fail;
  }
  *out = kv;
  return NB_OK;
fail:
  nb_free(kv);
  return st;
}

nb_status nb_kv_create_layers(const nb_config *c, size_t layers, size_t capacity, nb_kv_type type, size_t stretch,
                              nb_kv **out, nb_err *err) {
  *out = NULL;
  if (capacity == 0 || capacity > NB_MAX_POSITION)
    return nb_fail(err, NB_ERR_ARG, "a cache of %zu tokens is out of range (1 to %d)", capacity, NB_MAX_POSITION);
  nb_kv shape = {.layers = layers,
                 .kv_heads = c->kv_heads,
                 .head_dim = c->head_dim,
                 .type = type,
                 .stretch = stretch,
                 .capacity = capacity};
  return create(&shape, out, err);
}

nb_status nb_kv_create(const nb_config *c, size_t capacity, nb_kv_type type, size_t stretch, nb_kv **out, nb_err *err) {
  return nb_kv_create_layers(c, c->layers, capacity, type, stretch, out, err);
}

nb_status nb_kv_fork(const nb_kv *parent, size_t length, size_t capacity, nb_kv **out, nb_err *err) {
  *out = NULL;
  if (parent->parent) return nb_fail(err, NB_ERR_ARG, "a forked cache cannot be forked again");
  if (length > parent->length || capacity <= length || capacity > NB_MAX_POSITION)
    return nb_fail(err, NB_ERR_ARG, "a fork of %zu of %zu tokens with room for %zu is out of range", length,
                   parent->length, capacity);
  nb_kv shape = *parent;
  shape.parent = parent;
  shape.capacity = capacity;
  shape.length = shape.fork_length = length;
  shape.n_shared = length / NB_KV_BLOCK;
  NB_TRY(create(&shape, out, err));
  if (length % NB_KV_BLOCK == 0) return NB_OK;
  for (size_t l = 0; l < parent->layers; l++) /* the block that is shared in part */
    for (size_t h = 0; h < parent->kv_heads; h++)
      memcpy(nb_kv_own(*out, l, h), nb_kv_own(parent, l, h) + shape.n_shared * parent->block_bytes,
             parent->block_bytes);
  return NB_OK;
}

nb_status nb_kv_copy(const nb_kv *from, size_t length, size_t capacity, nb_kv **out, nb_err *err) {
  *out = NULL;
  if (length > from->length || capacity < length || capacity == 0 || capacity > NB_MAX_POSITION)
    return nb_fail(err, NB_ERR_ARG, "a copy of %zu of %zu tokens with room for %zu is out of range", length,
                   from->length, capacity);
  nb_kv shape = *from;
  shape.parent = NULL;
  shape.capacity = capacity;
  shape.length = length;
  shape.fork_length = shape.n_shared = 0;
  NB_TRY(create(&shape, out, err));
  size_t blocks = (length + NB_KV_BLOCK - 1) / NB_KV_BLOCK, shared = nb_min(blocks, from->n_shared);
  for (size_t l = 0; l < from->layers; l++)
    for (size_t h = 0; h < from->kv_heads; h++) {
      uint8_t *to = nb_kv_own(*out, l, h);
      if (shared) memcpy(to, nb_kv_own(from->parent, l, h), shared * from->block_bytes);
      memcpy(to + shared * from->block_bytes, nb_kv_own(from, l, h), (blocks - shared) * from->block_bytes);
    }
  return NB_OK;
}

void nb_kv_free(nb_kv *kv) {
  if (!kv) return;
  nb_free(kv->data);
  nb_free(kv);
}

void nb_kv_clear(nb_kv *kv) {
  kv->length = kv->fork_length;
  memset(kv->data, 0, kv->layers * kv->kv_heads * kv->n_own * kv->block_bytes);
}

size_t nb_kv_length(const nb_kv *kv) { return kv->length; }
size_t nb_kv_capacity(const nb_kv *kv) { return kv->capacity; }
void nb_kv_restretch(nb_kv *kv, size_t stretch) { kv->stretch = stretch; }

void nb_kv_truncate(nb_kv *kv, size_t length) {
  nb_assert(kv->fork_length <= kv->length && kv->length <= kv->capacity);
  if (length < kv->length) kv->length = nb_max(length, kv->fork_length);
}

size_t nb_kv_bytes(const nb_kv *kv) {
  size_t blocks = (kv->length + NB_KV_BLOCK - 1) / NB_KV_BLOCK;
  nb_assert(blocks <= kv->n_shared + kv->n_own);
  return (blocks > kv->n_shared ? blocks - kv->n_shared : 0) * kv->layers * kv->kv_heads * kv->block_bytes;
}

size_t nb_kv_need(const nb_config *c, size_t tokens, nb_kv_type type) {
  return (tokens + NB_KV_BLOCK - 1) / NB_KV_BLOCK * c->layers * c->kv_heads * nb_kv_block_bytes(type, c->head_dim);
}

nb_kv_type nb_kv_type_of(const nb_kv *kv) { return kv->type; }
size_t nb_kv_stretch(const nb_kv *kv) { return kv->stretch; }

/* ---- types by name ---- */

static const char *const kv_names[NB_KV_TYPES] = {"f32", "f16", "q16", "q8"};

const char *nb_kv_type_name(nb_kv_type t) {
  nb_assert(t < NB_KV_TYPES);
  return kv_names[t];
}

nb_status nb_kv_type_parse(const char *name, nb_kv_type *out, nb_err *err) {
  for (int i = 0; i < NB_KV_TYPES; i++)
    if (!strcmp(name, kv_names[i])) {
      *out = (nb_kv_type)i;
      return NB_OK;
    }
  return nb_fail(err, NB_ERR_ARG, "'%s' is not a cache type: f32, f16, q16 or q8", name);
}
