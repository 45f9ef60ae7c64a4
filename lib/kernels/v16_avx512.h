/* SPDX-License-Identifier: MIT */
/* The 16-lane machine on AVX-512: see v16_ref.h for what each primitive means. */
#ifndef NB_V16_H
#define NB_V16_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { V16_ROWS = 8 };

typedef __m512 v16;

static inline __mmask16 v_first(size_t n) { return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1); }

static inline v16 v_set(float x) { return _mm512_set1_ps(x); }
static inline v16 v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, v16 a) { _mm512_storeu_ps(p, a); }
static inline v16 v_hold(v16 a) {
  __asm__("" : "+v"(a));
  return a;
}
static inline void v_use(v16 a) { __asm__ volatile("" : : "v"(a)); }
static inline v16 v_load_n(const float *p, size_t n) { return _mm512_maskz_loadu_ps(v_first(n), p); }
static inline void v_store_n(float *p, v16 a, size_t n) { _mm512_mask_storeu_ps(p, v_first(n), a); }

static inline v16 v_add(v16 a, v16 b) { return _mm512_add_ps(a, b); }
static inline v16 v_sub(v16 a, v16 b) { return _mm512_sub_ps(a, b); }
static inline v16 v_mul(v16 a, v16 b) { return _mm512_mul_ps(a, b); }
static inline v16 v_div(v16 a, v16 b) { return _mm512_div_ps(a, b); }
static inline v16 v_fma(v16 a, v16 b, v16 c) { return _mm512_fmadd_ps(a, b, c); }
static inline v16 v_max(v16 a, v16 b) { return _mm512_max_ps(a, b); }
static inline v16 v_select_lt(v16 a, v16 b, v16 x, v16 y) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
static inline v16 v_absmax(v16 m, v16 a) {
  __m512i u = _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7fffffff));
  return _mm512_castsi512_ps(_mm512_max_epu32(_mm512_castps_si512(m), u));
}
static inline v16 v_shift_exponent(v16 a, uint32_t add) {
  __m512i u = _mm512_add_epi32(_mm512_castps_si512(a), _mm512_set1_epi32((int)add));
  return _mm512_castsi512_ps(_mm512_slli_epi32(u, 23));
}

static inline __m256 v_high(v16 a) { return _mm512_extractf32x8_ps(a, 1); }
static inline float v_sum(v16 a) {
  __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), v_high(a));
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}
static inline void v_zip(v16 a, v16 b, v16 *low, v16 *high) {
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  *low = _mm512_permutex2var_ps(a, first, b);
  *high = _mm512_permutex2var_ps(a, _mm512_add_epi32(first, _mm512_set1_epi32(8)), b);
}
static inline v16 v_load4(const float *p) { return _mm512_broadcast_f32x4(_mm_loadu_ps(p)); }
static inline v16 v_low_pairs(v16 a, v16 b) { return _mm512_unpacklo_ps(a, b); }
static inline v16 v_high_pairs(v16 a, v16 b) { return _mm512_unpackhi_ps(a, b); }
static inline float v_hmax(v16 a) {
  __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a), v_high(a));
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
static inline float v_habsmax(v16 a) {
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128((int)_mm512_reduce_max_epu32(_mm512_castps_si512(a)))));
}

static inline v16 v_load_bf16(const void *p) {
  __m512i u = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(u, 16));
}
static inline v16 v_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline v16 v_load_i8(const int8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
static inline void v_store_f16(uint16_t *p, v16 a) {
  _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline void v_store_low8(void *p, v16 a) {
  _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_castps_si512(a)));
}

static inline void v_store_low16(int16_t *p, v16 a) {
  _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(_mm512_castps_si512(a)));
}

typedef __v16si p16;
typedef __v16si x16;
typedef __v16si s16;

static inline p16 p_load(const int16_t *p) {
  p16 r = (p16)_mm512_loadu_si512(p);
  __asm__("" : "+v"(r)); /* as v_hold */
  return r;
}
static inline p16 p_load_i8(const int8_t *p) {
  return (p16)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline x16 x_load(const int16_t *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return (x16)_mm512_set1_epi32(x);
}
static inline s16 s_zero(void) { return (s16)_mm512_setzero_si512(); }
static inline s16 s_dot(s16 sum, p16 a, x16 x) {
#ifdef __AVX512VNNI__
  return (s16)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)x);
#else
  return sum + (s16)_mm512_madd_epi16((__m512i)a, (__m512i)x);
#endif
}
static inline v16 s_float(s16 sum) { return _mm512_cvtepi32_ps((__m512i)sum); }

static inline void v_transpose(v16 r[16]) {
  v16 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; j++) { /* r[4 m + c]: column 4 l + c of the rows 4 m .. 4 m + 3 in 128-bit lane l */
      __m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + 2 + j]);
      r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  for (int c = 0; c < 4; c++) {
    t[c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);
    t[4 + c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
    t[8 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
    t[12 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
  }
  for (int c = 0; c < 4; c++) {
    r[c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0x88);
    r[8 + c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0xdd);
    r[4 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0x88);
    r[12 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0xdd);
  }
}

#endif
