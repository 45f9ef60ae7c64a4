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

/* The next rows of m in floats, at w, as the statistics would have them. */
static nb_status take_rows(const nb_solve *s, const nb_hess *h, const nb_linear *m, size_t row0, float *w,
                           nb_gptq_rows *out, nb_err *err) {
  *out = (nb_gptq_rows){w, row0, nb_min(m->N - row0, CHUNK)};
  for (size_t i = 0; i < out->N; i++) nb_linear_row(m, row0 + i, w + i * m->K);
  return nb_gptq_target(h, w, row0, out->N, s->o->threads, err);
}

nb_status nb_solve_matrix(nb_solve *s, const nb_hess *h, const nb_linear *m, nb_qfmt fmt, nb_coded *coded,
                          nb_quantized *q, nb_err *err) {
  nb_status st;
  nb_grid g;
  nb_qout out;
  nb_gptq_report rep = {0, 0, 0, 0};
  const nb_gptq_opts go = {s->o->gptq, s->o->sweeps, s->o->threads, s->what};
  float *w;
  nb_gptq_rows part;
  size_t rows = nb_min(m->N, CHUNK);
  nb_grid_make(fmt, NULL, &g);
  NB_TRY(nb_new(&w, rows * m->K, sizeof *w, "a matrix", err));
  for (size_t row0 = 0; row0 < m->N; row0 += rows) {
    nb_assert(row0 % NB_TILE == 0);
    NB_GOTO(take_rows(s, h, m, row0, w, &part, err));
    if (row0 == 0) {
      if (s->o->fit_tables && fmt.table) NB_GOTO(nb_gptq_fit_table(&g, w, part.N, m->K, h->diag, err));
      NB_GOTO(nb_qout_init(&g, m->N, m->K, coded->own, coded->n_bytes, &out, err));
    }
    NB_GOTO(nb_gptq_solve(h, &part, &g, &go, &out, &rep, err));
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
  nb_gptq_rows part;
  size_t rows = nb_min(m->N, CHUNK);
  if (q->few || !nb_blocks_make(type, &b)) {
    const nb_quant_opts how = {q->few ? NULL : h->diag, 1, s->o->threads, s->what};
    NB_TRY(nb_coded_blocks(m, type, &how, coded, err));
    return nb_solve_advance(s, (uint64_t)m->N * m->K, err);
  }
  NB_TRY(nb_coded_blocks_room(m, type, s->what, coded, err));
  NB_TRY(nb_new(&w, rows * m->K, sizeof *w, "a matrix", err));
  for (size_t row0 = 0; row0 < m->N; row0 += rows) {
    NB_GOTO(take_rows(s, h, m, row0, w, &part, err));
    NB_GOTO(nb_gptq_solve_blocks(h, &part, &b, &go, coded->own, &rep, err));
    NB_GOTO(nb_solve_advance(s, (uint64_t)part.N * m->K, err));
  }
  nb_coded_blocks_read(coded, type, s->o->threads);
  report_loss(&rep, q);
fail:
  nb_free(w);
  return st;
}
