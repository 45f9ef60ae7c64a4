/* SPDX-License-Identifier: MIT */
/* The register tile that attention and the float matrix products share: R rows by 16 * NV columns. */
#ifndef NB_TILE16_H
#define NB_TILE16_H

#include "simd16.h"

INLINE v16 v_load_kv(nb_kv_type t, const void *p, size_t i) {
  if (t == NB_KV_F32) return v_load((const float *)p + i);
  if (t == NB_KV_F16) return v_load_f16((const uint16_t *)p + i);
  return v_load_i8((const int8_t *)p + i);
}

/* c[r][n] = c[r][n] * decay[r] (0 when decay is NULL; c itself when keep), then for k ascending
 * fma(a[r][k], b[k][n], c[r][n]). b is stored as `type`, its rows ldb elements apart. */
INLINE void tile(const int R, const int NV, const float *a, size_t lda, const nb_kv_type type, const void *b, size_t ldb,
                 size_t n_k, const float *decay, bool keep, float *c, size_t ldc) {
  v16 acc[V16_ROWS][2]; /* loops with literal bounds: only those stay in registers with gcc and clang both */
  UNROLL for (int r = 0; r < V16_ROWS; r++) UNROLL for (int v = 0; v < 2; v++) {
    if (r >= R || v >= NV) continue;
    acc[r][v] = decay || keep ? v_load(c + (size_t)r * ldc + 16 * v) : v_set(0);
    if (decay) acc[r][v] = v_mul(acc[r][v], v_set(decay[r]));
  }
  for (size_t k = 0; k < n_k; k++) {
    v16 w[2];
    UNROLL for (int v = 0; v < 2; v++) w[v] = v_hold(v_load_kv(type, b, k * ldb + 16 * (size_t)(v < NV ? v : 0)));
    UNROLL for (int r = 0; r < V16_ROWS; r++) {
      if (r >= R) continue;
      v16 x = v_set(a[(size_t)r * lda + k]);
      UNROLL for (int v = 0; v < 2; v++) if (v < NV) acc[r][v] = v_fma(x, w[v], acc[r][v]);
    }
  }
  UNROLL for (int r = 0; r < V16_ROWS; r++) UNROLL for (int v = 0; v < 2; v++)
    if (r < R && v < NV) v_store(c + (size_t)r * ldc + 16 * v, acc[r][v]);
}

#endif
