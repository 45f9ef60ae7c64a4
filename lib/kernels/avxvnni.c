/* SPDX-License-Identifier: MIT */
/* AVX2 with vpdpbusd in 256 bits; the float kernels stay AVX2's. */
#include "v16_avx2.h"

#include "b64_avx2.h"

#define Q8_FULL_U8 1
#define Q8_SIGNS 0
#define Q8_TILES 1
#define Q8_TOKENS 3

INLINE __m256i dot8(__m256i acc, __m256i w, __m256i x) {
#ifdef __AVXVNNI__
  return _mm256_dpbusd_avx_epi32(acc, w, x);
#else
  return _mm256_dpbusd_epi32(acc, w, x); /* the same in AVX-512's encoding: for testing where AVX-VNNI is missing */
#endif
}
INLINE q8_acc q8_dot(q8_acc acc, b64 w, q8_in x, bool positive) {
  (void)positive;
  return b_pair(dot8(acc.a, w.a, x), dot8(acc.b, w.b, x));
}

#include "linear_q8.h"
#include "peak.h"

void nb_kernels_avxvnni(nb_kernels *k) {
  k->name = "avxvnni";
  k->linear_q8 = linear_q8;
  k->peak_int8 = peak_int8;
}
