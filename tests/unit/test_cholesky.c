/* SPDX-License-Identifier: MIT */
/* Factors, solutions, inverses and the statistics' sums against double precision; and the same bits for any number of
 * threads and every instruction set of this machine. */
#include "random.h"
#include "test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "quant/cholesky.h"
#include "quant/hess.h"

#include <math.h>

static nb_err err;

/* x (T, n): a few common factors, channels of very different sizes, and a first token that is so much larger. */
static float *inputs(size_t T, size_t n, float first, unsigned seed) {
  float *x = nb_alloc(T * n, 4), *size = nb_alloc(n, 4), *mix = nb_alloc(8 * n, 4);
  draw_from(seed * 77777u + 1);
  for (size_t k = 0; k < n; k++) size[k] = (float)exp(gauss());
  for (size_t i = 0; i < 8 * n; i++) mix[i] = gauss();
  for (size_t t = 0; t < T; t++) {
    float z[8];
    for (int r = 0; r < 8; r++) z[r] = gauss() * (t == 0 ? first : 1);
    for (size_t k = 0; k < n; k++) {
      x[t * n + k] = gauss() * 0.3f;
      for (int r = 0; r < 8; r++) x[t * n + k] += z[r] * mix[(size_t)r * n + k];
      x[t * n + k] *= size[k];
    }
  }
  nb_free(size), nb_free(mix);
  return x;
}

/* A = x^T x / T and damp times the diagonal's mean. Both triangles. */
static float *positive(size_t n, double damp, unsigned seed) {
  size_t T = n + 20;
  float *x = inputs(T, n, 200, seed), *A = nb_alloc(n * n, 4);
  double mean = 0;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k <= i; k++) {
      double s = 0;
      for (size_t t = 0; t < T; t++) s += (double)x[t * n + i] * x[t * n + k];
      A[i * n + k] = A[k * n + i] = (float)(s / (double)T);
      if (i == k) mean += s / (double)T / (double)n;
    }
  for (size_t i = 0; i < n; i++) A[i * n + i] += (float)(damp * mean);
  nb_free(x);
  return A;
}

static float *copy(const float *x, size_t n) { return memcpy(nb_alloc(n, 4), x, n * 4); }

/* Over all tables of this machine. */
static nb_kernels table[8];
static size_t n_tables;

static const size_t sizes[] = {1, 2, 15, 16, 17, 33, 64, 100, 129, 200, 257, 530};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

/* Each entry of L L^T is that of A to within what sums of so many floats can lose; X L and L X are I likewise. */
static void check_factor(const float *A, const float *L, const float *X, size_t n) {
  double worst = 0, worst_inverse = 0, u = 0x1p-24;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k <= i; k++) {
      double s = 0, inverse = 0, size = 0;
      for (size_t j = 0; j <= k; j++) s += (double)L[i * n + j] * L[k * n + j];
      worst = fmax(worst, fabs(s - A[i * n + k]) / sqrt((double)A[i * n + i] * A[k * n + k]));
      for (size_t j = k; j <= i; j++) {
        double p = (double)L[i * n + j] * X[j * n + k];
        inverse += p, size += fabs(p);
      }
      worst_inverse = fmax(worst_inverse, fabs(inverse - (i == k)) / fmax(size, 1));
    }
  CHECK_MSG(worst < u * 4 * (3 + sqrt((double)n)), "%zu: L L^T is off by %g", n, worst);
  CHECK_MSG(worst_inverse < u * 4 * (3 + sqrt((double)n)), "%zu: L X is off by %g", n, worst_inverse);
}

TEST(factors_and_inverses_are_near_double_precision) {
  for (int s = 0; s < N_SIZES; s++)
    for (int hard = 0; hard < 2; hard++) {
      size_t n = sizes[s];
      float *A = positive(n, hard ? 1e-4 : 1e-2, (unsigned)s), *L = copy(A, n * n), *X = nb_alloc(n * n, 4);
      nb_matmul mul;
      CHECK_OK(nb_matmul_create(&table[n_tables - 1], 2, &mul, &err));
      CHECK_MSG(nb_cholesky_factor(&mul, L, n, n), "%zu: not positive definite", n);
      nb_cholesky_invert(&mul, L, n, X);
      check_factor(A, L, X, n);
      for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) CHECK(X[i * n + k] == 0);
      nb_matmul_free(&mul);
      nb_free(A), nb_free(L), nb_free(X);
    }
}

TEST(solutions_fit_their_equations) {
  for (int s = 0; s < N_SIZES; s++) {
    size_t n = sizes[s], m = 70, ld = n + 3;
    float *A = positive(n, 1e-3, 40u + (unsigned)s), *B = nb_alloc(m * ld, 4);
    nb_matmul mul;
    CHECK_OK(nb_matmul_create(&table[n_tables - 1], 2, &mul, &err));
    CHECK(nb_cholesky_factor(&mul, A, n, n));
    for (size_t i = 0; i < m * ld; i++) B[i] = gauss();
    float *X = copy(B, m * ld);
    nb_cholesky_solve(&mul, A, n, n, X, m, ld);
    double worst = 0;
    for (size_t i = 0; i < m; i++)
      for (size_t k = 0; k < n; k++) {
        double sum = 0, size = fabs(B[i * ld + k]);
        for (size_t j = 0; j <= k; j++) {
          double p = (double)X[i * ld + j] * A[k * n + j];
          sum += p, size += fabs(p);
        }
        worst = fmax(worst, fabs(sum - B[i * ld + k]) / size);
      }
    CHECK_MSG(worst < 0x1p-24 * 4 * (3 + sqrt((double)n)), "%zu: off by %g", n, worst);
    for (size_t i = 0; i < m; i++)
      for (size_t k = n; k < ld; k++) CHECK(X[i * ld + k] == B[i * ld + k]);
    nb_matmul_free(&mul);
    nb_free(A), nb_free(B), nb_free(X);
  }
}

TEST(what_is_not_positive_definite_is_refused) {
  nb_matmul mul;
  CHECK_OK(nb_matmul_create(&table[n_tables - 1], 1, &mul, &err));
  for (int s = 0; s < N_SIZES; s++) {
    size_t n = sizes[s], at[] = {0, n / 2, n - 1};
    for (int i = 0; i < 3; i++)
      for (int bad = 0; bad < 3; bad++) {
        float *A = positive(n, 1e-2, 3);
        A[at[i] * n + at[i]] = bad == 0 ? -1e-3f : bad == 1 ? NAN : INFINITY;
        CHECK_MSG(!nb_cholesky_factor(&mul, A, n, n), "%zu: %zu", n, at[i]);
        nb_free(A);
      }
  }
  nb_matmul_free(&mul);
}

TEST(the_same_bits_for_threads_and_instruction_sets) {
  static const size_t some[] = {100, 257, 700};
  for (int s = 0; s < 3; s++) {
    size_t n = some[s];
    float *A = positive(n, 1e-2, 9), *want_L = NULL, *want_X = NULL;
    for (size_t i = 0; i < n_tables; i++)
      for (int threads = 1; threads < 5; threads += 2) {
        float *L = copy(A, n * n), *X = nb_alloc(n * n, 4);
        nb_matmul mul;
        CHECK_OK(nb_matmul_create(&table[i], threads, &mul, &err));
        CHECK(nb_cholesky_factor(&mul, L, n, n));
        nb_cholesky_invert(&mul, L, n, X);
        for (size_t r = 0; r < n; r++) /* what is above the diagonal is not meant */
          for (size_t k = r + 1; k < n; k++) L[r * n + k] = 0;
        if (!want_L) want_L = copy(L, n * n), want_X = copy(X, n * n);
        CHECK_MSG(memcmp(L, want_L, n * n * 4) == 0, "L of %zu: %s, %d threads", n, table[i].name, threads);
        CHECK_MSG(memcmp(X, want_X, n * n * 4) == 0, "X of %zu: %s, %d threads", n, table[i].name, threads);
        nb_matmul_free(&mul);
        nb_free(L), nb_free(X);
      }
    nb_free(A), nb_free(want_L), nb_free(want_X);
  }
}

/* The lower triangle of sum (n, n) against x^T x in double precision: the largest difference, in units of the two
 * inputs' sizes. */
static double distance(const float *sum, const float *x, size_t n, size_t T) {
  double worst = 0;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k <= i; k++) {
      double want = 0, a = 0, b = 0;
      for (size_t t = 0; t < T; t++) {
        double p = x[t * n + i], q = x[t * n + k];
        want += p * q, a += p * p, b += q * q;
      }
      worst = fmax(worst, fabs(want - sum[i * n + k]) / sqrt(a * b));
    }
  return worst;
}

/* As near as hess.h says: of ordinary inputs, and where one token is 200 times larger than the others. */
TEST(sums_are_near_double_precision) {
  enum { SEQ = 300, T = 2 * SEQ, N = 150 };
  for (int giant = 0; giant < 2; giant++) {
    const nb_kernels *k = &table[n_tables - 1];
    float *x = inputs(T, N, giant ? 200 : 1, 5), *H = nb_alloc(N * N, 4);
    nb_rounded in;
    CHECK_OK(nb_rounded_create(SEQ, N, &in, &err));
    for (size_t t = 0; t < T; t += SEQ) {
      nb_rounded_take(&in, k, x + t * N, SEQ, N, 2);
      nb_hess_add(k, H, &in, 2);
    }
    double off = distance(H, x, N, T);
    CHECK_MSG(off < (giant ? 2e-4 : 1e-4), "H is off by %g", off);
    nb_rounded_free(&in);
    nb_free(x), nb_free(H);
  }
}

/* How far H U^T U is from the identity, in double precision: the largest difference, in units of what is summed. */
static double inverse_error(const nb_hess *h) {
  const size_t n = h->K;
  double worst = 0, *inverse = calloc(n * n, sizeof *inverse); /* rows and columns in the order of visiting */
  for (size_t j = 0; j < n; j++)
    for (size_t i = j; i < n; i++)
      for (size_t k = j; k < n; k++) inverse[i * n + k] += (double)h->U[j * n + i] * h->U[j * n + k];
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < n; k++) {
      double sum = 0, size = 1;
      for (size_t j = 0; j < n; j++) {
        double p = h->H[h->order[i] * n + h->order[j]] * inverse[j * n + k];
        sum += p, size += fabs(p);
      }
      worst = fmax(worst, fabs(sum - (i == k)) / size);
    }
  free(inverse);
  return worst;
}

TEST(a_prepared_hessian_is_factored) {
  size_t n = 260;
  float *A = positive(n, 0, 12), *want = NULL;
  for (size_t i = 0; i < n_tables; i++) {
    nb_hess h;
    CHECK_OK(nb_hess_prepare(&table[i], copy(A, n * n), n, &(nb_hess_opts){0.01, 1 + (int)i, "test"}, &h, &err));
    CHECK(h.damp == 0.01);
    CHECK_MSG(inverse_error(&h) < 1e-5, "U is off by %g", inverse_error(&h));
    if (!want) want = copy(h.U, n * n);
    CHECK_MSG(memcmp(h.U, want, n * n * 4) == 0, "U: %s", table[i].name);
    nb_hess_free(&h);
  }
  nb_free(A), nb_free(want);
}

int main(void) {
  n_tables = nb_kernels_all(nb_cpu_detect(), table);
  RUN(factors_and_inverses_are_near_double_precision);
  RUN(solutions_fit_their_equations);
  RUN(what_is_not_positive_definite_is_refused);
  RUN(the_same_bits_for_threads_and_instruction_sets);
  RUN(sums_are_near_double_precision);
  RUN(a_prepared_hessian_is_factored);
  return test_end();
}
