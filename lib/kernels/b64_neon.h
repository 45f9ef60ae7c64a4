/* SPDX-License-Identifier: MIT */
/* The bytes of linear_q8.h on NEON: four registers of 4 rows. */
#ifndef NB_B64_NEON_H
#define NB_B64_NEON_H

#include "kernels/simd16.h"

typedef struct b64 {
  uint8x16_t a, b, c, d;
} b64;

INLINE b64 b_quad(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d) {
  b64 r = {a, b, c, d};
  return r;
}
INLINE b64 b_load(const uint8_t *p) {
  return b_quad(vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48));
}
INLINE b64 b_hold(b64 b) {
  __asm__("" : "+w"(b.a), "+w"(b.b), "+w"(b.c), "+w"(b.d));
  return b;
}
INLINE void b_store(uint8_t *p, b64 b) {
  vst1q_u8(p, b.a), vst1q_u8(p + 16, b.b), vst1q_u8(p + 32, b.c), vst1q_u8(p + 48, b.d);
}
INLINE uint8x16_t b_part16(uint8x16_t b, int right, int mask) {
  return vandq_u8(vshlq_u8(b, vdupq_n_s8((int8_t)-right)), vdupq_n_u8((uint8_t)mask));
}
INLINE b64 b_part(b64 b, int right, int mask) {
  return b_quad(b_part16(b.a, right, mask), b_part16(b.b, right, mask), b_part16(b.c, right, mask),
                b_part16(b.d, right, mask));
}
INLINE b64 b_part_or(b64 b, int right, int mask, b64 c) {
  b64 p = b_part(b, right, mask);
  return b_quad(vorrq_u8(p.a, c.a), vorrq_u8(p.b, c.b), vorrq_u8(p.c, c.c), vorrq_u8(p.d, c.d));
}
INLINE b64 b_flip_top(b64 b) {
  uint8x16_t m = vdupq_n_u8(0x80);
  return b_quad(veorq_u8(b.a, m), veorq_u8(b.b, m), veorq_u8(b.c, m), veorq_u8(b.d, m));
}
INLINE b64 b_table(const uint8_t *t) {
  uint8x16_t v = vld1q_u8(t);
  return b_quad(v, v, v, v);
}
INLINE b64 b_lookup(b64 table, b64 index) {
  return b_quad(vqtbl1q_u8(table.a, index.a), vqtbl1q_u8(table.a, index.b), vqtbl1q_u8(table.a, index.c),
                vqtbl1q_u8(table.a, index.d));
}
INLINE b64 b_pick(b64 l, b64 h, b64 b, int m) {
  uint8x16_t bit = vdupq_n_u8((uint8_t)(1 << m));
  return b_quad(vbslq_u8(vtstq_u8(b.a, bit), h.a, l.a), vbslq_u8(vtstq_u8(b.b, bit), h.b, l.b),
                vbslq_u8(vtstq_u8(b.c, bit), h.c, l.c), vbslq_u8(vtstq_u8(b.d, bit), h.d, l.d));
}
INLINE b64 b_lookup2(b64 low, b64 high, b64 index, b64 b, int m) {
  return b_pick(b_lookup(low, index), b_lookup(high, index), b, m);
}

INLINE b64 b_beside(b64 b) {
  return b_quad(veorq_u8(vextq_u8(b.d, b.d, 12), b.b), veorq_u8(b.a, b.c), veorq_u8(b.b, b.d),
                veorq_u8(b.c, vextq_u8(b.a, b.a, 4)));
}

typedef int8x16_t q8_in;
INLINE q8_in q8_inputs(const int8_t *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return vreinterpretq_s8_s32(vdupq_n_s32(x));
}

INLINE v16 v_from_s32(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  return v_quad(vcvtq_f32_s32(a), vcvtq_f32_s32(b), vcvtq_f32_s32(c), vcvtq_f32_s32(d));
}

#endif
