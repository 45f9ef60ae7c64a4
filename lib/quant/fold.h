/* SPDX-License-Identifier: MIT */
/* Changes of a layer's inner basis that its outputs do not see, but its rounding does. All of them are folded into
 * norms and matrices, so that inference pays nothing.
 *
 *  - Scales (AWQ, arXiv 2306.00978): the inputs of a site are divided by s, the columns of its matrices multiplied by
 *    it. The division goes into what makes the inputs: attn_norm for q, k, v; ffn_norm for gate, up; the rows of v for
 *    o (with grouped queries, the heads of a group share them); the rows of up for down. s is the root mean square of
 *    the inputs to a power, and the power is the one of a small grid that loses least once rows are quantized.
 *  - A rotation of every value head (as QuaRot's and SpinQuant's, arXiv 2404.00456 and 2405.16406): the rows of v by an
 *    orthogonal matrix, the columns of o by its transpose. */
#ifndef NB_FOLD_H
#define NB_FOLD_H

#include "quant/gptq.h"
#include "model/model.h"

/* A copy of a layer in floats. */
typedef struct nb_fold {
  nb_layer layer;
  double power[NB_TAPS]; /* the power of each site's scales; 0: as it was */
  float *own;
} nb_fold;

/* Copies a layer of any form. Ends with nb_fold_free. */
nb_status nb_fold_create(const nb_config *c, const nb_layer *layer, nb_fold *out, nb_err *err);
void nb_fold_free(nb_fold *f);

/* Rotates the value heads. */
nb_status nb_fold_rotate(const nb_config *c, nb_fold *f, nb_err *err);

/* Chooses and folds the scales of all four sites. H[site] (K, K): sums of outer products of the inputs of the layer as
 * it is now (the lower triangle counts), taken over and set to NULL.
 * fmt[NB_SLOTS]: how the slices will be coded. */
nb_status nb_fold_scale(const nb_kernels *kernels, const nb_config *c, nb_fold *f, float *H[NB_TAPS],
                        const nb_qfmt *fmt, int threads, nb_err *err);

/* The channel that makes input k of a site: query heads of a group share their value head's. */
size_t nb_fold_channel(const nb_config *c, int site, size_t k);

/* An orthogonal matrix (n, n), row-major: a Hadamard matrix of the power of two in n, times a cosine transform of the
 * odd rest. */
void nb_fold_orthogonal(size_t n, double *out);

#endif
