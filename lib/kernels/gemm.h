/* SPDX-License-Identifier: MIT */
/* Products of float matrices on the 16-lane machine. Blocks of both factors are copied so that the register tile, which
 * is V16_ROWS rows by 32 columns, finds them in cache: of a, (GEMM_K, GEMM_M) with its rows across; of b, panels
 * (GEMM_K, 32). Zeros stand where a block is not full; what they give is not stored. */
#ifndef NB_GEMM_H
#define NB_GEMM_H

#include "kernels/simd16.h"
#include "base/assert.h"

enum {
  GEMM_M = 264,   /* a multiple of every V16_ROWS */
  GEMM_LDA = 304, /* odd in cache lines, so that a's columns fall into different sets of the cache */
  GEMM_N = 512,
  GEMM_K = NB_GEMM_CHUNK,
  GEMM_COLS = 32
};

/* out (n_k, cols) = the transpose of in (cols, n_k), whose rows are ld apart; up to 16 more columns are zeros. */
INLINE void gemm_transpose(const float *in, size_t ld, size_t cols, size_t n_k, float *out, size_t ldo) {
  for (size_t j = 0; j < cols; j += 16)
    for (size_t k = 0; k < n_k; k += 16) {
      v16 r[16];
      for (size_t i = 0; i < 16; i++)
        r[i] = j + i < cols ? v_load_n(in + (j + i) * ld + k, nb_min(16, n_k - k)) : v_set(0);
      v_transpose(r);
      for (size_t i = 0; i < nb_min(16, n_k - k); i++) v_store(out + (k + i) * ldo + j, r[i]);
    }
}

/* Rows [i, i + m) and inputs [k, k + n_k) of a. */
INLINE void gemm_pack_a(const nb_gemm *g, size_t i, size_t m, size_t k, size_t n_k, float *out) {
  if (g->ai != 1) {
    gemm_transpose(g->a + i * g->ai + k, g->ai, m, n_k, out, GEMM_LDA);
    return;
  }
  for (size_t p = 0; p < n_k; p++) {
    memcpy(out + p * GEMM_LDA, g->a + (k + p) * g->ak + i, m * sizeof(float));
    memset(out + p * GEMM_LDA + m, 0, V16_ROWS * sizeof(float));
  }
}

/* Inputs [k, k + n_k) and columns [j, j + n) of b. */
INLINE void gemm_pack_b(const nb_gemm *g, size_t k, size_t n_k, size_t j, size_t n, float *out) {
  for (size_t c = 0; c < n; c += GEMM_COLS, out += GEMM_K * GEMM_COLS) {
    size_t cols = nb_min(n - c, GEMM_COLS);
    if (g->bj != 1) {
      gemm_transpose(g->b + (j + c) * g->bj + k, g->bj, cols, n_k, out, GEMM_COLS);
      if (cols <= 16)
        for (size_t p = 0; p < n_k; p++) v_store(out + p * GEMM_COLS + 16, v_set(0));
    } else {
      for (size_t p = 0; p < n_k; p++)
        for (size_t v = 0; v < 2; v++)
          v_store(out + p * GEMM_COLS + 16 * v,
                  16 * v < cols ? v_load_n(g->b + (k + p) * g->bk + j + c + 16 * v, nb_min(16, cols - 16 * v))
                                : v_set(0));
    }
  }
}

/* A register tile of c, of whose rows and columns so many are c's. */
typedef struct gemm_part {
  float *c;
  size_t ldc, rows, cols;
  bool add; /* to what c holds */
} gemm_part;

/* The copies of n_k inputs of a and b meet. */
INLINE void gemm_tile(const float *a, const float *b, size_t n_k, float alpha, const gemm_part *out) {
  float *c = out->c;
  const size_t ldc = out->ldc, rows = out->rows, cols = out->cols;
  UNROLL for (size_t r = 0; r < V16_ROWS; r++) UNROLL for (size_t v = 0; v < 2; v++) if (r < rows)
      __builtin_prefetch(c + r * ldc + 16 * v, 1);
  v16 acc[V16_ROWS][2];
  UNROLL for (int r = 0; r < V16_ROWS; r++) UNROLL for (int v = 0; v < 2; v++) acc[r][v] = v_set(0);
  for (size_t k = 0; k < n_k; k++) {
    v16 w[2];
    UNROLL for (int v = 0; v < 2; v++) w[v] = v_hold(v_load(b + k * GEMM_COLS + 16 * v));
    UNROLL for (int r = 0; r < V16_ROWS; r++) {
      v16 x = v_set(a[k * GEMM_LDA + (size_t)r]);
      UNROLL for (int v = 0; v < 2; v++) acc[r][v] = v_fma(x, w[v], acc[r][v]);
    }
  }
  v16 f = v_set(alpha);
  UNROLL for (int r = 0; r < V16_ROWS; r++) UNROLL for (int v = 0; v < 2; v++) {
    size_t n = 16 * (size_t)v < cols ? nb_min(16, cols - 16 * (size_t)v) : 0;
    if ((size_t)r >= rows || n == 0) continue;
    float *to = c + (size_t)r * ldc + 16 * v;
    v_store_n(to, v_fma(f, acc[r][v], out->add ? v_load_n(to, n) : v_set(0)), n);
  }
}

static void gemm(const nb_gemm *g, void *scratch) {
  float *a = scratch, *b = a + GEMM_K * GEMM_LDA;
  nb_assert(nb_assert_aligned(scratch, NB_ALIGN));
  nb_assert((g->ai == 1 || g->ak == 1) && (g->bk == 1 || g->bj == 1));
  nb_assert(g->c != g->a && g->c != g->b && (g->ldc >= g->N || g->M <= 1));
  _Static_assert((GEMM_K * GEMM_LDA + GEMM_K * GEMM_N) * sizeof(float) <= NB_GEMM_SCRATCH, "scratch");
  _Static_assert(GEMM_M % V16_ROWS == 0, "blocks of whole tiles");
  for (size_t i0 = 0; i0 < g->M; i0 += GEMM_M)
    for (size_t j0 = 0; j0 < g->N; j0 += GEMM_N) {
      size_t m = nb_min(GEMM_M, g->M - i0), n = nb_min(GEMM_N, g->N - j0);
      for (size_t k = 0; k < nb_max(1, g->K); k += GEMM_K) {
        size_t n_k = nb_min(GEMM_K, g->K - k);
        gemm_pack_a(g, i0, m, k, n_k, a);
        gemm_pack_b(g, k, n_k, j0, n, b);
        for (size_t j = 0; j < n; j += GEMM_COLS)
          for (size_t i = 0; i < m; i += V16_ROWS) {
            const gemm_part out = {g->c + (i0 + i) * g->ldc + j0 + j, g->ldc, m - i, n - j, g->add || k > 0};
            gemm_tile(a + i, b + j * GEMM_K, n_k, g->alpha, &out);
          }
      }
    }
}

#endif
