/* SPDX-License-Identifier: MIT */
/* Sums over tokens of products of two inputs, exactly in integers: see nb_gram and the kernels' contract. */
#ifndef NB_GRAM_H
#define NB_GRAM_H

#include "kernels/simd16.h"
#include "base/assert.h"

enum {
  GRAM_STEP = 32,                         /* integers of two tokens for 16 inputs */
  GRAM_16 = NB_GRAM_TOKENS * 16,          /* of all tokens */
  GRAM_ROWS = V16_ROWS < 8 ? 2 : V16_ROWS /* of a register tile: products need registers too */
};

/* 16 inputs of one token as integers; those whose range is not finite are 0. */
INLINE void gram_token(v16 x, v16 range, v16 inv, int16_t out[16]) {
  v16 magic = v_set(ROUND_MAGIC);
  v_store_low16(out, v_select_lt(range, v_set(INFINITY), v_fma(x, inv, magic), magic));
}

static void gram_round(const float *x, size_t ldx, size_t T, size_t K, int16_t *z, float *scale) {
  nb_assert(T <= NB_GRAM_TOKENS && (T <= 1 || ldx >= K));
  size_t Kp = nb_round_up(K, 16);
  for (size_t k = 0; k < Kp; k++) scale[k] = 0;
  for (size_t t = 0; t < T; t++)
    for (size_t k = 0; k < K; k += 16)
      v_store(scale + k, v_absmax(v_load(scale + k), v_load_n(x + t * ldx + k, nb_min(16, K - k))));
  for (size_t t = 0; t < NB_GRAM_TOKENS; t += 2)
    for (size_t k = 0; k < Kp; k += 16) {
      int16_t pair[2][16] = {{0}}, *out = z + k / 16 * GRAM_16 + t / 2 * GRAM_STEP;
      v16 range = v_load(scale + k), least = v_set(NB_GRAM_LEAST);
      v16 inv = v_select_lt(range, least, v_set(0), v_div(v_set(NB_GRAM_TOP), range));
      for (size_t i = 0; i < 2; i++)
        if (t + i < T) gram_token(v_load_n(x + (t + i) * ldx + k, nb_min(16, K - k)), range, inv, pair[i]);
      for (size_t i = 0; i < 16; i++) out[2 * i] = pair[0][i], out[2 * i + 1] = pair[1][i];
    }
  for (size_t k = 0; k < Kp; k += 16) {
    v16 range = v_load(scale + k);
    v_store(scale + k, v_select_lt(range, v_set(NB_GRAM_LEAST), v_set(0), v_div(range, v_set(NB_GRAM_TOP))));
  }
}

/* GRAM_ROWS inputs of a from i and 32 of b from j meet in a block of tokens. Missing rows repeat the last, missing
 * columns the first 16; neither is stored. */
INLINE void gram_tile(const nb_gram *g, size_t block, size_t i, size_t j) {
  const int16_t *a = g->a + block * g->a_inputs * NB_GRAM_TOKENS, *b = g->b + block * g->b_inputs * NB_GRAM_TOKENS;
  const float *a_scale = g->a_scale + block * g->a_inputs, *b_scale = g->b_scale + block * g->b_inputs;
  const size_t rows = nb_min(GRAM_ROWS, g->M - i), cols = nb_min(32, g->N - j);
  s16 sum[GRAM_ROWS][2];
  const int16_t *row[GRAM_ROWS], *col[2];
  UNROLL for (int r = 0; r < GRAM_ROWS; r++) {
    size_t at = i + nb_min((size_t)r, rows - 1);
    row[r] = a + at / 16 * GRAM_16 + at % 16 * 2;
    UNROLL for (int v = 0; v < 2; v++) sum[r][v] = s_zero();
  }
  UNROLL for (int v = 0; v < 2; v++) col[v] = b + (j / 16 + (cols > 16 * (size_t)v ? (size_t)v : 0)) * GRAM_16;
  for (size_t t = 0; t < GRAM_16; t += GRAM_STEP) {
    p16 w[2];
    UNROLL for (int v = 0; v < 2; v++) w[v] = p_load(col[v] + t);
    UNROLL for (int r = 0; r < GRAM_ROWS; r++) {
      x16 x = x_load(row[r] + t);
      UNROLL for (int v = 0; v < 2; v++) sum[r][v] = s_dot(sum[r][v], w[v], x);
    }
  }
  UNROLL for (int r = 0; r < GRAM_ROWS; r++) UNROLL for (int v = 0; v < 2; v++) {
    size_t n = cols > 16 * (size_t)v ? nb_min(16, cols - 16 * (size_t)v) : 0;
    if ((size_t)r >= rows || n == 0) continue;
    float *to = g->y + (i + (size_t)r) * g->ldy + j + 16 * (size_t)v;
    v16 unit = v_mul(v_set(a_scale[i + (size_t)r]), v_load(b_scale + j + 16 * (size_t)v));
    v_store_n(to, v_fma(s_float(sum[r][v]), unit, v_load_n(to, n)), n);
  }
}

static void gram_add(const nb_gram *g) {
  nb_assert(g->a_inputs % 16 == 0 && g->b_inputs % 16 == 0);
  nb_assert(g->M <= g->a_inputs && g->N <= g->b_inputs && (g->ldy >= g->N || g->M <= 1));
  for (size_t n = 0; n < g->n_blocks; n++)
    for (size_t j = 0; j < g->N; j += 32)
      for (size_t i = 0; i < g->M; i += GRAM_ROWS) gram_tile(g, n, i, j);
}

#endif
