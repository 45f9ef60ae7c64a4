/* SPDX-License-Identifier: MIT */
#include "quant/hess.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "quant/cholesky.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  ROUND = 512,  /* inputs that a thread rounds at a time */
  SQUARE = 128, /* inputs by inputs whose products a thread sums at a time: all blocks of tokens meet them in cache */
  TILE = 32,
  TRIES = 8
};

/* ---- sums ---- */

nb_status nb_rounded_create(size_t T_max, size_t K_max, nb_rounded *r, nb_err *err) {
  size_t blocks = (T_max + NB_GRAM_TOKENS - 1) / NB_GRAM_TOKENS, Kp = nb_round_up(K_max, 16);
  *r = (nb_rounded){.T_max = T_max, .K_max = K_max};
  nb_status st = nb_new(&r->z, blocks * NB_GRAM_TOKENS, Kp * sizeof *r->z, "the inputs", err);
  if (st == NB_OK) st = nb_new(&r->scale, blocks * Kp, sizeof *r->scale, "the inputs", err);
  if (st != NB_OK) nb_rounded_free(r);
  return st;
}

void nb_rounded_free(nb_rounded *r) {
  nb_free(r->z);
  nb_free(r->scale);
  memset(r, 0, sizeof *r);
}

typedef struct round_job {
  nb_rounded *r;
  const nb_kernels *k;
  const float *x;
  size_t Kp, across;
} round_job;

static void round_pieces(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  round_job *j = ctx;
  nb_rounded *r = j->r;
  for (size_t i = begin; i < end; i++) {
    size_t b = i / j->across, t = b * NB_GRAM_TOKENS, k = i % j->across * ROUND;
    j->k->gram_round(j->x + t * r->K + k, r->K, nb_min(NB_GRAM_TOKENS, r->T - t), nb_min(ROUND, r->K - k),
                     r->z + (b * j->Kp + k) * NB_GRAM_TOKENS, r->scale + b * j->Kp + k);
  }
}

static size_t blocks_of(const nb_rounded *r) { return (r->T + NB_GRAM_TOKENS - 1) / NB_GRAM_TOKENS; }

void nb_rounded_take(nb_rounded *r, const nb_kernels *k, const float *x, size_t T, size_t K, int threads) {
  nb_assert(T >= 1 && T <= r->T_max && K >= 1 && K <= r->K_max);
  round_job j = {r, k, x, nb_round_up(K, 16), (K + ROUND - 1) / ROUND};
  r->T = T, r->K = K;
  nb_parallel_for(threads, blocks_of(r) * j.across, 1, round_pieces, &j);
}

typedef struct add_job {
  const nb_kernels *k;
  const nb_rounded *x;
  float *H;
  size_t across; /* squares from left to right */
} add_job;

static void add_squares(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  add_job *j = ctx;
  for (size_t i = begin; i < end; i++) {
    size_t row = i / j->across * SQUARE, col = i % j->across * SQUARE;
    if (col > row) continue;
    const nb_rounded *x = j->x;
    size_t Kp = nb_round_up(x->K, 16);
    nb_gram g = {.M = nb_min(SQUARE, x->K - row),
                 .N = nb_min(SQUARE, x->K - col),
                 .n_blocks = blocks_of(x),
                 .a = x->z + row * NB_GRAM_TOKENS,
                 .b = x->z + col * NB_GRAM_TOKENS,
                 .a_scale = x->scale + row,
                 .b_scale = x->scale + col,
                 .a_inputs = Kp,
                 .b_inputs = Kp,
                 .y = j->H + row * x->K + col,
                 .ldy = x->K};
    j->k->gram_add(&g);
  }
}

void nb_hess_add(const nb_kernels *k, float *H, const nb_rounded *x, int threads) {
  add_job j = {k, x, H, (x->K + SQUARE - 1) / SQUARE};
  nb_parallel_for(threads, j.across * j.across, nb_max(1, j.across / 8), add_squares, &j);
}

/* ---- the diagonal ---- */

void nb_hess_free(nb_hess *h) {
  nb_free(h->H);
  nb_free(h->U);
  nb_free(h->diag);
  nb_free(h->order);
  memset(h, 0, sizeof *h);
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

/* U for a damping; false when H is not positive definite. With the order reversed, H = L L^T gives the upper factor of
 * the inverse as L^-1, reversed again. L: (K, K) workspace. */
static bool factor(nb_hess *h, const nb_matmul *mul, float *L, float lambda) {
  nb_assert(h->U && L != h->U && L != h->H);
  size_t K = h->K;
  for (size_t i = 0; i < K; i++) {
    const float *row = h->H + (size_t)h->order[K - 1 - i] * K;
    for (size_t k = 0; k <= i; k++) L[i * K + k] = row[h->order[K - 1 - k]];
    L[i * K + i] += lambda;
  }
  if (!nb_cholesky_factor(mul, L, K, K)) return false;
  memset(h->U, 0, K * K * sizeof *h->U);
  nb_cholesky_invert(mul, L, K, h->U);
  for (size_t i = 0, e = K * K - 1; i < e; i++, e--) {
    float t = h->U[i];
    h->U[i] = h->U[e], h->U[e] = t;
  }
  for (size_t i = 0; i < K; i++)
    if (!(h->U[i * K + i] > 0) || !isfinite(h->U[i * K + i])) return false;
  return true;
}

nb_status nb_hess_unfactored(const nb_kernels *k, float *H, size_t K, const char *what, nb_hess *out, nb_err *err) {
  double mean;
  memset(out, 0, sizeof *out);
  out->k = *k, out->K = K, out->H = H;
  nb_status st = take_diagonal(out, &mean, what, err);
  if (st != NB_OK) nb_hess_free(out);
  return st;
}

nb_status nb_hess_prepare(const nb_kernels *k, float *H, size_t K, const nb_hess_opts *o, nb_hess *out, nb_err *err) {
  nb_status st;
  memset(out, 0, sizeof *out);
  out->k = *k, out->K = K, out->H = H;
  nb_assert(K > 0);
  double mean = 1;
  float *L = NULL;
  nb_matmul mul = {0};
  NB_GOTO(take_diagonal(out, &mean, o->what, err));
  NB_GOTO(nb_matmul_create(k, o->threads, &mul, err));
  NB_GOTO(nb_new(&L, K * K, sizeof(float), "the factor", err));
  NB_GOTO(nb_new(&out->U, K * K, sizeof(float), "the factor", err));
  int try = 0;
  out->damp = o->damp;
  while (!factor(out, &mul, L, (float)(out->damp * mean))) {
    if (++try == TRIES) {
      st = nb_fail(err, NB_ERR_NUMERIC, "%s: the statistics cannot be factored, even damped", o->what);
      goto fail;
    }
    out->damp = out->damp > 0 ? out->damp * 10 : 1e-4;
  }
  for (size_t i = 0; i < K; i++) out->H[i * K + i] += (float)(out->damp * mean);
fail:
  nb_free(L), nb_matmul_free(&mul);
  if (st != NB_OK) nb_hess_free(out);
  return st;
}
