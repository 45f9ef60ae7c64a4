/* SPDX-License-Identifier: MIT */
#include "quant/matmul.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <string.h>

enum {
  TILE = 512, /* rows and columns that one thread makes at a time, at most: what is copied serves so many */
  LEAST = 64, /* and at least; below so many rows or columns, threads cost more than they give */
  PARTS = 4   /* of a triangle, for each thread: its tiles are not all full */
};

nb_status nb_matmul_create(const nb_kernels *k, int threads, nb_matmul *m, nb_err *err) {
  *m = (nb_matmul){*k, threads, NULL};
  return nb_new(&m->scratch, (size_t)threads, NB_GEMM_SCRATCH, "matrix products", err);
}

void nb_matmul_free(nb_matmul *m) {
  nb_free(m->scratch);
  memset(m, 0, sizeof *m);
}

void nb_matmul_one(const nb_matmul *m, int thread, const nb_gemm *g) {
  nb_assert(thread >= 0 && thread < m->threads);
  m->k.gemm(g, m->scratch + (size_t)thread * (NB_GEMM_SCRATCH / sizeof(float)));
}

static size_t share(size_t n, size_t parts) {
  size_t part = (n + parts - 1) / parts;
  return part >= TILE ? TILE : nb_max(LEAST, nb_round_up(part, 32));
}

size_t nb_matmul_share(const nb_matmul *m, size_t n) { return share(n, (size_t)m->threads); }

typedef struct tiles {
  const nb_matmul *m;
  const nb_gemm *g;
  size_t rows, cols, across; /* of a tile; tiles from left to right */
  bool lower;
} tiles;

static void multiply_tiles(void *ctx, size_t begin, size_t end, int thread) {
  tiles *j = ctx;
  for (size_t i = begin; i < end; i++) {
    nb_gemm g = *j->g;
    size_t row = i / j->across * j->rows, col = i % j->across * j->cols;
    if (j->lower && col >= row + j->rows) continue;
    g.M = nb_min(j->rows, g.M - row), g.N = nb_min(j->cols, g.N - col);
    g.a += row * g.ai, g.b += col * g.bj, g.c += row * g.ldc + col;
    nb_matmul_one(j->m, thread, &g);
  }
}

static void multiply(tiles *j) {
  const nb_gemm *g = j->g;
  j->across = (g->N + j->cols - 1) / j->cols;
  int threads = g->M <= LEAST || g->N < LEAST / 4 ? 1 : j->m->threads;
  nb_parallel_for(threads, (g->M + j->rows - 1) / j->rows * j->across, 1, multiply_tiles, j);
}

void nb_matmul_all(const nb_matmul *m, const nb_gemm *g) {
  tiles j = {.m = m, .g = g, .rows = share(g->M, (size_t)m->threads), .cols = TILE};
  multiply(&j);
}

void nb_matmul_lower(const nb_matmul *m, const nb_gemm *g) {
  nb_assert(g->M == g->N);
  size_t side = share(g->M, PARTS * (size_t)m->threads);
  tiles j = {.m = m, .g = g, .rows = side, .cols = side, .lower = true};
  multiply(&j);
}
