/* SPDX-License-Identifier: MIT */
#include "quant/fit_table.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "quant/trellis.h"

#include <math.h>
#include <string.h>

/* The table of some values, the largest as 127; they come in any order when samples are few. False: it would be none.
 */
static bool set_table(nb_grid *g, double *value) {
  double peak = 0;
  int8_t table[NB_MAX_LEVELS];
  for (int l = 0; l < g->levels; l++) {
    if (l && value[l] < value[l - 1]) value[l] = value[l - 1];
    peak = fmax(peak, fabs(value[l]));
  }
  if (!(peak > 0)) return false;
  for (int l = 0; l < g->levels; l++) table[l] = (int8_t)rint(value[l] / peak * 127);
  if (table[0] == table[g->levels - 1]) return false;
  nb_grid_make(g->fmt, table, g);
  return true;
}

/* ---- tables: Lloyd and Max ---- */

enum {
  BINS = 1024, /* over -128 .. 128 */
  ROWS = 512   /* tell enough */
};

/* Weights in units of their groups' steps: what an error of each bin's costs, and that times the weights. */
typedef struct histogram {
  double mass[BINS], moment[BINS];
} histogram;

static void count_group(const nb_grid *g, const float *w, size_t n, const float *h, histogram *c) {
  float s = nb_quant_fit_group(g, w, h, n, 0), inv = s != 0 ? 1 / s : 0;
  for (size_t k = 0; k < n; k++) {
    double u = (double)w[k] * inv, cost = (h ? h[k] : 1) * (double)s * s;
    int bin = (int)((fmin(127.9, fmax(-128, u)) + 128) * (BINS / 256.0));
    c->mass[bin] += cost, c->moment[bin] += cost * u;
  }
}

static void lloyd_max(const histogram *h, int levels, double *value) {
  for (int step = 0; step < 20; step++) {
    double m[NB_MAX_LEVELS] = {0}, f[NB_MAX_LEVELS] = {0};
    int c = 0;
    for (int b = 0; b < BINS; b++) {
      double u = (b + 0.5) * (256.0 / BINS) - 128;
      while (c + 1 < levels && 2 * u > value[c] + value[c + 1]) c++;
      m[c] += h->mass[b], f[c] += h->moment[b];
    }
    for (c = 0; c < levels; c++)
      if (m[c] > 0) value[c] = f[c] / m[c];
  }
}

static nb_status fit_nearest(nb_grid *g, const float *w, size_t N, size_t K, const float *h, nb_err *err) {
  const size_t group = g->fmt.group, stride = nb_max(1, N / ROWS);
  histogram *c;
  double value[NB_MAX_LEVELS];
  NB_TRY(nb_new(&c, 1, sizeof *c, "fitting a table", err));
  for (int round = 0; round < 3; round++) {
    memset(c, 0, sizeof *c);
    for (size_t n = 0; n < N; n += stride)
      for (size_t k = 0; k < K; k += group) count_group(g, w + n * K + k, nb_min(group, K - k), h ? h + k : NULL, c);
    for (int l = 0; l < g->levels; l++) value[l] = g->value[l];
    lloyd_max(c, g->levels, value);
    if (!set_table(g, value)) break;
  }
  nb_free(c);
  return NB_OK;
}

/* ---- trellis codes: the means of what takes a level ---- */

enum { ROUNDS = 6, TILES = 32 /* tell enough */ };

typedef struct moments {
  double mass[NB_MAX_LEVELS], sum[NB_MAX_LEVELS];
} moments;

typedef struct sample {
  const nb_grid *g;
  const float *w, *h;
  size_t N, K, stride;
  moments *of; /* by tile of the sample */
} sample;

/* Inputs of a group, w (n, len) with rows K apart. */
static void count_paths(const nb_grid *g, const float *w, size_t n, size_t K, size_t len, const float *h, moments *m) {
  nb_trellis_column c = {.rows = (unsigned)n};
  uint8_t level[NB_TILE];
  for (size_t r = 0; r < n; r++) c.step[r] = nb_quant_fit_group(g, w + r * K, h, len, 0);
  for (size_t k = 0; k < len; k++) {
    for (size_t r = 0; r < n; r++) c.x[r] = w[r * K + k];
    nb_trellis_round(g, &c, level);
    for (size_t r = 0; r < n; r++) {
      if (c.step[r] == 0) continue;
      double cost = (h ? h[k] : 1) * (double)c.step[r] * c.step[r];
      m->mass[level[r]] += cost, m->sum[level[r]] += cost * (w[r * K + k] / c.step[r]);
    }
  }
}

static void count_tiles(void *ctx, size_t begin, size_t end, int thread) {
  const sample *j = ctx;
  const size_t group = j->g->fmt.group;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    const size_t row = i * j->stride * NB_TILE, n = nb_min(NB_TILE, j->N - row);
    j->of[i] = (moments){{0}, {0}};
    for (size_t k = 0; k < j->K; k += group)
      count_paths(j->g, j->w + row * j->K + k, n, j->K, nb_min(group, j->K - k), j->h ? j->h + k : NULL, &j->of[i]);
  }
}

static nb_status fit_paths(nb_grid *g, const float *w, size_t N, size_t K, const float *h, int threads, nb_err *err) {
  const size_t tiles = (N + NB_TILE - 1) / NB_TILE, stride = nb_max(1, tiles / TILES),
               n = (tiles + stride - 1) / stride;
  sample j = {g, w, h, N, K, stride, NULL};
  double value[NB_MAX_LEVELS];
  NB_TRY(nb_new(&j.of, n, sizeof *j.of, "fitting a table", err));
  for (int round = 0; round < ROUNDS; round++) {
    nb_parallel_for(threads, n, 1, count_tiles, &j);
    for (int l = 0; l < g->levels; l++) {
      double mass = 0, sum = 0;
      for (size_t i = 0; i < n; i++) mass += j.of[i].mass[l], sum += j.of[i].sum[l];
      value[l] = mass > 0 ? sum / mass : g->value[l]; /* levels that nothing fell to stay */
    }
    if (!set_table(g, value)) break;
  }
  nb_free(j.of);
  return NB_OK;
}

nb_status nb_fit_table(nb_grid *g, const float *w, size_t N, size_t K, const float *h, int threads, nb_err *err) {
  nb_assert(g->fmt.kind != NB_UNIFORM && g->levels <= NB_MAX_LEVELS);
  if (g->fmt.kind == NB_TRELLIS) return fit_paths(g, w, N, K, h, threads, err);
  return fit_nearest(g, w, N, K, h, err);
}
