/* SPDX-License-Identifier: MIT */
/* gemm, gram_round, gram_add. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- gemm ---- */

typedef struct product {
  nb_gemm g;
  size_t c_floats;
  const float *c0; /* what c held */
} product;

static void gemm_double(check *c, const product *p, const float *got) {
  const nb_gemm *g = &p->g;
  for (size_t i = 0; i < g->M; i++)
    for (size_t j = 0; j < g->N; j++) {
      double start = g->add ? p->c0[i * g->ldc + j] : 0, sum = 0, size = 0;
      for (size_t k = 0; k < g->K; k++) {
        double t = (double)g->a[i * g->ai + k * g->ak] * g->b[k * g->bk + j * g->bj];
        sum += t, size += fabs(t);
      }
      size = fabs((double)g->alpha) * size + fabs(start);
      double steps = (double)nb_min(g->K, NB_GEMM_CHUNK) + (double)g->K / NB_GEMM_CHUNK + 2;
      if (size < 1e37)
        near(c, start + (double)g->alpha * sum, got[i * g->ldc + j], steps * U * size + (double)(g->K + 1) * 0x1p-148);
    }
}

/* A factor (rows, cols) with one of its steps 1, flush with an unreadable page. */
static const float *factor(check *c, size_t rows, size_t cols, int kind, size_t *step_row, size_t *step_col) {
  bool by_rows = rnd_below(c, 2);
  size_t ld = (by_rows ? cols : rows) + rnd_below(c, 9);
  size_t n = ((by_rows ? rows : cols) - 1) * ld + (by_rows ? cols : rows);
  float *x = floats(c, n);
  rnd_floats(c, x, n, kind);
  *step_row = by_rows ? ld : 1, *step_col = by_rows ? 1 : ld;
  return x;
}

void test_gemm(check *c) {
  static const size_t Ks[] = {1, 2, 15, 16, 17, 100, 128, 129, 200, 256, 300};
  static const float alphas[] = {1, -1, 0.25f, 0};
  product p = {.g = {.M = 1 + rnd_below(c, 40), .N = 1 + rnd_below(c, 80), .K = rnd_of(c, Ks, 11)}};
  nb_gemm *g = &p.g;
  if (rnd_below(c, 10) == 0) g->M = 235 + rnd_below(c, 20);
  if (rnd_below(c, 10) == 0) g->N = 505 + rnd_below(c, 20);
  int kind = (int)rnd_below(c, F_KINDS);
  g->a = factor(c, g->M, g->K, kind, &g->ai, &g->ak);
  g->b = factor(c, g->K, g->N, kind, &g->bk, &g->bj);
  g->alpha = alphas[rnd_below(c, 4)], g->add = rnd_below(c, 3) != 0, g->ldc = g->N + rnd_below(c, 5);
  size_t n = (g->M - 1) * g->ldc + g->N;
  float *out[3];
  for (int i = 0; i < 3; i++) out[i] = floats(c, n);
  if (g->add) rnd_floats(c, out[0], n, kind);
  memcpy(out[1], out[0], n * sizeof(float)), memcpy(out[2], out[0], n * sizeof(float));
  p.c0 = out[2];
  snprintf(c->what, sizeof c->what, "gemm M=%zu N=%zu K=%zu a %zu,%zu b %zu,%zu alpha %g%s", g->M, g->N, g->K, g->ai,
           g->ak, g->bk, g->bj, (double)g->alpha, g->add ? " add" : "");
  void *scratch = buffer(c, NB_GEMM_SCRATCH);
  g->c = out[0];
  c->ref->gemm(g, scratch);
  gemm_double(c, &p, out[0]);
  /* the other table, in two parts of each side */
  nb_gemm part = *g;
  size_t m = rnd_below(c, g->M + 1), cols = rnd_below(c, g->N + 1);
  for (int i = 0; i < 4; i++) {
    size_t i0 = i & 1 ? m : 0, j0 = i & 2 ? cols : 0;
    part.M = i & 1 ? g->M - m : m, part.N = i & 2 ? g->N - cols : cols;
    part.a = g->a + i0 * g->ai, part.b = g->b + j0 * g->bj, part.c = out[1] + i0 * g->ldc + j0;
    if (part.M && part.N) c->k->gemm(&part, scratch);
  }
  same_floats(c, out[0], out[1], n);
}

/* ---- gram ---- */

/* One side's inputs: T tokens of K, rounded in blocks by a table. */
typedef struct side {
  size_t T, K, Kp, blocks;
  float *x;
  int16_t *z;
  float *scale;
} side;

static void fill(check *c, side *s, size_t T, size_t K, int kind) {
  *s = (side){T, K, nb_round_up(K, 16), (T + NB_GRAM_TOKENS - 1) / NB_GRAM_TOKENS, floats(c, T * K), NULL, NULL};
  rnd_floats(c, s->x, T * K, kind);
  size_t big = rnd_below(c, T);
  for (size_t k = 0; k < K; k++) {
    if (rnd_below(c, 3) == 0) s->x[big * K + k] = (rnd_below(c, 2) ? 200.0f : -200.0f) * s->x[big * K + k];
    if (rnd_below(c, 9) == 0) /* all of one size: the largest sums */
      for (size_t t = 0; t < T; t++) s->x[t * K + k] = s->x[k] < 0 ? -3.0f : 3.0f;
    int smaller = rnd_below(c, 3) ? 0 : (int)rnd_below(c, 110); /* in every token: ranges down to what counts as 0 */
    for (size_t t = 0; smaller && t < T; t++) s->x[t * K + k] = ldexpf(s->x[t * K + k], -smaller);
  }
}

static void round_side(check *c, const nb_kernels *k, side *s) {
  s->z = buffer(c, s->blocks * s->Kp * NB_GRAM_TOKENS * 2), s->scale = floats(c, s->blocks * s->Kp);
  for (size_t b = 0; b < s->blocks; b++) {
    size_t t = b * NB_GRAM_TOKENS;
    k->gram_round(s->x + t * s->K, s->K, nb_min(NB_GRAM_TOKENS, s->T - t), s->K, s->z + b * s->Kp * NB_GRAM_TOKENS,
                  s->scale + b * s->Kp);
  }
}

static double rounded(const side *s, size_t t, size_t k) {
  size_t b = t / NB_GRAM_TOKENS, i = t % NB_GRAM_TOKENS;
  const int16_t *z = s->z + b * s->Kp * NB_GRAM_TOKENS + k / 16 * 16 * NB_GRAM_TOKENS;
  return (double)s->scale[b * s->Kp + k] * z[i / 2 * 32 + k % 16 * 2 + i % 2];
}

static void rounding_is_near(check *c, const side *s) {
  for (size_t t = 0; t < s->T; t++)
    for (size_t k = 0; k < s->K; k++) {
      double unit = s->scale[t / NB_GRAM_TOKENS * s->Kp + k];
      near(c, s->x[t * s->K + k], rounded(s, t, k), unit == 0 ? NB_GRAM_LEAST : unit * 0.501);
    }
}

void test_gram(check *c) {
  static const size_t Ts[] = {1, 2, 3, 60, 127, 128, 129, 200, 300};
  size_t T = rnd_of(c, Ts, 9), M = 1 + rnd_below(c, 70), N = 1 + rnd_below(c, 90), ldy = N + rnd_below(c, 5);
  int kind = rnd_below(c, 3) ? F_UNIT : (int)rnd_below(c, F_KINDS);
  side a[2], b[2];
  fill(c, &a[0], T, M, kind), fill(c, &b[0], T, N, kind);
  a[1] = a[0], b[1] = b[0];
  float *y[2] = {floats(c, (M - 1) * ldy + N), floats(c, (M - 1) * ldy + N)};
  size_t i0 = rnd_below(c, (M + 15) / 16) * 16, j0 = rnd_below(c, (N + 15) / 16) * 16;
  snprintf(c->what, sizeof c->what, "gram T=%zu M=%zu N=%zu from %zu, %zu", T, M, N, i0, j0);
  for (int i = 0; i < 2; i++) {
    const nb_kernels *k = i ? c->k : c->ref;
    round_side(c, k, &a[i]), round_side(c, k, &b[i]);
    for (size_t n = 0; n < (M - 1) * ldy + N; n++) y[i][n] = (float)(n % 7);
    nb_gram g = {M - i0,
                 N - j0,
                 a[i].blocks,
                 a[i].z + i0 * NB_GRAM_TOKENS,
                 b[i].z + j0 * NB_GRAM_TOKENS,
                 a[i].scale + i0,
                 b[i].scale + j0,
                 a[i].Kp,
                 b[i].Kp,
                 y[i] + i0 * ldy + j0,
                 ldy};
    k->gram_add(&g);
  }
  same_bytes(c, a[0].z, a[1].z, a[0].blocks * a[0].Kp * NB_GRAM_TOKENS * 2);
  same_floats(c, a[0].scale, a[1].scale, a[0].blocks * a[0].Kp);
  same_floats(c, y[0], y[1], (M - 1) * ldy + N);
  if (c->k != c->ref) return;
  rounding_is_near(c, &a[0]);
  for (size_t i = i0; i < M; i++)
    for (size_t j = j0; j < N; j++) {
      double start = (double)((i * ldy + j) % 7), sum = start, size = start;
      for (size_t t = 0; t < T; t++) {
        double p = rounded(&a[0], t, i) * rounded(&b[0], t, j);
        sum += p, size += fabs(p);
      }
      if (size < 1e37) near(c, sum, y[0][i * ldy + j], (double)(a[0].blocks + 3) * U * size + 0x1p-148);
    }
}

/* What is not finite makes all sums with its input NaN or infinite, and no others. */
void test_gram_nan(check *c) {
  size_t T = 1 + rnd_below(c, 200), K = 1 + rnd_below(c, 60), bad = rnd_below(c, K);
  side s;
  fill(c, &s, T, K, F_UNIT);
  s.x[rnd_below(c, T) * K + bad] = rnd_below(c, 2) ? NAN : INFINITY;
  round_side(c, c->k, &s);
  float *y = floats(c, K * K);
  memset(y, 0, K * K * sizeof *y);
  snprintf(c->what, sizeof c->what, "gram_nan T=%zu K=%zu at %zu", T, K, bad);
  nb_gram g = {K, K, s.blocks, s.z, s.z, s.scale, s.scale, s.Kp, s.Kp, y, K};
  c->k->gram_add(&g);
  for (size_t i = 0; i < K; i++)
    for (size_t j = 0; j < K; j++)
      that(c, !isfinite(y[i * K + j]) == (i == bad || j == bad), "NaN spreads to the wrong sums");
}
