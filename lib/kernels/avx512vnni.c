/* SPDX-License-Identifier: MIT */
/* AVX-512 with VNNI: 16 lanes are one register. */
#include "kernels/v16_avx512.h"

#include "kernels/b64_avx512.h"
#include "kernels/float_table.h"

#define Q8_FULL_U8 1
#define Q8_SIGNS 0
#define Q8_TILES 4
#define Q8_FEW_TILES 2
#define Q8_TOKENS 3

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

/* Loops of floats and of reading are avx512.c's. */
#define SET_PEAKS(INT8, F32, READ)                                                                                     \
  INT8("vpdpbusd zmm", 8, 1)                                                                                           \
  INT8("vpdpbusd zmm", 12, 1)                                                                                          \
  INT8("vpdpbusd zmm", 16, 1)
PEAKS(SET_PEAKS, {NB_PEAK_INT8, "vpdpbusd ymm", 12, 0, peak_int8_ymm, NULL});

void nb_kernels_avx512vnni(nb_kernels *k) {
  k->name = "avx512vnni";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
  set_float_kernels(k);
}
