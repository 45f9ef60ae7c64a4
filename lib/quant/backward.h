/* SPDX-License-Identifier: MIT */
/* Gradients through a model: for tuning what is cheap to change in a coded one, the norms and a factor on each row of
 * each matrix (in place of its row scale), and for the curvature of the loss (curvature.h). Rounding of inputs to int8
 * counts as the identity on the way back (the straight-through estimator, arXiv 1308.3432); everything else is exact.
 * One sequence at a time. */
#ifndef NB_BACKWARD_H
#define NB_BACKWARD_H

#include "model/model.h"

/* Where a layer's gradients are added: with respect to the norms (D) and to a factor on each row (N), at factor 1. row:
 * by the matrices' places in the layer. Each may be NULL: not wanted. */
typedef struct nb_layer_grad {
  float *attn_norm, *ffn_norm;
  float **row;
  /* Sees the gradient with respect to the outputs (T, N) of matrix i of the layer, ld floats from one token to the
   * next. */
  void (*outputs)(void *ctx, size_t i, const float *dy, size_t N, size_t ld);
  void *ctx;
} nb_layer_grad;

/* Where the head's gradients go. */
typedef struct nb_head_grad {
  float *x;    /* (T, D) with respect to the states before the final norm: is written */
  float *norm; /* (D) with respect to the norm: is added to, unless NULL */
} nb_head_grad;

/* Whether gradients of such a model are known: RMS norms, a sequential block with SiLU and a gate, neither biases nor
 * experts nor soft caps. NB_ERR_UNSUPPORTED names the architecture otherwise. */
nb_status nb_backward_supports(const nb_config *c, nb_err *err);

typedef struct nb_backward nb_backward;

/* Workspace for sequences of T tokens of a model that is supported. */
nb_status nb_backward_create(const nb_config *c, size_t T, int threads, unsigned cpu_features, nb_backward **out,
                             nb_err *err);
void nb_backward_free(nb_backward *b);

/* x (T, D): the states before the layer, of a sequence from position 0. dy (T, D): the loss's gradient with respect to
 * the states behind it; becomes that before it. */
nb_status nb_backward_layer(nb_backward *b, const nb_layer *l, const float *x, float *dy, nb_layer_grad *g,
                            nb_err *err);

/* Gradients within a layer, each the workspace's until it is used again, begin with what the layer computes up to its
 * attention from x (T, D), the states before it. */
void nb_backward_enter(nb_backward *b, const nb_layer *l, const float *x);

/* Of the layer that was entered: those with respect to the outputs of q, k and v, side by side: (T, *ld). dy (T, D):
 * the gradient with respect to o's outputs. */
const float *nb_backward_qkv(nb_backward *b, const nb_layer *l, const float *dy, size_t *ld);

/* Likewise those with respect to the outputs of gate and up, (T, ffn) each. dy (T, D): the gradient with respect to the
 * states behind the layer. */
void nb_backward_gate_up(nb_backward *b, const nb_layer *l, const float *x, const float *dy, const float **gate,
                         const float **up);

/* x (T, D): the states before the final norm. dlogits (T, V): the gradient with respect to the logits. */
nb_status nb_backward_head(nb_backward *b, const float *norm, const nb_linear *head, const float *x,
                           const float *dlogits, const nb_head_grad *g, nb_err *err);

#endif
