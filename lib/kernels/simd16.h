/* SPDX-License-Identifier: MIT */
/* The 16-lane machine's small library: exp, partial loads, conversions. Included after one of the v16_*.h,
 * which give the primitives; all that is built on them has the same bits on every instruction set. */
#ifndef NB_SIMD16_H
#define NB_SIMD16_H

#include "kernels/kernels.h"

/* Vectors must stay in registers (ref.c, which has none, says otherwise). */
#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

#define UNROLL _Pragma("GCC unroll 16")

/* 1.5 * 2^23: adding it to |x| < 2^22 leaves x, rounded to nearest even, in the low bits of the sum. */
#define ROUND_MAGIC 0x1.8p23f

/* exp(x) to 1 unit in the last place (0.93 measured over all floats of the range): exactly 1 at 0; 0 below
 * -86.98 (2^-125.5), infinity above 88.72; NaN for NaN. n = round(x / ln 2), r = x - n ln 2 in two fused
 * steps (Cody and Waite), 2 exp(r) by a polynomial of degree 6 (minimax on |r| <= ln 2 / 2, error 3e-9),
 * times 2^(n - 1), whose exponent field is never 0 or full: doubling the polynomial is what allows n = 128. */
INLINE v16 v_exp(v16 x) {
  v16 t = v_fma(x, v_set(0x1.715476p+0f), v_set(ROUND_MAGIC));
  v16 n = v_sub(t, v_set(ROUND_MAGIC));
  v16 r = v_fma(n, v_set(-0x1.62e43p-1f), x);
  r = v_fma(n, v_set(0x1.05c61p-29f), r);
  v16 p = v_set(0x1.6a2434p-9f);
  p = v_fma(p, r, v_set(0x1.1239e2p-6f));
  p = v_fma(p, r, v_set(0x1.5558f2p-4f));
  p = v_fma(p, r, v_set(0x1.555492p-2f));
  p = v_fma(p, r, v_set(0x1.fffffcp-1f));
  p = v_fma(p, r, v_set(2));
  p = v_fma(p, r, v_set(2));
  v16 y = v_mul(p, v_shift_exponent(t, 126));
  y = v_select_lt(x, v_set(-0x1.5bfp+6f), v_set(0), y);
  return v_select_lt(v_set(0x1.62e42ep+6f), x, v_set(INFINITY), y);
}

INLINE float nb_exp(float x) {
  float y[16];
  v_store(y, v_exp(v_set(x)));
  return y[0];
}

/* 0, 1, ... 15 */
INLINE v16 v_iota(void) {
  static const float lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return v_load(lane);
}

/* Lanes n and above become `fill`. */
INLINE v16 v_keep_n(v16 a, size_t n, float fill) {
  return n >= 16 ? a : v_select_lt(v_iota(), v_set((float)n), a, v_set(fill));
}

/* 16 elements of a stored array. */
INLINE v16 v_load_dtype(nb_dtype t, const void *p, size_t i) {
  const uint8_t *b = p;
  if (t == NB_F32) {
    float f[16];
    memcpy(f, b + 4 * i, sizeof f);
    return v_load(f);
  }
  return t == NB_F16 ? v_load_f16(b + 2 * i) : v_load_bf16(b + 2 * i);
}

/* The first n of 16, the others 0. */
INLINE v16 v_load_dtype_n(nb_dtype t, const void *p, size_t i, size_t n) {
  if (n >= 16) return v_load_dtype(t, p, i);
  uint8_t tail[64] = {0};
  memcpy(tail, (const uint8_t *)p + i * nb_dtype_bytes(t), n * nb_dtype_bytes(t));
  return v_load_dtype(t, tail, 0);
}

#endif
