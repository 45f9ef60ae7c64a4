/* SPDX-License-Identifier: MIT */
/* Triangular factors of float matrices, by halves: nearly all work is the kernels' gemm, whose bits depend on nothing
 * but the numbers, so that the results do not depend on the instruction set, the number of threads or a library. Leaves
 * of 16 are done one by one in double precision. Matrices are row-major; lower triangles only are read and written. */
#ifndef NB_CHOLESKY_H
#define NB_CHOLESKY_H

#include "quant/matmul.h"

/* The lower triangle of A (n, n), rows ld apart, becomes L with A = L L^T. False when A is not positive definite. */
bool nb_cholesky_factor(const nb_matmul *mul, float *A, size_t n, size_t ld);

/* B (m, n), rows ldb apart, becomes X with X L^T = B, for the lower L (n, n). */
void nb_cholesky_solve(const nb_matmul *mul, const float *L, size_t n, size_t ld, float *B, size_t m, size_t ldb);

/* X (n, n), zeros before, becomes the inverse of L, lower as well. Both have rows n apart. */
void nb_cholesky_invert(const nb_matmul *mul, const float *L, size_t n, float *X);

#endif
