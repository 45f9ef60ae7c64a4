/* SPDX-License-Identifier: MIT */
#include "quant/quant.h"

#include "base/assert.h"
#include "base/cpu.h"
#include "base/f16.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "quant/lattice.h"
#include "quant/trellis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Made by tests/golden/make_tables.py. */
static const int8_t table3[8] = {-127, -76, -44, -17, 7, 32, 62, 103};
static const int8_t table4[16] = {-127, -93, -71, -55, -41, -29, -18, -8, 3, 13, 24, 35, 48, 62, 79, 105};
static const int8_t table5[32] = {-127, -104, -90, -80, -72, -64, -58, -52, -46, -40, -34, -28, -23, -17, -12, -6,
                                  -1,   5,    10,  16,  21,  27,  33,  39,  45,  51,  57,  64,  72,  81,  93,  107};

static const int8_t trellis3[16] = {-127, -99, -73, -57, -42, -30, -19, -8, 3, 13, 24, 35, 50, 64, 88, 113};
static const int8_t trellis4[32] = {-127, -113, -92, -81, -70, -62, -55, -49, -42, -37, -31, -26, -20, -16, -10, -5,
                                    0,    5,    10,  15,  20,  25,  31,  36,  42,  48,  55,  61,  71,  80,  96,  109};

static const int8_t trellis5[64] = {-127, -120, -106, -100, -93, -89, -84, -81, -76, -73, -69, -67, -63, -60, -57, -54,
                                    -50,  -48,  -44,  -42,  -38, -36, -32, -30, -26, -23, -20, -17, -14, -11, -8,  -5,
                                    -2,   1,    4,    7,    10,  13,  16,  19,  23,  25,  29,  31,  35,  38,  41,  44,
                                    47,   50,   53,   56,   60,  62,  66,  69,  73,  76,  81,  84,  90,  95,  105, 111};

const int8_t *nb_quant_default_table(nb_qfmt fmt) {
  static const int8_t *const tables[2][3] = {{table3, table4, table5}, {trellis3, trellis4, trellis5}};
  nb_assert(fmt.bits >= 3 && fmt.bits <= 5);
  return tables[fmt.kind == NB_TRELLIS][fmt.bits - 3];
}

/* For each integer i - 128 the nearest of the levels first, first + stride, ... */
static void nearest_levels(const nb_grid *g, int first, int stride, uint8_t nearest[256]) {
  int l = first;
  for (int i = -128; i < 128; i++) {
    while (l + stride < g->levels && 2 * i > g->value[l] + g->value[l + stride]) l += stride;
    nearest[i + 128] = (uint8_t)l;
  }
}

static void levels_by_kind(const nb_grid *g, nb_trellis_levels *out) {
  for (int j = 0; j < NB_TRELLIS_STATES; j++) {
    nearest_levels(g, j, NB_TRELLIS_STATES, out->nearest[j]);
    for (int i = 0; i < 256; i++)
      out->value[i][j] = out->value[i][j + NB_TRELLIS_STATES] = g->value[out->nearest[j][i]];
  }
}

/* Where a weight of a trellis is best off whatever its neighbours do: half-way between levels that these choose
 * between, one of which it can always have; and at the ends. */
static void between_levels(const nb_grid *g, nb_levels *e) {
  const int last = g->levels - 1;
  e->n = 0;
  e->val[e->n++] = g->value[0];
  for (int l = 1; l + 1 < last; l += 2) e->val[e->n++] = 0.5f * (float)(g->value[l] + g->value[l + 1]);
  e->val[e->n++] = g->value[last];
}

void nb_grid_make(nb_qfmt fmt, const int8_t *table, nb_grid *g) {
  nb_assert(nb_qfmt_valid(fmt));
  memset(g, 0, sizeof *g);
  g->fmt = fmt;
  g->levels = nb_qfmt_levels(fmt);
  const bool uniform = fmt.kind == NB_UNIFORM;
  if (!table && !uniform) table = nb_quant_default_table(fmt);
  for (int l = 0; l < g->levels; l++) g->value[l] = uniform ? (int8_t)(l - g->levels / 2) : table[l];
  for (int i = 1; i < g->levels; i++) nb_assert(g->value[i - 1] <= g->value[i]);
  nearest_levels(g, 0, 1, g->nearest);
  if (fmt.kind == NB_TRELLIS) levels_by_kind(g, &g->paths);
  nb_levels *e = &g->exact;
  e->n = (unsigned)g->levels, e->uniform = uniform;
  if (fmt.kind == NB_TRELLIS) between_levels(g, e);
  else
    for (int i = 0; i < (uniform ? 1 : g->levels); i++) e->val[i] = g->value[i];
  for (unsigned i = 0; !uniform && i + 1 < e->n; i++) e->mid[i] = 0.5f * (e->val[i] + e->val[i + 1]);
  nb_kernels k = nb_kernels_select(nb_cpu_detect());
  g->fit = k.quant_fit, g->codes = k.quant_codes, g->path = k.trellis_path;
}

/* ---- scales ---- */

float nb_quant_fit_group(const nb_grid *g, const float *w, const float *h, size_t n, int effort) {
  nb_assert(n % 16 == 0 || n <= NB_K_PAD);
  static const float quick[] = {0.78f, 0.84f, 0.89f, 0.94f, 1, 1.07f};
  static const float thorough[] = {0.7f, 0.75f, 0.79f, 0.83f, 0.87f, 0.91f, 0.95f, 0.99f, 1.03f, 1.07f, 1.12f, 1.2f};
  float padded[2][NB_K_PAD]; /* the kernels want multiples of 16 */
  if (n % 16) {
    memset(padded, 0, sizeof padded);
    memcpy(padded[0], w, n * sizeof *w);
    if (h) memcpy(padded[1], h, n * sizeof *h);
    w = padded[0], h = h ? padded[1] : NULL, n = nb_round_up(n, 16);
  }
  const float *factor = effort ? thorough : quick;
  size_t n_factors = effort ? sizeof thorough / sizeof *thorough : sizeof quick / sizeof *quick;
  float peak = 0;
  for (size_t k = 0; k < n; k++) {
    float a = fabsf(w[k]);
    peak = a > peak ? a : peak;
  }
  if (peak == 0) return 0;
  if (g->fmt.bits > 5) n_factors = 1, factor = effort ? &thorough[7] : &quick[4]; /* fine codes gain nothing */
  float end = -(float)g->value[0], best = -1, scale = 0;
  for (int sign = 1; sign >= -1; sign -= 2)
    for (size_t i = 0; i < n_factors; i++) {
      float sum[2];
      g->fit(w, h, n, (float)sign * end * factor[i] / peak, &g->exact, sum);
      float num = sum[0], den = sum[1];
      if (den > 0 && num * (num / den) > best) best = num * (num / den), scale = num / den;
    }
  return scale;
}

void nb_quant_round_scales(const float *s, size_t n_groups, int top, int8_t *scale, uint16_t *row_scale) {
  nb_assert(top > 0 && top <= 127);
  float peak = 0;
  for (size_t i = 0; i < n_groups; i++) peak = fmaxf(peak, fabsf(s[i]));
  *row_scale = nb_f32_bf16(peak / (float)top);
  float r = nb_bf16_f32(*row_scale);
  for (size_t i = 0; i < n_groups; i++) {
    float q = r > 0 ? rintf(s[i] / r) : 0;
    scale[i] = (int8_t)fminf(127, fmaxf(-127, q));
  }
}

/* ---- storing ---- */

nb_status nb_qout_init(const nb_grid *g, size_t N, size_t K, void *data, size_t n_bytes, nb_qout *out, nb_err *err) {
  NB_TRY(nb_qmat_view(N, K, g->fmt, data, n_bytes, &out->m, err));
  uint8_t *p = data;
  out->table = g->fmt.kind != NB_UNIFORM ? (int8_t *)data : NULL;
  out->row_scale = (uint16_t *)(void *)(p + ((const uint8_t *)out->m.row_scale - p));
  out->scale = (int8_t *)(p + ((const uint8_t *)out->m.scale - p));
  out->codes = p + (out->m.codes - p);
  if (out->table) memcpy(out->table, g->value, (size_t)g->levels);
  return NB_OK;
}

void nb_qout_tile(nb_qout *q, size_t tile, const uint8_t *level, const int8_t *scale, const uint16_t *row_scale) {
  nb_assert(tile < q->m.n_tiles);
  const nb_qmat *m = &q->m;
  size_t ld = m->n_blocks * NB_BLOCK;
  memcpy(q->row_scale + tile * NB_TILE, row_scale, NB_TILE * sizeof *row_scale);
  for (size_t g = 0; g < m->n_groups; g++)
    for (size_t r = 0; r < NB_TILE; r++) q->scale[(tile * m->n_groups + g) * NB_TILE + r] = scale[r * m->n_groups + g];
  for (size_t b = 0; b < m->n_blocks; b++)
    nb_qmat_write_levels(level + b * NB_BLOCK, ld, m->fmt, q->codes + (tile * m->n_blocks + b) * m->fmt.bits * 64);
}

nb_status nb_qout_reorder(const nb_qmat *from, const uint32_t *order, nb_qout *to, nb_err *err) {
  size_t G = from->n_groups, ld = from->n_blocks * NB_BLOCK, rows = from->n_tiles * NB_TILE;
  uint8_t *level;
  nb_assert(from->N == to->m.N && from->K == to->m.K && from->fmt.bits == to->m.fmt.bits &&
            from->fmt.kind == to->m.fmt.kind && G == to->m.n_groups);
  NB_TRY(nb_new(&level, (rows + NB_TILE) * (ld + G), 1, "a matrix", err)); /* all rows, then a tile's */
  uint8_t *tile = level + rows * ld;
  int8_t *scale = (int8_t *)tile + NB_TILE * ld;
  uint32_t *at;
  nb_status st = nb_new(&at, rows, sizeof *at, "a matrix", err);
  if (st != NB_OK) return nb_free(level), st;
  for (size_t i = 0; i < from->N; i++) {
    nb_assert(from->fmt.kind != NB_TRELLIS || order[i] % NB_TILE == i % NB_TILE);
    at[order[i]] = (uint32_t)i;
  }
  for (size_t t = 0; t < from->n_tiles; t++)
    for (size_t b = 0; b < from->n_blocks; b++)
      nb_qmat_read_levels(from->codes + (t * from->n_blocks + b) * from->fmt.bits * 64, from->fmt,
                          level + t * NB_TILE * ld + b * NB_BLOCK, ld);
  for (size_t t = 0; t < from->n_tiles; t++) {
    uint16_t row_scale[NB_TILE] = {0};
    memset(tile, 0, NB_TILE * (ld + G));
    for (size_t r = 0; r < NB_TILE && t * NB_TILE + r < from->N; r++) {
      size_t i = at[t * NB_TILE + r];
      memcpy(tile + r * ld, level + i * ld, ld);
      for (size_t g = 0; g < G; g++) scale[r * G + g] = from->scale[(i / NB_TILE * G + g) * NB_TILE + i % NB_TILE];
      row_scale[r] = from->row_scale[i];
    }
    nb_qout_tile(to, t, tile, scale, row_scale);
  }
  nb_free(level), nb_free(at);
  return NB_OK;
}

/* ---- whole matrices ---- */

enum { REFITS = 2 }; /* of the scales of trellis codes */

typedef struct plain_run {
  const nb_grid *g;
  const nb_linear *w;
  const float *h;
  int effort;
  bool want_loss;
  nb_qout out;
  uint8_t *scratch; /* a piece a thread */
  size_t piece;
  nb_quant_loss *loss; /* by tile */
  size_t *bad;         /* by tile: 1 + the index of a weight that is not finite, or 0 */
} plain_run;

/* The scales of a row that is rounded already (lattice.h); false: it is not. */
static bool keep_scales(const plain_run *j, const float *w, float *s, int8_t *scale, uint16_t *row_scale) {
  const nb_qmat *m = &j->out.m;
  size_t group = m->fmt.group;
  bool any = false;
  if (m->fmt.kind != NB_UNIFORM || j->w->coded) return false;
  for (size_t i = 0; i < m->n_groups; i++) {
    size_t k = i * group, n = k < m->K ? nb_min(group, m->K - k) : 0;
    bool zero = true;
    for (size_t x = 0; x < n && zero; x++) zero = w[k + x] == 0;
    s[i] = zero ? 0 : nb_lattice_step(j->g, j->w->dense.dtype, w + k, n);
    if (s[i] == 0 && !zero) return false;
    any |= !zero;
  }
  if (any) nb_lattice_scales(s, m->n_groups, scale, row_scale);
  return any;
}

/* The scales of one row (w zero-padded to 16 inputs). Returns 1 + the first input whose weight is not finite or too
 * large, or 0. */
static size_t scale_row(const plain_run *j, const float *w, float *s, int8_t *scale, uint16_t *row_scale) {
  const nb_qmat *m = &j->out.m;
  size_t group = m->fmt.group, K = m->K;
  for (size_t k = 0; k < K; k++)
    if (!(fabsf(w[k]) < 1e30f)) return k + 1;
  if (!keep_scales(j, w, s, scale, row_scale)) {
    for (size_t i = 0; i < m->n_groups; i++) {
      size_t k = i * group, n = k < K ? nb_min(group, K - k) : 0;
      s[i] = nb_quant_fit_group(j->g, w + k, j->h ? j->h + k : NULL, n, j->effort);
    }
    nb_quant_round_scales(s, m->n_groups, 127, scale, row_scale);
  }
  return 0;
}

/* A tile being rounded, and its levels, all (NB_TILE, inputs or groups). */
typedef struct plain_tile {
  float *w;
  uint16_t *row_scale;
  int8_t *scale;
  uint8_t *level;
} plain_tile;

/* Inputs [k0, k1) of a group of row r, or, of a trellis, of all rows. */
static void round_group(const plain_run *j, const plain_tile *t, size_t r, size_t i, size_t k0, size_t k1) {
  const size_t G = j->out.m.n_groups, ld = j->out.m.n_blocks * NB_BLOCK;
  float step = nb_bf16_f32(t->row_scale[r]) * t->scale[r * G + i];
  if (j->g->fmt.kind != NB_TRELLIS) {
    j->g->codes(t->w + r * ld + k0, nb_round_up(k1 - k0, 16), step != 0 ? 1 / step : 0, &j->g->exact,
                t->level + r * ld + k0);
    return;
  }
  if (r != 0) return;
  nb_trellis_column c = {.rows = NB_TILE}; /* whatever becomes of those that are zero */
  uint8_t level[NB_TILE];
  for (size_t n = 0; n < NB_TILE; n++) c.step[n] = nb_bf16_f32(t->row_scale[n]) * t->scale[n * G + i];
  for (size_t k = k0; k < k1; k++) {
    for (size_t n = 0; n < NB_TILE; n++) c.x[n] = t->w[n * ld + k];
    nb_trellis_round(j->g, &c, level);
    for (size_t n = 0; n < NB_TILE; n++) t->level[n * ld + k] = level[n];
  }
}

static void add_loss(const plain_run *j, const float *w, const uint8_t *level, float step, size_t k0, size_t k1,
                     nb_quant_loss *loss) {
  for (size_t k = k0; k < k1; k++) {
    double h = j->h ? j->h[k] : 1, e = w[k] - step * j->g->value[level[k]];
    loss->error += h * e * e;
    loss->total += h * (double)w[k] * w[k];
  }
}

/* The levels of a tile's `rows` rows, whose scales are known; what is lost is added to *loss, unless that is NULL. */
static void round_tile(const plain_run *j, const plain_tile *t, size_t rows, nb_quant_loss *loss) {
  const nb_qmat *m = &j->out.m;
  size_t ld = m->n_blocks * NB_BLOCK, G = m->n_groups;
  for (size_t i = 0; i < G; i++)
    for (size_t r = 0, k0 = i * m->fmt.group, k1 = nb_min(m->K, k0 + m->fmt.group); k0 < k1 && r < rows; r++) {
      round_group(j, t, r, i, k0, k1);
      if (loss)
        add_loss(j, t->w + r * ld, t->level + r * ld, nb_bf16_f32(t->row_scale[r]) * t->scale[r * G + i], k0, k1, loss);
    }
}

/* Moves the scales of a tile's rows to what fits the levels that they have: of a path nobody knew before which. */
static void refit_tile(const plain_run *j, const plain_tile *t, size_t rows, float *s) {
  const nb_qmat *m = &j->out.m;
  const size_t ld = m->n_blocks * NB_BLOCK, G = m->n_groups;
  for (size_t r = 0; r < rows; r++) {
    for (size_t i = 0; i < G; i++) {
      float num = 0, den = 0;
      for (size_t k = i * m->fmt.group; k < nb_min(m->K, (i + 1) * m->fmt.group); k++) {
        float v = j->g->value[t->level[r * ld + k]], hv = j->h ? j->h[k] * v : v;
        num += hv * t->w[r * ld + k], den += hv * v;
      }
      s[i] = den > 0 ? num / den : nb_bf16_f32(t->row_scale[r]) * t->scale[r * G + i];
    }
    nb_quant_round_scales(s, G, 127, t->scale + r * G, &t->row_scale[r]);
  }
}

static void quantize_tiles(void *ctx, size_t begin, size_t end, int thread) {
  plain_run *j = ctx;
  const nb_qmat *m = &j->out.m;
  size_t ld = m->n_blocks * NB_BLOCK;
  plain_tile p = {.w = (float *)(void *)(j->scratch + (size_t)thread * j->piece)};
  float *s = p.w + NB_TILE * ld;
  p.row_scale = (uint16_t *)(s + m->n_groups);
  p.scale = (int8_t *)(p.row_scale + NB_TILE);
  p.level = (uint8_t *)p.scale + NB_TILE * m->n_groups;
  nb_assert(p.level + NB_TILE * ld <= j->scratch + ((size_t)thread + 1) * j->piece);
  for (size_t t = begin; t < end; t++) {
    size_t rows = nb_min(NB_TILE, m->N - t * NB_TILE);
    memset(p.row_scale, 0, NB_TILE * sizeof *p.row_scale);
    memset(p.scale, 0, NB_TILE * m->n_groups + NB_TILE * ld); /* and the levels */
    memset(p.w, 0, NB_TILE * ld * sizeof *p.w);
    nb_quant_loss loss = {0, 0};
    for (size_t r = 0; r < rows; r++) {
      size_t n = t * NB_TILE + r;
      nb_linear_row(j->w, n, p.w + r * ld);
      size_t bad = scale_row(j, p.w + r * ld, s, p.scale + r * m->n_groups, &p.row_scale[r]);
      if (bad && !j->bad[t]) j->bad[t] = n * m->K + bad;
    }
    for (int i = 0; i < REFITS && j->effort && m->fmt.kind == NB_TRELLIS && !j->bad[t]; i++)
      round_tile(j, &p, rows, NULL), refit_tile(j, &p, rows, s);
    if (!j->bad[t]) round_tile(j, &p, rows, j->want_loss ? &loss : NULL);
    j->loss[t] = loss;
    nb_qout_tile(&j->out, t, p.level, p.scale, p.row_scale);
  }
}

nb_status nb_quant_plain(const nb_grid *g, const nb_linear *w, const nb_quant_opts *o, void *data, size_t n_bytes,
                         nb_quant_loss *loss, nb_err *err) {
  plain_run j = {.g = g, .w = w, .h = o->h, .effort = o->effort, .want_loss = loss != NULL};
  nb_status st;
  NB_TRY(nb_qout_init(g, w->N, w->K, data, n_bytes, &j.out, err));
  const nb_qmat *m = &j.out.m;
  size_t ld = m->n_blocks * NB_BLOCK;
  j.piece = nb_round_up((NB_TILE * ld + m->n_groups) * 4 + NB_TILE * (2 + m->n_groups + ld), NB_ALIGN);
  NB_GOTO(nb_new(&j.scratch, (size_t)o->threads, j.piece, "quantizing", err));
  NB_GOTO(nb_new(&j.loss, m->n_tiles, sizeof *j.loss, "quantizing", err));
  NB_GOTO(nb_new(&j.bad, m->n_tiles, sizeof *j.bad, "quantizing", err));
  nb_parallel_for(o->threads, m->n_tiles, 4, quantize_tiles, &j);
  nb_quant_loss sum = {0, 0};
  for (size_t t = 0; t < m->n_tiles; t++) {
    if (j.bad[t]) {
      size_t i = j.bad[t] - 1;
      st = nb_fail(err, NB_ERR_NUMERIC, "%s: the weight of row %zu, column %zu is NaN, infinite or beyond 1e30",
                   o->what, i / m->K, i % m->K);
      goto fail;
    }
    sum.error += j.loss[t].error, sum.total += j.loss[t].total;
  }
  if (loss) *loss = sum;
fail:
  nb_free(j.scratch);
  nb_free(j.loss);
  nb_free(j.bad);
  return st;
}
