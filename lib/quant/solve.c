/* SPDX-License-Identifier: MIT */
#include "quant/solve.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "quant/fit_table.h"

#include <string.h>

enum { CHUNK = 4096 /* rows of floats at a time */ };

nb_status nb_solve_advance(nb_solve *s, uint64_t n, nb_err *err) {
  s->done += n;
  return nb_progress_step(s->o->progress, s->done, s->total, err);
}

double nb_solve_leaves(nb_role role, bool coupled) {
  double part = role == NB_DOWN ? 0.56 : 0.27;
  if (!coupled) return part;
  return part * (role == NB_Q || role == NB_K ? 0.5 : role == NB_V ? 0.85 : role == NB_O || role == NB_DOWN ? 0.6 : 1);
}

static void report_loss(const nb_gptq_report *rep, nb_quantized *q) {
  q->plain = rep->zero > 0 ? rep->plain / rep->zero : 0;
  q->loss = rep->zero > 0 ? rep->solved / rep->zero : 0;
  q->fell_back = rep->fell_back;
}

/* Where a matrix is rounded to, and how. */
typedef struct form {
  const nb_hess *h;
  const nb_gptq_opts *o;
  const nb_grid *g; /* NULL: blocks */
  nb_qout *out;
  const nb_blocks *blocks;
  const nb_coded *coded;
} form;

static nb_status solve_rows(const form *f, const nb_gptq_rows *rows, nb_gptq_report *rep, nb_err *err) {
  if (f->g) return nb_gptq_solve(f->h, rows, f->g, f->o, f->out, rep, err);
  return nb_gptq_solve_blocks(f->h, rows, f->blocks, f->o, f->coded->own, rep, err);
}

typedef struct rest_job {
  const form *f;
  float *w, *q; /* (n, K) */
  size_t row0, K;
} rest_job;

static void rest_rows(void *ctx, size_t begin, size_t end, int thread) {
  const rest_job *j = ctx;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    float *q = j->q + i * j->K, *w = j->w + i * j->K;
    size_t row = j->row0 + i;
    if (j->f->g) nb_linear_row(&j->f->coded->w, row, q);
    else
      nb_ggml_read(j->f->blocks->type, (uint8_t *)j->f->coded->own + row * nb_blocks_row_bytes(j->f->blocks, j->K),
                   j->K, q);
    for (size_t k = 0; k < j->K; k++) w[k] -= q[k];
  }
}

/* Solves rows w (N, K) that are in the order of solving, a block after another: the target of each moves by what the
 * blocks before it have lost, which takes the place of their rows in w. f rounds to rows in the same order. */
static nb_status solve_in_order(const nb_solve *s, const form *f, const nb_coupling *c, float *w, nb_gptq_report *rep,
                                nb_err *err) {
  size_t K = f->h->K;
  float *target, *move, *own;
  nb_status st = NB_OK;
  NB_TRY(nb_new(&target, 2 * c->block, (K + NB_TILE) * sizeof *target, "the rows' targets", err));
  move = target + c->block * K, own = move + c->block * K;
  for (size_t row0 = 0; row0 < c->N; row0 += c->block) {
    size_t n = nb_min(c->block, c->N - row0);
    nb_coupling_move(c, s->mul, w, K, row0, n, move);
    for (size_t i = 0; i < n * K; i++) target[i] = w[row0 * K + i] + move[i];
    nb_coupling_tiles(c, row0, n, own);
    const nb_gptq_rows rows = {target, row0, n, own};
    NB_GOTO(solve_rows(f, &rows, rep, err));
    rest_job j = {f, w + row0 * K, move, row0, K};
    nb_parallel_for(s->o->threads, n, 4, rest_rows, &j);
  }
fail:
  nb_free(target);
  return st;
}

/* Solves the rows of w (N, K) as they go together: in their order into a matrix of the same form, whose rows then go
 * where they belong. */
static nb_status solve_coupled(nb_solve *s, const form *f, const float *w, nb_gptq_report *rep, nb_err *err) {
  size_t N = f->coded->w.N, K = f->h->K, n_bytes = f->coded->n_bytes;
  nb_coded own = {.w = f->coded->w};
  nb_coupling c = {.U = NULL};
  nb_qout out;
  form in_order = *f;
  float *rows = NULL, *G = s->G.all;
  nb_status st;
  s->G.all = NULL;
  NB_TRY(nb_coupling_create(s->mul, G, N, f->g && f->g->fmt.kind == NB_TRELLIS ? NB_TILE : 1, s->what, &c, err));
  NB_GOTO(nb_new(&rows, N * K, sizeof *rows, "the rows' targets", err));
  for (size_t i = 0; i < N; i++) memcpy(rows + i * K, w + c.order[i] * K, K * sizeof *rows);
  NB_GOTO(nb_new(&own.own, n_bytes, 1, "the rows", err));
  in_order.coded = &own;
  if (f->g) {
    NB_GOTO(nb_qout_init(f->g, N, K, own.own, n_bytes, &out, err));
    own.w.qmat = out.m, in_order.out = &out;
  }
  NB_GOTO(solve_in_order(s, &in_order, &c, rows, rep, err));
  if (f->g) {
    NB_GOTO(nb_qout_reorder(&out.m, c.order, f->out, err));
  } else {
    size_t bytes = nb_blocks_row_bytes(f->blocks, K);
    for (size_t i = 0; i < N; i++)
      memcpy((uint8_t *)f->coded->own + c.order[i] * bytes, (uint8_t *)own.own + i * bytes, bytes);
  }
fail:
  nb_free(rows);
  nb_coupling_free(&c);
  nb_coded_free(&own);
  return st;
}

/* Rows that depend on each other are solved in one piece. */
static size_t rows_at_once(const nb_solve *s, const nb_linear *m) { return s->G.all ? m->N : nb_min(m->N, CHUNK); }

/* The next rows of m in floats, at w, as the statistics would have them. */
static nb_gptq_rows take_rows(const nb_solve *s, const nb_linear *m, size_t row0, float *w) {
  size_t n = nb_min(m->N - row0, rows_at_once(s, m));
  for (size_t i = 0; i < n; i++) {
    nb_linear_row(m, row0 + i, w + i * m->K);
    for (size_t k = 0; s->columns && k < m->K; k++) w[i * m->K + k] *= s->columns[k];
  }
  return (nb_gptq_rows){w, row0, n, s->G.tiles ? s->G.tiles + row0 * NB_TILE : NULL};
}

nb_status nb_solve_matrix(nb_solve *s, const nb_hess *h, const nb_linear *m, nb_qfmt fmt, nb_coded *coded,
                          nb_quantized *q, nb_err *err) {
  nb_status st;
  nb_grid g;
  nb_qout out;
  nb_gptq_report rep = {0, 0, 0, 0};
  const nb_gptq_opts go = {s->o->gptq, s->o->sweeps, s->o->threads, s->what};
  float *w;
  size_t rows = rows_at_once(s, m);
  nb_grid_make(fmt, NULL, &g);
  NB_TRY(nb_new(&w, rows * m->K, sizeof *w, "a matrix", err));
  for (size_t row0 = 0; row0 < m->N; row0 += rows) {
    nb_assert(row0 % NB_TILE == 0);
    const nb_gptq_rows part = take_rows(s, m, row0, w);
    if (row0 == 0) {
      if (s->o->fit_tables && fmt.kind != NB_UNIFORM)
        NB_GOTO(nb_fit_table(&g, w, part.N, m->K, h->diag, s->o->threads, err));
      NB_GOTO(nb_qout_init(&g, m->N, m->K, coded->own, coded->n_bytes, &out, err));
    }
    const form f = {.h = h, .o = &go, .g = &g, .out = &out, .coded = coded};
    NB_GOTO(s->G.all ? solve_coupled(s, &f, w, &rep, err) : solve_rows(&f, &part, &rep, err));
    NB_GOTO(nb_solve_advance(s, (uint64_t)part.N * m->K, err));
  }
  report_loss(&rep, q);
fail:
  nb_free(w);
  return st;
}

/* Rounds a dense matrix to blocks: by the statistics h, or weight by weight where these are of too few tokens (`few`)
 * or the solver does not know the type. */
nb_status nb_solve_blocks(nb_solve *s, const nb_hess *h, const nb_linear *m, const nb_ggml_type *type, nb_coded *coded,
                          nb_quantized *q, nb_err *err) {
  nb_status st;
  nb_blocks b;
  nb_gptq_report rep = {0, 0, 0, 0};
  const nb_gptq_opts go = {s->o->gptq, s->o->sweeps, s->o->threads, s->what};
  float *w;
  size_t rows = rows_at_once(s, m);
  if (q->few || !nb_blocks_make(type, &b)) {
    const nb_quant_opts how = {q->few ? NULL : h->diag, 1, s->o->threads, s->what};
    NB_TRY(nb_coded_blocks(m, type, &how, coded, err));
    return nb_solve_advance(s, (uint64_t)m->N * m->K, err);
  }
  NB_TRY(nb_coded_blocks_room(m, type, s->what, coded, err));
  NB_TRY(nb_new(&w, rows * m->K, sizeof *w, "a matrix", err));
  for (size_t row0 = 0; row0 < m->N; row0 += rows) {
    const nb_gptq_rows part = take_rows(s, m, row0, w);
    const form f = {.h = h, .o = &go, .blocks = &b, .coded = coded};
    NB_GOTO(s->G.all ? solve_coupled(s, &f, w, &rep, err) : solve_rows(&f, &part, &rep, err));
    NB_GOTO(nb_solve_advance(s, (uint64_t)part.N * m->K, err));
  }
  nb_coded_blocks_read(coded, type, s->o->threads);
  report_loss(&rep, q);
fail:
  nb_free(w);
  return st;
}
