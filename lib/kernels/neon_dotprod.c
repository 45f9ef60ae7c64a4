/* SPDX-License-Identifier: MIT */
/* NEON with sdot; the float kernels stay NEON's. */
#include "kernels/v16_neon.h"

#include "kernels/b64_dotprod.h"

#define Q8_FULL_U8 0
#define Q8_SIGNS 0
#define Q8_TILES 1
#define Q8_TOKENS 3

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

#define SET_PEAKS(INT8, F32, READ)                                                                                     \
  INT8("sdot", 4, 4)                                                                                                   \
  INT8("sdot", 5, 4)                                                                                                   \
  INT8("sdot", 6, 4)
PEAKS(SET_PEAKS);

void nb_kernels_neon_dotprod(nb_kernels *k) {
  k->name = "neon_dotprod";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
}
