/* SPDX-License-Identifier: MIT */
/* AVX2 with vpdpbusd and vpdpwssd in 256 bits; the float kernels stay AVX2's. */
#include "kernels/v16_avx2.h"

#include "kernels/b64_avx2.h"
#include "kernels/gram.h"

#define Q8_FULL_U8 1
#define Q8_SIGNS 0
#define Q8_TILES 1
#define Q8_FEW_TILES 2
#define Q8_TOKENS 3

INLINE __v8si dot8(__v8si acc, __m256i w, __m256i x) {
#ifdef __AVXVNNI__
  return (__v8si)_mm256_dpbusd_avx_epi32((__m256i)acc, w, x);
#else
  return (__v8si)_mm256_dpbusd_epi32((__m256i)acc, w, x); /* AVX-512's encoding: to test where AVX-VNNI is missing */
#endif
}
INLINE q8_acc q8_dot(q8_acc s, b64 w, q8_in x, bool positive) {
  (void)positive;
  s.a = dot8(s.a, w.a, x), s.b = dot8(s.b, w.b, x);
  return s;
}

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

#define SET_PEAKS(INT8, F32, READ)                                                                                     \
  INT8("vpdpbusd ymm", 4, 2)                                                                                           \
  INT8("vpdpbusd ymm", 5, 2)                                                                                           \
  INT8("vpdpbusd ymm", 6, 2)
PEAKS(SET_PEAKS);

void nb_kernels_avxvnni(nb_kernels *k) {
  k->name = "avxvnni";
  k->linear_q8 = linear_q8;
  k->gram_round = gram_round;
  k->gram_add = gram_add;
  PEAK_ADD(k, peaks);
}
