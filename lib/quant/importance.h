/* SPDX-License-Identifier: MIT */
/* How much each input of each linear matters: its mean square over a text, as the unquantized model computes it (its
 * layers at 8 bits, proxy8.h). An error d of a weight (n, k) adds d^2 times the k-th number to the squared error of
 * output n, other errors aside (the diagonal of the Gauss-Newton approximation, as in llama.cpp's importance matrices).
 */
#ifndef NB_IMPORTANCE_H
#define NB_IMPORTANCE_H

#include "model/model.h"
#include "base/progress.h"

typedef struct nb_importance_opts {
  const int32_t *tokens; /* (n_seqs, seq_len) */
  size_t n_seqs, seq_len;
  int threads;
  unsigned cpu_features;
  const nb_progress *progress; /* in sequences times layers; may be NULL */
} nb_importance_opts;

/* How many numbers a model has: for each layer the inputs of its sites (parts.h), one after another; in the end those
 * of the head (D). An expert's are sums over the tokens that it sees, as parts of all. */
size_t nb_importance_count(const nb_config *c);
/* Where the inputs of a matrix begin; of any but the embedding. */
size_t nb_importance_of(const nb_config *c, const nb_part *p);

/* Fills out (nb_importance_count). NB_ERR_NUMERIC names the layer whose states are not finite. */
nb_status nb_importance_measure(const nb_config *c, const nb_weights *w, const nb_importance_opts *o, float *out,
                                nb_err *err);

#endif
