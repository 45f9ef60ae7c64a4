/* SPDX-License-Identifier: MIT */
/* Matrix products spread over threads. */
#ifndef NB_LINEAR_H
#define NB_LINEAR_H

#include "kernels/kernels.h"
#include "model/weights.h"

/* The inputs of linears: T rows as floats and, when any of the matrices is coded, as int8. */
typedef struct nb_rows {
  const float *x; /* (T, K), ldx floats from one row to the next */
  size_t T, ldx;
  const nb_q8 *q; /* the same rows quantized; NULL when no matrix is coded */
} nb_rows;

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
