/* SPDX-License-Identifier: MIT */
#include "quant/gptq.h"

#include "base/assert.h"
#include "base/f16.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "quant/trellis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  ROWS = 128, /* rows that are solved together at most, one after another in memory: arrays are (K, R) */
  DIRECT = 16 /* columns that are handled without matrix products */
};

typedef struct solving {
  const nb_hess *h;
  const nb_grid *g;
  const nb_gptq_opts *o;
  const float *w; /* (N, K) */
  nb_qout *out;   /* of blocks only its sizes */
  size_t row0;
  size_t N;
  const float *tiles;      /* (ceil(N / 16), 16, 16); NULL: rows count by themselves */
  const nb_blocks *blocks; /* NULL: out is written */
  uint8_t *rows;           /* of blocks: the matrix, row by row */
  size_t row_bytes;
  size_t together; /* rows that are solved together: fewer where there are few for all threads */
  float *scratch;  /* a piece a thread */
  size_t piece;
  nb_gptq_report *report; /* by task */
} solving;

/* The state of one task: R rows of the matrix. */
typedef struct task {
  const solving *j;
  size_t row0, R, K, G, group;
  float *w, *q, *r, *x, *e; /* (K, R): target, its rounding, H (w - q), working copies */
  float *step;              /* (G, R) row scale times group scale, or that of blocks */
  float *offset;            /* (G, R) added to all values of a group: 0 but in blocks */
  float *rowf;              /* (R) */
  int8_t *scale;            /* (G, R) */
  uint8_t *level, *plain;   /* (K, R) */
  int8_t *plain_scale;      /* (G, R) */
  nb_trellis_ties *ties;    /* (R / 16) of the tiles; NULL: there are none */
  void *scratch;            /* of products */
} task;

/* y (m, R) -= a^T b, a (n, m) with rows lda apart, b (n, R). */
static void subtract_product(const task *t, const float *a, size_t lda, const float *b, float *y, size_t m, size_t n) {
  if (!m || !n) return;
  nb_gemm g = {m, t->R, n, a, b, 1, lda, t->R, 1, y, t->R, -1, true};
  t->j->h->k.gemm(&g, t->scratch);
}

static float reciprocal(float x) { return x != 0 ? 1 / x : 0; }

/* Rows whose levels depend on each other. */
static size_t rows_together(const task *t) { return t->j->g->fmt.kind == NB_TRELLIS ? NB_TILE : 1; }

/* The levels of one column, x (R), that leave least of it. */
static void nearest(const task *t, size_t k, const float *x, uint8_t *level) {
  const size_t R = t->R;
  const float *step = t->step + k / t->group * R, *offset = t->offset + k / t->group * R;
  if (rows_together(t) == 1) {
    for (size_t r = 0; r < R; r++)
      level[r] = (uint8_t)nb_grid_nearest(t->j->g, (x[r] - offset[r]) * reciprocal(step[r]));
    return;
  }
  for (size_t r0 = 0; r0 < R; r0 += NB_TILE) {
    size_t n = nb_min(NB_TILE, R - r0);
    nb_trellis_column c = {.rows = (unsigned)n};
    uint8_t best[NB_TILE];
    if (t->ties) c.ties = &t->ties[r0 / NB_TILE];
    for (size_t r = 0; r < n; r++) c.x[r] = x[r0 + r], c.step[r] = step[r0 + r];
    nb_trellis_round(t->j->g, &c, best);
    memcpy(level + r0, best, n);
  }
}

/* ---- GPTQ ---- */

/* Rounds column i (in visiting order), whose working values are x; e becomes its error over U[i][i]. */
static void round_column(task *t, size_t i) {
  size_t R = t->R, k = t->j->h->order[i];
  const float *step = t->step + k / t->group * R, *offset = t->offset + k / t->group * R;
  const float d = 1 / t->j->h->U[i * t->K + i];
  uint8_t *level = t->level + k * R;
  nearest(t, k, t->x + i * R, level);
  for (size_t r = 0; r < R; r++)
    t->e[i * R + r] = (t->x[i * R + r] - offset[r] - step[r] * t->j->g->value[level[r]]) * d;
}

/* Columns [a, b), whose working values have seen the errors of all columns before a. */
static void gptq_columns(task *t, size_t a, size_t b) {
  nb_assert(a < b && b <= t->K);
  size_t R = t->R, K = t->K;
  const float *U = t->j->h->U;
  if (b - a <= DIRECT) {
    for (size_t i = a; i < b; i++) {
      round_column(t, i);
      for (size_t k = i + 1; k < b; k++)
        for (size_t r = 0; r < R; r++) t->x[k * R + r] -= U[i * K + k] * t->e[i * R + r];
    }
    return;
  }
  size_t mid = a + nb_round_up((b - a) / 2, DIRECT);
  gptq_columns(t, a, mid);
  subtract_product(t, U + a * K + mid, K, t->e + a * R, t->x + mid * R, b - mid, mid - a);
  gptq_columns(t, mid, b);
}

/* ---- coordinate descent ---- */

/* x (R) of a column as what they are tied to makes them count: A x, or x. */
static void tied(const task *t, const float *x, float *out) {
  if (!t->ties) memcpy(out, x, t->R * sizeof *x);
  for (size_t r = 0; t->ties && r < t->R; r++) {
    const size_t r0 = r / NB_TILE * NB_TILE, n = nb_min(NB_TILE, t->R - r0);
    const float *A = t->ties[r0 / NB_TILE].sums[r - r0];
    out[r] = 0;
    for (size_t i = 0; i < n; i++) out[r] += A[i] * x[r0 + i];
  }
}

/* The loss of each row: (w - q) H (w - q)^T, or its share of A (w - q) H (w - q)^T. */
static void losses(const task *t, double *loss) {
  size_t R = t->R;
  float x[ROWS];
  for (size_t r = 0; r < R; r++) loss[r] = 0;
  for (size_t k = 0; k < t->K; k++) {
    tied(t, t->r + k * R, x);
    for (size_t r = 0; r < R; r++) loss[r] += ((double)t->w[k * R + r] - t->q[k * R + r]) * x[r];
  }
}

/* q from the levels, r = H (w - q), and the loss of each row. */
static void residual(task *t, const uint8_t *level, const float *step, double *loss) {
  size_t R = t->R, K = t->K;
  for (size_t k = 0; k < K; k++)
    for (size_t r = 0; r < R; r++) {
      size_t g = k / t->group * R + r;
      t->q[k * R + r] = step[g] * t->j->g->value[level[k * R + r]] + t->offset[g];
      t->x[k * R + r] = t->q[k * R + r] - t->w[k * R + r];
    }
  memset(t->r, 0, K * R * sizeof *t->r);
  subtract_product(t, t->j->h->H, K, t->x, t->r, K, K);
  losses(t, loss);
}

/* The row of blocks that row r of the task is. */
static uint8_t *block_row(const task *t, size_t r) { return t->j->rows + (t->row0 + r) * t->j->row_bytes; }

/* The step nearest to x that group i of row r can have. */
static float possible_step(const task *t, size_t i, size_t r, float x) {
  if (t->j->blocks) return nb_blocks_step(t->j->blocks, block_row(t, r), i, x);
  return fminf(127, fmaxf(-127, rintf(x / t->rowf[r]))) * t->rowf[r];
}

/* Moves the scale of row r to the best grid point, v and hv (n, R) being the group's values and -H times these. */
static void descend_row_scale(task *t, size_t i, size_t n, size_t r, const float *v, const float *hv) {
  const size_t R = t->R, r0 = r / NB_TILE * NB_TILE, rows = t->ties ? nb_min(NB_TILE, R - r0) : 1;
  const float one = 1, *A = t->ties ? t->ties[r0 / NB_TILE].sums[r - r0] : &one, own = t->ties ? A[r - r0] : 1;
  const float *x = t->x + (t->ties ? r0 : r);
  float num = 0, den = 0, old = t->step[i * R + r], rowf = t->rowf[r], delta = 0;
  for (size_t k = 0; k < n; k++) {
    float sum = 0;
    for (size_t a = 0; a < rows; a++) sum += A[a] * x[k * R + a];
    num += v[k * R + r] * sum, den -= v[k * R + r] * hv[k * R + r];
  }
  den *= own;
  if (den > 0 && rowf > 0) {
    float s = possible_step(t, i, r, old + num / den), change = s - old;
    if (change * (2 * num - change * den) > 0) delta = change, t->step[i * R + r] = s;
    if (delta != 0 && !t->j->blocks) t->scale[i * R + r] = (int8_t)rintf(s / rowf);
  }
  for (size_t k = 0; k < n; k++) {
    t->e[k * R + r] = delta * v[k * R + r];
    t->x[k * R + r] += delta * hv[k * R + r];
  }
}

/* Each row's scale of group i in turn. x: working residual of the group, e: the change of q. */
static void descend_scale(task *t, size_t i, size_t k0, size_t n) {
  nb_assert(n <= NB_K_PAD && k0 + n <= t->K); /* so that v and hv fit */
  size_t R = t->R;
  float *v = t->e + t->K * R, *hv = v + n * R; /* (n, R) each, behind e */
  for (size_t k = 0; k < n; k++)
    for (size_t r = 0; r < R; r++) v[k * R + r] = t->j->g->value[t->level[(k0 + k) * R + r]], hv[k * R + r] = 0;
  subtract_product(t, t->j->h->H + k0 * t->K + k0, t->K, v, hv, n, n);
  for (size_t r = 0; r < R; r++) descend_row_scale(t, i, n, r, v, hv);
}

/* Moves each row's offset of group i likewise. */
static void descend_offset(task *t, size_t i, size_t k0, size_t n) {
  size_t R = t->R;
  const float *H = t->j->h->H + k0 * t->K + k0;
  float *sums = t->e + t->K * R, den = 0; /* sums: of each row of H (n) */
  for (size_t k = 0; k < n; k++) {
    sums[k] = 0;
    for (size_t m = 0; m < n; m++) sums[k] += H[k * t->K + m];
    den += sums[k];
  }
  for (size_t r = 0; r < R; r++) {
    float num = 0, old = t->offset[i * R + r];
    for (size_t k = 0; k < n; k++) num += t->x[k * R + r];
    float next = den > 0 ? nb_blocks_offset(t->j->blocks, block_row(t, r), i, old + num / den) : old;
    float delta = next - old;
    if (!(delta * (2 * num - delta * den) > 0)) continue;
    t->offset[i * R + r] = next;
    for (size_t k = 0; k < n; k++) t->e[k * R + r] += delta, t->x[k * R + r] -= delta * sums[k];
  }
}

/* A column that could take the levels `next` in place of its own: its group and number, the values q of its rows, their
 * residuals and its own element of H. */
typedef struct column {
  size_t i, k;
  const float *q, *x;
  float h;
} column;

/* The change of each row's value; 0, the level staying, where no less would be lost. */
static void change_column(task *t, const column *c, const uint8_t *next, float *change) {
  const size_t R = t->R, together = rows_together(t);
  const float *step = t->step + c->i * R, *offset = t->offset + c->i * R;
  float less[ROWS], counts[ROWS];
  for (size_t r = 0; r < R; r++) {
    change[r] = step[r] * t->j->g->value[next[r]] + offset[r] - c->q[r];
    less[r] = 2 * c->x[r] - change[r] * c->h;
  }
  tied(t, less, counts);
  for (size_t r0 = 0; r0 < R; r0 += together) {
    const size_t end = nb_min(R, r0 + together);
    float gain = 0;
    for (size_t r = r0; r < end; r++) {
      float unit = together > 1 && !t->ties ? reciprocal(step[r]) : 1; /* rows of all sizes count alike */
      gain += change[r] * unit * (counts[r] * unit);
    }
    if (gain > 0) memcpy(t->level + c->k * R + r0, next + r0, end - r0);
    else memset(change + r0, 0, (end - r0) * sizeof *change);
  }
}

/* Moves each level of columns [k0 + a, k0 + b) in turn to the best value, given all others. */
static void descend_codes(task *t, size_t i, size_t k0, size_t n) {
  nb_assert(k0 % t->group == 0 && k0 / t->group == i);
  size_t R = t->R, K = t->K;
  const float *H = t->j->h->H;
  float *d = t->e + K * R; /* (DIRECT, R) */
  for (size_t a = 0; a < n; a += DIRECT) {
    size_t b = nb_min(n, a + DIRECT);
    for (size_t k = a; k < b; k++) {
      const float *h = H + (k0 + k) * K + k0;
      float inv = reciprocal(h[k]);
      float q[ROWS], want[ROWS];
      uint8_t next[ROWS];
      for (size_t r = 0; r < R; r++) {
        q[r] = t->q[(k0 + k) * R + r] + t->e[k * R + r];
        want[r] = q[r] + t->x[k * R + r] * inv;
      }
      nearest(t, k0 + k, want, next);
      const column c = {i, k0 + k, q, t->x + k * R, h[k]};
      change_column(t, &c, next, d + (k - a) * R);
      for (size_t r = 0; r < R; r++) t->e[k * R + r] += d[(k - a) * R + r];
      for (size_t m = k + 1; m < b; m++)
        for (size_t r = 0; r < R; r++) t->x[m * R + r] -= h[m] * d[(k - a) * R + r];
    }
    subtract_product(t, H + (k0 + a) * K + k0 + b, K, d, t->x + b * R, n - b, b - a);
  }
}

static void sweep(task *t) {
  size_t R = t->R, K = t->K;
  for (size_t i = 0; i < t->G && i * t->group < K; i++) {
    size_t k0 = i * t->group, n = nb_min(t->group, K - k0);
    memcpy(t->x, t->r + k0 * R, n * R * sizeof *t->x);
    descend_scale(t, i, k0, n);
    if (t->j->blocks && t->j->blocks->offset) descend_offset(t, i, k0, n);
    descend_codes(t, i, k0, n);
    for (size_t k = 0; k < n * R; k++) t->q[k0 * R + k] += t->e[k];
    subtract_product(t, t->j->h->H + k0 * K, K, t->e, t->r, K, n);
  }
}

/* ---- one task ---- */

static void steps_of(task *t) {
  for (size_t i = 0; i < t->G; i++)
    for (size_t r = 0; r < t->R; r++) t->step[i * t->R + r] = t->rowf[r] * t->scale[i * t->R + r];
}

/* Steps and offsets of blocks by search, likewise. */
static void start_blocks(task *t, const float *w) {
  size_t R = t->R, K = t->K, groups = K / t->group;
  float *step = t->x, *offset = step + groups;
  for (size_t r = 0; r < R; r++) {
    nb_blocks_round(t->j->blocks, w + r * K, t->j->h->diag, K, block_row(t, r), step, offset);
    for (size_t i = 0; i < groups; i++) t->step[i * R + r] = step[i], t->offset[i * R + r] = offset[i];
    t->rowf[r] = 1;
  }
}

/* Scales by search, weighted by the importance of the inputs. */
static void start_rows(task *t, const float *w, uint16_t *row_scale) {
  size_t R = t->R, K = t->K, G = t->G;
  float *s = t->x;
  int8_t *q = (int8_t *)(s + G);
  for (size_t r = 0; r < R; r++) {
    for (size_t i = 0; i < G; i++) {
      size_t k = i * t->group, n = k < K ? nb_min(t->group, K - k) : 0;
      s[i] = nb_quant_fit_group(t->j->g, w + r * K + k, t->j->h->diag + k, n, 1);
    }
    nb_quant_round_scales(s, G, t->j->o->sweeps ? 120 : 127, q, &row_scale[r]);
    t->rowf[r] = nb_bf16_f32(row_scale[r]);
    for (size_t i = 0; i < G; i++) t->scale[i * R + r] = q[i];
  }
  steps_of(t);
  memcpy(t->plain_scale, t->scale, G * R);
}

/* Scales, and plain codes, of rows by themselves. */
static void start(task *t, const float *w, uint16_t *row_scale) {
  size_t R = t->R, K = t->K;
  memset(t->step, 0, t->G * R * sizeof *t->step);
  memset(t->offset, 0, t->G * R * sizeof *t->offset);
  if (t->j->blocks) start_blocks(t, w);
  else start_rows(t, w, row_scale);
  for (size_t k = 0; k < K; k++) {
    for (size_t r = 0; r < R; r++) t->w[k * R + r] = w[r * K + k];
    nearest(t, k, t->w + k * R, t->plain + k * R);
  }
}

static void store(task *t, size_t row0, const uint16_t *row_scale) {
  nb_qout *out = t->j->out;
  size_t R = t->R, G = t->G, ld = out->m.n_blocks * NB_BLOCK;
  uint8_t *level = (uint8_t *)t->x; /* (16, ld) */
  int8_t *scale = (int8_t *)(level + NB_TILE * ld);
  nb_assert((float *)(void *)(level + nb_round_up(NB_TILE * (ld + G), sizeof(float))) <= t->e);
  for (size_t r0 = 0; r0 < R; r0 += NB_TILE) {
    memset(level, 0, NB_TILE * (ld + G));
    uint16_t rows[NB_TILE] = {0};
    for (size_t r = r0; r < nb_min(R, r0 + NB_TILE); r++) {
      for (size_t k = 0; k < t->K; k++) level[(r - r0) * ld + k] = t->level[k * R + r];
      for (size_t i = 0; i < G; i++) scale[(r - r0) * G + i] = t->scale[i * R + r];
      rows[r - r0] = row_scale[r];
    }
    nb_qout_tile(out, (t->j->row0 + row0 + r0) / NB_TILE, level, scale, rows);
  }
}

/* Row r as solved; the plain one is there already. */
static void store_blocks(task *t, size_t r) {
  size_t R = t->R, groups = t->K / t->group;
  float *step = t->x, *offset = step + groups;
  uint8_t *code = (uint8_t *)(offset + groups);
  for (size_t i = 0; i < groups; i++) step[i] = t->step[i * R + r], offset[i] = t->offset[i * R + r];
  for (size_t k = 0; k < t->K; k++) code[k] = t->level[k * R + r];
  nb_blocks_store(t->j->blocks, code, step, offset, t->K, block_row(t, r));
}

/* The loss of all weights being 0, by the diagonals of what is summed. */
static double zero_loss(const task *t) {
  double sum = 0;
  for (size_t r = 0; r < t->R; r++) {
    const double counts = t->ties ? t->ties[r / NB_TILE].sums[r % NB_TILE][r % NB_TILE] : 1;
    for (size_t k = 0; k < t->K; k++) sum += counts * t->w[k * t->R + r] * t->w[k * t->R + r] * t->j->h->diag[k];
  }
  return sum;
}

/* Rows [r0, r1), whose levels depend on each other, as solved, or as plain rounding leaves them when that is better; of
 * rows that count by themselves, in parts of what each loses. */
static void keep_better(task *t, size_t r0, size_t r1, const double *plain, double *solved, nb_gptq_report *report) {
  const size_t R = t->R;
  double gain = 0;
  for (size_t r = r0; r < r1; r++) gain += (plain[r] - solved[r]) / (plain[r] != 0 && !t->ties ? fabs(plain[r]) : 1);
  for (size_t r = r0; r < r1; r++) {
    if (gain >= 0) {
      if (t->j->blocks) store_blocks(t, r);
      continue;
    }
    for (size_t k = 0; k < t->K; k++) t->level[k * R + r] = t->plain[k * R + r];
    for (size_t i = 0; i < t->G; i++) t->scale[i * R + r] = t->plain_scale[i * R + r];
    solved[r] = plain[r];
    report->fell_back++;
  }
}

static void solve_rows(task *t, size_t row0, nb_gptq_report *report) {
  size_t R = t->R, K = t->K;
  const nb_hess *h = t->j->h;
  uint16_t row_scale[ROWS];
  double plain[ROWS], solved[ROWS];
  nb_trellis_ties ties[ROWS / NB_TILE];
  start(t, t->j->w + row0 * K, row_scale);
  if (t->j->tiles) t->ties = ties;
  for (size_t r = 0; t->ties && r < R; r += NB_TILE)
    nb_trellis_tie(t->j->tiles + (row0 + r) * NB_TILE, (unsigned)nb_min(NB_TILE, R - r), &ties[r / NB_TILE]);
  residual(t, t->plain, t->step, plain);
  memcpy(t->level, t->plain, K * R);
  if (t->j->o->gptq) {
    for (size_t i = 0; i < K; i++) memcpy(t->x + i * R, t->w + h->order[i] * R, R * sizeof *t->x);
    gptq_columns(t, 0, K);
  }
  if (t->j->o->gptq) residual(t, t->level, t->step, solved);
  for (int i = 0; i < t->j->o->sweeps; i++) sweep(t); /* keeps q and r up to date */
  losses(t, solved);
  *report = (nb_gptq_report){0, 0, zero_loss(t), 0};
  const size_t together = rows_together(t);
  for (size_t r = 0; r < R; r += together) keep_better(t, r, nb_min(R, r + together), plain, solved, report);
  for (size_t r = 0; r < R; r++) report->plain += plain[r], report->solved += solved[r];
  if (!t->j->blocks) store(t, row0, row_scale);
}

static void solve_range(void *ctx, size_t begin, size_t end, int thread) {
  solving *j = ctx;
  const nb_qmat *m = &j->out->m;
  for (size_t i = begin; i < end; i++) {
    task t = {.j = j,
              .row0 = i * j->together,
              .R = nb_min(j->together, j->N - i * j->together),
              .K = m->K,
              .G = m->n_groups,
              .group = m->fmt.group};
    size_t KR = (m->n_blocks * NB_BLOCK) * j->together, GR = t.G * j->together;
    float *p = j->scratch + (size_t)thread * j->piece;
    t.w = p, t.q = t.w + KR, t.r = t.q + KR, t.x = t.r + KR, t.e = t.x + KR + GR;
    t.step = t.e + KR + 2 * NB_K_PAD * j->together, t.offset = t.step + GR, t.rowf = t.offset + GR;
    t.scale = (int8_t *)(t.rowf + j->together), t.plain_scale = t.scale + GR;
    t.level = (uint8_t *)(t.plain_scale + GR), t.plain = t.level + KR;
    t.scratch = p + j->piece - NB_GEMM_SCRATCH / sizeof(float);
    nb_assert(t.plain + KR <= (uint8_t *)t.scratch);
    nb_assert(t.x + t.K * t.R + t.G * t.R <= t.e && t.G * t.group >= t.K);
    solve_rows(&t, t.row0, &j->report[i]);
  }
}

/* ---- the matrix ---- */

static nb_status solve(solving *j, nb_gptq_report *report, nb_err *err) {
  nb_status st;
  const nb_hess *h = j->h;
  const nb_qmat *m = &j->out->m;
  size_t K = h->K, share = (j->N + (size_t)j->o->threads - 1) / (size_t)j->o->threads;
  j->together = nb_min(ROWS, nb_round_up(share, NB_TILE));
  size_t tasks = (j->N + j->together - 1) / j->together;
  nb_assert(K == m->K && (!j->o->gptq || (h->U && h->order)));
  for (size_t i = 0; i < j->N * K; i++)
    if (!(fabsf(j->w[i]) < 1e30f))
      return nb_fail(err, NB_ERR_NUMERIC, "%s: the weight of row %zu, column %zu is NaN, infinite or beyond 1e30",
                     j->o->what, j->row0 + i / K, i % K);
  size_t KR = m->n_blocks * NB_BLOCK * j->together, GR = m->n_groups * j->together;
  size_t floats = 5 * KR + 3 * GR + (2 * NB_K_PAD + 1) * j->together;
  j->piece = nb_round_up(floats + (2 * GR + 2 * KR) / sizeof(float) + 1, NB_ALIGN) + NB_GEMM_SCRATCH / sizeof(float);
  NB_GOTO(nb_new(&j->scratch, (size_t)j->o->threads * j->piece, sizeof(float), "solving", err));
  NB_GOTO(nb_new(&j->report, tasks, sizeof *j->report, "solving", err));
  nb_parallel_for(j->o->threads, tasks, 1, solve_range, j);
  for (size_t i = 0; i < tasks; i++) {
    report->plain += j->report[i].plain;
    report->solved += j->report[i].solved;
    report->zero += j->report[i].zero;
    report->fell_back += j->report[i].fell_back;
  }
fail:
  nb_free(j->scratch);
  nb_free(j->report);
  return st;
}

nb_status nb_gptq_solve(const nb_hess *h, const nb_gptq_rows *rows, const nb_grid *g, const nb_gptq_opts *o,
                        nb_qout *out, nb_gptq_report *report, nb_err *err) {
  nb_assert(rows->row0 % NB_TILE == 0 && rows->row0 + rows->N <= out->m.N);
  nb_assert(g->fmt.bits == out->m.fmt.bits && g->fmt.kind == out->m.fmt.kind && g->fmt.group == out->m.fmt.group);
  solving j = {.h = h, .g = g, .o = o, .w = rows->w, .N = rows->N, .out = out, .row0 = rows->row0};
  if (g->fmt.kind == NB_TRELLIS) j.tiles = rows->tiles;
  return solve(&j, report, err);
}

nb_status nb_gptq_solve_blocks(const nb_hess *h, const nb_gptq_rows *rows, const nb_blocks *b, const nb_gptq_opts *o,
                               uint8_t *out, nb_gptq_report *report, nb_err *err) {
  nb_qout sizes = {.table = NULL};
  nb_qmat_layout l;
  NB_TRY(nb_qmat_plan(rows->N, h->K, b->grid.fmt, &sizes.m, &l, err));
  solving j = {
      .h = h, .g = &b->grid, .o = o, .w = rows->w, .N = rows->N, .out = &sizes, .row0 = rows->row0, .blocks = b};
  j.row_bytes = nb_blocks_row_bytes(b, h->K);
  j.rows = out + rows->row0 * j.row_bytes;
  return solve(&j, report, err);
}
