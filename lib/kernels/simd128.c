/* SPDX-License-Identifier: MIT */
/* WebAssembly's SIMD128: bytes become 16-bit integers, whose products are added in pairs to sums of half a row's 4
 * inputs each. */
#include "kernels/v16_wasm.h"

#include "kernels/b64_wasm.h"
#include "kernels/float_table.h"

#define Q8_FULL_U8 0
#define Q8_SIGNS 0
#define Q8_TILES 1
#define Q8_TOKENS 2

typedef struct q8_acc {
  v128_t s[8]; /* rows 2 i, 2 i + 1: inputs 0 + 1, inputs 2 + 3, of each */
} q8_acc;

INLINE q8_acc q8_start(int32_t sum) {
  v128_t s = wasm_i32x4_make(sum, 0, sum, 0);
  q8_acc r = {{s, s, s, s, s, s, s, s}};
  return r;
}
INLINE void dot16(v128_t *low, v128_t *high, v128_t w, v128_t x) {
  *low = wasm_i32x4_add(*low, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(w), x));
  *high = wasm_i32x4_add(*high, wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(w), x));
}
INLINE q8_acc q8_dot(q8_acc r, b64 w, q8_in x, bool positive) {
  (void)positive;
  dot16(&r.s[0], &r.s[1], w.a, x);
  dot16(&r.s[2], &r.s[3], w.b, x);
  dot16(&r.s[4], &r.s[5], w.c, x);
  dot16(&r.s[6], &r.s[7], w.d, x);
  return r;
}
INLINE q8_acc q8_merge(q8_acc x, q8_acc y) {
  for (int i = 0; i < 8; i++) x.s[i] = wasm_i32x4_add(x.s[i], y.s[i]);
  return x;
}
INLINE v128_t rows4(v128_t x, v128_t y) {
  return wasm_f32x4_convert_i32x4(
      wasm_i32x4_add(wasm_i32x4_shuffle(x, y, 0, 2, 4, 6), wasm_i32x4_shuffle(x, y, 1, 3, 5, 7)));
}
INLINE v16 q8_float(q8_acc r) {
  return v_quad(rows4(r.s[0], r.s[1]), rows4(r.s[2], r.s[3]), rows4(r.s[4], r.s[5]), rows4(r.s[6], r.s[7]));
}

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

#define SET_PEAKS(INT8, F32, READ)                                                                                     \
  INT8("i32x4.dot_i16x8_s", 1, 8)                                                                                      \
  INT8("i32x4.dot_i16x8_s", 2, 8)                                                                                      \
  INT8("i32x4.dot_i16x8_s", 3, 8)                                                                                      \
  F32("f32 by f64x2", 1, 4)                                                                                            \
  F32("f32 by f64x2", 2, 4)                                                                                            \
  F32("f32 by f64x2", 4, 4)                                                                                            \
  PEAK_READS(READ, "v128.load")
PEAKS(SET_PEAKS);

void nb_kernels_simd128(nb_kernels *k) {
  k->name = "simd128";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
  set_float_kernels(k);
}
