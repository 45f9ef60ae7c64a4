/* SPDX-License-Identifier: MIT */
/* How rows move each other's targets, against the block elimination of the textbook in double precision; what it gains
 * on the loss that it is for; and the same bits for any number of threads. */
#include "random.h"
#include "test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "quant/coded.h"
#include "quant/hess.h"
#include "quant/solve.h"

#include <math.h>

static nb_err err;

/* ---- material ---- */

/* Sums of outer products of T gradients (N) that a few directions share, and whose sizes differ. */
static float *sums_of(size_t N, size_t T, unsigned seed) {
  enum { SHARED = 6 };
  float *mix = nb_alloc(SHARED * N, 4), *g = nb_alloc(N, 4), *size = nb_alloc(N, 4), *G = nb_alloc(N * N, 4);
  draw_from(seed * 77777u + 1);
  for (size_t i = 0; i < SHARED * N; i++) mix[i] = gauss();
  for (size_t i = 0; i < N; i++) size[i] = (float)exp(0.5 * gauss());
  for (size_t t = 0; t < T; t++) {
    for (size_t i = 0; i < N; i++) g[i] = 0.4f * gauss();
    for (size_t r = 0; r < SHARED; r++) {
      float z = gauss();
      for (size_t i = 0; i < N; i++) g[i] += z * mix[r * N + i];
    }
    for (size_t i = 0; i < N; i++)
      for (size_t k = 0; k <= i; k++) G[i * N + k] += g[i] * g[k] * size[i] * size[k];
  }
  nb_free(mix), nb_free(g), nb_free(size);
  return G;
}

static float *copy(const float *x, size_t n) { return memcpy(nb_alloc(n, 4), x, n * 4); }

/* G (lower triangle) in the order of solving and as coupling.h says that it is trusted, in double precision. */
static double *trusted(const float *G, const nb_coupling *c) {
  size_t N = c->N;
  double *A = nb_alloc(N * N, 8), mean = 0;
  for (size_t i = 0; i < N; i++) mean += (double)G[i * N + i] / (double)N;
  for (size_t i = 0; i < N; i++)
    for (size_t k = 0; k < N; k++) {
      size_t a = c->order[i], b = c->order[k];
      double g = a > b ? G[a * N + b] : G[b * N + a];
      A[i * N + k] = i == k ? g + 0.02 * mean : 0.8 * g;
    }
  return A;
}

/* B (n, m) = A^-1 B by Gaussian elimination, A (n, n) positive definite with rows ld apart; a copy is changed. */
static void eliminate(const double *A0, size_t n, size_t ld, double *B, size_t m) {
  double *A = nb_alloc(n * n, 8);
  for (size_t i = 0; i < n; i++) memcpy(A + i * n, A0 + i * ld, n * 8);
  for (size_t i = 0; i < n; i++)
    for (size_t r = 0; r < n; r++) {
      double f = r == i ? 1 / A[i * n + i] : A[r * n + i] / A[i * n + i];
      if (r == i) continue;
      for (size_t k = 0; k < n; k++) A[r * n + k] -= f * A[i * n + k];
      for (size_t k = 0; k < m; k++) B[r * m + k] -= f * B[i * m + k];
    }
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < m; k++) B[i * m + k] /= A[i * n + i];
  nb_free(A);
}

/* ---- tests ---- */

TEST(targets_move_as_block_elimination_says) {
  static const size_t sizes[] = {16, 40, 96, 130, 200};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    size_t N = sizes[s], K = 20;
    float *G = sums_of(N, N / 2 + 3, (unsigned)s), *E = nb_alloc(N * K, 4);
    nb_kernels k = nb_kernels_select(nb_cpu_detect());
    nb_matmul mul;
    nb_coupling c;
    CHECK_OK(nb_matmul_create(&k, 2, &mul, &err));
    CHECK_OK(nb_coupling_create(&mul, copy(G, N * N), N, 1, "test", &c, &err));
    CHECK(c.N == N && c.block % 16 == 0);
    bool *seen = nb_alloc(N, sizeof *seen);
    for (size_t i = 0; i < N; i++) {
      CHECK(c.order[i] < N && !seen[c.order[i]]);
      seen[c.order[i]] = true;
    }
    for (size_t i = 0; i < N * K; i++) E[i] = gauss();
    double *A = trusted(G, &c);
    for (size_t row0 = (N - 1) / c.block * c.block;; row0 -= c.block) { /* from the last block, which is taken off */
      size_t rows = nb_min(c.block, N - row0);
      float *got = nb_alloc(rows * K, 4);
      double *want = nb_alloc(rows * K, 8), size = 0, worst = 0;
      for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < row0; j++)
          for (size_t n = 0; n < K; n++) want[i * K + n] += A[(row0 + i) * N + j] * E[j * K + n];
      eliminate(A + row0 * N + row0, rows, N, want, K);
      nb_coupling_move(&c, &mul, E, K, row0, rows, got);
      for (size_t i = 0; i < rows * K; i++)
        size = fmax(size, fabs(want[i])), worst = fmax(worst, fabs(want[i] - got[i]));
      CHECK_MSG(worst <= 2e-4 * size, "%zu rows, block at %zu: off by %g of %g", N, row0, worst, size);
      CHECK(row0 == 0 || size > 0);
      double *X =
          nb_alloc(rows * nb_max(row0, 1), 8); /* A[before, before] -= A[before, block] A[block]^-1 A[block,...] */
      for (size_t i = 0; i < rows; i++) memcpy(X + i * row0, A + (row0 + i) * N, row0 * 8);
      eliminate(A + row0 * N + row0, rows, N, X, row0);
      for (size_t i = 0; i < row0; i++)
        for (size_t j = 0; j < row0; j++)
          for (size_t n = 0; n < rows; n++) A[i * N + j] -= A[(row0 + n) * N + i] * X[n * row0 + j];
      nb_free(got), nb_free(want), nb_free(X);
      if (row0 == 0) break;
    }
    nb_coupling_free(&c), nb_matmul_free(&mul);
    nb_free(G), nb_free(E), nb_free(A), nb_free(seen);
  }
}

TEST(no_gradients_at_all) {
  nb_kernels k = nb_kernels_select(nb_cpu_detect());
  nb_matmul mul;
  nb_coupling c;
  CHECK_OK(nb_matmul_create(&k, 1, &mul, &err));
  CHECK_OK(nb_coupling_create(&mul, nb_alloc(48 * 48, 4), 48, 1, "test", &c, &err));
  float E[48] = {1}, out[16];
  nb_coupling_move(&c, &mul, E, 1, 32, 16, out);
  for (int i = 0; i < 16; i++) CHECK(out[i] == 0);
  nb_coupling_free(&c);
  float *G = nb_alloc(4, 4);
  G[0] = 1, G[3] = NAN;
  CHECK(nb_coupling_create(&mul, G, 2, 1, "the matrix", &c, &err) == NB_ERR_NUMERIC && strstr(err.msg, "the matrix"));
  nb_matmul_free(&mul);
}

/* A matrix, its statistics, and what becomes of it. */
typedef struct problem {
  size_t N, K;
  float *w, *G, *H; /* H and G whole */
} problem;

static problem make_problem(size_t N, size_t K) {
  problem p = {N, K, nb_alloc(N * K, 4), sums_of(N, 400, 3), NULL};
  p.H = sums_of(K, 400, 4);
  for (size_t i = 0; i < N * K; i++) p.w[i] = gauss() * 0.05f;
  for (size_t i = 0; i < N; i++)
    for (size_t k = i + 1; k < N; k++) p.G[i * N + k] = p.G[k * N + i];
  for (size_t i = 0; i < K; i++)
    for (size_t k = i + 1; k < K; k++) p.H[i * K + k] = p.H[k * K + i];
  return p;
}

static void free_problem(problem *p) { nb_free(p->w), nb_free(p->G), nb_free(p->H); }

static void solve(const problem *p, const char *fmt, const nb_ggml_type *type, bool coupled, int threads,
                  nb_coded *out) {
  nb_kernels k = nb_kernels_select(nb_cpu_detect());
  nb_hess h;
  nb_matmul mul;
  nb_qfmt f = {0};
  nb_quantized q = {.matrix = 0};
  const nb_calib_opts o = {.sweeps = 2, .gptq = true, .threads = threads};
  const nb_tensor t = {.dtype = NB_F32, .n_dims = 2, .shape = {p->N, p->K}, .data = p->w, .n_bytes = p->N * p->K * 4};
  const nb_linear w = nb_linear_dense(&t);
  *out = (nb_coded){.own = NULL};
  CHECK_OK(nb_hess_prepare(&k, copy(p->H, p->K * p->K), p->K, &(nb_hess_opts){0.01, threads, "test"}, &h, &err));
  CHECK_OK(nb_matmul_create(&k, threads, &mul, &err));
  nb_solve s = {.o = &o, .what = "test", .G = {coupled ? copy(p->G, p->N * p->N) : NULL, NULL}, .mul = &mul};
  if (type) {
    CHECK_OK(nb_solve_blocks(&s, &h, &w, type, out, &q, &err));
  } else {
    CHECK_OK(nb_qfmt_parse(fmt, &f, &err));
    CHECK_OK(nb_coded_room(&w, f, "test", out, &err));
    CHECK_OK(nb_solve_matrix(&s, &h, &w, f, out, &q, &err));
  }
  CHECK(!s.G.all);
  nb_matmul_free(&mul), nb_hess_free(&h);
}

/* tr(G E H E^T), E being what the codes differ by. */
static double loss(const problem *p, const nb_coded *c) {
  size_t N = p->N, K = p->K;
  double *E = nb_alloc(N * K, 8), *HE = nb_alloc(N * K, 8), sum = 0;
  float *row = nb_alloc(K, 4);
  for (size_t n = 0; n < N; n++) {
    nb_linear_row(&c->w, n, row);
    for (size_t k = 0; k < K; k++) E[n * K + k] = (double)p->w[n * K + k] - row[k];
  }
  for (size_t n = 0; n < N; n++)
    for (size_t k = 0; k < K; k++)
      for (size_t i = 0; i < K; i++) HE[n * K + k] += E[n * K + i] * p->H[i * K + k];
  for (size_t n = 0; n < N; n++)
    for (size_t m = 0; m < N; m++) {
      double dot = 0;
      for (size_t k = 0; k < K; k++) dot += E[n * K + k] * HE[m * K + k];
      sum += p->G[n * N + m] * dot;
    }
  nb_free(E), nb_free(HE), nb_free(row);
  return sum;
}

TEST(rows_that_make_good_each_other_lose_less) {
  problem p = make_problem(208, 64);
  static const uint32_t types[] = {NB_GGML_Q4_0, NB_GGML_Q4_1};
  for (int i = 0; i < 4; i++) {
    const char *fmt = i < 2 ? (i ? "u3g32" : "t4g64") : NULL;
    const nb_ggml_type *type = i < 2 ? NULL : nb_ggml_find(types[i - 2]);
    nb_coded alone, together, threads;
    solve(&p, fmt, type, false, 1, &alone), solve(&p, fmt, type, true, 1, &together);
    solve(&p, fmt, type, true, 3, &threads);
    double a = loss(&p, &alone), b = loss(&p, &together);
    CHECK_MSG(b < 0.6 * a, "%s: %g alone, %g together", fmt ? fmt : type->name, a, b);
    CHECK(together.n_bytes == threads.n_bytes && !memcmp(together.own, threads.own, threads.n_bytes));
    nb_coded_free(&alone), nb_coded_free(&together), nb_coded_free(&threads);
  }
  free_problem(&p);
}

/* Whole tiles stay together, within which the path makes good what its rows have lost. 13 tiles, and 12 with 8 rows
 * behind them. */
TEST(rows_of_a_trellis_too) {
  for (size_t N = 208; N >= 200; N -= 8) {
    problem p = make_problem(N, 64);
    nb_coded alone, together, threads;
    solve(&p, "c4g64", NULL, false, 1, &alone), solve(&p, "c4g64", NULL, true, 1, &together);
    solve(&p, "c4g64", NULL, true, 3, &threads);
    double a = loss(&p, &alone), b = loss(&p, &together);
    CHECK_MSG(b < 0.12 * a, "%zu rows: %g alone, %g together", N, a, b);
    CHECK(together.n_bytes == threads.n_bytes && !memcmp(together.own, threads.own, threads.n_bytes));
    nb_coded_free(&alone), nb_coded_free(&together), nb_coded_free(&threads);
    free_problem(&p);
  }
}

TEST(sums_that_are_not_finite_are_refused) {
  enum { N = 20 };
  float *tiles = nb_alloc(2 * NB_TILE * NB_TILE, sizeof *tiles);
  for (size_t i = 0; i < (size_t)N * NB_TILE; i++) tiles[i] = 1;
  nb_row_sums s = {.tiles = tiles};
  CHECK_OK(nb_row_sums_trust_tiles(&s, N, "layer 2 up", &err));
  tiles[17 * NB_TILE + 3] = INFINITY;
  CHECK(nb_row_sums_trust_tiles(&s, N, "layer 2 up", &err) == NB_ERR_NUMERIC && strstr(err.msg, "layer 2 up"));
  nb_row_sums_free(&s);
}

int main(void) {
  RUN(targets_move_as_block_elimination_says);
  RUN(no_gradients_at_all);
  RUN(rows_that_make_good_each_other_lose_less);
  RUN(rows_of_a_trellis_too);
  RUN(sums_that_are_not_finite_are_refused);
  return test_end();
}
