/* SPDX-License-Identifier: MIT */
/* The curvature of the model's own loss, as rounding needs it. To the second order, an error E (N, K) in a matrix moves
 * the model's predictions by a KL divergence of half the mean of (g E x)^2: x are the matrix's inputs, g is the
 * gradient, with respect to its outputs, of -log p of a token that is drawn from the model's own prediction (the Fisher
 * information). With inputs and gradients taken apart (Kronecker factors: K-FAC, arXiv 1503.05671; for rounding YAQA,
 * arXiv 2505.22988) this is tr(G E H E^T), H being the mean of x x^T (hess.h) and G that of g g^T. G says how the rows
 * of a matrix go together (coupling.h).
 *
 * The gradients with respect to what o and down give are found once, in the full model, and kept; those of q, k, v and
 * up follow from these when a layer is solved, in the basis that it has then. gate's rows do not go together
 * (docs/quantization.md). */
#ifndef NB_CURVATURE_H
#define NB_CURVATURE_H

#include "base/progress.h"
#include "model/model.h"

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

/* Finds the gradients of a model that nb_backward_supports, whose config and weights are borrowed; o's tokens only now.
 * The same tokens draw the same. Memory: 2 layers x tokens x D bfloat16; for the time of the call one sequence's states
 * and logits. */
nb_status nb_curvature_create(const nb_config *c, const nb_weights *w, const nb_curvature_opts *o, nb_curvature **out,
                              nb_err *err);
void nb_curvature_free(nb_curvature *c);

/* How the outputs of a matrix go together. */
typedef struct nb_gradients {
  float *G;    /* (N, N) the sum of g g^T: the lower triangle (and some of what is above it); or NULL */
  double keep; /* how far what is off the diagonal is to be trusted, 0 to 1: the factor by which it comes closest to
                * that of other tokens, as the sums over every other sequence tell of those over the rest; 0.8 where
                * there is one sequence only */
} nb_gradients;

/* The gradients (per_layer) of a layer, in any basis that leaves the states as they are; each G is released with
 * nb_free. x (at least n_seqs, seq_len, D): the states before the layer. On failure all are NULL. */
nb_status nb_curvature_layer(nb_curvature *c, const nb_layer *l, const float *x, nb_gradients *G, nb_err *err);

/* w (n_seqs * seq_len), of mean 1: how much each token's inputs count at a site. Where gradients and inputs of a token
 * are large together, the product of their means falls short (GuidedQuant, arXiv 2505.07004); taking them apart all the
 * same, H is the mean of w x x^T, w being the size of the token's gradient, of the site's matrices alike. (Its square,
 * which the loss has, is ruled by too few tokens.) */
void nb_curvature_weights(const nb_curvature *c, size_t layer, size_t site, float *w);

#endif
