/* SPDX-License-Identifier: MIT */
/* AVX2, FMA and F16C, without VNNI: vpmaddubsw adds two products of an unsigned and a signed byte in 16 bits. It
 * cannot saturate: the unsigned byte is at most 127 (128 as |-128|), the signed one -128..127. */
#include "kernels/v16_avx2.h"

#include "kernels/b64_avx2.h"
#include "kernels/float_table.h"

#define Q8_FULL_U8 0
#define Q8_SIGNS 1
#define Q8_TILES 1
#define Q8_FEW_TILES 2
#define Q8_TOKENS 2
#define Q8_UNROLL _Pragma("GCC unroll 2")

INLINE __v8si dot8(__v8si acc, __m256i w, __m256i x) {
  return acc + (__v8si)_mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1));
}
INLINE q8_acc q8_dot(q8_acc s, b64 w, q8_in x, bool positive) {
  b64 size = positive ? w : b_abs(w);
  s.a = dot8(s.a, size.a, positive ? x : _mm256_sign_epi8(x, w.a));
  s.b = dot8(s.b, size.b, positive ? x : _mm256_sign_epi8(x, w.b));
  return s;
}
/* vpxor instead of vpsignb, which most processors give to the multipliers' ports. */
INLINE q8_acc q8_dot_sign(q8_acc s, b64 w, b64 sign, q8_in x) {
  s.a = dot8(s.a, w.a, _mm256_xor_si256(x, sign.a));
  s.b = dot8(s.b, w.b, _mm256_xor_si256(x, sign.b));
  return s;
}

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

#define SET_PEAKS(INT8, F32, READ)                                                                                     \
  INT8("vpmaddubsw, vpmaddwd ymm", 4, 2)                                                                               \
  INT8("vpmaddubsw, vpmaddwd ymm", 5, 2)                                                                               \
  INT8("vpmaddubsw, vpmaddwd ymm", 6, 2)                                                                               \
  F32("vfmadd ymm", 4, 2)                                                                                              \
  F32("vfmadd ymm", 5, 2)                                                                                              \
  F32("vfmadd ymm", 6, 2)                                                                                              \
  PEAK_READS(READ, "vmovups ymm")
PEAKS(SET_PEAKS);

void nb_kernels_avx2(nb_kernels *k) {
  k->name = "avx2";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
  set_float_kernels(k);
}
