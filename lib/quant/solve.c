/* SPDX-License-Identifier: MIT */
#include "quant/solve.h"

#include "base/assert.h"
#include "base/mem.h"

enum { CHUNK = 4096 /* rows of floats at a time */ };

nb_status nb_solve_advance(nb_solve *s, uint64_t n, nb_err *err) {
  s->done += n;
  return nb_progress_step(s->o->progress, s->done, s->total, err);
}

static void report_loss(const nb_gptq_report *rep, nb_quantized *q) {
  q->plain = rep->zero > 0 ? rep->plain / rep->zero : 0;
  q->loss = rep->zero > 0 ? rep->solved / rep->zero : 0;
  q->fell_back = rep->fell_back;
}

nb_status nb_solve_matrix(nb_solve *s, const nb_hess *h, const nb_linear *m, nb_qfmt fmt, nb_coded *coded,
                          nb_quantized *q, nb_err *err) {
  nb_status st;
  nb_grid g;
  nb_qout out;
  nb_gptq_report rep = {0, 0, 0, 0};
  const nb_gptq_opts go = {s->o->gptq, s->o->sweeps, s->o->threads, s->what};
  float *w;
  size_t rows = nb_min(m->N, CHUNK);
  nb_grid_make(fmt, NULL, &g);
  NB_TRY(nb_new(&w, rows * m->K, sizeof *w, "a matrix", err));
  for (size_t row0 = 0; row0 < m->N; row0 += rows) {
    nb_assert(row0 % NB_TILE == 0);
    size_t n = nb_min(rows, m->N - row0);
    for (size_t i = 0; i < n; i++) nb_linear_row(m, row0 + i, w + i * m->K);
    NB_GOTO(nb_gptq_target(h, w, row0, n, s->o->threads, err));
    if (row0 == 0) {
      if (s->o->fit_tables && fmt.table) NB_GOTO(nb_gptq_fit_table(&g, w, n, m->K, h->diag, err));
      NB_GOTO(nb_qout_init(&g, m->N, m->K, coded->own, coded->n_bytes, &out, err));
    }
    NB_GOTO(nb_gptq_solve(h, &(nb_gptq_rows){w, row0, n}, &g, &go, &out, &rep, err));
    NB_GOTO(nb_solve_advance(s, (uint64_t)n * m->K, err));
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
  size_t rows = nb_min(m->N, CHUNK);
  if (q->few || !nb_blocks_make(type, &b)) {
    const nb_quant_opts how = {q->few ? NULL : h->diag, 1, s->o->threads, s->what};
    NB_TRY(nb_coded_blocks(m, type, &how, coded, err));
    return nb_solve_advance(s, (uint64_t)m->N * m->K, err);
  }
  NB_TRY(nb_coded_blocks_room(m, type, s->what, coded, err));
  NB_TRY(nb_new(&w, rows * m->K, sizeof *w, "a matrix", err));
  for (size_t row0 = 0; row0 < m->N; row0 += rows) {
    size_t n = nb_min(rows, m->N - row0);
    for (size_t i = 0; i < n; i++) nb_linear_row(m, row0 + i, w + i * m->K);
    NB_GOTO(nb_gptq_target(h, w, row0, n, s->o->threads, err));
    NB_GOTO(nb_gptq_solve_blocks(h, &(nb_gptq_rows){w, row0, n}, &b, &go, coded->own, &rep, err));
    NB_GOTO(nb_solve_advance(s, (uint64_t)n * m->K, err));
  }
  nb_coded_blocks_read(coded, type, s->o->threads);
  report_loss(&rep, q);
fail:
  nb_free(w);
  return st;
}
