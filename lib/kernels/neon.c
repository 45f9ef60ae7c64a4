/* SPDX-License-Identifier: MIT */
/* NEON as in ARMv8.0: byte products in 16 bits, added in pairs to sums of half a row's 4 inputs each. */
#include "kernels/v16_neon.h"

#include "kernels/b64_neon.h"
#include "kernels/float_table.h"

#define Q8_FULL_U8 0
#define Q8_SIGNS 0
#define Q8_TILES 1
#define Q8_TOKENS 2

typedef struct q8_acc {
  int32x4_t s[8]; /* rows 2 i, 2 i + 1: inputs 0 + 1, inputs 2 + 3, of each */
} q8_acc;

INLINE q8_acc q8_start(int32_t sum) {
  int32x4_t s = vsetq_lane_s32(sum, vsetq_lane_s32(sum, vdupq_n_s32(0), 0), 2);
  q8_acc r = {{s, s, s, s, s, s, s, s}};
  return r;
}
INLINE void dot16(int32x4_t *low, int32x4_t *high, uint8x16_t w, int8x16_t x) {
  int8x16_t v = vreinterpretq_s8_u8(w);
  *low = vpadalq_s16(*low, vmull_s8(vget_low_s8(v), vget_low_s8(x)));
  *high = vpadalq_s16(*high, vmull_high_s8(v, x));
}
INLINE q8_acc q8_dot(q8_acc r, b64 w, q8_in x, bool positive) {
  (void)positive;
  dot16(&r.s[0], &r.s[1], w.a, x);
  dot16(&r.s[2], &r.s[3], w.b, x);
  dot16(&r.s[4], &r.s[5], w.c, x);
  dot16(&r.s[6], &r.s[7], w.d, x);
  return r;
}
INLINE q8_acc q8_merge(q8_acc x, q8_acc y) {
  for (int i = 0; i < 8; i++) x.s[i] = vaddq_s32(x.s[i], y.s[i]);
  return x;
}
INLINE v16 q8_float(q8_acc r) {
  return v_from_s32(vpaddq_s32(r.s[0], r.s[1]), vpaddq_s32(r.s[2], r.s[3]), vpaddq_s32(r.s[4], r.s[5]),
                    vpaddq_s32(r.s[6], r.s[7]));
}

#include "kernels/linear_q8.h"
#include "kernels/peak.h"

#define SET_PEAKS(INT8, F32, READ)                                                                                     \
  INT8("smull, sadalp", 2, 8)                                                                                          \
  INT8("smull, sadalp", 3, 8)                                                                                          \
  F32("fmla", 4, 4)                                                                                                    \
  F32("fmla", 5, 4)                                                                                                    \
  F32("fmla", 6, 4)                                                                                                    \
  PEAK_READS(READ, "ldr q")
PEAKS(SET_PEAKS);

void nb_kernels_neon(nb_kernels *k) {
  k->name = "neon";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
  set_float_kernels(k);
}
