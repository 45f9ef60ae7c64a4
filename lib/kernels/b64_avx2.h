/* SPDX-License-Identifier: MIT */
/* The bytes of linear_q8.h on AVX2: two registers of 8 rows. */
#ifndef NB_B64_AVX2_H
#define NB_B64_AVX2_H

#include "kernels/simd16.h"

typedef struct b64 {
  __m256i a, b;
} b64;
typedef struct q8_acc {
  __v8si a, b; /* 8 + 8 sums; not __m256i: gcc 12 copies registers where a loop variable changes its vector type */
} q8_acc;
typedef __m256i q8_in;

INLINE b64 b_pair(__m256i a, __m256i b) {
  b64 r = {a, b};
  return r;
}
INLINE b64 b_load(const uint8_t *p) {
  return b_pair(_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 32)));
}
INLINE b64 b_hold(b64 b) {
  __asm__("" : "+x"(b.a), "+x"(b.b));
  return b;
}
INLINE void b_store(uint8_t *p, b64 b) {
  _mm256_storeu_si256((__m256i *)p, b.a);
  _mm256_storeu_si256((__m256i *)(p + 32), b.b);
}
INLINE __m256i b_shift(__m256i b, int right) {
  return right > 0 ? _mm256_srli_epi16(b, right) : right < 0 ? _mm256_slli_epi16(b, -right) : b;
}
INLINE b64 b_part(b64 b, int right, int mask) {
  __m256i m = _mm256_set1_epi8((char)mask);
  return b_pair(_mm256_and_si256(b_shift(b.a, right), m), _mm256_and_si256(b_shift(b.b, right), m));
}
INLINE b64 b_part_or(b64 b, int right, int mask, b64 c) {
  b64 p = b_part(b, right, mask);
  return b_pair(_mm256_or_si256(p.a, c.a), _mm256_or_si256(p.b, c.b));
}
INLINE b64 b_flip_top(b64 b) {
  __m256i m = _mm256_set1_epi8((char)0x80);
  return b_pair(_mm256_xor_si256(b.a, m), _mm256_xor_si256(b.b, m));
}
INLINE b64 b_abs(b64 b) { return b_pair(_mm256_abs_epi8(b.a), _mm256_abs_epi8(b.b)); }
INLINE b64 b_sign(b64 b) {
  __m256i zero = _mm256_setzero_si256();
  return b_pair(_mm256_cmpgt_epi8(zero, b.a), _mm256_cmpgt_epi8(zero, b.b));
}
INLINE b64 b_and(b64 b, b64 c) { return b_pair(_mm256_and_si256(b.a, c.a), _mm256_and_si256(b.b, c.b)); }
INLINE b64 b_table(const uint8_t *t) {
  __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t));
  return b_pair(v, v);
}
INLINE b64 b_lookup(b64 table, b64 index) {
  return b_pair(_mm256_shuffle_epi8(table.a, index.a), _mm256_shuffle_epi8(table.a, index.b));
}
INLINE b64 b_pick(b64 low, b64 high, b64 b, int m) {
  return b_pair(_mm256_blendv_epi8(low.a, high.a, b_shift(b.a, m - 7)),
                _mm256_blendv_epi8(low.b, high.b, b_shift(b.b, m - 7)));
}
INLINE b64 b_lookup2(b64 low, b64 high, b64 index, b64 b, int m) {
  return b_pick(b_lookup(low, index), b_lookup(high, index), b, m);
}

INLINE b64 b_beside(b64 b) {
  __m256i inner = _mm256_permute2x128_si256(b.a, b.b, 0x21), outer = _mm256_permute2x128_si256(b.b, b.a, 0x21);
  __m256i before = _mm256_blend_epi32(_mm256_shuffle_epi32(outer, 0x93), outer, 0xf0); /* 12 .. 15 turned, 0 .. 3 */
  __m256i after = _mm256_blend_epi32(outer, _mm256_shuffle_epi32(outer, 0x39), 0xf0);  /* 12 .. 15, 0 .. 3 turned */
  return b_pair(_mm256_xor_si256(inner, before), _mm256_xor_si256(inner, after));
}

INLINE q8_acc q8_sums(__m256i a, __m256i b) {
  q8_acc r = {(__v8si)a, (__v8si)b};
  return r;
}
INLINE q8_acc q8_start(int32_t sum) { return q8_sums(_mm256_set1_epi32(sum), _mm256_set1_epi32(sum)); }
INLINE q8_acc q8_load(const int32_t *p) {
  b64 b = b_load((const uint8_t *)p);
  return q8_sums(b.a, b.b);
}
INLINE void q8_store(int32_t *p, q8_acc s) { b_store((uint8_t *)p, b_pair((__m256i)s.a, (__m256i)s.b)); }
INLINE q8_in q8_inputs(const int8_t *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return _mm256_set1_epi32(x);
}
INLINE q8_acc q8_merge(q8_acc s, q8_acc t) {
  q8_acc r = {s.a + t.a, s.b + t.b};
  return r;
}
INLINE v16 q8_float(q8_acc s) { return v_pair(_mm256_cvtepi32_ps((__m256i)s.a), _mm256_cvtepi32_ps((__m256i)s.b)); }

#endif
