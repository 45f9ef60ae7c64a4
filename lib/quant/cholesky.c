/* SPDX-License-Identifier: MIT */
#include "quant/cholesky.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>

enum {
  LEAF = 16,
  WIDE = 256,
  NARROW = 64 /* columns of an inverse that are made together: see panel_of */
};

/* Where n columns are split: whole chunks of the products where there are several. */
static size_t half_of(size_t n) { return nb_round_up(n / 2, n >= 4 * NB_GEMM_CHUNK ? NB_GEMM_CHUNK : LEAF); }

/* ---- X L^T = B ---- */

static void solve_leaf(const float *L, size_t n, size_t ld, float *B, size_t m, size_t ldb) {
  nb_assert(n >= 1 && n <= LEAF && ld >= n && ldb >= n);
  double l[LEAF][LEAF], inv[LEAF];
  for (size_t j = 0; j < n; j++) {
    inv[j] = 1 / (double)L[j * ld + j];
    for (size_t k = 0; k < j; k++) l[k][j] = L[j * ld + k];
  }
  for (size_t i = 0; i < m; i++) {
    float *b = B + i * ldb;
    double x[LEAF];
    for (size_t j = 0; j < n; j++) x[j] = b[j];
    for (size_t k = 0; k < n; k++) {
      b[k] = (float)(x[k] * inv[k]);
      for (size_t j = k + 1; j < n; j++) x[j] -= l[k][j] * b[k];
    }
  }
}

/* The distances of rows, and whose workspace the products take. */
typedef struct strides {
  const nb_matmul *mul;
  int thread;
  size_t ld, ldb;
} strides;

static void solve_rows(const strides *at, const float *L, size_t n, float *B, size_t m) {
  size_t ld = at->ld, ldb = at->ldb, h = half_of(n);
  if (n <= LEAF) {
    solve_leaf(L, n, ld, B, m, ldb);
    return;
  }
  nb_gemm g = {m, n - h, h, B, L + h * ld, ldb, 1, 1, ld, B + h, ldb, -1, true};
  solve_rows(at, L, h, B, m);
  nb_matmul_one(at->mul, at->thread, &g);
  solve_rows(at, L + h * ld + h, n - h, B + h, m);
}

typedef struct solve_job {
  const nb_matmul *mul;
  const float *L;
  size_t n, ld;
  float *B;
  size_t ldb;
} solve_job;

static void solve_range(void *ctx, size_t begin, size_t end, int thread) {
  solve_job *j = ctx;
  const strides at = {j->mul, thread, j->ld, j->ldb};
  solve_rows(&at, j->L, j->n, j->B + begin * j->ldb, end - begin);
}

void nb_cholesky_solve(const nb_matmul *mul, const float *L, size_t n, size_t ld, float *B, size_t m, size_t ldb) {
  solve_job j = {mul, L, n, ld, B, ldb};
  nb_parallel_for(mul->threads, m, nb_matmul_share(mul, m), solve_range, &j);
}

/* ---- A = L L^T ---- */

static bool factor_leaf(float *A, size_t n, size_t ld) {
  for (size_t j = 0; j < n; j++) {
    double d = A[j * ld + j];
    for (size_t k = 0; k < j; k++) d -= (double)A[j * ld + k] * A[j * ld + k];
    if (!(d > 0 && d < INFINITY)) return false;
    A[j * ld + j] = (float)sqrt(d);
    if (A[j * ld + j] == 0) return false;
    for (size_t i = j + 1; i < n; i++) {
      double s = A[i * ld + j];
      for (size_t k = 0; k < j; k++) s -= (double)A[i * ld + k] * A[j * ld + k];
      A[i * ld + j] = (float)(s / A[j * ld + j]);
    }
  }
  return true;
}

bool nb_cholesky_factor(const nb_matmul *mul, float *A, size_t n, size_t ld) {
  nb_assert(n >= 1 && ld >= n && half_of(LEAF + 1) <= LEAF);
  if (n <= LEAF) return factor_leaf(A, n, ld);
  size_t h = half_of(n);
  float *low = A + h * ld, *rest = low + h;
  if (!nb_cholesky_factor(mul, A, h, ld)) return false;
  nb_cholesky_solve(mul, A, h, ld, low, n - h, ld);
  nb_gemm g = {n - h, n - h, h, low, low, ld, 1, 1, ld, rest, ld, -1, true};
  nb_matmul_lower(mul, &g);
  return nb_cholesky_factor(mul, rest, n - h, ld);
}

/* ---- L X = I ---- */

/* B (n, cols), rows ldb apart, becomes X with L X = B. */
static void invert_columns(const strides *at, const float *L, size_t n, float *B, size_t cols) {
  size_t ld = at->ld, ldb = at->ldb, h = half_of(n);
  nb_assert(cols >= 1 && ldb >= cols && ld >= n);
  if (n <= LEAF) {
    for (size_t i = 0; i < n; i++) {
      float *b = B + i * ldb, d = L[i * ld + i];
      for (size_t k = 0; k < i; k++)
        for (size_t r = 0; r < cols; r++) b[r] -= L[i * ld + k] * B[k * ldb + r];
      for (size_t r = 0; r < cols; r++) b[r] /= d;
    }
    return;
  }
  nb_gemm g = {n - h, cols, h, L + h * ld, B, ld, 1, ldb, 1, B + h * ldb, ldb, -1, true};
  invert_columns(at, L, h, B, cols);
  nb_matmul_one(at->mul, at->thread, &g);
  invert_columns(at, L + h * ld + h, n - h, B + h * ldb, cols);
}

typedef struct invert_job {
  const nb_matmul *mul;
  const float *L;
  float *X;
  size_t n;
} invert_job;

/* The first column of a panel says how its rows are split, so panels must depend on nothing but n. */
static size_t panel_of(size_t n) { return n > 1024 ? WIDE : NARROW; }

static void invert_panels(void *ctx, size_t begin, size_t end, int thread) {
  invert_job *j = ctx;
  size_t n = j->n;
  const strides apart = {j->mul, thread, n, n};
  for (size_t i = begin; i < end; i++) {
    size_t col = i * panel_of(n), cols = nb_min(panel_of(n), n - col), at = col * n + col;
    for (size_t k = 0; k < cols; k++) j->X[at + k * n + k] = 1;
    invert_columns(&apart, j->L + at, n - col, j->X + at, cols);
  }
}

void nb_cholesky_invert(const nb_matmul *mul, const float *L, size_t n, float *X) {
  invert_job j = {mul, L, X, n};
  nb_parallel_for(mul->threads, (n + panel_of(n) - 1) / panel_of(n), 1, invert_panels, &j);
}
