/* SPDX-License-Identifier: MIT */
/* The 16-lane machine on WebAssembly's SIMD128: see v16_ref.h for what each primitive means. */
#ifndef NB_V16_H
#define NB_V16_H

#include "base/f16.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

enum { V16_ROWS = 2 };

typedef struct v16 {
  v128_t a, b, c, d; /* lanes 0..3, 4..7, 8..11, 12..15 */
} v16;

static inline v16 v_quad(v128_t a, v128_t b, v128_t c, v128_t d) {
  v16 r = {a, b, c, d};
  return r;
}
static inline v16 v_set(float x) {
  v128_t v = wasm_f32x4_splat(x);
  return v_quad(v, v, v, v);
}
static inline v16 v_load(const float *p) {
  return v_quad(wasm_v128_load(p), wasm_v128_load(p + 4), wasm_v128_load(p + 8), wasm_v128_load(p + 12));
}
static inline void v_store(float *p, v16 x) {
  wasm_v128_store(p, x.a), wasm_v128_store(p + 4, x.b), wasm_v128_store(p + 8, x.c), wasm_v128_store(p + 12, x.d);
}
static inline v16 v_hold(v16 x) { return x; }
static inline void v_use(v16 x) {
#if __clang_major__ < 19
  __asm__ volatile("" : : "r"(x.a), "r"(x.b), "r"(x.c), "r"(x.d));
#else /* as b_hold */
  const v128_t all = wasm_v128_or(wasm_v128_or(x.a, x.b), wasm_v128_or(x.c, x.d));
  __asm__ volatile("" : : "r"(wasm_i64x2_extract_lane(all, 0)), "r"(wasm_i64x2_extract_lane(all, 1)));
#endif
}
#include "kernels/v16_tail.h"

#define V16_EACH(op, x, y) v_quad(op((x).a, (y).a), op((x).b, (y).b), op((x).c, (y).c), op((x).d, (y).d))
static inline v16 v_add(v16 x, v16 y) { return V16_EACH(wasm_f32x4_add, x, y); }
static inline v16 v_sub(v16 x, v16 y) { return V16_EACH(wasm_f32x4_sub, x, y); }
static inline v16 v_mul(v16 x, v16 y) { return V16_EACH(wasm_f32x4_mul, x, y); }
static inline v16 v_div(v16 x, v16 y) { return V16_EACH(wasm_f32x4_div, x, y); }

/* There is no fused multiply-add: two of base/fma.h's, in doubles. */
static inline v128_t v_fma2(v128_t x, v128_t y, v128_t z) {
  v128_t p = wasm_f64x2_mul(x, y), s = wasm_f64x2_add(p, z), back = wasm_f64x2_sub(s, p);
  v128_t left = wasm_f64x2_add(wasm_f64x2_sub(p, wasm_f64x2_sub(s, back)), wasm_f64x2_sub(z, back));
  v128_t zero = wasm_f64x2_const(0, 0), one = wasm_i64x2_const(1, 1);
  v128_t inexact = wasm_v128_or(wasm_f64x2_lt(left, zero), wasm_f64x2_gt(left, zero)); /* not when it is a NaN */
  v128_t even = wasm_i64x2_eq(wasm_v128_and(s, one), wasm_i64x2_const(0, 0));
  v128_t away = wasm_i64x2_shr(wasm_v128_xor(left, s), 63); /* -1: the exact sum is nearer to 0 */
  v128_t step = wasm_v128_or(away, one);
  return wasm_i64x2_add(s, wasm_v128_and(step, wasm_v128_and(inexact, even)));
}
static inline v128_t v_fma4(v128_t x, v128_t y, v128_t z) {
#define HIGH(v) wasm_f64x2_promote_low_f32x4(wasm_i32x4_shuffle(v, v, 2, 3, 2, 3))
#define LOW(v) wasm_f64x2_promote_low_f32x4(v)
  v128_t low = wasm_f32x4_demote_f64x2_zero(v_fma2(LOW(x), LOW(y), LOW(z)));
  v128_t high = wasm_f32x4_demote_f64x2_zero(v_fma2(HIGH(x), HIGH(y), HIGH(z)));
  return wasm_i32x4_shuffle(low, high, 0, 1, 4, 5);
#undef HIGH
#undef LOW
}
static inline v16 v_fma(v16 x, v16 y, v16 z) {
  return v_quad(v_fma4(x.a, y.a, z.a), v_fma4(x.b, y.b, z.b), v_fma4(x.c, y.c, z.c), v_fma4(x.d, y.d, z.d));
}

static inline v128_t v_max4(v128_t x, v128_t y) { return wasm_f32x4_pmax(y, x); } /* x > y ? x : y */
static inline v16 v_max(v16 x, v16 y) { return V16_EACH(v_max4, x, y); }
static inline v16 v_select_lt(v16 p, v16 q, v16 x, v16 y) {
  v16 m = V16_EACH(wasm_f32x4_lt, p, q);
  return v_quad(wasm_v128_bitselect(x.a, y.a, m.a), wasm_v128_bitselect(x.b, y.b, m.b),
                wasm_v128_bitselect(x.c, y.c, m.c), wasm_v128_bitselect(x.d, y.d, m.d));
}
static inline v128_t v_absmax4(v128_t m, v128_t x) {
  return wasm_u32x4_max(m, wasm_v128_and(x, wasm_i32x4_splat(0x7fffffff)));
}
static inline v16 v_absmax(v16 m, v16 x) { return V16_EACH(v_absmax4, m, x); }
static inline v16 v_shift_exponent(v16 x, uint32_t add) {
  v128_t n = wasm_i32x4_splat((int32_t)add);
  return v_quad(wasm_i32x4_shl(wasm_i32x4_add(x.a, n), 23), wasm_i32x4_shl(wasm_i32x4_add(x.b, n), 23),
                wasm_i32x4_shl(wasm_i32x4_add(x.c, n), 23), wasm_i32x4_shl(wasm_i32x4_add(x.d, n), 23));
}

static inline float v_sum(v16 x) {
  v128_t q = wasm_f32x4_add(wasm_f32x4_add(x.a, x.c), wasm_f32x4_add(x.b, x.d));
  v128_t h = wasm_f32x4_add(q, wasm_i32x4_shuffle(q, q, 2, 3, 2, 3));
  return wasm_f32x4_extract_lane(h, 0) + wasm_f32x4_extract_lane(h, 1);
}
#define V16_ZIP_LOW(x, y) wasm_i32x4_shuffle(x, y, 0, 4, 1, 5)
#define V16_ZIP_HIGH(x, y) wasm_i32x4_shuffle(x, y, 2, 6, 3, 7)
static inline void v_zip(v16 x, v16 y, v16 *low, v16 *high) {
  *low = v_quad(V16_ZIP_LOW(x.a, y.a), V16_ZIP_HIGH(x.a, y.a), V16_ZIP_LOW(x.b, y.b), V16_ZIP_HIGH(x.b, y.b));
  *high = v_quad(V16_ZIP_LOW(x.c, y.c), V16_ZIP_HIGH(x.c, y.c), V16_ZIP_LOW(x.d, y.d), V16_ZIP_HIGH(x.d, y.d));
}
static inline v16 v_load4(const float *p) {
  v128_t v = wasm_v128_load(p);
  return v_quad(v, v, v, v);
}
static inline v16 v_low_pairs(v16 x, v16 y) { return V16_EACH(V16_ZIP_LOW, x, y); }
static inline v16 v_high_pairs(v16 x, v16 y) { return V16_EACH(V16_ZIP_HIGH, x, y); }
static inline float v_hmax(v16 x) {
  v128_t q = v_max4(v_max4(x.a, x.c), v_max4(x.b, x.d));
  q = v_max4(q, wasm_i32x4_shuffle(q, q, 2, 3, 0, 1));
  q = v_max4(q, wasm_i32x4_shuffle(q, q, 1, 2, 3, 0));
  return wasm_f32x4_extract_lane(q, 0);
}
static inline float v_habsmax(v16 x) {
  v16 m = v_absmax(x, v_quad(x.c, x.d, x.c, x.d));
  v128_t u = wasm_u32x4_max(m.a, m.b);
  u = wasm_u32x4_max(u, wasm_i32x4_shuffle(u, u, 2, 3, 0, 1));
  u = wasm_u32x4_max(u, wasm_i32x4_shuffle(u, u, 1, 0, 3, 2));
  return wasm_f32x4_extract_lane(u, 0);
}

static inline v16 v_load_bf16(const void *p) {
  const uint8_t *b = p;
  v128_t zero = wasm_i32x4_splat(0), x = wasm_v128_load(b), y = wasm_v128_load(b + 16);
#define WIDE(v, ...) wasm_i16x8_shuffle(zero, v, __VA_ARGS__)
  return v_quad(WIDE(x, 0, 8, 0, 9, 0, 10, 0, 11), WIDE(x, 0, 12, 0, 13, 0, 14, 0, 15),
                WIDE(y, 0, 8, 0, 9, 0, 10, 0, 11), WIDE(y, 0, 12, 0, 13, 0, 14, 0, 15));
#undef WIDE
}
/* Exponent and mantissa move to their places and are worth 2^-112 too little there, which a product mends exactly,
 * subnormals as well; infinities and NaNs get the full exponent. */
static inline v128_t v_f16x4(v128_t h) {
  v128_t sign = wasm_i32x4_shl(wasm_v128_and(h, wasm_i32x4_splat(0x8000)), 16);
  v128_t rest = wasm_i32x4_shl(wasm_v128_and(h, wasm_i32x4_splat(0x7fff)), 13);
  v128_t full = wasm_v128_and(wasm_i32x4_ge(rest, wasm_i32x4_splat(0x0f800000)), wasm_i32x4_splat(0x7f800000));
  v128_t x = wasm_f32x4_mul(rest, wasm_f32x4_splat(0x1p112f));
  return wasm_v128_or(wasm_v128_or(x, sign), full);
}
static inline v16 v_load_f16(const void *p) {
  const uint8_t *b = p;
  v128_t x = wasm_v128_load(b), y = wasm_v128_load(b + 16);
  return v_quad(v_f16x4(wasm_u32x4_extend_low_u16x8(x)), v_f16x4(wasm_u32x4_extend_high_u16x8(x)),
                v_f16x4(wasm_u32x4_extend_low_u16x8(y)), v_f16x4(wasm_u32x4_extend_high_u16x8(y)));
}
static inline v128_t v_from_i16(v128_t x, int high) {
  return wasm_f32x4_convert_i32x4(high ? wasm_i32x4_extend_high_i16x8(x) : wasm_i32x4_extend_low_i16x8(x));
}
static inline v16 v_load_i8(const int8_t *p) {
  v128_t q = wasm_v128_load(p), x = wasm_i16x8_extend_low_i8x16(q), y = wasm_i16x8_extend_high_i8x16(q);
  return v_quad(v_from_i16(x, 0), v_from_i16(x, 1), v_from_i16(y, 0), v_from_i16(y, 1));
}
static inline void v_store_f16(uint16_t *p, v16 x) {
  float f[16];
  v_store(f, x);
  for (int i = 0; i < 16; i++) p[i] = nb_f32_f16(f[i]);
}
static inline v128_t v_low16(v128_t x, v128_t y) { return wasm_i16x8_shuffle(x, y, 0, 2, 4, 6, 8, 10, 12, 14); }
static inline void v_store_low16(int16_t *p, v16 x) {
  wasm_v128_store(p, v_low16(x.a, x.b)), wasm_v128_store(p + 8, v_low16(x.c, x.d));
}
static inline void v_store_low8(void *p, v16 x) {
  v128_t low = v_low16(x.a, x.b), high = v_low16(x.c, x.d);
  wasm_v128_store(p, wasm_i8x16_shuffle(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
}

typedef struct p16 {
  v128_t a, b, c, d; /* the pairs of lanes 0..3, 4..7, 8..11, 12..15 */
} p16;
typedef v128_t x16; /* one pair, again and again */
typedef struct s16 {
  v128_t a, b, c, d;
} s16;

static inline p16 p_load(const int16_t *p) {
  p16 r = {wasm_v128_load(p), wasm_v128_load(p + 8), wasm_v128_load(p + 16), wasm_v128_load(p + 24)};
  return r;
}
static inline p16 p_load_i8(const int8_t *p) {
  v128_t x = wasm_v128_load(p), y = wasm_v128_load(p + 16);
  p16 r = {wasm_i16x8_extend_low_i8x16(x), wasm_i16x8_extend_high_i8x16(x), wasm_i16x8_extend_low_i8x16(y),
           wasm_i16x8_extend_high_i8x16(y)};
  return r;
}
static inline x16 x_load(const int16_t *p) { return wasm_v128_load32_splat(p); }
static inline s16 s_zero(void) {
  v128_t z = wasm_i32x4_splat(0);
  s16 r = {z, z, z, z};
  return r;
}
static inline v128_t s_dot4(v128_t s, v128_t p, v128_t x) { return wasm_i32x4_add(s, wasm_i32x4_dot_i16x8(p, x)); }
static inline s16 s_dot(s16 s, p16 p, x16 x) {
  s16 r = {s_dot4(s.a, p.a, x), s_dot4(s.b, p.b, x), s_dot4(s.c, p.c, x), s_dot4(s.d, p.d, x)};
  return r;
}
static inline v16 s_float(s16 s) {
  return v_quad(wasm_f32x4_convert_i32x4(s.a), wasm_f32x4_convert_i32x4(s.b), wasm_f32x4_convert_i32x4(s.c),
                wasm_f32x4_convert_i32x4(s.d));
}

static inline void v_transpose(v16 r[16]) {
  float from[16][16], to[16][16];
  for (int i = 0; i < 16; i++) v_store(from[i], r[i]);
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 16; j++) to[j][i] = from[i][j];
  for (int i = 0; i < 16; i++) r[i] = v_load(to[i]);
}

#endif
