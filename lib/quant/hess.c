/* SPDX-License-Identifier: MIT */
/* The statistics of hess.h. BLAS runs on one thread a call, and the calls have fixed shapes, so that the
 * results do not depend on the number of threads. */
#include "quant/hess.h"

#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void nb_hess_free(nb_hess *h) {
  nb_free(h->H);
  nb_free(h->U);
  nb_free(h->shift);
  nb_free(h->diag);
  nb_free(h->order);
  memset(h, 0, sizeof *h);
}

#ifdef NB_HAVE_LAPACK
#include <cblas.h>
#include <lapacke.h>

enum { PANEL = 512, TILE = 32, TRIES = 8 };

static size_t panels_of(size_t K) { return (K + PANEL - 1) / PANEL; }

typedef struct add_job {
  float *out;
  const float *d, *x;
  size_t M, T, K;
} add_job;

static void add_panels(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  add_job *j = ctx;
  int T = (int)j->T, K = (int)j->K;
  for (size_t i = begin; i < end; i++) {
    size_t k = i * PANEL, n = nb_min(PANEL, j->K - k);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, (int)(k + n), T, 1, j->x + k, K, j->x, K, 1,
                j->out + k * j->K, K);
  }
}

static void add_cross_panels(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  add_job *j = ctx;
  int T = (int)j->T, K = (int)j->K;
  for (size_t i = begin; i < end; i++) {
    size_t m = i * PANEL, n = nb_min(PANEL, j->M - m);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n, K, T, 1, j->d + m, (int)j->M, j->x, K, 1,
                j->out + m * j->K, K);
  }
}

void nb_hess_add(float *H, const float *x, size_t T, size_t K, int threads) {
  add_job j = {H, NULL, x, K, T, K};
  openblas_set_num_threads(1);
  nb_parallel_for(threads, panels_of(K), 1, add_panels, &j);
}

void nb_hess_add_cross(float *C, const float *d, size_t M, const float *x, size_t T, size_t K, int threads) {
  add_job j = {C, d, x, M, T, K};
  openblas_set_num_threads(1);
  nb_parallel_for(threads, panels_of(M), 1, add_cross_panels, &j);
}

typedef struct rank {
  float diag;
  uint32_t input;
} rank;

static int by_falling_diag(const void *a, const void *b) {
  const rank *x = a, *y = b;
  if (x->diag != y->diag) return x->diag < y->diag ? 1 : -1;
  return x->input < y->input ? -1 : 1;
}

/* The order of visiting, the importances, and the mean of the diagonal; dead inputs get that mean. */
static nb_status take_diagonal(nb_hess *h, double *mean, const char *what, nb_err *err) {
  size_t K = h->K;
  rank *r;
  NB_TRY(nb_new(&h->diag, K, sizeof *h->diag, "statistics", err));
  NB_TRY(nb_new(&h->order, K, sizeof *h->order, "statistics", err));
  NB_TRY(nb_new(&r, K, sizeof *r, "statistics", err));
  double sum = 0;
  for (size_t k = 0; k < K; k++) {
    float d = h->H[k * K + k];
    sum += d;
    h->diag[k] = d;
    h->dead += d == 0;
    r[k] = (rank){d, (uint32_t)k};
  }
  qsort(r, K, sizeof *r, by_falling_diag);
  for (size_t k = 0; k < K; k++) h->order[k] = r[k].input;
  nb_free(r);
  if (!isfinite(sum)) return nb_fail(err, NB_ERR_NUMERIC, "%s: the calibration inputs are not finite", what);
  *mean = sum > 0 ? sum / (double)K : 1;
  for (size_t k = 0; k < K; k++) {
    if (h->H[k * K + k] == 0) h->H[k * K + k] = (float)*mean;
    h->diag[k] += (float)*mean * 1e-4f; /* dead inputs count a little */
  }
  for (size_t i0 = 0; i0 < K; i0 += TILE)
    for (size_t k0 = 0; k0 <= i0; k0 += TILE)
      for (size_t i = i0; i < nb_min(K, i0 + TILE); i++)
        for (size_t k = k0; k < nb_min(i, k0 + TILE); k++) h->H[k * K + i] = h->H[i * K + k];
  return NB_OK;
}

/* ---- the factor ---- */

/* Blocks of fixed size, each given to one BLAS call, in right-looking order: LAPACK's own threads would make the bits
 * depend on their number. */
typedef struct factor_job {
  float *L, *X; /* (K, K) row-major, lower: the factor; its inverse */
  size_t K, b;  /* first column of the current block */
} factor_job;

/* Rows below the block of columns b: divided by its triangle. */
static void divide_panels(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  factor_job *j = ctx;
  int K = (int)j->K;
  for (size_t i = begin; i < end; i++) {
    size_t r = j->b + (i + 1) * PANEL;
    cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)nb_min(PANEL, j->K - r), PANEL, 1,
                j->L + j->b * j->K + j->b, K, j->L + r * j->K + j->b, K);
  }
}

/* What is right of the block loses the block's part; the last rows, which are the longest, first. */
static void update_panels(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  factor_job *j = ctx;
  int K = (int)j->K;
  size_t c = j->b + PANEL, n = panels_of(j->K - c);
  for (size_t i = begin; i < end; i++) {
    size_t r = c + (n - 1 - i) * PANEL, rows = nb_min(PANEL, j->K - r);
    const float *left = j->L + r * j->K + j->b, *up = j->L + c * j->K + j->b;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)(r + rows - c), PANEL, -1, left, K, up, K, 1,
                j->L + r * j->K + c, K);
  }
}

/* Columns of the inverse: L X = I, from the diagonal down. */
static void invert_panels(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  factor_job *j = ctx;
  for (size_t i = begin; i < end; i++) {
    size_t c = i * PANEL, n = nb_min(PANEL, j->K - c), at = c * j->K + c;
    for (size_t k = 0; k < n; k++) j->X[at + k * j->K + k] = 1;
    cblas_strsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)(j->K - c), (int)n, 1, j->L + at,
                (int)j->K, j->X + at, (int)j->K);
  }
}

/* Cholesky: the lower triangle of L becomes its factor. False when it is not positive definite. */
static bool cholesky(factor_job *j, int threads) {
  for (j->b = 0; j->b < j->K; j->b += PANEL) {
    size_t n = nb_min(PANEL, j->K - j->b), rest = j->K - j->b - n;
    float *diagonal = j->L + j->b * j->K + j->b;
    if (LAPACKE_spotrf_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, diagonal, (lapack_int)j->K) != 0) return false;
    if (rest == 0) break;
    nb_parallel_for(threads, panels_of(rest), 1, divide_panels, j);
    nb_parallel_for(threads, panels_of(rest), 1, update_panels, j);
  }
  return true;
}

/* U for a damping; false when H is not positive definite. With the order reversed, H = L L^T gives the upper factor of
 * the inverse as L^-1, reversed again. L: (K, K) workspace. */
static bool factor(nb_hess *h, float *L, float lambda, int threads) {
  size_t K = h->K;
  factor_job j = {L, h->U, K, 0};
  for (size_t i = 0; i < K; i++) {
    const float *row = h->H + (size_t)h->order[K - 1 - i] * K;
    for (size_t k = 0; k <= i; k++) L[i * K + k] = row[h->order[K - 1 - k]];
    L[i * K + i] += lambda;
  }
  if (!cholesky(&j, threads)) return false;
  memset(h->U, 0, K * K * sizeof *h->U);
  nb_parallel_for(threads, panels_of(K), 1, invert_panels, &j);
  for (size_t i = 0, e = K * K - 1; i < e; i++, e--) {
    float t = h->U[i];
    h->U[i] = h->U[e], h->U[e] = t;
  }
  for (size_t i = 0; i < K; i++)
    if (!(h->U[i * K + i] > 0) || !isfinite(h->U[i * K + i])) return false;
  return true;
}

/* ---- the asymmetric target ---- */

typedef struct shift_job {
  nb_hess *h;
  float *C; /* (M, K) */
  size_t M;
  float alpha;
} shift_job;

/* Rows of C become rows of alpha C H^-1, in the order of visiting. */
static void shift_panels(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  shift_job *j = ctx;
  size_t K = j->h->K;
  for (size_t i = begin; i < end; i++) {
    size_t r = i * PANEL, n = nb_min(PANEL, j->M - r);
    float *c = j->C + r * K, *out = j->h->shift + r * K;
    for (size_t a = 0; a < n; a++)
      for (size_t k = 0; k < K; k++) out[a * K + k] = c[a * K + j->h->order[k]];
    cblas_strmm(CblasRowMajor, CblasRight, CblasUpper, CblasTrans, CblasNonUnit, (int)n, (int)K, j->alpha, j->h->U,
                (int)K, out, (int)K);
    cblas_strmm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, (int)n, (int)K, 1, j->h->U, (int)K,
                out, (int)K);
    for (size_t a = 0; a < n; a++) {
      for (size_t k = 0; k < K; k++) c[a * K + j->h->order[k]] = out[a * K + k];
      memcpy(out + a * K, c + a * K, K * sizeof *out);
    }
  }
}

nb_status nb_hess_unfactored(float *H, size_t K, const char *what, nb_hess *out, nb_err *err) {
  double mean;
  memset(out, 0, sizeof *out);
  out->K = K, out->H = H;
  nb_status st = take_diagonal(out, &mean, what, err);
  if (st != NB_OK) nb_hess_free(out);
  return st;
}

nb_status nb_hess_prepare(float *H, float *C, size_t outputs, size_t K, double damp, double alpha, int threads,
                          const char *what, nb_hess *out, nb_err *err) {
  nb_status st;
  memset(out, 0, sizeof *out);
  out->K = K, out->H = H, out->outputs = outputs;
  double mean = 1;
  openblas_set_num_threads(1);
  float *L = NULL;
  NB_GOTO(take_diagonal(out, &mean, what, err));
  NB_GOTO(nb_new(&L, K * K, sizeof(float), "the factor", err));
  NB_GOTO(nb_new(&out->U, K * K, sizeof(float), "the factor", err));
  int try = 0;
  out->damp = damp;
  while (!factor(out, L, (float)(out->damp * mean), threads)) {
    if (++try == TRIES) {
      st = nb_fail(err, NB_ERR_NUMERIC, "%s: the statistics cannot be factored, even damped", what);
      goto fail;
    }
    out->damp = out->damp > 0 ? out->damp * 10 : 1e-4;
  }
  nb_free(L);
  L = NULL;
  if (C && alpha != 0) {
    shift_job j = {out, C, outputs ? outputs : K, (float)alpha};
    NB_GOTO(nb_new(&out->shift, j.M * K, sizeof(float), "the target", err));
    nb_parallel_for(threads, panels_of(j.M), 1, shift_panels, &j);
  }
  for (size_t k = 0; k < K; k++) out->H[k * K + k] += (float)(out->damp * mean);
  nb_free(C), nb_free(L);
  return NB_OK;
fail:
  nb_free(C), nb_free(L);
  nb_hess_free(out);
  return st;
}
#else
void nb_hess_add(float *H, const float *x, size_t T, size_t K, int threads) {
  (void)H, (void)x, (void)T, (void)K, (void)threads;
}

void nb_hess_add_cross(float *C, const float *d, size_t M, const float *x, size_t T, size_t K, int threads) {
  (void)C, (void)d, (void)M, (void)x, (void)T, (void)K, (void)threads;
}

nb_status nb_hess_unfactored(float *H, size_t K, const char *what, nb_hess *out, nb_err *err) {
  return nb_hess_prepare(H, NULL, 0, K, 0, 0, 1, what, out, err);
}

nb_status nb_hess_prepare(float *H, float *C, size_t outputs, size_t K, double damp, double alpha, int threads,
                          const char *what, nb_hess *out, nb_err *err) {
  (void)outputs, (void)K, (void)damp, (void)alpha, (void)threads, (void)what;
  memset(out, 0, sizeof *out);
  nb_free(H), nb_free(C);
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "calibration needs LAPACK, which this nibble was built without: install OpenBLAS and LAPACKE "
                 "(libopenblas-dev, liblapacke-dev) and build again, or quantize with --fast");
}
#endif
