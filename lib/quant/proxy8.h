/* SPDX-License-Identifier: MIT */
/* A layer rounded plainly to 8 bits and marked fine: passes over calibration text at the speed of the int8 kernels. The
 * weights' rounding (0.4 % of a group's largest weight at most) is the same in all passes; that of the inputs, which is
 * not, is kept far below what the passes are to tell apart. (With int8 inputs its noise is as large as the effect of
 * rounding a matrix that matters little.) */
#ifndef NB_EIGHT_H
#define NB_EIGHT_H

#include "model/weights.h"

typedef struct nb_proxy8 {
  nb_layer layer;       /* the slices coded, the norms those of the layer it was made from */
  void *data[NB_SLOTS]; /* owned */
} nb_proxy8;

/* Rounds one dense matrix (one that is coded already stays as it is). *data is the caller's to nb_free. what names it
 * in messages. NB_ERR_NUMERIC names a weight that is not finite. */
nb_status nb_proxy8_matrix(const nb_linear *full, int threads, const char *what, nb_linear *out, void **data,
                           nb_err *err);

/* Rounds a layer; number is for messages. nb_proxy8_free releases (also after a failure). */
nb_status nb_proxy8_layer(const nb_layer *full, size_t number, int threads, nb_proxy8 *out, nb_err *err);
void nb_proxy8_free(nb_proxy8 *e);

#endif
