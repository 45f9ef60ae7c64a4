/* SPDX-License-Identifier: MIT */
/* The register tile of linear_q8.h's many-token path, on q8_dot. */
#ifndef NB_Q8_MICRO_H
#define NB_Q8_MICRO_H

/* Stores two neighbouring b64 of a tile as q8_micro reads them. */
INLINE void q8_keep(uint8_t *even, uint8_t *odd, b64 a, b64 b, int zero) {
  (void)zero;
  b_store(even, a);
  b_store(odd, b);
}

/* What depends on how weights are kept: a step's first sum; a tile's weights of 4 inputs; their products. */
#if Q8_SIGNS
typedef struct q8_weights {
  b64 w, sign;
} q8_weights;
INLINE q8_acc q8_step_start(bool positive, const q8_scratch *s, size_t i, int v, int32_t sum) {
  return positive ? q8_start(sum) : q8_load(s->start[i][v]);
}
INLINE q8_weights q8_step_load(bool positive, const q8_scratch *s, size_t j, int v) {
  b64 w = b_hold(b_load(s->w[j][v]));
  q8_weights r = {w, positive ? w : b_hold(b_load(s->sign[j][v]))};
  return r;
}
INLINE q8_acc q8_step_dot(bool positive, q8_acc sum, q8_weights w, q8_in x) {
  return positive ? q8_dot(sum, w.w, x, true) : q8_dot_sign(sum, w.w, w.sign, x);
}
#else
typedef b64 q8_weights;
INLINE q8_acc q8_step_start(bool positive, const q8_scratch *s, size_t i, int v, int32_t sum) {
  (void)positive, (void)s, (void)i, (void)v;
  return q8_start(sum);
}
INLINE q8_weights q8_step_load(bool positive, const q8_scratch *s, size_t j, int v) {
  (void)positive;
  return b_hold(b_load(s->w[j][v]));
}
INLINE q8_acc q8_step_dot(bool positive, q8_acc sum, q8_weights w, q8_in x) { return q8_dot(sum, w, x, positive); }
#endif

/* R tokens from t and the tiles meet the unpacked inputs: s->n_steps of `step`.
 * Both the exact sums of a step and the float sums of the block stay in registers. */
INLINE void q8_micro(const int R, const size_t step, const bool positive, q8_scratch *s, const nb_q8 *x, size_t t,
                     size_t n) {
  float(*acc)[Q8_TILES][NB_TILE] = s->acc + (t - s->t0);
  (void)n; /* it is R */
  const size_t ldq = x->Kp, lds = x->Kp / NB_QA_GROUP, ldb = x->Kp / NB_BLOCK, blocks = step / NB_BLOCK;
  const size_t k0 = s->k0, n_steps = s->n_steps;
  const int32_t zero = s->zero;
  const int8_t *q = x->q + t * ldq + k0;
  const float *xscale = x->scale + t * lds + k0 / NB_QA_GROUP;
  const int32_t *xsum = x->sum + t * ldb + k0 / NB_BLOCK;
  v16 f[Q8_TOKENS][Q8_TILES];
  UNROLL for (int r = 0; r < Q8_TOKENS; r++) if (r < R) UNROLL for (int v = 0; v < Q8_TILES; v++) f[r][v] =
      v_load(acc[r][v]);
  for (size_t i = 0; i < n_steps; i++, q += step, xsum += blocks) {
    q8_acc sum[Q8_TOKENS][Q8_TILES];
    UNROLL for (int r = 0; r < Q8_TOKENS; r++) {
      if (r >= R) continue;
      const int32_t *b = xsum + (size_t)r * ldb;
      int32_t start = -zero * (blocks == 2 ? b[0] + b[1] : b[0]);
      UNROLL for (int v = 0; v < Q8_TILES; v++) sum[r][v] = q8_step_start(positive, s, i, v, start);
    }
    for (int r = 0; r < R; r++) __builtin_prefetch(q + (size_t)(2 * Q8_TOKENS + r) * ldq); /* two tiles later */
    Q8_UNROLL for (size_t j = 0, w = i * (step / 4); j < step / 4; j++, w++) {
      q8_weights c[Q8_TILES];
      UNROLL for (int v = 0; v < Q8_TILES; v++) c[v] = q8_step_load(positive, s, w, v);
      UNROLL for (int r = 0; r < Q8_TOKENS; r++) {
        if (r >= R) continue;
        q8_in in = q8_inputs(q + (size_t)r * ldq + 4 * j);
        UNROLL for (int v = 0; v < Q8_TILES; v++) sum[r][v] = q8_step_dot(positive, sum[r][v], c[v], in);
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
  UNROLL for (int r = 0; r < Q8_TOKENS; r++) if (r < R) UNROLL for (int v = 0; v < Q8_TILES; v++)
      v_store(acc[r][v], f[r][v]);
}

#endif
