/* SPDX-License-Identifier: MIT */
/* The curvature of the model's own loss, as rounding needs it. To the second order, an error E (N, K) in a matrix moves
 * the model's predictions by a KL divergence of half the mean of (g E x)^2: x are the matrix's inputs, g is the
 * gradient, with respect to its outputs, of -log p of a token that is drawn from the model's own prediction (the Fisher
 * information). With inputs and gradients taken apart (Kronecker factors: K-FAC, arXiv 1503.05671; for rounding YAQA,
 * arXiv 2505.22988) this is tr(G E H E^T), H being the mean of x x^T (hess.h) and G that of g g^T. G says how the rows
 * of a matrix go together (coupling.h).
 *
 * The gradients with respect to what o and down give are found once, in the full model, and kept; those of q, k and v
 * follow from o's when a layer is solved, in the basis that it has then, those of gate and up from down's. The rows of
 * gate and up go together too little to be summed as a whole (docs/quantization.md): only those of tiles, which trellis
 * codes choose together. */
#ifndef NB_CURVATURE_H
#define NB_CURVATURE_H

#include "base/progress.h"
#include "model/model.h"
#include "quant/coupling.h"

typedef struct nb_curvature_opts {
  const int32_t *tokens; /* (n_seqs, seq_len) */
  size_t n_seqs, seq_len;
  int threads;
  unsigned cpu_features;
  const nb_progress *progress; /* asked whether to stop, at `done` of `total`; may be NULL */
  uint64_t done, total;
} nb_curvature_opts;

typedef struct nb_curvature nb_curvature;

/* Whether gradients are asked for (tokens, not 0) and known of such a model (nb_backward_supports). */
bool nb_curvature_wanted(const nb_config *c, size_t tokens);

/* How many tokens' gradients are worth their cost: more of them lose less (docs/quantization.md), but what is kept of
 * each grows with the model. As many as 1.5 GiB hold, 4,096 to 16,384. */
size_t nb_curvature_tokens(const nb_config *c);

/* Finds the gradients of a model that nb_backward_supports, whose config and weights are borrowed; o's tokens only now.
 * The same tokens draw the same. Memory: 2 layers x tokens x D bfloat16; for the time of the call one sequence's states
 * and logits. */
nb_status nb_curvature_create(const nb_config *c, const nb_weights *w, const nb_curvature_opts *o, nb_curvature **out,
                              nb_err *err);
void nb_curvature_free(nb_curvature *c);

/* G (per_layer) of a layer, in any basis that leaves the states as they are, released with nb_row_sums_free; of gate
 * and up only if `tiles`. x (at least n_seqs, seq_len, D): the states before the layer. On failure there are none. */
nb_status nb_curvature_layer(nb_curvature *c, const nb_layer *l, const float *x, bool tiles, nb_row_sums *G,
                             nb_err *err);

#endif
