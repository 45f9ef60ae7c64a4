/* SPDX-License-Identifier: MIT */
/* How keys and values lie in the cache: the contract between the cache (model/kv.h) and the attention kernels. */
#ifndef NB_KV_LAYOUT_H
#define NB_KV_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

enum { NB_KV_BLOCK = 64 }; /* positions of a cache block */

typedef enum nb_kv_type { NB_KV_F32, NB_KV_F16, NB_KV_Q16, NB_KV_Q8, NB_KV_TYPES } nb_kv_type;

static inline bool nb_kv_integer(nb_kv_type t) { return t >= NB_KV_Q16; }
static inline size_t nb_kv_elem_bytes(nb_kv_type t) { return t == NB_KV_F32 ? 4 : t == NB_KV_Q8 ? 1 : 2; }

/* Keys of 8 bits are stored as their Hadamard transform, and meet queries that are (kernels.h): products of the two are
 * what they were, times the run, and no single large channel spoils the others' places in 8 bits (QuaRot, arXiv
 * 2404.00456). On SmolLM2 that takes two thirds off the cache's share of the divergence; of values it took nothing. */
static inline bool nb_kv_mixes_keys(nb_kv_type t) { return t == NB_KV_Q8; }

/* The keys and values of NB_KV_BLOCK positions of one key/value head of one layer, as stored. Floats:
 *     K (head_dim, 64), V (64, head_dim)
 * Integers of 16 or 8 bits, two at a time as their dot products take them, then what a unit is worth:
 *     K (head_dim / 2, 64, 2), V (32, ldv, 2), float k_scale[64], float v_scale[64], one a position
 * with pairs of channels in K, pairs of positions in V, and ldv = head_dim rounded up to 16 (the rest is 0). */
static inline size_t nb_kv_values_at(nb_kv_type t, size_t head_dim) {
  return NB_KV_BLOCK * head_dim * nb_kv_elem_bytes(t);
}
static inline size_t nb_kv_ldv(nb_kv_type t, size_t head_dim) {
  return nb_kv_integer(t) ? (head_dim + 15) / 16 * 16 : head_dim;
}
static inline size_t nb_kv_scales_at(nb_kv_type t, size_t head_dim) {
  return nb_kv_values_at(t, head_dim) + NB_KV_BLOCK * nb_kv_ldv(t, head_dim) * nb_kv_elem_bytes(t);
}
/* Bytes of a block; the blocks of a head follow one another. */
static inline size_t nb_kv_block_bytes(nb_kv_type t, size_t head_dim) {
  return nb_kv_scales_at(t, head_dim) + (nb_kv_integer(t) ? 2 * NB_KV_BLOCK * sizeof(float) : 0);
}

/* The largest integer of a q16 cache, and of a query that meets an integer cache: head_dim products of two of them
 * fit 31 bits (128 * 4095^2 and 512 * 2047^2 are below 2^31). And that of a probability: NB_KV_BLOCK products of one
 * with an element of the cache fit as well. */
static inline float nb_kv_top(size_t head_dim) { return head_dim <= 128 ? 4095 : 2047; }
#define NB_ATTN_P_TOP 8191.0f

#endif
