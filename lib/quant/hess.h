/* SPDX-License-Identifier: MIT */
/* The second-order statistics of a linear's inputs: sums of outer products, their damping, their factor. gptq.h solves
 * with them. Needs LAPACK and BLAS: without NB_HAVE_LAPACK, nb_hess_prepare returns NB_ERR_UNSUPPORTED. */
#ifndef NB_HESS_H
#define NB_HESS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* The statistics of a linear's inputs, ready for solving. */
typedef struct nb_hess {
  size_t K;
  float *H;        /* (K, K) symmetric, damped */
  float *U;        /* (K, K) upper: H^-1 = U^T U, rows and columns in the order of visiting; or NULL */
  float *shift;    /* (K, K): alpha C H^-1, or NULL */
  size_t outputs;  /* not 0: shift is (outputs, K), W's share of it included: alpha W C H^-1 */
  float *diag;     /* (K) the importance of the inputs: the diagonal, hardly damped */
  uint32_t *order; /* (K) the input that is visited i-th */
  double damp;     /* the damping that was enough */
  size_t dead;     /* inputs that were always 0 */
} nb_hess;

/* Takes over H (K, K), a sum of outer products (the lower triangle counts; released with nb_free), and C (K, K), or W C
 * (outputs, K) when outputs is not 0, or NULL. damp: what is added to the diagonal, as a part of its mean; it is raised
 * tenfold as long as the Cholesky factorisation fails. NB_ERR_NUMERIC: H is not finite, `what` names it. */
nb_status nb_hess_prepare(float *H, float *C, size_t outputs, size_t K, double damp, double alpha, int threads,
                          const char *what, nb_hess *out, nb_err *err);
/* The same without damping, factor and shift: for solving without GPTQ. */
nb_status nb_hess_unfactored(float *H, size_t K, const char *what, nb_hess *out, nb_err *err);
void nb_hess_free(nb_hess *h);

/* H (K, K) += x^T x over the T rows of x (T, K), the lower triangle. The sums do not depend on the number of threads.
 */
void nb_hess_add(float *H, const float *x, size_t T, size_t K, int threads);
/* C (M, K) += d^T x, d (T, M) being the float model's inputs minus x (M = K), or a matrix's outputs for these. */
void nb_hess_add_cross(float *C, const float *d, size_t M, const float *x, size_t T, size_t K, int threads);

#endif
