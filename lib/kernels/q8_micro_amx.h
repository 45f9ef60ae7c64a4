/* SPDX-License-Identifier: MIT */
/* The register tile of linear_q8.h's many-token path, on AMX: a tile register takes 16 tokens by a step's inputs,
 * another those inputs by 16 rows, and one instruction adds all their products. The sums of a step leave through
 * memory, since no other instruction reads tile registers, and meet their scales there. */
#ifndef NB_Q8_MICRO_AMX_H
#define NB_Q8_MICRO_AMX_H

/* Stores two neighbouring b64 of a tile as q8_micro reads them: signed, so that the sums need no start. */
INLINE void q8_keep(uint8_t *even, uint8_t *odd, b64 a, b64 b, int zero) {
  b_store(even, b_less(a, zero));
  b_store(odd, b_less(b, zero));
}

/* The shapes of the tile registers: 0 to 3 tokens, a step each; 4 and 5 weights; 6 and 7 sums. */
typedef struct q8_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} q8_shapes;

INLINE void q8_begin(size_t step, size_t n) {
  q8_shapes c = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    c.row_bytes[i] = i < Q8_STEPS ? (uint16_t)step : 64;
    c.rows[i] = i == 4 || i == 5 ? (uint8_t)(step / 4) : (uint8_t)n;
  }
  __asm__ volatile("" : : "r"(&c) : "memory"); /* gcc 12 believes that only the first bytes are read */
  _tile_loadconfig(&c);
}
INLINE void q8_end(void) { _tile_release(); }

/* A step's sums of R tokens and a tile of rows meet their scales. */
INLINE void q8_scale(const int R, const q8_scratch *s, size_t i, size_t scale, int v, size_t xscale, v16 f[Q8_TOKENS]) {
  v16 ws = v_load(s->scale[scale][v]);
  UNROLL for (int r = 0; r < R; r++) {
    q8_acc sum = (q8_acc)_mm512_load_si512(s->sum[i][r]);
    f[r] = v_fma(q8_float(sum), v_mul(ws, v_set(s->xscale[r][xscale])), f[r]);
  }
}

#define Q8_TILE_STEP(i, weights, sums, v)                                                                              \
  _tile_loadd(weights, w[(size_t)(i) * (step / 4)][v], Q8_TILES * 64);                                                 \
  _tile_zero(sums);                                                                                                    \
  _tile_dpbssd(sums, i, weights)

/* R tokens from t (n of them count) and the tiles meet the unpacked inputs: s->n_steps of `step`,
 * four at a time. An instruction on tiles takes as long as many others, so that while a step's sums are made, those of
 * the step before are stored and those before them are scaled. */
INLINE void q8_micro(const int R, const size_t step, const bool positive, q8_scratch *s, const nb_q8 *x, size_t t,
                     size_t n) {
  float(*acc)[Q8_TILES][NB_TILE] = s->acc + (t - s->t0);
  (void)positive;
  const size_t lds = x->Kp / NB_QA_GROUP;
  const float *xscale = x->scale + t * lds + s->k0 / NB_QA_GROUP;
  for (size_t r = 0; r < n; r++) memcpy(s->xscale[r], xscale + r * lds, sizeof s->xscale[r]);
  for (size_t i0 = 0; i0 < s->n_steps; i0 += Q8_STEPS) {
    const int8_t *q = x->q + t * x->Kp + s->k0 + i0 * step;
    const uint8_t(*w)[Q8_TILES][64] = s->w + i0 * (step / 4);
    const size_t g = i0 * step / NB_QA_GROUP, per = NB_QA_GROUP / step;
    _tile_loadd(0, q, x->Kp);
    _tile_loadd(1, q + step, x->Kp);
    _tile_loadd(2, q + 2 * step, x->Kp);
    _tile_loadd(3, q + 3 * step, x->Kp);
    v16 f[Q8_TOKENS];
    UNROLL for (int v = 0; v <= Q8_TILES; v++) {
      const bool more = v < Q8_TILES;
      const bool before = v > 0;
      if (more) {
        Q8_TILE_STEP(0, 4, 6, v);
      }
      if (before) {
        _tile_stored(7, s->sum[3], 64);
        q8_scale(R, s, 2, i0 + 2, v - 1, g + 2 / per, f);
      }
      if (more) {
        Q8_TILE_STEP(1, 5, 7, v);
        _tile_stored(6, s->sum[0], 64);
      }
      if (before) {
        q8_scale(R, s, 3, i0 + 3, v - 1, g + 3 / per, f);
        UNROLL for (int r = 0; r < R; r++) v_store(acc[r][v - 1], f[r]);
      }
      if (!more) break;
      UNROLL for (int r = 0; r < R; r++) f[r] = v_load(acc[r][v]);
      Q8_TILE_STEP(2, 4, 6, v);
      _tile_stored(7, s->sum[1], 64);
      q8_scale(R, s, 0, i0, v, g, f);
      Q8_TILE_STEP(3, 5, 7, v);
      _tile_stored(6, s->sum[2], 64);
      q8_scale(R, s, 1, i0 + 1, v, g + 1 / per, f);
    }
  }
}

#endif
