/* SPDX-License-Identifier: MIT */
/* A sequence's cache as bytes, and back from bytes that may be anyone's. */
#include "model/kv_impl.h"

#include <math.h>
#include <string.h>

/* Bytes that a head's held blocks take; they follow one another. */
static size_t head_bytes(const nb_kv *kv) { return (kv->length + NB_KV_BLOCK - 1) / NB_KV_BLOCK * kv->block_bytes; }

nb_status nb_kv_save(const nb_kv *kv, nb_status (*put)(void *ctx, const void *data, size_t n, nb_err *err), void *ctx,
                     nb_err *err) {
  nb_assert(!kv->parent);
  for (size_t l = 0; l < kv->layers; l++)
    for (size_t h = 0; h < kv->kv_heads; h++) NB_TRY(put(ctx, nb_kv_own(kv, l, h), head_bytes(kv), err));
  return NB_OK;
}

/* Attention adds products of integers up to nb_kv_top without looking, so that larger ones would overflow. */
static bool allowed(const nb_kv *kv, const uint8_t *block) {
  const size_t scales_at = nb_kv_scales_at(kv->type, kv->head_dim);
  const int top = (int)nb_kv_top(kv->head_dim);
  if (!nb_kv_integer(kv->type)) return true; /* a float that is not finite is found by the forward pass */
  if (kv->type == NB_KV_Q16)
    for (size_t i = 0; i < scales_at; i += 2) {
      int16_t x;
      memcpy(&x, block + i, sizeof x);
      if (x < -top || x > top) return false;
    }
  for (size_t i = 0; i < 2 * NB_KV_BLOCK; i++) {
    float scale;
    memcpy(&scale, block + scales_at + i * sizeof scale, sizeof scale);
    if (!isfinite(scale)) return false;
  }
  return true;
}

nb_status nb_kv_restore(nb_kv *kv, size_t length, const void *bytes, size_t n, nb_err *err) {
  const uint8_t *p = bytes;
  nb_assert(!kv->parent && !kv->length);
  if (length > kv->capacity)
    return nb_fail(err, NB_ERR_ARG, "a cache of %zu tokens has no room for %zu", kv->capacity, length);
  kv->length = length;
  nb_status st = n == nb_kv_bytes(kv) ? NB_OK
                                      : nb_fail(err, NB_ERR_FORMAT, "a cache of %zu tokens takes %zu bytes, not %zu",
                                                length, nb_kv_bytes(kv), n);
  for (size_t l = 0; l < kv->layers && st == NB_OK; l++)
    for (size_t h = 0; h < kv->kv_heads && st == NB_OK; h++) {
      for (size_t i = 0; i < head_bytes(kv) && st == NB_OK; i += kv->block_bytes)
        if (!allowed(kv, p + i))
          st = nb_fail(err, NB_ERR_FORMAT, "layer %zu of the cache holds numbers that no model wrote", l);
      memcpy(nb_kv_own(kv, l, h), p, head_bytes(kv));
      p += head_bytes(kv);
    }
  if (st != NB_OK) kv->length = 0;
  return st;
}
