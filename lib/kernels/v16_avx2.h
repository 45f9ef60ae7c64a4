/* SPDX-License-Identifier: MIT */
/* The 16-lane machine on AVX2, FMA and F16C: see v16_ref.h for what each primitive means. */
#ifndef NB_V16_H
#define NB_V16_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { V16_ROWS = 3 };

typedef struct v16 {
  __m256 a, b; /* lanes 0..7, 8..15 */
} v16;

static inline v16 v_pair(__m256 a, __m256 b) {
  v16 r = {a, b};
  return r;
}
static inline v16 v_set(float x) { return v_pair(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
static inline v16 v_load(const float *p) { return v_pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
static inline void v_store(float *p, v16 a) { _mm256_storeu_ps(p, a.a), _mm256_storeu_ps(p + 8, a.b); }
static inline v16 v_hold(v16 a) { return a; } /* 16 registers: better read twice */
static inline void v_use(v16 a) { __asm__ volatile("" : : "x"(a.a), "x"(a.b)); }
#include "kernels/v16_tail.h"

static inline v16 v_add(v16 a, v16 b) { return v_pair(_mm256_add_ps(a.a, b.a), _mm256_add_ps(a.b, b.b)); }
static inline v16 v_sub(v16 a, v16 b) { return v_pair(_mm256_sub_ps(a.a, b.a), _mm256_sub_ps(a.b, b.b)); }
static inline v16 v_mul(v16 a, v16 b) { return v_pair(_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)); }
static inline v16 v_div(v16 a, v16 b) { return v_pair(_mm256_div_ps(a.a, b.a), _mm256_div_ps(a.b, b.b)); }
static inline v16 v_fma(v16 a, v16 b, v16 c) {
  return v_pair(_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b));
}
static inline v16 v_max(v16 a, v16 b) { return v_pair(_mm256_max_ps(a.a, b.a), _mm256_max_ps(a.b, b.b)); }
static inline v16 v_select_lt(v16 a, v16 b, v16 x, v16 y) {
  return v_pair(_mm256_blendv_ps(y.a, x.a, _mm256_cmp_ps(a.a, b.a, _CMP_LT_OQ)),
                _mm256_blendv_ps(y.b, x.b, _mm256_cmp_ps(a.b, b.b, _CMP_LT_OQ)));
}
static inline __m256 v_absmax8(__m256 m, __m256 a) {
  __m256i u = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x7fffffff));
  return _mm256_castsi256_ps(_mm256_max_epu32(_mm256_castps_si256(m), u));
}
static inline v16 v_absmax(v16 m, v16 a) { return v_pair(v_absmax8(m.a, a.a), v_absmax8(m.b, a.b)); }
static inline __m256 v_shift_exponent8(__m256 a, uint32_t add) {
  __m256i u = _mm256_add_epi32(_mm256_castps_si256(a), _mm256_set1_epi32((int)add));
  return _mm256_castsi256_ps(_mm256_slli_epi32(u, 23));
}
static inline v16 v_shift_exponent(v16 a, uint32_t add) {
  return v_pair(v_shift_exponent8(a.a, add), v_shift_exponent8(a.b, add));
}

static inline float v_sum(v16 a) {
  __m256 h = _mm256_add_ps(a.a, a.b);
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
static inline v16 v_zip8(__m256 a, __m256 b) {
  __m256 even = _mm256_unpacklo_ps(a, b), odd = _mm256_unpackhi_ps(a, b); /* pairs 0, 1 and 4, 5; 2, 3 and 6, 7 */
  return v_pair(_mm256_permute2f128_ps(even, odd, 0x20), _mm256_permute2f128_ps(even, odd, 0x31));
}
static inline void v_zip(v16 a, v16 b, v16 *low, v16 *high) {
  *low = v_zip8(a.a, b.a);
  *high = v_zip8(a.b, b.b);
}
static inline v16 v_load4(const float *p) {
  __m256 v = _mm256_broadcast_ps((const __m128 *)(const void *)p);
  return v_pair(v, v);
}
static inline v16 v_low_pairs(v16 a, v16 b) {
  return v_pair(_mm256_unpacklo_ps(a.a, b.a), _mm256_unpacklo_ps(a.b, b.b));
}
static inline v16 v_high_pairs(v16 a, v16 b) {
  return v_pair(_mm256_unpackhi_ps(a.a, b.a), _mm256_unpackhi_ps(a.b, b.b));
}
static inline float v_hmax(v16 a) {
  __m256 h = _mm256_max_ps(a.a, a.b);
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
static inline float v_habsmax(v16 a) {
  __m256i h = _mm256_max_epu32(_mm256_castps_si256(a.a), _mm256_castps_si256(a.b));
  __m128i q = _mm_max_epu32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
  q = _mm_max_epu32(q, _mm_shuffle_epi32(q, 0x4e));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epu32(q, _mm_shuffle_epi32(q, 0xb1))));
}

static inline __m256 v_bf16x8(__m128i h) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
static inline v16 v_load_bf16(const void *p) {
  const __m128i *h = p;
  return v_pair(v_bf16x8(_mm_loadu_si128(h)), v_bf16x8(_mm_loadu_si128(h + 1)));
}
static inline v16 v_load_f16(const void *p) {
  const __m128i *h = p;
  return v_pair(_mm256_cvtph_ps(_mm_loadu_si128(h)), _mm256_cvtph_ps(_mm_loadu_si128(h + 1)));
}
static inline v16 v_load_i8(const int8_t *p) {
  __m128i q = _mm_loadu_si128((const __m128i *)(const void *)p);
  return v_pair(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(q, 8))));
}
static inline void v_store_f16(uint16_t *p, v16 a) {
  __m128i *h = (__m128i *)(void *)p;
  _mm_storeu_si128(h, _mm256_cvtps_ph(a.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  _mm_storeu_si128(h + 1, _mm256_cvtps_ph(a.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline void v_store_low8(void *p, v16 a) {
  const __m256i low = _mm256_set1_epi32(255);
  __m256i u = _mm256_packus_epi32(_mm256_and_si256(_mm256_castps_si256(a.a), low),
                                  _mm256_and_si256(_mm256_castps_si256(a.b), low));
  u = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(u, u), _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5));
  _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(u));
}

static inline void v_store_low16(int16_t *p, v16 a) {
  const __m256i low = _mm256_set1_epi32(0xffff);
  __m256i u = _mm256_packus_epi32(_mm256_and_si256(_mm256_castps_si256(a.a), low),
                                  _mm256_and_si256(_mm256_castps_si256(a.b), low));
  _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permute4x64_epi64(u, 0xd8));
}

typedef struct p16 {
  __m256i a, b; /* lanes 0..7, 8..15 */
} p16;
typedef __m256i x16;
typedef p16 s16;

static inline p16 p_load(const int16_t *p) {
  p16 r = {_mm256_loadu_si256((const __m256i *)(const void *)p),
           _mm256_loadu_si256((const __m256i *)(const void *)(p + 16))};
  return r;
}
static inline p16 p_load_i8(const int8_t *p) {
  const __m128i *q = (const __m128i *)(const void *)p;
  p16 r = {_mm256_cvtepi8_epi16(_mm_loadu_si128(q)), _mm256_cvtepi8_epi16(_mm_loadu_si128(q + 1))};
  return r;
}
static inline x16 x_load(const int16_t *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return _mm256_set1_epi32(x);
}
static inline s16 s_zero(void) {
  s16 r = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  return r;
}
static inline __m256i s_dot8(__m256i sum, __m256i a, x16 x) {
#if defined(__AVXVNNI__)
  return _mm256_dpwssd_avx_epi32(sum, a, x);
#elif defined(__AVX512VNNI__) && defined(__AVX512VL__) /* AVX-512's encoding: to test where AVX-VNNI is missing */
  return _mm256_dpwssd_epi32(sum, a, x);
#else
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, x));
#endif
}
static inline s16 s_dot(s16 sum, p16 a, x16 x) {
  sum.a = s_dot8(sum.a, a.a, x), sum.b = s_dot8(sum.b, a.b, x);
  return sum;
}
static inline v16 s_float(s16 sum) { return v_pair(_mm256_cvtepi32_ps(sum.a), _mm256_cvtepi32_ps(sum.b)); }

/* The 8 x 8 transpose of x[0], x[step], ... */
static inline void v_transpose8(__m256 *x) {
  __m256 t[8], u[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; j++) {
      u[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0x44);
      u[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0xee);
    }
  for (int i = 0; i < 4; i++) {
    x[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    x[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}
static inline void v_transpose(v16 r[16]) {
  __m256 q[4][8];
  for (int i = 0; i < 8; i++) {
    q[0][i] = r[i].a, q[1][i] = r[i].b;
    q[2][i] = r[8 + i].a, q[3][i] = r[8 + i].b;
  }
  for (int i = 0; i < 4; i++) v_transpose8(q[i]);
  for (int i = 0; i < 8; i++) {
    r[i] = v_pair(q[0][i], q[2][i]);
    r[8 + i] = v_pair(q[1][i], q[3][i]);
  }
}

#endif
