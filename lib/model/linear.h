/* SPDX-License-Identifier: MIT */
/* Matrix products spread over threads. */
#ifndef NB_LINEAR_H
#define NB_LINEAR_H

#include "kernels/kernels.h"
#include "model/weights.h"

/* One product of a group: y (T, N) = x W^T, ldy floats from one row to the next. */
typedef struct nb_product {
  const nb_linear *w;
  float *y;
  size_t ldy;
} nb_product;

/* Runs several products of the same inputs as one parallel section. scratch: `threads` pieces of scratch_bytes. */
void nb_linear_run(const nb_kernels *k, int threads, const nb_product *product, size_t n, const nb_rows *x,
                   uint8_t *scratch, size_t scratch_bytes);

#endif
