/* SPDX-License-Identifier: MIT */
/* NEON with smmla for many tokens: 2 rows by 2 tokens by 8 inputs an instruction. Few tokens use sdot. */
#include "kernels/v16_neon.h"

#include "kernels/b64_dotprod.h"

#define Q8_FULL_U8 0
#define Q8_SIGNS 0
#define Q8_TILES 1
#define Q8_TOKENS 2
#define Q8_MMLA 1

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

/* The instruction of the many-token path; few tokens use sdot, whose loops the set below has. */
INLINE uint64_t peak_smmla(const int n, size_t rounds) {
  int32x4_t acc[16];
  int8x16_t w = vdupq_n_s8(1);
  PEAK_UNROLL for (int i = 0; i < n; i++) acc[i] = vdupq_n_s32(i);
  for (size_t r = 0; r < rounds; r++) PEAK_UNROLL
  for (int i = 0; i < n; i++) {
    __asm__("" : "+w"(w));
    acc[i] = vmmlaq_s32(acc[i], w, w);
  }
  PEAK_UNROLL for (int i = 0; i < n; i++) __asm__ volatile("" : : "w"(acc[i]));
  return (uint64_t)rounds * (uint64_t)n * 32;
}
static uint64_t peak_smmla_8(size_t rounds) { return peak_smmla(8, rounds); }
static uint64_t peak_smmla_16(size_t rounds) { return peak_smmla(16, rounds); }
static const nb_peak peaks[] = {
    {NB_PEAK_INT8, "smmla", 8, 0, peak_smmla_8, NULL},
    {NB_PEAK_INT8, "smmla", 16, 0, peak_smmla_16, NULL},
};

void nb_kernels_neon_i8mm(nb_kernels *k) {
  k->name = "neon_i8mm";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
}
