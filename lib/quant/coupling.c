/* SPDX-License-Identifier: MIT */
#include "quant/coupling.h"

#include "base/assert.h"
#include "base/mem.h"
#include "quant/cholesky.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 32 };

static const float KEEP = 0.8f;
static const double DAMP = 0.02;

void nb_row_sums_free(nb_row_sums *s) {
  nb_free(s->all), nb_free(s->tiles);
  *s = (nb_row_sums){NULL, NULL};
}

/* What is added to the diagonal, of that mean, and what is made of an element g. */
static float damping(double mean) { return mean > 0 ? (float)(mean * DAMP) : 1; }
static float trusted(float g, bool diagonal, float damp) { return diagonal ? g + damp : KEEP * g; }

static nb_status unusable(const char *what, nb_err *err) {
  return nb_fail(err, NB_ERR_NUMERIC, "%s: the statistics of its gradients cannot be factored", what);
}

nb_status nb_row_sums_trust_tiles(nb_row_sums *s, size_t N, const char *what, nb_err *err) {
  double mean = 0;
  for (size_t i = 0; i < N * NB_TILE; i++)
    if (!isfinite(s->tiles[i])) return unusable(what, err);
  for (size_t n = 0; n < N; n++) mean += (double)s->tiles[n * NB_TILE + n % NB_TILE] / (double)N;
  const float damp = damping(mean);
  for (size_t n = 0; n < N; n++)
    for (size_t i = 0; i < NB_TILE; i++) {
      float *g = &s->tiles[n * NB_TILE + i];
      *g = trusted(*g, i == n % NB_TILE, damp);
    }
  return NB_OK;
}

void nb_coupling_free(nb_coupling *c) {
  nb_free(c->U), nb_free(c->order);
  *c = (nb_coupling){.U = NULL};
}

/* Run i of block b is run b + i blocks of the matrix; rows that are no whole run come last. */
static void choose_order(nb_coupling *c, size_t run) {
  size_t runs = c->N / run, blocks = (runs + c->block / run - 1) / (c->block / run), n = 0;
  for (size_t b = 0; b < blocks; b++)
    for (size_t i = b; i < runs; i += blocks)
      for (size_t r = 0; r < run; r++) c->order[n++] = (uint32_t)(i * run + r);
  for (; n < c->N; n++) c->order[n] = (uint32_t)n;
}

/* The lower triangle of c->U = G in the order of solving, last rows first. */
static void take_sums(nb_coupling *c, const float *G, float damp) {
  size_t N = c->N;
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j <= i; j++) {
      size_t a = c->order[N - 1 - i], b = c->order[N - 1 - j];
      c->U[i * N + j] = trusted(G[nb_max(a, b) * N + nb_min(a, b)], i == j, damp);
    }
}

/* From L, with L L^T = G in that order, to U^T: element (i, j) goes to (N - 1 - j, N - 1 - i). */
static void turn_over(float *L, size_t N) {
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j <= i && i + j < N; j++) {
      float *to = &L[(N - 1 - j) * N + N - 1 - i], t = *to;
      *to = L[i * N + j], L[i * N + j] = t;
    }
}

nb_status nb_coupling_create(const nb_matmul *mul, float *G, size_t N, size_t run, const char *what, nb_coupling *out,
                             nb_err *err) {
  nb_status st;
  double mean = 0;
  *out = (nb_coupling){.N = N, .block = BLOCK};
  NB_GOTO(nb_new(&out->U, N * N, sizeof *out->U, "the coupling of rows", err));
  NB_GOTO(nb_new(&out->order, N, sizeof *out->order, "the coupling of rows", err));
  for (size_t i = 0; i < N; i++) mean += (double)G[i * N + i] / (double)N;
  choose_order(out, run);
  take_sums(out, G, damping(mean));
  if (nb_cholesky_factor(mul, out->U, N, N)) turn_over(out->U, N);
  else st = unusable(what, err);
fail:
  nb_free(G);
  if (st != NB_OK) nb_coupling_free(out);
  return st;
}

/* With A = what the rows behind the block leave of G, the block's own part of A is V V^T, V being U's, and the block of
 * M is (V V^T)^-1 A[block, before] = V^-T U[before, block]^T. */
void nb_coupling_move(const nb_coupling *c, const nb_matmul *mul, const float *E, size_t K, size_t row0, size_t rows,
                      float *out) {
  size_t N = c->N;
  const float *U = c->U + row0 * N;
  nb_assert(row0 + rows <= N && rows <= c->block);
  if (row0 == 0) {
    memset(out, 0, rows * K * sizeof *out);
    return;
  }
  const nb_gemm g = {rows, K, row0, U, E, N, 1, K, 1, out, K, 1, false};
  nb_matmul_all(mul, &g);
  for (size_t r = 0; r < rows; r++) {
    const float *u = U + r * N + row0;
    float *y = out + r * K, d = 1 / u[r];
    for (size_t j = 0; j < r; j++)
      for (size_t k = 0; k < K; k++) y[k] -= u[j] * out[j * K + k];
    for (size_t k = 0; k < K; k++) y[k] *= d;
  }
}

void nb_coupling_tiles(const nb_coupling *c, size_t row0, size_t rows, float *A) {
  memset(A, 0, (rows + NB_TILE - 1) / NB_TILE * NB_TILE * NB_TILE * sizeof *A);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = i / NB_TILE * NB_TILE; j < nb_min(rows, i / NB_TILE * NB_TILE + NB_TILE); j++) {
      double sum = 0;
      for (size_t k = nb_max(i, j); k < rows; k++) {
        const float *v = c->U + (row0 + k) * c->N + row0; /* column k of V */
        sum += (double)v[i] * v[j];
      }
      A[i * NB_TILE + j % NB_TILE] = (float)sum;
    }
}
