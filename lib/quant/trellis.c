/* SPDX-License-Identifier: MIT */
#include "quant/trellis.h"

#include "base/assert.h"

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
  for (unsigned i = 0; i < NB_TILE; i++) {
    const unsigned r = nb_qmat_trellis_row(i);
    const bool there = r < c->rows;
    float x = there ? c->x[r] : 0, step = there ? c->step[r] : 0, u = step != 0 ? x / step : 0;
    unsigned at = nb_grid_place(u);
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
static void round_alone(const nb_grid *g, const nb_trellis_column *c, uint8_t level[NB_TILE]) {
  ring rows;
  float best[STATES][STATES], next[STATES][STATES];
  uint8_t from[NB_TILE][STATES][STATES]; /* a of the state that was come from */
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
  for (unsigned i = NB_TILE, s = start; i-- > 0;) {
    unsigned a = from[i][s][start], b = s >> 1, n = s & 1;
    level[nb_qmat_trellis_row(i)] = rows.level[i][2 * (a ^ n) + b];
    s = 2 * a + b;
  }
}

/* ---- rows that are tied ---- */

/* The last row of what is left of A gives a row of mix. */
void nb_trellis_tie(const float *A, unsigned rows, nb_trellis_ties *out) {
  double left[NB_TILE][NB_TILE];
  memset(out, 0, sizeof *out);
  for (unsigned i = 0; i < rows; i++)
    for (unsigned j = 0; j < rows; j++) out->sums[i][j] = A[i * NB_TILE + j];
  for (unsigned i = 0; i < NB_TILE; i++)
    for (unsigned j = 0; j < NB_TILE; j++) left[i][j] = out->sums[nb_qmat_trellis_row(i)][nb_qmat_trellis_row(j)];
  for (unsigned i = NB_TILE; i-- > 0;) {
    const double d = left[i][i];
    out->mix[i][i] = 1;
    if (!(d > 0)) continue;
    out->weight[i] = (float)d;
    for (unsigned j = 0; j < i; j++) out->mix[i][j] = (float)(left[i][j] / d);
    for (unsigned j = 0; j < i; j++)
      for (unsigned k = 0; k < i; k++) left[j][k] -= left[i][j] * left[i][k] / d;
  }
}

/* What is told apart by where a path started, side by side. */
typedef float starts __attribute__((vector_size(STATES * sizeof(float))));
typedef int32_t masks __attribute__((vector_size(STATES * sizeof(float))));

static starts all(float x) { return (starts){x, x, x, x}; }
static starts either(masks m, starts x, starts y) { return (starts)(((masks)x & m) | ((masks)y & ~m)); }

/* The best path to each state 2 a + b: what it costs, and what its rows have lost. */
typedef struct survivors {
  starts cost[STATES];
  starts f[NB_TILE][STATES]; /* by ring */
} survivors;

/* What a row can become after a state, by the lowest bit of the row behind it. */
typedef struct options {
  starts cost[2][STATES], f[2][STATES];
  masks level[2][STATES];
} options;

/* Row i of the ring, whose target moves by what the path has lost. */
static void price_tied(const nb_grid *g, const nb_trellis_column *c, const survivors *s, unsigned i, options *out) {
  const unsigned r = nb_qmat_trellis_row(i);
  const nb_trellis_ties *t = c->ties;
  const float step = c->step[r], inv = step != 0 ? 1 / step : 0;
  for (unsigned state = 0; state < STATES; state++) {
    starts moved = all(c->x[r]);
    for (unsigned j = 0; j < i; j++) moved += all(t->mix[i][j]) * s->f[j][state];
    starts u = moved * all(inv);
    u = either(u > all(127), all(127), either(u > all(-128), u, all(-128))) + all(128.5f); /* as nb_grid_place */
    const masks at = __builtin_convertvector(u, masks);
    for (unsigned n = 0; n < 2; n++) {
      const uint8_t *nearest = g->nearest_of[2 * (state >> 1 ^ n) + (state & 1)];
      const masks l = {nearest[at[0]], nearest[at[1]], nearest[at[2]], nearest[at[3]]};
      const starts value = {g->value[l[0]], g->value[l[1]], g->value[l[2]], g->value[l[3]]};
      const starts placed = all(step) * value, e = moved - placed;
      out->level[n][state] = l;
      out->cost[n][state] = e * e * all(t->weight[i]);
      out->f[n][state] = all(c->x[r]) - placed;
    }
  }
}

/* A row that is not there. */
static void price_nothing(options *out) {
  for (unsigned n = 0; n < 2; n++)
    for (unsigned state = 0; state < STATES; state++) {
      const int32_t level = 2 * ((int32_t)(state >> 1) ^ (int32_t)n);
      out->cost[n][state] = all(state & 1 ? INFINITY : 0), out->f[n][state] = all(0);
      out->level[n][state] = (masks){level, level, level, level};
    }
}

static void round_tied(const nb_grid *g, const nb_trellis_column *c, uint8_t level[NB_TILE]) {
  survivors s;
  options o;
  masks from[NB_TILE][STATES], chosen[NB_TILE][STATES]; /* -1: a is 1; the level */
  for (unsigned state = 0; state < STATES; state++) s.cost[state] = all(INFINITY), s.cost[state][state] = 0;
  for (unsigned i = 0; i < NB_TILE; i++) {
    if (nb_qmat_trellis_row(i) < c->rows) price_tied(g, c, &s, i, &o);
    else price_nothing(&o);
    starts cost[STATES];
    for (unsigned b = 0; b < 2; b++)
      for (unsigned n = 0; n < 2; n++) {
        starts p = s.cost[b] + o.cost[n][b], q = s.cost[2 + b] + o.cost[n][2 + b];
        masks second = q < p;
        from[i][2 * b + n] = second;
        cost[2 * b + n] = either(second, q, p);
        s.f[i][2 * b + n] = either(second, o.f[n][2 + b], o.f[n][b]);
        chosen[i][2 * b + n] = (o.level[n][2 + b] & second) | (o.level[n][b] & ~second);
      }
    memcpy(s.cost, cost, sizeof cost);
    for (unsigned j = 0; j < i; j++) {
      starts old[STATES];
      memcpy(old, s.f[j], sizeof old);
      for (unsigned b = 0; b < 2; b++)
        for (unsigned n = 0; n < 2; n++) s.f[j][2 * b + n] = either(from[i][2 * b + n], old[2 + b], old[b]);
    }
  }
  unsigned start = 0;
  for (unsigned state = 1; state < STATES; state++)
    if (s.cost[state][state] < s.cost[start][start]) start = state;
  for (unsigned i = NB_TILE, state = start; i-- > 0;) {
    level[nb_qmat_trellis_row(i)] = (uint8_t)chosen[i][state][start];
    state = (from[i][state][start] ? 2 : 0) + (state >> 1);
  }
}

void nb_trellis_round(const nb_grid *g, const nb_trellis_column *c, uint8_t level[NB_TILE]) {
  nb_assert(g->fmt.kind == NB_TRELLIS && c->rows <= NB_TILE);
  if (c->ties) round_tied(g, c, level);
  else round_alone(g, c, level);
}
