/* SPDX-License-Identifier: MIT */
#include "model/linear.h"

#include "base/assert.h"
#include "base/parallel.h"

enum { MAX_GRAIN = 4, FEW_TOKENS = 4 }; /* tiles a thread takes at once; fewer tokens than that stream the weights */

typedef struct linear_job {
  const nb_kernels *k;
  const nb_product *product;
  size_t n;     /* products */
  size_t tiles; /* of all of them */
  const nb_rows *x;
  uint8_t *scratch;
  size_t scratch_bytes;
} linear_job;

static size_t tiles_of(const nb_linear *w) { return (w->N + NB_TILE - 1) / NB_TILE; }

/* A block of tokens. */
typedef struct token_block {
  size_t first;
  nb_rows x;
  nb_q8 q; /* what x.q points to */
} token_block;

static void take_block(const nb_rows *x, size_t i, token_block *b) {
  const size_t first = i * NB_LINEAR_TOKENS, T = nb_min(x->T - first, NB_LINEAR_TOKENS);
  *b = (token_block){first, {x->x ? x->x + first * x->ldx : NULL, T, x->ldx, NULL}, {0}};
  if (!x->q) return;
  b->q = *x->q;
  b->q.T = T;
  b->q.q += first * b->q.Kp;
  b->q.scale += first * (b->q.Kp / NB_QA_GROUP);
  b->q.sum += first * (b->q.Kp / NB_BLOCK);
  b->x.q = &b->q;
}

/* Rows [n0, n1) of a dense matrix, those that lie together at a time. */
static void run_dense(const linear_job *j, const nb_product *p, const token_block *b, size_t n0, size_t n1,
                      void *scratch) {
  nb_assert(p->w->run > 0 && n1 <= p->w->N);
  const nb_linear *w = p->w;
  for (size_t n = n0, count; n < n1; n += count) {
    nb_tensor rows = w->dense;
    count = nb_min(n1 - n, w->run - n % w->run);
    rows.data = nb_linear_dense_row(w, n);
    rows.shape[0] = count;
    j->k->linear_float(&rows, 0, count, &b->x, p->y + b->first * p->ldy + n, p->ldy, scratch);
  }
}

static void run_product(const linear_job *j, const nb_product *p, const token_block *b, size_t tile0, size_t tile1,
                        void *scratch) {
  if (p->w->coded) j->k->linear_q8(&p->w->qmat, tile0, tile1, b->x.q, p->y + b->first * p->ldy, p->ldy, scratch);
  else run_dense(j, p, b, tile0 * NB_TILE, nb_min(tile1 * NB_TILE, p->w->N), scratch);
}

/* Tiles [begin, end) of all the products' tiles, one product after another, for a block of tokens. */
static void run_block(const linear_job *j, const token_block *block, size_t begin, size_t end, void *scratch) {
  size_t first = 0;
  for (size_t i = 0; i < j->n; i++) {
    size_t tiles = tiles_of(j->product[i].w), a = nb_max(begin, first), b = nb_min(end, first + tiles);
    if (a < b) run_product(j, &j->product[i], block, a - first, b - first, scratch);
    first += tiles;
  }
}

/* Tiles [begin, end) of all blocks' tiles: a block of tokens meets all of them before the next does, so that it stays
 * in the cache. */
static void run_tiles(void *ctx, size_t begin, size_t end, int thread) {
  const linear_job *j = ctx;
  void *scratch = j->scratch + (size_t)thread * j->scratch_bytes;
  for (size_t i = begin, n; i < end; i += n) {
    const size_t tile = i % j->tiles;
    n = nb_min(end - i, j->tiles - tile);
    token_block b;
    take_block(j->x, i / j->tiles, &b);
    run_block(j, &b, tile, tile + n, scratch);
  }
}

void nb_linear_run(const nb_kernels *k, int threads, const nb_product *product, size_t n, const nb_rows *x,
                   uint8_t *scratch, size_t scratch_bytes) {
  linear_job j = {k, product, n, 0, x, scratch, scratch_bytes};
  nb_assert(n > 0 && nb_assert_aligned(scratch, NB_ALIGN) && scratch_bytes % NB_ALIGN == 0);
  for (size_t i = 0; i < n; i++) {
    const nb_linear *w = product[i].w;
    nb_assert(w->K == product[0].w->K && scratch_bytes >= nb_kernels_linear_scratch(w->K));
    nb_assert(!w->coded || (x->q->T == x->T && x->q->K == w->K && w->qmat.N == w->N && w->qmat.K == w->K));
    nb_assert(x->T <= 1 || product[i].ldy >= w->N);
    j.tiles += tiles_of(w);
  }
  size_t grain = j.tiles / ((size_t)threads * 4), blocks = (x->T + NB_LINEAR_TOKENS - 1) / NB_LINEAR_TOKENS;
  if (x->T > FEW_TOKENS) grain = nb_min(grain, MAX_GRAIN);
  nb_parallel_for(threads, j.tiles * blocks, nb_max(grain, 1), run_tiles, &j);
}
