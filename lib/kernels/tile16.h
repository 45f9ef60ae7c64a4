/* SPDX-License-Identifier: MIT */
/* The register tile that attention and the float matrix products share: R rows by 16 * NV columns. */
#ifndef NB_TILE16_H
#define NB_TILE16_H

#include "kernels/simd16.h"

INLINE v16 v_load_kv(nb_kv_type t, const void *p, size_t i) {
  return t == NB_KV_F32 ? v_load((const float *)p + i) : v_load_f16((const uint16_t *)p + i);
}

INLINE p16 p_load_kv(nb_kv_type t, const void *p, size_t i) {
  return t == NB_KV_Q16 ? p_load((const int16_t *)p + i) : p_load_i8((const int8_t *)p + i);
}

/* c[r][n] = c[r][n] * decay[r] (0 when decay is NULL; c itself when keep), then for k ascending
 * fma(a[r][k], b[k][n], c[r][n]). b is stored as `type`, its rows ldb elements apart. */
INLINE void tile(const int R, const int NV, const float *a, size_t lda, const nb_kv_type type, const void *b,
                 size_t ldb, size_t n_k, const float *decay, bool keep, float *c, size_t ldc) {
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
  UNROLL for (int r = 0; r < V16_ROWS; r++) UNROLL for (int v = 0; v < 2; v++) if (r < R && v < NV)
      v_store(c + (size_t)r * ldc + 16 * v, acc[r][v]);
}

/* The same in integers, whose sums are exact: sum = over k of a[r][2 k] * b[k][n][0] + a[r][2 k + 1] * b[k][n][1].
 * c[r][n] = (float)sum; with decay, fma((float)sum, unit[r], c[r][n] * decay[r]). b's rows are ldb pairs apart. */
INLINE void tile_pairs(const int R, const int NV, const int16_t *a, size_t lda, const nb_kv_type type, const void *b,
                       size_t ldb, size_t n_k, const float *decay, const float *unit, float *c, size_t ldc) {
  s16 sum[V16_ROWS][2];
  UNROLL for (int r = 0; r < V16_ROWS; r++) UNROLL for (int v = 0; v < 2; v++) if (r < R && v < NV) sum[r][v] =
      s_zero();
  for (size_t k = 0; k < n_k; k++) {
    p16 w[2];
    UNROLL for (int v = 0; v < 2; v++) w[v] = p_load_kv(type, b, 2 * (k * ldb + 16 * (size_t)(v < NV ? v : 0)));
    UNROLL for (int r = 0; r < V16_ROWS; r++) {
      if (r >= R) continue;
      x16 x = x_load(a + (size_t)r * lda + 2 * k);
      UNROLL for (int v = 0; v < 2; v++) if (v < NV) sum[r][v] = s_dot(sum[r][v], w[v], x);
    }
  }
  UNROLL for (int r = 0; r < V16_ROWS; r++) UNROLL for (int v = 0; v < 2; v++) {
    if (r >= R || v >= NV) continue;
    float *to = c + (size_t)r * ldc + 16 * v;
    v16 x = s_float(sum[r][v]);
    v_store(to, decay ? v_fma(x, v_set(unit[r]), v_mul(v_load(to), v_set(decay[r]))) : x);
  }
}

#endif
