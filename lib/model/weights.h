/* SPDX-License-Identifier: MIT */
/* The weights of a decoder, whichever file they come from: dense tensors of a checkpoint or coded matrices
 * of a .nbl file. The fused matrices of Phi-3 are taken apart here (q, k, v; gate, up), so that every slice
 * can have its own format. */
#ifndef NB_WEIGHTS_H
#define NB_WEIGHTS_H

#include "model/config.h"
#include "base/qmat.h"
#include "base/tensor.h"

/* A matrix (N, K): y = W x. Borrowed from a file that must outlive it. */
typedef struct nb_linear {
  size_t N, K;
  bool coded;      /* which of the two views below holds */
  bool fine;       /* when coded: its inputs are rounded twice (nb_session_opts.fine) */
  nb_tensor dense; /* (N, K) */
  nb_qmat qmat;
} nb_linear;

/* The slices of a layer, in the order in which they are computed and stored. */
typedef enum nb_slot { NB_Q, NB_K, NB_V, NB_O, NB_GATE, NB_UP, NB_DOWN, NB_SLOTS } nb_slot;

typedef struct nb_layer {
  size_t number; /* from 0, for messages */
  nb_linear w[NB_SLOTS];
  float *attn_norm, *ffn_norm; /* (D) each, float copies */
} nb_layer;

typedef struct nb_weights {
  nb_linear embed; /* (V, D) */
  nb_linear head;  /* (V, D); the embedding again when they are tied */
  float *norm;     /* (D) the final norm */
  nb_layer *layer; /* (layers) */
  float *norms;    /* owns all the norms */
} nb_weights;

/* "q", "k", "v", "o", "gate", "up", "down" */
const char *nb_slot_name(nb_slot s);
/* Rows and inputs of a slice. */
void nb_slot_shape(const nb_config *c, nb_slot s, size_t *N, size_t *K);

/* Where weights are found by their role. layer is -1 for those outside the layers. */
typedef struct nb_weight_source {
  /* A slice of a layer. */
  nb_status (*slot)(void *ctx, const nb_config *c, size_t layer, nb_slot s, nb_linear *out, nb_err *err);
  /* The embedding or (head = true) the head; not called for the head when they are tied. */
  nb_status (*vocab)(void *ctx, const nb_config *c, bool head, nb_linear *out, nb_err *err);
  /* A norm: which = 0 the layer's input norm, 1 its post-attention norm, 2 the final norm (layer ignored). */
  nb_status (*norm)(void *ctx, const nb_config *c, size_t layer, int which, nb_tensor *out, nb_err *err);
  void *ctx;
} nb_weight_source;

/* Finds every weight and checks its shape against the configuration. Nothing of the matrices is copied; the
 * norms are (as float). NB_ERR_NUMERIC names a norm that is NaN or infinite. On failure *out is empty.
 * nb_weights_free releases. */
nb_status nb_weights_bind(const nb_config *c, const nb_weight_source *src, nb_weights *out, nb_err *err);
void nb_weights_free(nb_weights *w);

/* One layer alone (the quantizer streams them); norms points to 2 D floats that the caller owns. */
nb_status nb_weights_bind_layer(const nb_config *c, const nb_weight_source *src, size_t layer, float *norms,
                                nb_layer *out, nb_err *err);

/* The role-based source over a checkpoint's named tensors (phi3.c holds the names). *src borrows *tensors. */
void nb_phi3_source(const nb_tensor_source *tensors, nb_weight_source *src);
/* Whether that source uses a tensor of this name, or may leave it out: a head that is tied, rotary frequencies. */
bool nb_phi3_knows(const nb_config *c, const char *name);

/* A dense matrix's rows [row0, row0 + n) as another view. */
nb_linear nb_linear_dense(const nb_tensor *t);
/* Row n as floats, dense or coded: out (K). */
void nb_linear_row(const nb_linear *w, size_t n, float *out);
/* n elements of a dense tensor from element `first` on, as floats. */
void nb_tensor_floats(const nb_tensor *t, size_t first, size_t n, float *out);

#endif
