/* SPDX-License-Identifier: MIT */
/* The best path of a tile's rows through the trellis of their codes (qmat.h), on the 16-lane machine: a lane for each
 * of the four states 2 a + b (the lowest bits of two neighbours' codes) of each of the four states that a path may
 * start in, lane 4 start + state. When the next row's bit, n, is chosen, the row of b has the kind 2 (a ^ n) + b, and
 * the path is in the state 2 b + n. */
#ifndef NB_TRELLIS_PATH_H
#define NB_TRELLIS_PATH_H

#include "kernels/simd16.h"
#include "base/assert.h"

enum { PATH_STATES = NB_TRELLIS_STATES, PATH_LANES = PATH_STATES * PATH_STATES };

/* What was come from and what was chosen, by the row's place in the ring. */
typedef struct path_trace {
  float second[NB_TILE][PATH_LANES];  /* 1: a of the state before this one is 1 */
  uint8_t place[NB_TILE][PATH_LANES]; /* of what the row of the state before this one had to become */
} path_trace;

INLINE float path_inverse(float step) { return step != 0 ? 1 / step : 0; }

/* The places (nb_levels_place) of 16 numbers. */
INLINE void path_places(v16 u, uint8_t *place) {
  u = v_max(v_select_lt(v_set(127), u, v_set(127), u), v_set(-128));
  v_store_low8(place, v_add(u, v_set(ROUND_MAGIC + 128)));
}

/* The kind of a row between states. */
INLINE unsigned path_kind(unsigned state, unsigned n) { return 2 * (state >> 1 ^ n) + (state & 1); }

/* What paths cost that have not begun. */
INLINE v16 path_start(void) {
  float cost[PATH_LANES];
  for (unsigned i = 0; i < PATH_LANES; i++) cost[i] = i / PATH_STATES == i % PATH_STATES ? 0 : INFINITY;
  return v_load(cost);
}

/* What leads to each state: of the paths through a = 0, whose cost is `low`, and through a = 1 those that cost less. x
 * and y belong to the states before it, with either next bit. */
INLINE v16 path_pick(v16 low, v16 high, v16 x, v16 y) {
  return v_select_lt(high, low, v_high_pairs(x, y), v_low_pairs(x, y));
}

/* Rows that are not there cost nothing, but their lowest bit is 0. */
INLINE v16 path_nothing(void) {
  static const float odd[PATH_STATES] = {0, INFINITY, 0, INFINITY};
  return v_load4(odd);
}

/* Each row by itself, exactly: its error in steps. */
INLINE v16 path_alone(const nb_trellis_levels *lv, const nb_trellis_column *c, path_trace *trace) {
  v16 best = path_start();
  for (unsigned i = 0; i < NB_TILE; i++) {
    const unsigned r = nb_qmat_trellis_row(i);
    v16 cost[2];
    memset(trace->place[i], 0, PATH_LANES);
    if (r >= c->rows) {
      cost[0] = cost[1] = v_add(best, path_nothing());
    } else {
      const bool free = c->step[r] == 0; /* whatever becomes of it */
      const float u = free ? 0 : c->x[r] / c->step[r];
      const unsigned at = nb_levels_place(u);
      memset(trace->place[i], (int)at, PATH_LANES);
      for (int n = 0; n < 2; n++) {
        v16 e = v_mul(v_sub(v_set(u), v_load4(lv->value[at] + 2 * n)), v_set(free ? 0 : 1));
        cost[n] = v_add(best, v_mul(e, e));
      }
    }
    v16 low = v_low_pairs(cost[0], cost[1]), high = v_high_pairs(cost[0], cost[1]);
    v_store(trace->second[i], v_select_lt(high, low, v_set(1), v_set(0)));
    best = v_select_lt(high, low, high, low);
  }
  return best;
}

/* Row r, the i-th of the ring, whose target moves by what each path has lost, f (i): what it then costs and loses with
 * either next bit. */
INLINE void path_price(const nb_trellis_levels *lv, const nb_trellis_column *c, unsigned i, const v16 *f,
                       uint8_t *place, v16 cost[2], v16 lost[2]) {
  const unsigned r = nb_qmat_trellis_row(i);
  const v16 x = v_set(c->x[r]), step = v_set(c->step[r]), weight = v_set(c->ties->weight[i]);
  v16 moved = x;
  for (unsigned j = 0; j < i; j++) moved = v_fma(v_set(c->ties->mix[i][j]), f[j], moved);
  path_places(v_mul(moved, v_set(path_inverse(c->step[r]))), place);
  float value[2][PATH_LANES];
  UNROLL for (unsigned lane = 0; lane < PATH_LANES; lane++) {
    const float *of = lv->value[place[lane]] + lane % PATH_STATES;
    value[0][lane] = of[0], value[1][lane] = of[2];
  }
  for (int n = 0; n < 2; n++) {
    v16 placed = v_mul(step, v_load(value[n])), e = v_sub(moved, placed);
    cost[n] = v_mul(v_mul(e, e), weight);
    lost[n] = v_sub(x, placed);
  }
}

/* Rows that are tied: what a row had better be depends on the whole path before it, here on the best one to each
 * state. */
INLINE v16 path_tied(const nb_trellis_levels *lv, const nb_trellis_column *c, path_trace *trace) {
  v16 best = path_start(), f[NB_TILE];
  for (unsigned i = 0; i < NB_TILE; i++) {
    v16 cost[2], lost[2] = {v_set(0), v_set(0)};
    if (nb_qmat_trellis_row(i) < c->rows) {
      path_price(lv, c, i, f, trace->place[i], cost, lost);
    } else {
      memset(trace->place[i], 0, PATH_LANES);
      cost[0] = cost[1] = path_nothing();
    }
    for (int n = 0; n < 2; n++) cost[n] = v_add(best, cost[n]);
    v16 low = v_low_pairs(cost[0], cost[1]), high = v_high_pairs(cost[0], cost[1]);
    v_store(trace->second[i], v_select_lt(high, low, v_set(1), v_set(0)));
    best = v_select_lt(high, low, high, low);
    for (unsigned j = 0; j < i; j++) f[j] = path_pick(low, high, f[j], f[j]);
    f[i] = path_pick(low, high, lost[0], lost[1]);
  }
  return best;
}

static void trellis_path(const nb_trellis_levels *lv, const nb_trellis_column *c, uint8_t level[NB_TILE]) {
  path_trace trace;
  float cost[PATH_LANES];
  nb_assert(c->rows <= NB_TILE);
  v_store(cost, c->ties ? path_tied(lv, c, &trace) : path_alone(lv, c, &trace));
  unsigned start = 0; /* a path ends where it started */
  for (unsigned s = 1; s < PATH_STATES; s++)
    if (cost[s * (PATH_STATES + 1)] < cost[start * (PATH_STATES + 1)]) start = s;
  for (unsigned i = NB_TILE, state = start; i-- > 0;) {
    const unsigned n = state & 1, before = (trace.second[i][PATH_STATES * start + state] != 0 ? 2 : 0) + (state >> 1);
    level[nb_qmat_trellis_row(i)] = lv->nearest[path_kind(before, n)][trace.place[i][PATH_STATES * start + before]];
    state = before;
  }
}

#endif
