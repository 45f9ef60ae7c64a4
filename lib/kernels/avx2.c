/* SPDX-License-Identifier: MIT */
/* AVX2, FMA and F16C, without VNNI: vpmaddubsw adds two products of an unsigned and a signed byte in 16 bits. It
 * cannot saturate: the unsigned byte is at most 127 (128 as |-128|), the signed one -128..127. */
#include "v16_avx2.h"

#include "b64_avx2.h"
#include "float_table.h"

#define Q8_FULL_U8 0
#define Q8_SIGNS 1
#define Q8_TILES 1
#define Q8_TOKENS 2

INLINE __m256i dot8(__m256i acc, __m256i w, __m256i x, bool positive) {
  __m256i pairs = positive ? _mm256_maddubs_epi16(w, x)
                           : _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
INLINE q8_acc q8_dot(q8_acc acc, b64 w, q8_in x, bool positive) {
  return b_pair(dot8(acc.a, w.a, x, positive), dot8(acc.b, w.b, x, positive));
}

/* vpxor instead of vpsignb, which most processors give to the multipliers' ports. */
INLINE __m256i dot8_sign(__m256i acc, __m256i w, __m256i sign, __m256i x) {
  return dot8(acc, w, _mm256_xor_si256(x, sign), true);
}
INLINE q8_acc q8_dot_sign(q8_acc acc, b64 w, b64 sign, q8_in x) {
  return b_pair(dot8_sign(acc.a, w.a, sign.a, x), dot8_sign(acc.b, w.b, sign.b, x));
}

#include "linear_q8.h"
#include "peak.h"

void nb_kernels_avx2(nb_kernels *k) {
  k->name = "avx2";
  k->linear_q8 = linear_q8;
  k->peak_int8 = peak_int8;
  k->peak_f32 = peak_f32;
  k->peak_read = peak_read;
  set_float_kernels(k);
}
