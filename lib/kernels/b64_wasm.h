/* SPDX-License-Identifier: MIT */
/* The bytes of linear_q8.h on SIMD128: four registers of 4 rows. */
#ifndef NB_B64_WASM_H
#define NB_B64_WASM_H

#include "kernels/simd16.h"

typedef struct b64 {
  v128_t a, b, c, d;
} b64;

INLINE b64 b_quad(v128_t a, v128_t b, v128_t c, v128_t d) {
  b64 r = {a, b, c, d};
  return r;
}
INLINE b64 b_load(const uint8_t *p) {
  return b_quad(wasm_v128_load(p), wasm_v128_load(p + 16), wasm_v128_load(p + 32), wasm_v128_load(p + 48));
}
INLINE b64 b_hold(b64 b) {
#if __clang_major__ < 19
  __asm__("" : "+r"(b.a), "+r"(b.b), "+r"(b.c), "+r"(b.d));
#else
  int32_t zero = 0; /* clang 19 fails on vectors there: what it cannot know is added */
  __asm__("" : "+r"(zero));
  const v128_t z = wasm_i32x4_splat(zero);
  b.a = wasm_i32x4_add(b.a, z), b.b = wasm_i32x4_add(b.b, z);
  b.c = wasm_i32x4_add(b.c, z), b.d = wasm_i32x4_add(b.d, z);
#endif
  return b;
}
INLINE void b_store(uint8_t *p, b64 b) {
  wasm_v128_store(p, b.a), wasm_v128_store(p + 16, b.b), wasm_v128_store(p + 32, b.c), wasm_v128_store(p + 48, b.d);
}
INLINE v128_t b_part16(v128_t b, int right, int mask) {
  v128_t moved = right < 0 ? wasm_i8x16_shl(b, (uint32_t)-right) : wasm_u8x16_shr(b, (uint32_t)right);
  return wasm_v128_and(moved, wasm_i8x16_splat((int8_t)mask));
}
INLINE b64 b_part(b64 b, int right, int mask) {
  return b_quad(b_part16(b.a, right, mask), b_part16(b.b, right, mask), b_part16(b.c, right, mask),
                b_part16(b.d, right, mask));
}
INLINE b64 b_part_or(b64 b, int right, int mask, b64 c) {
  b64 p = b_part(b, right, mask);
  return b_quad(wasm_v128_or(p.a, c.a), wasm_v128_or(p.b, c.b), wasm_v128_or(p.c, c.c), wasm_v128_or(p.d, c.d));
}
INLINE b64 b_flip_top(b64 b) {
  v128_t m = wasm_i8x16_splat((int8_t)0x80);
  return b_quad(wasm_v128_xor(b.a, m), wasm_v128_xor(b.b, m), wasm_v128_xor(b.c, m), wasm_v128_xor(b.d, m));
}
INLINE b64 b_table(const uint8_t *t) {
  v128_t v = wasm_v128_load(t);
  return b_quad(v, v, v, v);
}
INLINE b64 b_lookup(b64 table, b64 index) {
  return b_quad(wasm_i8x16_swizzle(table.a, index.a), wasm_i8x16_swizzle(table.a, index.b),
                wasm_i8x16_swizzle(table.a, index.c), wasm_i8x16_swizzle(table.a, index.d));
}
INLINE v128_t b_pick16(v128_t low, v128_t high, v128_t b, int m) {
  v128_t bit = wasm_i8x16_splat((int8_t)(1 << m));
  return wasm_v128_bitselect(high, low, wasm_i8x16_eq(wasm_v128_and(b, bit), bit));
}
INLINE b64 b_pick(b64 l, b64 h, b64 b, int m) {
  return b_quad(b_pick16(l.a, h.a, b.a, m), b_pick16(l.b, h.b, b.b, m), b_pick16(l.c, h.c, b.c, m),
                b_pick16(l.d, h.d, b.d, m));
}
INLINE b64 b_lookup2(b64 low, b64 high, b64 index, b64 b, int m) {
  return b_pick(b_lookup(low, index), b_lookup(high, index), b, m);
}

INLINE b64 b_beside(b64 b) {
  return b_quad(wasm_v128_xor(wasm_i32x4_shuffle(b.d, b.d, 3, 0, 1, 2), b.b), wasm_v128_xor(b.a, b.c),
                wasm_v128_xor(b.b, b.d), wasm_v128_xor(b.c, wasm_i32x4_shuffle(b.a, b.a, 1, 2, 3, 0)));
}

typedef v128_t q8_in; /* 4 activations as int16, twice */
INLINE q8_in q8_inputs(const int8_t *p) { return wasm_i16x8_extend_low_i8x16(wasm_v128_load32_splat(p)); }

#endif
