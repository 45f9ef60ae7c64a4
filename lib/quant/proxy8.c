/* SPDX-License-Identifier: MIT */
#include "quant/proxy8.h"

#include "base/mem.h"
#include "quant/quant.h"

#include <stdio.h>
#include <string.h>

nb_status nb_proxy8_matrix(const nb_linear *full, int threads, const char *what, nb_linear *out, void **data,
                           nb_err *err) {
  const nb_qfmt fmt = {8, 0, 64};
  nb_qmat m;
  nb_qmat_layout l;
  nb_grid g;
  *data = NULL;
  *out = *full;
  if (full->coded) return NB_OK;
  nb_grid_make(fmt, NULL, &g);
  NB_TRY(nb_qmat_plan(full->N, full->K, fmt, &m, &l, err));
  NB_TRY(nb_new(data, l.total, 1, what, err));
  nb_status st = nb_quant_plain(&g, full, NULL, 0, threads, what, *data, l.total, NULL, err);
  if (st == NB_OK) st = nb_qmat_view(full->N, full->K, fmt, *data, l.total, &out->qmat, err);
  out->coded = out->fine = st == NB_OK;
  return st;
}

nb_status nb_proxy8_layer(const nb_layer *full, size_t number, int threads, nb_proxy8 *out, nb_err *err) {
  memset(out, 0, sizeof *out);
  out->layer = *full;
  for (int s = 0; s < NB_SLOTS; s++) {
    char what[40];
    snprintf(what, sizeof what, "layer %zu %s", number, nb_slot_name((nb_slot)s));
    NB_TRY(nb_proxy8_matrix(&full->w[s], threads, what, &out->layer.w[s], &out->data[s], err));
  }
  return NB_OK;
}

void nb_proxy8_free(nb_proxy8 *e) {
  for (int s = 0; s < NB_SLOTS; s++) nb_free(e->data[s]), e->data[s] = NULL;
}
