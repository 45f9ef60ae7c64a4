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

void nb_kernels_neon_i8mm(nb_kernels *k) {
  k->name = "neon_i8mm";
  k->linear_q8 = linear_q8;
  k->peak_int8 = peak_int8;
}
