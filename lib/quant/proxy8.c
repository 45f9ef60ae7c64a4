/* SPDX-License-Identifier: MIT */
#include "quant/proxy8.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

nb_status nb_proxy8_matrix(const nb_linear *full, int threads, const char *what, nb_coded *out, nb_err *err) {
  const nb_quant_opts quick = {.threads = threads, .what = what};
  nb_status st = nb_coded_plain(full, (nb_qfmt){8, 0, 64}, &quick, false, out, err);
  out->w.fine = out->own != NULL;
  return st;
}

nb_status nb_proxy8_layer(const nb_parts *parts, const nb_layer *full, int threads, nb_proxy8 *out, nb_err *err) {
  memset(out, 0, sizeof *out);
  out->n = parts->per_layer;
  NB_TRY(nb_new(&out->w, out->n, sizeof *out->w, "a layer", err));
  NB_TRY(nb_new(&out->coded, out->n, sizeof *out->coded, "a layer", err));
  nb_layer_copy(parts, full, out->w, &out->layer);
  for (size_t i = 0; i < out->n; i++) {
    char what[64];
    nb_part_describe(nb_parts_matrix(parts, nb_parts_first(parts, full->number) + i), what);
    nb_assert(nb_parts_matrix(parts, nb_parts_first(parts, full->number) + i)->layer == (int)full->number);
    NB_TRY(nb_proxy8_matrix(&full->w[i], threads, what, &out->coded[i], err));
    out->w[i] = out->coded[i].w;
  }
  return NB_OK;
}

void nb_proxy8_free(nb_proxy8 *e) {
  for (size_t i = 0; e->coded && i < e->n; i++) nb_coded_free(&e->coded[i]);
  nb_free(e->coded);
  nb_free(e->w);
  memset(e, 0, sizeof *e);
}
