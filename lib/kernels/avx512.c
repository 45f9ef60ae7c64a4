/* SPDX-License-Identifier: MIT */
/* AVX-512 without VNNI (Skylake's servers): twice AVX2's lanes, and otherwise its products (avx2.c). */
#include "kernels/v16_avx512.h"

#include "kernels/b64_avx512.h"
#include "kernels/float_table.h"

#define Q8_FULL_U8 0
#define Q8_SIGNS 1
#define Q8_TILES 2
#define Q8_FEW_TILES 2
#define Q8_TOKENS 4
#define Q8_UNROLL _Pragma("GCC unroll 2")

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

#define SET_PEAKS(INT8, F32, READ)                                                                                     \
  INT8("vpmaddubsw, vpmaddwd zmm", 8, 1)                                                                               \
  INT8("vpmaddubsw, vpmaddwd zmm", 12, 1)                                                                              \
  INT8("vpmaddubsw, vpmaddwd zmm", 16, 1)                                                                              \
  F32("vfmadd zmm", 8, 1)                                                                                              \
  F32("vfmadd zmm", 12, 1)                                                                                             \
  F32("vfmadd zmm", 16, 1)                                                                                             \
  PEAK_READS(READ, "vmovups zmm")
PEAKS(SET_PEAKS);

void nb_kernels_avx512(nb_kernels *k) {
  k->name = "avx512";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
  set_float_kernels(k);
}
