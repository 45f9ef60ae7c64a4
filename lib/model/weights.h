/* SPDX-License-Identifier: MIT */
/* The weights of a decoder, whichever file they come from: dense tensors of a checkpoint or coded matrices of a .nbl
 * file. Tensors that hold several matrices are taken apart here, so that every matrix can have its own format. */
#ifndef NB_WEIGHTS_H
#define NB_WEIGHTS_H

#include "base/qmat.h"
#include "base/tensor.h"
#include "model/arch.h"
#include "model/config.h"
#include "model/parts.h"

/* A matrix (N, K): y = W x. Borrowed from a file that must outlive it. */
typedef struct nb_linear {
  size_t N, K;
  bool coded;      /* which of the two views below holds */
  bool fine;       /* when coded: its inputs are rounded twice (nb_session_opts.fine) */
  nb_tensor dense; /* the stored tensor from this matrix's first row on: row n is its row n / run * stride + n % run */
  size_t run, stride;
  nb_qmat qmat;
} nb_linear;

/* A layer: its matrices and vectors by role. Where a configuration has no such part, a vector is NULL. */
typedef struct nb_layer {
  size_t number;              /* from 0, for messages */
  nb_linear *w;               /* (parts.per_layer) in the order of the list of parts */
  const float *vec[NB_ROLES]; /* norms and biases as floats, by role */
} nb_layer;

typedef struct nb_weights {
  nb_parts parts;             /* which matrices there are, and their numbers */
  nb_linear *w;               /* (parts.n_matrices) by number; the layers' point into it */
  nb_layer *layer;            /* (layers) */
  const float *vec[NB_ROLES]; /* of the vectors outside the layers */
  float *vectors;             /* owns all vectors, in the order of the parts */
} nb_weights;

/* The number within its layer of a layer's matrix; expert 0 where there is only one feed-forward block. */
size_t nb_layer_index(const nb_config *c, nb_role role, size_t expert);
/* That matrix. */
static inline nb_linear *nb_layer_matrix(const nb_config *c, const nb_layer *l, nb_role role, size_t expert) {
  return &l->w[nb_layer_index(c, role, expert)];
}

/* The embedding, and the head (the embedding again when they are tied). */
static inline const nb_linear *nb_weights_embed(const nb_weights *w) { return &w->w[w->parts.embed]; }
static inline const nb_linear *nb_weights_head(const nb_weights *w) { return &w->w[w->parts.head]; }

/* Where the parts of a model are found. */
typedef struct nb_weight_source {
  /* Part i of the list, a matrix. */
  nb_status (*matrix)(void *ctx, const nb_config *c, const nb_part *p, size_t i, nb_linear *out, nb_err *err);
  /* Part i, a vector: its K elements as floats. */
  nb_status (*vector)(void *ctx, const nb_config *c, const nb_part *p, size_t i, float *out, nb_err *err);
  void *ctx;
} nb_weight_source;

/* Finds every part and checks its shape against the configuration. Nothing of the matrices is copied; the vectors are
 * (as float). NB_ERR_NUMERIC names a vector that is NaN or infinite. On failure *out is empty. nb_weights_free
 * releases. */
nb_status nb_weights_bind(const nb_config *c, const nb_weight_source *src, nb_weights *out, nb_err *err);
void nb_weights_free(nb_weights *w);

/* A copy of a layer that shares its matrices' data and its vectors, but whose matrices can be exchanged: w
 * (parts.per_layer) is the caller's. */
void nb_layer_copy(const nb_parts *parts, const nb_layer *from, nb_linear *w, nb_layer *out);

/* ---- a checkpoint's named tensors ---- */

/* The source over them; *tensors and *src live as long as what is bound. */
typedef struct nb_named_source {
  const nb_arch *arch;
  const nb_tensor_source *tensors;
} nb_named_source;
void nb_weights_named(const nb_named_source *named, nb_weight_source *src);

/* Finds the stored tensor that a part is in (whole), and its rows in it. */
nb_status nb_weights_find(const nb_named_source *named, const nb_config *c, const nb_part *p, nb_tensor *out,
                          nb_row_map *rows, nb_err *err);

/* ---- matrices ---- */

/* A dense matrix as it lies. */
nb_linear nb_linear_dense(const nb_tensor *t);
/* Row n as floats, dense or coded: out (K). */
void nb_linear_row(const nb_linear *w, size_t n, float *out);
/* The stored bytes of row n of a dense matrix: K elements. */
const void *nb_linear_dense_row(const nb_linear *w, size_t n);
/* n elements of a dense tensor from element `first` on, whole blocks of it, as floats. */
void nb_tensor_floats(const nb_tensor *t, size_t first, size_t n, float *out);

#endif
