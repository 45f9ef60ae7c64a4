/* SPDX-License-Identifier: MIT */
#include "formats/unused_rows.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Whether row n is of use to no token and cannot be rounded. x: room for a row. */
static bool is_bad(const nb_tokenizer *t, const nb_linear *e, size_t n, float *x) {
  if (nb_tokenizer_token_text(t, (int32_t)n, NULL)) return false;
  nb_linear_row(e, n, x);
  for (size_t k = 0; k < e->K; k++)
    if (!(fabsf(x[k]) < 1e30f)) return true;
  return false;
}

/* The embedding in one piece, its bad rows zero. */
static nb_status copy_cleared(const nb_tokenizer *t, nb_linear *e, float *x, void **own, nb_err *err) {
  const size_t row = nb_tensor_bytes(&e->dense, e->K); /* of blocks, too, zero bytes are zeros */
  NB_TRY(nb_new(own, e->N, row, "the embedding", err));
  for (size_t n = 0; n < e->N; n++)
    if (!is_bad(t, e, n, x)) memcpy((char *)*own + n * row, nb_linear_dense_row(e, n), row);
  nb_tensor whole = {e->dense.dtype, 2, {e->N, e->K, 1, 1}, *own, e->N * row, e->dense.blocks};
  *e = nb_linear_dense(&whole);
  return NB_OK;
}

nb_status nb_unused_rows_clear(const nb_tokenizer *t, nb_weights *w, void **own, nb_text *notes, nb_err *err) {
  nb_linear *e = &w->w[w->parts.embed];
  const bool tied = w->parts.head == w->parts.embed;
  size_t bad = 0, first = 0;
  float *x;
  char note[256];
  nb_status st;
  *own = NULL;
  NB_TRY(nb_new(&x, e->K, sizeof *x, "a row", err));
  for (size_t n = 0; n < e->N; n++)
    if (is_bad(t, e, n, x) && bad++ == 0) first = n;
  snprintf(note, sizeof note,
           "the embedding has %zu row%s with NaN, infinity or 1e30 and beyond, the first for id %zu, that no token "
           "uses: %s\n",
           bad, bad == 1 ? "" : "s", first,
           tied ? "the head multiplies by them too, so that the model gives no probabilities" : "zeros stand for them");
  if (bad) NB_GOTO(nb_text_append_str(notes, note, err));
  else st = NB_OK;
  if (bad && !tied) st = copy_cleared(t, e, x, own, err);
fail:
  nb_free(x);
  return st;
}
