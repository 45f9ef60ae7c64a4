/* SPDX-License-Identifier: MIT */
/* The bytes of linear_q8.h on AVX-512: one register, and vpdpbusd takes unsigned weights and signed activations. */
#ifndef NB_B64_AVX512_H
#define NB_B64_AVX512_H

#include "kernels/simd16.h"

typedef __v16si b64;
typedef __v16si q8_in;
typedef __v16si q8_acc; /* not __m512i: gcc 12 copies registers where a loop variable changes its vector type */

INLINE b64 b_load(const uint8_t *p) { return (b64)_mm512_loadu_si512(p); }
INLINE b64 b_hold(b64 b) {
  __asm__("" : "+v"(b));
  return b;
}
INLINE void b_store(uint8_t *p, b64 b) { _mm512_storeu_si512(p, (__m512i)b); }
INLINE __m512i b_shift(b64 b, int right) {
  __m512i m = (__m512i)b;
  return right > 0 ? _mm512_srli_epi16(m, (unsigned)right) : right < 0 ? _mm512_slli_epi16(m, (unsigned)-right) : m;
}
INLINE b64 b_part(b64 b, int right, int mask) {
  return (b64)_mm512_and_si512(b_shift(b, right), _mm512_set1_epi8((char)mask));
}
INLINE b64 b_part_or(b64 b, int right, int mask, b64 c) { /* 0xea: (a & b) | c */
  return (b64)_mm512_ternarylogic_epi32(b_shift(b, right), _mm512_set1_epi8((char)mask), (__m512i)c, 0xea);
}
INLINE b64 b_flip_top(b64 b) { return (b64)_mm512_xor_si512((__m512i)b, _mm512_set1_epi8((char)0x80)); }
INLINE b64 b_table(const uint8_t *t) { return (b64)_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)t)); }
INLINE b64 b_lookup(b64 table, b64 index) { return (b64)_mm512_shuffle_epi8((__m512i)table, (__m512i)index); }
INLINE b64 b_lookup2(b64 low, b64 high, b64 index, b64 b, int m) {
  __mmask64 from_high = _mm512_test_epi8_mask((__m512i)b, _mm512_set1_epi8((char)(1 << m)));
  __m512i from_low = _mm512_shuffle_epi8((__m512i)low, (__m512i)index);
  return (b64)_mm512_mask_shuffle_epi8(from_low, from_high, (__m512i)high, (__m512i)index);
}

INLINE q8_acc q8_start(int32_t sum) { return (q8_acc)_mm512_set1_epi32(sum); }
INLINE q8_in q8_inputs(const int8_t *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return (q8_in)_mm512_set1_epi32(x);
}
INLINE q8_acc q8_dot(q8_acc acc, b64 w, q8_in x, bool positive) {
  (void)positive;
  return (q8_acc)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, (__m512i)x);
}
INLINE q8_acc q8_merge(q8_acc a, q8_acc b) { return a + b; }
INLINE v16 q8_float(q8_acc a) { return _mm512_cvtepi32_ps((__m512i)a); }

#endif
