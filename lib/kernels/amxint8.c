/* SPDX-License-Identifier: MIT */
/* AMX with int8 tiles: the products of 16 tokens by 16 rows by 64 inputs are one instruction. Few tokens, which wait
 * for memory, and all else are as with AVX-512. */
#include "kernels/v16_avx512.h"

#include "kernels/b64_avx512.h"

#define Q8_FULL_U8 1
#define Q8_SIGNS 0
#define Q8_TILES 4
#define Q8_FEW_TILES 2
#define Q8_TOKENS 16
#define Q8_REST 8
#define Q8_AMX 1

INLINE b64 b_less(b64 b, int n) { return (b64)_mm512_sub_epi8((__m512i)b, _mm512_set1_epi8((char)n)); }

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

/* Four tiles of sums: one instruction of 16 by 16 by 64 takes 16 cycles, and its sums are ready after 52. */
static uint64_t peak_tdpbssd(size_t rounds) {
  q8_begin(64, 16);
  for (size_t r = 0; r < rounds; r++) {
    _tile_dpbssd(4, 0, 1);
    _tile_dpbssd(5, 0, 1);
    _tile_dpbssd(6, 0, 1);
    _tile_dpbssd(7, 0, 1);
  }
  q8_end();
  return (uint64_t)rounds * 4 * 16 * 16 * 64;
}
static const nb_peak peaks[] = {{NB_PEAK_INT8, "tdpbssd tmm", 4, 0, peak_tdpbssd, NULL}};

void nb_kernels_amxint8(nb_kernels *k) {
  k->name = "amxint8";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
}
