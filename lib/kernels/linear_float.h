/* SPDX-License-Identifier: MIT */
/* Products with float matrices on the 16-lane machine: 32 rows of the matrix at a time are turned into a panel
 * (inputs, 32 rows) of floats, 256 inputs long, which every token of a block of 128 meets while it is in cache. */
#ifndef NB_LINEAR_FLOAT_H
#define NB_LINEAR_FLOAT_H

#include "kernels/tile16.h"
#include "base/assert.h"

enum { LF_ROWS = 32, LF_K = 256, LF_T = 128 };

/* The panel of rows n .. n + 15 (those below n1, the others 0), inputs k .. k + n_k. */
INLINE void lf_panel(const nb_dtype type, const void *w, size_t K, size_t n, size_t n1, size_t k, size_t n_k,
                     float *panel) {
  for (size_t i = 0; i < n_k; i += 16) {
    v16 r[16];
    for (size_t j = 0; j < 16; j++)
      r[j] = n + j < n1 ? v_load_dtype_n(type, w, (n + j) * K + k + i, n_k - i) : v_set(0);
    v_transpose(r);
    for (size_t j = 0; j < 16; j++) v_store(panel + (i + j) * LF_ROWS, r[j]);
  }
}

/* acc (T, 32) += x (T, n_k) * panel (n_k, 16 * NV); first: from 0. */
INLINE void lf_tokens(const int NV, const float *x, size_t ldx, size_t T, const float *panel, size_t n_k, bool first,
                      float *acc) {
  size_t t = 0;
  for (; t + V16_ROWS <= T; t += V16_ROWS)
    tile(V16_ROWS, NV, x + t * ldx, ldx, NB_KV_F32, panel, LF_ROWS, n_k, NULL, !first, acc + t * LF_ROWS, LF_ROWS);
  for (; t + V16_ROWS / 2 <= T; t += V16_ROWS / 2)
    tile(V16_ROWS / 2, NV, x + t * ldx, ldx, NB_KV_F32, panel, LF_ROWS, n_k, NULL, !first, acc + t * LF_ROWS, LF_ROWS);
  for (; t < T; t++)
    tile(1, NV, x + t * ldx, ldx, NB_KV_F32, panel, LF_ROWS, n_k, NULL, !first, acc + t * LF_ROWS, LF_ROWS);
}

static void linear_float(const nb_tensor *w, size_t n0, size_t n1, const float *x, size_t ldx, size_t T, float *y,
                         size_t ldy, void *scratch) {
  size_t K = w->shape[1];
  nb_assert(n0 <= n1 && n1 <= w->shape[0] && nb_assert_aligned(scratch, NB_ALIGN));
  nb_assert(T <= 1 || (ldx >= K && ldy >= n1));
  float *panel = scratch, *acc = panel + LF_ROWS * (LF_K + 16);
  _Static_assert((LF_ROWS * (LF_K + 16) + LF_ROWS * LF_T) * sizeof(float) <= NB_LINEAR_SCRATCH, "scratch");
  for (size_t n = n0; n < n1; n += LF_ROWS)
    for (size_t t = 0; t < T; t += LF_T) {
      size_t n_t = nb_min(T - t, LF_T), cols = nb_min(n1 - n, LF_ROWS);
      for (size_t k = 0; k < K; k += LF_K) {
        size_t n_k = nb_min(K - k, LF_K);
        for (size_t c = 0; c < cols; c += 16) {
          if (w->dtype == NB_F32) lf_panel(NB_F32, w->data, K, n + c, n1, k, n_k, panel + c);
          else if (w->dtype == NB_F16) lf_panel(NB_F16, w->data, K, n + c, n1, k, n_k, panel + c);
          else lf_panel(NB_BF16, w->data, K, n + c, n1, k, n_k, panel + c);
        }
        if (cols > 16) lf_tokens(2, x + t * ldx + k, ldx, n_t, panel, n_k, k == 0, acc);
        else lf_tokens(1, x + t * ldx + k, ldx, n_t, panel, n_k, k == 0, acc);
      }
      for (size_t i = 0; i < n_t; i++) memcpy(y + (t + i) * ldy + n, acc + i * LF_ROWS, cols * sizeof(float));
    }
}

#endif
