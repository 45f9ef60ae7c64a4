/* SPDX-License-Identifier: MIT */
/* The bytes of linear_q8.h on AVX-512: one register. With VNNI vpdpbusd takes unsigned weights and signed activations;
 * without it vpmaddubsw wants small ones, as on AVX2 (avx2.c). */
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
INLINE __mmask64 b_bit(b64 b, int m) { return _mm512_test_epi8_mask((__m512i)b, _mm512_set1_epi8((char)(1 << m))); }
INLINE b64 b_pick(b64 low, b64 high, b64 b, int m) {
  return (b64)_mm512_mask_blend_epi8(b_bit(b, m), (__m512i)low, (__m512i)high);
}
INLINE b64 b_lookup2(b64 low, b64 high, b64 index, b64 b, int m) {
  __m512i from_low = _mm512_shuffle_epi8((__m512i)low, (__m512i)index);
  return (b64)_mm512_mask_shuffle_epi8(from_low, b_bit(b, m), (__m512i)high, (__m512i)index);
}

INLINE b64 b_beside(b64 b) {
  const __m512i before = _mm512_setr_epi32(15, 12, 13, 14, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  const __m512i after = _mm512_setr_epi32(4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1, 2, 3, 0);
  return (b64)_mm512_xor_si512(_mm512_permutexvar_epi32(before, (__m512i)b),
                               _mm512_permutexvar_epi32(after, (__m512i)b));
}

INLINE q8_acc q8_start(int32_t sum) { return (q8_acc)_mm512_set1_epi32(sum); }
INLINE q8_in q8_inputs(const int8_t *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return (q8_in)_mm512_set1_epi32(x);
}
#ifdef __AVX512VNNI__
INLINE q8_acc q8_dot(q8_acc acc, b64 w, q8_in x, bool positive) {
  (void)positive;
  return (q8_acc)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, (__m512i)x);
}
#else
INLINE b64 b_abs(b64 b) { return (b64)_mm512_abs_epi8((__m512i)b); }
INLINE b64 b_sign(b64 b) { return (b64)_mm512_movm_epi8(_mm512_movepi8_mask((__m512i)b)); }
INLINE b64 b_and(b64 b, b64 c) { return b & c; }
INLINE q8_acc q8_load(const int32_t *p) { return (q8_acc)_mm512_loadu_si512(p); }
INLINE void q8_store(int32_t *p, q8_acc s) { _mm512_storeu_si512(p, (__m512i)s); }
INLINE q8_acc q8_dot_size(q8_acc acc, b64 size, __m512i x) { /* size 0..128 */
  return acc + (q8_acc)_mm512_madd_epi16(_mm512_maddubs_epi16((__m512i)size, x), _mm512_set1_epi16(1));
}
INLINE q8_acc q8_dot_sign(q8_acc acc, b64 w, b64 sign, q8_in x) { return q8_dot_size(acc, w, (__m512i)(x ^ sign)); }
INLINE q8_acc q8_dot(q8_acc acc, b64 w, q8_in x, bool positive) {
  if (positive) return q8_dot_size(acc, w, (__m512i)x);
  __mmask64 negative = _mm512_movepi8_mask((__m512i)w);
  return q8_dot_size(acc, b_abs(w), _mm512_mask_sub_epi8((__m512i)x, negative, _mm512_setzero_si512(), (__m512i)x));
}
#endif
INLINE q8_acc q8_merge(q8_acc a, q8_acc b) { return a + b; }
INLINE v16 q8_float(q8_acc a) { return _mm512_cvtepi32_ps((__m512i)a); }

#endif
