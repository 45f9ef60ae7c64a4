/* SPDX-License-Identifier: MIT */
#include "quant/embedding.h"

#include "base/assert.h"
#include "base/mem.h"

#include <math.h>

enum { READERS = 2 };             /* what a layer's two norms feed */
static const double LEAST = 1e-3; /* of the mean: what nothing reads yet may matter to later layers */

/* Which of the two reads the inputs of a site, if they are normed states. */
static int reader(size_t site) {
  if (site == NB_SITE_ATTN) return 0;
  bool expert = site >= NB_SITES && (site - NB_SITES) % 2 == 0; /* an expert's gate and up */
  return site == NB_SITE_FFN || expert ? 1 : -1;
}

/* sum (D) += the squared columns of m. row: room for one of its rows. */
static void add_columns(const nb_linear *m, float *row, double *sum) {
  for (size_t n = 0; n < m->N; n++) {
    nb_linear_row(m, n, row);
    for (size_t k = 0; k < m->K; k++) sum[k] += (double)row[k] * row[k];
  }
}

nb_status nb_embedding_importance(const nb_config *c, const nb_weights *w, float *out, nb_err *err) {
  static const nb_role norm[READERS] = {NB_ATTN_NORM, NB_FFN_NORM};
  const nb_parts *parts = &w->parts;
  const nb_layer *first = &w->layer[0];
  size_t D = c->hidden;
  double *sum = NULL, total = 0;
  float *row = NULL;
  nb_status st;
  NB_GOTO(nb_new(&sum, READERS * D, sizeof *sum, "the embedding", err));
  NB_GOTO(nb_new(&row, D, sizeof *row, "the embedding", err));
  for (size_t i = 0; i < parts->per_layer; i++) {
    int r = reader(nb_parts_matrix(parts, i)->site);
    if (r >= 0) nb_assert(first->w[i].K == D), add_columns(&first->w[i], row, sum + (size_t)r * D);
  }
  for (size_t k = 0; k < D; k++) out[k] = 0;
  for (size_t r = 0; r < READERS; r++) {
    const float *weight = first->vec[norm[r]]; /* NULL: the norm has none, or is not there */
    double all = 0;
    for (size_t k = 0; k < D; k++) {
      if (weight) sum[r * D + k] *= (double)weight[k] * weight[k];
      all += sum[r * D + k];
    }
    if (!isfinite(all))
      NB_GOTO(nb_fail(err, NB_ERR_NUMERIC, "layer 0: a weight of a norm or of what reads it is NaN or infinite"));
    for (size_t k = 0; k < D && all > 0; k++) out[k] += (float)(sum[r * D + k] / all * (double)D);
  }
  for (size_t k = 0; k < D; k++) out[k] += (float)LEAST, total += (double)out[k] / (double)D;
  for (size_t k = 0; k < D; k++) out[k] /= (float)total;
fail:
  nb_free(sum);
  nb_free(row);
  return st;
}
