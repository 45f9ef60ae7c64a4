/* SPDX-License-Identifier: MIT */
/* Inside of a sequence's cache; see kv.h for what callers may do with it. */
#ifndef NB_KV_IMPL_H
#define NB_KV_IMPL_H

#include "model/kv.h"
#include "base/assert.h"

struct nb_kv {
  size_t layers, kv_heads, head_dim;
  nb_kv_type type;
  size_t stretch;  /* the rotary factors of its keys: nb_config_stretch */
  size_t capacity; /* tokens in all */
  size_t length;   /* tokens held, those of the parent included */
  size_t block_bytes;
  size_t n_own;       /* blocks that this cache owns, a layer and head */
  size_t n_shared;    /* whole blocks that are read from the parent */
  size_t fork_length; /* tokens that came from the parent; 0 without one */
  const nb_kv *parent;
  uint8_t *data; /* (layers, kv_heads, n_own, block_bytes) */
};

/* Blocks of a layer and head: those owned start at block n_shared. */
static inline uint8_t *nb_kv_own(const nb_kv *kv, size_t layer, size_t head) {
  nb_assert(layer < kv->layers && head < kv->kv_heads);
  return kv->data + (layer * kv->kv_heads + head) * kv->n_own * kv->block_bytes;
}

/* The owned block that holds position pos (pos >= n_shared * NB_KV_BLOCK). */
static inline uint8_t *nb_kv_block(const nb_kv *kv, size_t layer, size_t head, size_t pos) {
  nb_assert(pos < kv->capacity && pos / NB_KV_BLOCK >= kv->n_shared);
  return nb_kv_own(kv, layer, head) + (pos / NB_KV_BLOCK - kv->n_shared) * kv->block_bytes;
}

#endif
