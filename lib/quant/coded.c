/* SPDX-License-Identifier: MIT */
#include "quant/coded.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

nb_status nb_coded_dense(const nb_linear *w, const char *what, nb_coded *out, nb_err *err) {
  *out = (nb_coded){.w = *w, .error = -1};
  if (w->coded) return NB_OK;
  out->data = w->dense.data, out->n_bytes = w->dense.n_bytes;
  if (w->run == w->N) return NB_OK;
  size_t row = w->K * nb_dtype_bytes(w->dense.dtype);
  NB_TRY(nb_new(&out->own, w->N, row, what, err));
  for (size_t n = 0; n < w->N; n++) memcpy((char *)out->own + n * row, nb_linear_dense_row(w, n), row);
  out->data = out->w.dense.data = out->own;
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

void nb_coded_free(nb_coded *c) {
  nb_free(c->own);
  *c = (nb_coded){.own = NULL};
}
