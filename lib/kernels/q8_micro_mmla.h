/* SPDX-License-Identifier: MIT */
/* The register tile of linear_q8.h's many-token path, on smmla: one tile by two tokens. Its weights are stored as
 * 2 rows x 8 inputs a register. */
#ifndef NB_Q8_MICRO_MMLA_H
#define NB_Q8_MICRO_MMLA_H

INLINE void q8_keep4(uint8_t *p, uint8x16_t a, uint8x16_t b) {
  uint32x4_t x = vreinterpretq_u32_u8(a), y = vreinterpretq_u32_u8(b);
  vst1q_u8(p, vreinterpretq_u8_u32(vzip1q_u32(x, y)));
  vst1q_u8(p + 16, vreinterpretq_u8_u32(vzip2q_u32(x, y)));
}
/* Stores two neighbouring b64 of a tile as q8_micro reads them: rows 0..7, rows 8..15. */
INLINE void q8_keep(uint8_t *even, uint8_t *odd, b64 a, b64 b, int zero) {
  (void)zero;
  q8_keep4(even, a.a, b.a);
  q8_keep4(even + 32, a.b, b.b);
  q8_keep4(odd, a.c, b.c);
  q8_keep4(odd + 32, a.d, b.d);
}

/* R (1 or 2) tokens from t and a tile meet the unpacked inputs: s->n_steps of `step`. A single token takes both
 * places. */
INLINE void q8_micro(const int R, const size_t step, const bool positive, q8_scratch *s, const nb_q8 *x, size_t t,
                     size_t n) {
  float(*acc)[Q8_TILES][NB_TILE] = s->acc + (t - s->t0);
  (void)positive, (void)n; /* it is R */
  const size_t other = R - 1, lds = x->Kp / NB_QA_GROUP, ldb = x->Kp / NB_BLOCK, blocks = step / NB_BLOCK;
  const size_t k0 = s->k0, n_steps = s->n_steps;
  const int32_t zero = s->zero;
  const int8_t *q = x->q + t * x->Kp + k0;
  const float *xscale = x->scale + t * lds + k0 / NB_QA_GROUP;
  const int32_t *xsum = x->sum + t * ldb + k0 / NB_BLOCK;
  const uint8_t *w = s->w[0][0];
  v16 f[2];
  for (size_t r = 0; r < 2; r++) f[r] = v_load(acc[r * other][0]);
  for (size_t i = 0; i < n_steps; i++, q += step, xsum += blocks) {
    int32x4_t sum[8], start = vdupq_n_s32(0);
    for (size_t b = 0; b < blocks; b++) {
      int32x2_t two = vset_lane_s32(xsum[other * ldb + b], vdup_n_s32(xsum[b]), 1);
      start = vaddq_s32(start, vcombine_s32(two, two));
    }
    UNROLL for (int p = 0; p < 8; p++) sum[p] = vmulq_n_s32(start, -zero);
    for (size_t j = 0; j < step; j += 8, w += 128) {
      int8x16_t in = vcombine_s8(vld1_s8(q + j), vld1_s8(q + other * x->Kp + j));
      UNROLL for (int p = 0; p < 8; p++) sum[p] = vmmlaq_s32(sum[p], vreinterpretq_s8_u8(vld1q_u8(w + 16 * p)), in);
    }
    v16 ws = v_load(s->scale[i][0]);
    v16 a = v_from_s32(vuzp1q_s32(sum[0], sum[1]), vuzp1q_s32(sum[2], sum[3]), vuzp1q_s32(sum[4], sum[5]),
                       vuzp1q_s32(sum[6], sum[7]));
    v16 b = v_from_s32(vuzp2q_s32(sum[0], sum[1]), vuzp2q_s32(sum[2], sum[3]), vuzp2q_s32(sum[4], sum[5]),
                       vuzp2q_s32(sum[6], sum[7]));
    size_t g = i * step / NB_QA_GROUP;
    f[0] = v_fma(a, v_mul(ws, v_set(xscale[g])), f[0]);
    f[1] = v_fma(b, v_mul(ws, v_set(xscale[other * lds + g])), f[1]);
  }
  for (size_t r = 0; r < (size_t)R; r++) v_store(acc[r][0], f[r]);
}

#endif
