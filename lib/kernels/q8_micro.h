/* SPDX-License-Identifier: MIT */
/* The register tile of linear_q8.h's many-token path, on q8_dot. */
#ifndef NB_Q8_MICRO_H
#define NB_Q8_MICRO_H

/* Stores two neighbouring b64 of a tile as q8_micro reads them. */
INLINE void q8_keep(uint8_t *even, uint8_t *odd, b64 a, b64 b) {
  b_store(even, a);
  b_store(odd, b);
}

/* What depends on how weights are kept: a step's first sum, and the products of 4 inputs of tile v, block j. */
#if Q8_SIGNS
INLINE q8_acc q8_step_start(bool positive, const q8_scratch *s, size_t i, int v, int32_t sum) {
  return positive ? q8_start(sum) : q8_load(s->start[i][v]);
}
INLINE q8_acc q8_step_dot(bool positive, const q8_scratch *s, size_t j, int v, q8_acc sum, b64 w, q8_in x) {
  return positive ? q8_dot(sum, w, x, true) : q8_dot_sign(sum, w, b_load(s->sign[j][v]), x);
}
#else
INLINE q8_acc q8_step_start(bool positive, const q8_scratch *s, size_t i, int v, int32_t sum) {
  (void)positive, (void)s, (void)i, (void)v;
  return q8_start(sum);
}
INLINE q8_acc q8_step_dot(bool positive, const q8_scratch *s, size_t j, int v, q8_acc sum, b64 w, q8_in x) {
  (void)s, (void)j, (void)v;
  return q8_dot(sum, w, x, positive);
}
#endif

/* R tokens from t (their sums in acc) and NT tiles meet the unpacked block of inputs from k0: n_steps of `step`.
 * Both the exact sums of a step and the float sums of the block stay in registers. */
INLINE void q8_micro(const int R, const size_t step, const bool positive, const q8_scratch *s, const nb_q8 *x, size_t t,
                     size_t k0, size_t n_steps, int zero, float (*acc)[Q8_TILES][NB_TILE]) {
  const size_t ldq = x->Kp, lds = x->Kp / NB_QA_GROUP, ldb = x->Kp / NB_BLOCK, blocks = step / NB_BLOCK;
  const int8_t *q = x->q + t * ldq + k0;
  const float *xscale = x->scale + t * lds + k0 / NB_QA_GROUP;
  const int32_t *xsum = x->sum + t * ldb + k0 / NB_BLOCK;
  v16 f[Q8_TOKENS][Q8_TILES];
  UNROLL for (int r = 0; r < Q8_TOKENS; r++)
    if (r < R)
      UNROLL for (int v = 0; v < Q8_TILES; v++) f[r][v] = v_load(acc[r][v]);
  for (size_t i = 0; i < n_steps; i++, q += step, xsum += blocks) {
    q8_acc sum[Q8_TOKENS][Q8_TILES];
    UNROLL for (int r = 0; r < Q8_TOKENS; r++) {
      if (r >= R) continue;
      const int32_t *b = xsum + (size_t)r * ldb;
      int32_t start = -zero * (blocks == 2 ? b[0] + b[1] : b[0]);
      UNROLL for (int v = 0; v < Q8_TILES; v++) sum[r][v] = q8_step_start(positive, s, i, v, start);
    }
    for (int r = 0; r < R; r++) __builtin_prefetch(q + (size_t)(2 * Q8_TOKENS + r) * ldq); /* two tiles later */
    for (size_t j = 0, w = i * (step / 4); j < step / 4; j++, w++) {
      b64 c[Q8_TILES];
      UNROLL for (int v = 0; v < Q8_TILES; v++) c[v] = b_hold(b_load(s->w[w][v]));
      UNROLL for (int r = 0; r < Q8_TOKENS; r++) {
      if (r >= R) continue;
        q8_in in = q8_inputs(q + (size_t)r * ldq + 4 * j);
        UNROLL for (int v = 0; v < Q8_TILES; v++) sum[r][v] = q8_step_dot(positive, s, w, v, sum[r][v], c[v], in);
      }
    }
    UNROLL for (int v = 0; v < Q8_TILES; v++) {
      v16 ws = v_load(s->scale[i][v]);
      UNROLL for (int r = 0; r < Q8_TOKENS; r++) {
      if (r >= R) continue;
        v16 xs = v_set(xscale[(size_t)r * lds + i * step / NB_QA_GROUP]);
        f[r][v] = v_fma(q8_float(sum[r][v]), v_mul(ws, xs), f[r][v]);
      }
    }
  }
  UNROLL for (int r = 0; r < Q8_TOKENS; r++)
    if (r < R)
      UNROLL for (int v = 0; v < Q8_TILES; v++) v_store(acc[r][v], f[r][v]);
}

#endif
