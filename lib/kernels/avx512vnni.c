/* SPDX-License-Identifier: MIT */
/* AVX-512 with VNNI: 16 lanes are one register, and vpdpbusd takes unsigned weights and signed activations. */
#include "kernels/v16_avx512.h"

#include "kernels/float_table.h"

#define Q8_FULL_U8 1
#define Q8_SIGNS 0
#define Q8_TILES 4
#define Q8_TOKENS 3

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

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

/* 256 bits in this set's encoding, which processors without AVX-VNNI lack otherwise. */
static uint64_t peak_int8_ymm(size_t rounds) {
  enum { N = 12 };
  __v8si acc[N], w = (__v8si)_mm256_set1_epi32(0x01020304);
  PEAK_UNROLL for (int i = 0; i < N; i++) acc[i] = (__v8si)_mm256_set1_epi32(i);
  for (size_t r = 0; r < rounds; r++) PEAK_UNROLL
  for (int i = 0; i < N; i++) {
    __asm__("" : "+v"(w));
    acc[i] = (__v8si)_mm256_dpbusd_epi32((__m256i)acc[i], (__m256i)w, (__m256i)w);
  }
  PEAK_UNROLL for (int i = 0; i < N; i++) __asm__ volatile("" : : "v"(acc[i]));
  return (uint64_t)rounds * N * 32;
}
PEAK_INT8(8);
PEAK_INT8(12);
PEAK_INT8(16);
PEAK_F32(8);
PEAK_F32(12);
PEAK_F32(16);
PEAK_READS;

static const nb_peak peaks[] = {
    PEAK_INT8_LINE("vpdpbusd zmm", 8, 1),  PEAK_INT8_LINE("vpdpbusd zmm", 12, 1),
    PEAK_INT8_LINE("vpdpbusd zmm", 16, 1), {NB_PEAK_INT8, "vpdpbusd ymm", 12, 0, peak_int8_ymm, NULL},
    PEAK_F32_LINE("vfmadd zmm", 8, 1),     PEAK_F32_LINE("vfmadd zmm", 12, 1),
    PEAK_F32_LINE("vfmadd zmm", 16, 1),    PEAK_READ_LINES("vmovups zmm"),
};

void nb_kernels_avx512vnni(nb_kernels *k) {
  k->name = "avx512vnni";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
  set_float_kernels(k);
}
