/* SPDX-License-Identifier: MIT */
/* Products with float matrices on the 16-lane machine: 32 rows of the matrix at a time are turned into a panel
 * (inputs, 32 rows) of floats, 256 inputs long, which every token of a block of 128 meets while it is in cache. Blocks
 * of GGUF files, of at most 256 weights, become floats on the way there. */
#ifndef NB_LINEAR_FLOAT_H
#define NB_LINEAR_FLOAT_H

#include "kernels/tile16.h"
#include "base/assert.h"

enum { LF_ROWS = 32, LF_K = 256, LF_T = 128 };

/* The panel of rows n .. n + 15 (those below n1, the others 0), inputs k .. k + n_k. */
INLINE void lf_panel(const nb_dtype type, const nb_tensor *w, size_t n, size_t n1, size_t k, size_t n_k, float *panel) {
  const size_t K = w->shape[1];
  for (size_t i = 0; i < n_k; i += 16) {
    v16 r[16];
    for (size_t j = 0; j < 16; j++)
      r[j] = n + j < n1 ? v_load_dtype_n(type, w->data, (n + j) * K + k + i, n_k - i) : v_set(0);
    v_transpose(r);
    for (size_t j = 0; j < 16; j++) v_store(panel + (i + j) * LF_ROWS, r[j]);
  }
}

_Static_assert(LF_K % NB_GGML_MAX_BLOCK == 0, "whole blocks");

/* The same of a matrix in blocks; rows: room for 16 x LF_K floats. */
static void lf_blocks(const nb_tensor *w, size_t n, size_t n1, size_t k, size_t n_k, float *rows, float *panel) {
  const size_t count = nb_min(n1 - n, 16);
  for (size_t j = 0; j < count; j++)
    nb_ggml_read(w->blocks, (const uint8_t *)w->data + nb_tensor_bytes(w, (n + j) * w->shape[1] + k), n_k,
                 rows + j * LF_K);
  const nb_tensor floats = {.dtype = NB_F32, .n_dims = 2, .shape = {count, LF_K, 1, 1}, .data = rows};
  lf_panel(NB_F32, &floats, 0, count, 0, n_k, panel);
}

/* Tokens t .. t + R of lf_tokens. */
INLINE void lf_tile(const int R, const int NV, const tile_factors *in, const tile_sums *out, size_t t) {
  const tile_factors from = {(const float *)in->a + t * in->lda, in->lda, in->b, in->ldb, in->n_k};
  const tile_sums to = {out->c + t * out->ldc, out->ldc, out->keep, NULL, NULL};
  tile(R, NV, NB_KV_F32, &from, &to);
}

/* The sums of T tokens, (T, 32), += their inputs (T, n_k) * the panel (n_k, 16 * NV). */
INLINE void lf_tokens(const int NV, const tile_factors *in, const tile_sums *out, size_t T) {
  size_t t = 0;
  for (; t + V16_ROWS <= T; t += V16_ROWS) lf_tile(V16_ROWS, NV, in, out, t);
  for (; t + V16_ROWS / 2 <= T; t += V16_ROWS / 2) lf_tile(V16_ROWS / 2, NV, in, out, t);
  for (; t < T; t++) lf_tile(1, NV, in, out, t);
}

static void linear_float(const nb_tensor *w, size_t n0, size_t n1, const nb_rows *x, float *y, size_t ldy,
                         void *scratch) {
  const size_t K = w->shape[1], T = x->T, ldx = x->ldx;
  nb_assert(n0 <= n1 && n1 <= w->shape[0] && nb_assert_aligned(scratch, NB_ALIGN));
  nb_assert(T <= 1 || (ldx >= K && ldy >= n1));
  float *panel = scratch, *acc = panel + LF_ROWS * (LF_K + 16), *rows = acc + LF_ROWS * LF_T;
  _Static_assert((LF_ROWS * (LF_K + 16) + LF_ROWS * LF_T + 16 * LF_K) * sizeof(float) <= NB_LINEAR_SCRATCH, "scratch");
  for (size_t n = n0; n < n1; n += LF_ROWS)
    for (size_t t = 0; t < T; t += LF_T) {
      size_t n_t = nb_min(T - t, LF_T), cols = nb_min(n1 - n, LF_ROWS);
      for (size_t k = 0; k < K; k += LF_K) {
        size_t n_k = nb_min(K - k, LF_K);
        for (size_t c = 0; c < cols; c += 16) {
          if (w->blocks) lf_blocks(w, n + c, n1, k, n_k, rows, panel + c);
          else if (w->dtype == NB_F32) lf_panel(NB_F32, w, n + c, n1, k, n_k, panel + c);
          else if (w->dtype == NB_F16) lf_panel(NB_F16, w, n + c, n1, k, n_k, panel + c);
          else lf_panel(NB_BF16, w, n + c, n1, k, n_k, panel + c);
        }
        const tile_factors in = {x->x + t * ldx + k, ldx, panel, LF_ROWS, n_k};
        const tile_sums out = {acc, LF_ROWS, k > 0, NULL, NULL};
        if (cols > 16) lf_tokens(2, &in, &out, n_t);
        else lf_tokens(1, &in, &out, n_t);
      }
      for (size_t i = 0; i < n_t; i++) memcpy(y + (t + i) * ldy + n, acc + i * LF_ROWS, cols * sizeof(float));
    }
}

#endif
