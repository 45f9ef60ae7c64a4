/* SPDX-License-Identifier: MIT */
/* Changes of a layer's inner basis that its outputs do not see, but its rounding does: scales (AWQ, arXiv 2306.00978),
 * folded into norms and matrices, so that inference pays nothing. The inputs of a site are divided by s, the columns of
 * its matrices multiplied by it. The division goes into what makes the inputs: the norm's weight and bias before q, k,
 * v, before gate, up (or the router and all experts) and before the head; the rows of v for o (with grouped queries,
 * the heads of a group share them); the rows of up for down, where the activation multiplies up as it is. s is the root
 * mean square of the inputs to a power, and the power is the one of a small grid that loses least: what the solver is
 * known to leave of the loss of plain rounding, and what the rounding of the inputs to int8 adds at run time (as
 * SmoothQuant, arXiv 2211.10438, evens them out for), which is more where few inputs are large. */
#ifndef NB_FOLD_H
#define NB_FOLD_H

#include "quant/gptq.h"
#include "model/model.h"

/* A copy of a layer in floats. */
typedef struct nb_fold {
  const nb_config *c;    /* of the model that the layer is of; must outlive the copy */
  const nb_parts *parts; /* likewise */
  nb_layer layer;
  nb_linear *w;  /* (parts.per_layer) the layer's matrices */
  double *power; /* (nb_parts_sites) the power of each site's scales; 0: as it was */
  float *own;
} nb_fold;

/* How the matrices of a layer (or the head alone) will be coded: what scales are chosen by. */
typedef struct nb_fold_forms {
  const nb_qfmt *fmt;                /* (parts.per_layer), or NULL: */
  const nb_ggml_type *const *blocks; /* (parts.per_layer) in blocks of GGUF files */
  bool coupled;                      /* rows will make good each other's errors (nb_solve_leaves) */
} nb_fold_forms;

/* The inputs of a site. */
typedef struct nb_fold_inputs {
  float *H;       /* (K, K) the sum of their outer products (the lower triangle counts), taken over */
  size_t count;   /* of so many */
  const float *x; /* (n, K) some of them, not rounded */
  size_t n;
} nb_fold_inputs;

/* Copies a layer of any form. Ends with nb_fold_free. */
nb_status nb_fold_create(const nb_config *c, const nb_parts *parts, const nb_layer *layer, nb_fold *out, nb_err *err);
void nb_fold_free(nb_fold *f);

/* Whether the inputs of a site can be scaled: something linear makes them. */
bool nb_fold_legal(const nb_config *c, size_t site);

/* Chooses and folds the scales of a site, by its inputs in the layer as it is now. */
nb_status nb_fold_scale(nb_fold *f, const nb_kernels *kernels, size_t site, const nb_fold_inputs *in,
                        const nb_fold_forms *forms, int threads, nb_err *err);

/* Chooses the scales s (K) of the head's inputs, all 1 where none lose less. */
nb_status nb_fold_head(const nb_kernels *kernels, const nb_fold_inputs *in, const nb_linear *head,
                       const nb_fold_forms *forms, int threads, float *s, nb_err *err);

/* The channel that makes input k of a site: query heads of a group share their value head's. */
size_t nb_fold_channel(const nb_config *c, size_t site, size_t k);

#endif
