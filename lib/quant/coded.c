/* SPDX-License-Identifier: MIT */
#include "quant/coded.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <string.h>

nb_status nb_coded_dense(const nb_linear *w, const char *what, nb_coded *out, nb_err *err) {
  *out = (nb_coded){.w = *w, .error = -1};
  if (w->coded) return NB_OK;
  out->data = w->dense.data, out->n_bytes = w->dense.n_bytes;
  if (w->run == w->N && !w->dense.blocks) return NB_OK;
  size_t row = w->K * nb_dtype_bytes(w->dense.dtype);
  NB_TRY(nb_new(&out->own, w->N, row, what, err));
  for (size_t n = 0; n < w->N; n++)
    if (w->dense.blocks) nb_linear_row(w, n, (float *)out->own + n * w->K);
    else memcpy((char *)out->own + n * row, nb_linear_dense_row(w, n), row);
  out->data = out->w.dense.data = out->own;
  out->n_bytes = out->w.dense.n_bytes = w->N * row;
  out->w.dense.blocks = NULL;
  out->w.run = out->w.stride = w->N;
  return NB_OK;
}

nb_status nb_coded_room(const nb_linear *w, nb_qfmt fmt, const char *what, nb_coded *out, nb_err *err) {
  nb_assert(!w->coded);
  nb_qmat_layout l;
  *out = (nb_coded){.w = {.N = w->N, .K = w->K, .coded = true}, .error = -1};
  NB_TRY(nb_qmat_plan(w->N, w->K, fmt, &out->w.qmat, &l, err));
  NB_TRY(nb_new(&out->own, l.total, 1, what, err));
  out->data = out->own, out->n_bytes = l.total;
  return nb_qmat_view(w->N, w->K, fmt, out->own, l.total, &out->w.qmat, err);
}

nb_status nb_coded_plain(const nb_linear *w, nb_qfmt fmt, const nb_quant_opts *o, bool want_error, nb_coded *out,
                         nb_err *err) {
  nb_grid g;
  nb_quant_loss loss = {0, 0};
  if (fmt.bits == 0 || w->coded) return nb_coded_dense(w, o->what, out, err);
  nb_grid_make(fmt, NULL, &g);
  NB_TRY(nb_coded_room(w, fmt, o->what, out, err));
  NB_TRY(nb_quant_plain(&g, w, o, out->own, out->n_bytes, want_error ? &loss : NULL, err));
  if (want_error) out->error = loss.total > 0 ? loss.error / loss.total : 0;
  return NB_OK;
}

/* ---- blocks ---- */

nb_status nb_coded_blocks_room(const nb_linear *w, const nb_ggml_type *type, const char *what, nb_coded *out,
                               nb_err *err) {
  nb_assert(!w->coded && w->K % type->block == 0);
  size_t row = w->K / type->block * type->bytes;
  *out = (nb_coded){.n_bytes = w->N * row, .error = -1};
  NB_TRY(nb_new(&out->own, w->N, row, what, err));
  NB_TRY(nb_new(&out->values, w->N * w->K, sizeof(float), what, err));
  nb_tensor t = {NB_F32, 2, {w->N, w->K, 1, 1}, out->values, w->N * w->K * sizeof(float), NULL};
  out->w = nb_linear_dense(&t);
  out->data = out->own;
  return NB_OK;
}

typedef struct block_job {
  nb_coded *c;
  const nb_ggml_type *type;
  const nb_linear *from; /* NULL: read only */
  const float *h;
} block_job;

static void run_blocks(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  const block_job *j = ctx;
  size_t K = j->c->w.K, row = K / j->type->block * j->type->bytes;
  for (size_t n = begin; n < end; n++) {
    uint8_t *bytes = (uint8_t *)j->c->own + n * row;
    float *x = j->c->values + n * K;
    if (j->from) nb_linear_row(j->from, n, x), nb_ggml_write(j->type, x, j->h, K, bytes);
    nb_ggml_read(j->type, bytes, K, x);
  }
}

void nb_coded_blocks_read(nb_coded *c, const nb_ggml_type *type, int threads) {
  block_job j = {c, type, NULL, NULL};
  nb_parallel_for(threads, c->w.N, 16, run_blocks, &j);
}

nb_status nb_coded_blocks(const nb_linear *w, const nb_ggml_type *type, const nb_quant_opts *how, nb_coded *out,
                          nb_err *err) {
  NB_TRY(nb_coded_blocks_room(w, type, how->what, out, err));
  block_job j = {out, type, w, how->h};
  nb_parallel_for(how->threads, w->N, 16, run_blocks, &j);
  return NB_OK;
}

void nb_coded_free(nb_coded *c) {
  nb_free(c->own);
  nb_free(c->values);
  *c = (nb_coded){.own = NULL};
}
