/* SPDX-License-Identifier: MIT */
#include "quant/trellis.h"

#include "base/assert.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { STATES = NB_TRELLIS_STATES };

/* What each row costs at each of the four kinds of level, 2 s + the code's lowest bit (qmat.h), and the best level of
 * each. Rows in the order of the ring. */
typedef struct ring {
  float cost[NB_TILE][STATES];
  uint8_t level[NB_TILE][STATES];
} ring;

static void price(const nb_grid *g, const nb_trellis_column *c, ring *out) {
  for (unsigned i = 0, r = 0; i < NB_TILE; i++, r = nb_qmat_trellis_after(r)) {
    const bool there = r < c->rows;
    float x = there ? c->x[r] : 0, step = there ? c->step[r] : 0, u = step != 0 ? x / step : 0;
    int at = (int)((u > 127 ? 127 : u > -128 ? u : -128) + 128.5f);
    for (unsigned kind = 0; kind < STATES; kind++) {
      unsigned l = g->nearest_of[kind][at];
      float e = step != 0 ? u - g->value[l] : 0;
      out->level[i][kind] = (uint8_t)l;
      out->cost[i][kind] = there ? e * e : kind & 1 ? INFINITY : 0;
    }
  }
}

/* A state is the lowest bits of two neighbours' codes, 2 a + b. When the next one's, n, is chosen, the row of b has the
 * kind 2 (a ^ n) + b. All four starts are followed side by side: best[state][start]. */
void nb_trellis_round(const nb_grid *g, const nb_trellis_column *c, uint8_t level[NB_TILE]) {
  ring rows;
  float best[STATES][STATES], next[STATES][STATES];
  uint8_t from[NB_TILE][STATES][STATES]; /* a of the state that was come from */
  nb_assert(g->fmt.kind == NB_TRELLIS);
  price(g, c, &rows);
  for (unsigned s = 0; s < STATES; s++)
    for (unsigned start = 0; start < STATES; start++) best[s][start] = s == start ? 0 : INFINITY;
  for (unsigned i = 0; i < NB_TILE; i++) {
    for (unsigned b = 0; b < 2; b++)
      for (unsigned n = 0; n < 2; n++) {
        const float cost0 = rows.cost[i][2 * n + b], cost1 = rows.cost[i][2 * (1 - n) + b];
        for (unsigned start = 0; start < STATES; start++) {
          float p = best[b][start] + cost0, q = best[2 + b][start] + cost1;
          from[i][2 * b + n][start] = q < p;
          next[2 * b + n][start] = q < p ? q : p;
        }
      }
    memcpy(best, next, sizeof best);
  }
  unsigned start = 0;
  for (unsigned s = 1; s < STATES; s++)
    if (best[s][s] < best[start][start]) start = s;
  for (unsigned i = NB_TILE, r = nb_qmat_trellis_before(0), s = start; i-- > 0; r = nb_qmat_trellis_before(r)) {
    unsigned a = from[i][s][start], b = s >> 1, n = s & 1;
    level[r] = rows.level[i][2 * (a ^ n) + b];
    s = 2 * a + b;
  }
}

/* ---- tables ---- */

enum { ROUNDS = 6, TILES = 32 /* of the sample */ };

typedef struct moments {
  double mass[NB_MAX_LEVELS], sum[NB_MAX_LEVELS];
} moments;

/* Adds what the levels of a tile's rows stand for, w (n, K) from row `row`, to the moments. */
static void sample_group(const nb_grid *g, const float *w, size_t n, size_t K, size_t len, const float *h, moments *m) {
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

/* The table of the moments' means, the largest as 127; levels that nothing fell to stay. False: it would be none. */
static bool table_of(const nb_grid *g, const moments *m, int8_t *table) {
  double value[NB_MAX_LEVELS], peak = 0;
  for (int l = 0; l < g->levels; l++) {
    value[l] = m->mass[l] > 0 ? m->sum[l] / m->mass[l] : g->value[l];
    if (l && value[l] < value[l - 1]) value[l] = value[l - 1]; /* in ascending order, whatever few samples say */
    peak = fmax(peak, fabs(value[l]));
  }
  if (!(peak > 0)) return false;
  for (int l = 0; l < g->levels; l++) table[l] = (int8_t)rint(value[l] / peak * 127);
  return table[0] != table[g->levels - 1];
}

void nb_trellis_fit_table(nb_grid *g, const float *w, size_t N, size_t K, const float *h) {
  size_t group = g->fmt.group, tiles = (N + NB_TILE - 1) / NB_TILE, stride = nb_max(1, tiles / TILES);
  for (int round = 0; round < ROUNDS; round++) {
    moments m = {{0}, {0}};
    int8_t table[NB_MAX_LEVELS];
    for (size_t t = 0; t < tiles; t += stride)
      for (size_t k = 0; k < K; k += group)
        sample_group(g, w + t * NB_TILE * K + k, nb_min(NB_TILE, N - t * NB_TILE), K, nb_min(group, K - k),
                     h ? h + k : NULL, &m);
    if (!table_of(g, &m, table)) break;
    nb_grid_make(g->fmt, table, g);
  }
}
