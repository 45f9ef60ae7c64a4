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

/* What is multiplied: a (R, n_k) and b (n_k, 16 * NV), lda and ldb elements from one row to the next. For `tile` a is
 * float; for `tile_pairs` both hold pairs of integers: a (R, n_k, 2) int16, ldb counts pairs. */
typedef struct tile_factors {
  const void *a;
  size_t lda;
  const void *b;
  size_t ldb, n_k;
} tile_factors;

/* The sums c (R, 16 * NV), ldc floats from one row to the next. */
typedef struct tile_sums {
  float *c;
  size_t ldc;
  bool keep;          /* they begin as what c holds; else as 0 */
  const float *decay; /* (R) with keep: what that is multiplied by first; or NULL */
  const float *unit;  /* (R) integers with decay: what a sum's 1 is worth */
} tile_sums;

/* c[r][n] = 0, c[r][n] or c[r][n] * decay[r], then for k ascending fma(a[r][k], b[k][n], c[r][n]). b is stored as
 * `type`. */
INLINE void tile(const int R, const int NV, const nb_kv_type type, const tile_factors *in, const tile_sums *out) {
  const float *a = in->a, *decay = out->decay;
  const void *b = in->b;
  const size_t lda = in->lda, ldb = in->ldb, n_k = in->n_k, ldc = out->ldc;
  float *c = out->c;
  v16 acc[V16_ROWS][2]; /* loops with literal bounds: only those stay in registers with gcc and clang both */
  UNROLL for (int r = 0; r < V16_ROWS; r++) UNROLL for (int v = 0; v < 2; v++) {
    if (r >= R || v >= NV) continue;
    acc[r][v] = out->keep ? v_load(c + (size_t)r * ldc + 16 * v) : v_set(0);
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
 * c[r][n] = (float)sum; with keep, which is with decay, fma((float)sum, unit[r], c[r][n] * decay[r]). */
INLINE void tile_pairs(const int R, const int NV, const nb_kv_type type, const tile_factors *in, const tile_sums *out) {
  const int16_t *a = in->a;
  const void *b = in->b;
  const float *decay = out->decay, *unit = out->unit;
  const size_t lda = in->lda, ldb = in->ldb, n_k = in->n_k, ldc = out->ldc;
  float *c = out->c;
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
    v_store(to, out->keep ? v_fma(x, v_set(unit[r]), v_mul(v_load(to), v_set(decay[r]))) : x);
  }
}

#endif
