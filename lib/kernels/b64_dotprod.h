/* SPDX-License-Identifier: MIT */
/* The sums of linear_q8.h with sdot: four registers of 4 rows. */
#ifndef NB_B64_DOTPROD_H
#define NB_B64_DOTPROD_H

#include "kernels/b64_neon.h"

typedef struct q8_acc {
  int32x4_t a, b, c, d;
} q8_acc;

INLINE q8_acc q8_start(int32_t sum) {
  int32x4_t s = vdupq_n_s32(sum);
  q8_acc r = {s, s, s, s};
  return r;
}
INLINE q8_acc q8_dot(q8_acc s, b64 w, q8_in x, bool positive) {
  (void)positive;
  s.a = vdotq_s32(s.a, vreinterpretq_s8_u8(w.a), x);
  s.b = vdotq_s32(s.b, vreinterpretq_s8_u8(w.b), x);
  s.c = vdotq_s32(s.c, vreinterpretq_s8_u8(w.c), x);
  s.d = vdotq_s32(s.d, vreinterpretq_s8_u8(w.d), x);
  return s;
}
INLINE q8_acc q8_merge(q8_acc x, q8_acc y) {
  q8_acc r = {vaddq_s32(x.a, y.a), vaddq_s32(x.b, y.b), vaddq_s32(x.c, y.c), vaddq_s32(x.d, y.d)};
  return r;
}
INLINE v16 q8_float(q8_acc s) { return v_from_s32(s.a, s.b, s.c, s.d); }

#endif
