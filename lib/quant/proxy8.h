/* SPDX-License-Identifier: MIT */
/* A layer rounded plainly to 8 bits and marked fine: passes over calibration text at the speed of the int8 kernels. The
 * weights' rounding (0.4 % of a group's largest weight at most) is the same in all passes; that of the inputs, which is
 * not, is kept far below what the passes are to tell apart. (With int8 inputs its noise is as large as the effect of
 * rounding a matrix that matters little.) A session that is not fine rounds them to int8 all the same. */
#ifndef NB_PROXY8_H
#define NB_PROXY8_H

#include "quant/coded.h"

typedef struct nb_proxy8 {
  nb_layer layer;  /* the matrices coded, the vectors those of the layer it was made from */
  nb_linear *w;    /* (n) the layer's matrices, owned */
  nb_coded *coded; /* (n) owned */
  size_t n;
} nb_proxy8;

/* Rounds one dense matrix (one that is coded already stays as it is). what names it in messages. NB_ERR_NUMERIC names a
 * weight that is not finite. Ends with nb_coded_free. */
nb_status nb_proxy8_matrix(const nb_linear *full, int threads, const char *what, nb_coded *out, nb_err *err);

/* Rounds a layer. nb_proxy8_free releases (also after a failure). */
nb_status nb_proxy8_layer(const nb_parts *parts, const nb_layer *full, int threads, nb_proxy8 *out, nb_err *err);
void nb_proxy8_free(nb_proxy8 *e);

#endif
