/* SPDX-License-Identifier: MIT */
/* The second-order statistics of a linear's inputs: sums of outer products, their damping, their factor. gptq.h solves
 * with them. All products are the kernels' (kernels.h): the same bits for any instruction set and number of threads. */
#ifndef NB_HESS_H
#define NB_HESS_H

#include "kernels/kernels.h"

#include <stddef.h>
#include <stdint.h>

/* Inputs as the sums take them: 13-bit integers with a scale for each input and 128 tokens, so that their products are
 * summed exactly in integers, at more than the speed of floats. H is then the exact sum (but for the addition of one
 * float a block of tokens) of inputs that each differ from the real ones by at most 1 / 8190 of the largest among these
 * tokens (by all of it below NB_GRAM_LEAST): it stays positive semidefinite, and an entry H[i][k] moves by some 1e-5 of
 * sqrt(H[i][i] H[k][k]), 1e-4 where one token is larger than all others together. Drawing other tokens moves it by
 * 1 / sqrt(tokens). */
typedef struct nb_rounded {
  size_t T, K; /* of what was rounded last */
  size_t T_max, K_max;
  int16_t *z; /* as nb_gram has them */
  float *scale;
} nb_rounded;

nb_status nb_rounded_create(size_t T_max, size_t K_max, nb_rounded *r, nb_err *err);
void nb_rounded_free(nb_rounded *r);
/* Rounds x (T, K), T and K at most what r was created for. */
void nb_rounded_take(nb_rounded *r, const nb_kernels *k, const float *x, size_t T, size_t K, int threads);

/* H (K, K) += x^T x over the tokens of x, the lower triangle (and some of what is above it). */
void nb_hess_add(const nb_kernels *k, float *H, const nb_rounded *x, int threads);

/* The statistics of a linear's inputs, ready for solving. */
typedef struct nb_hess {
  nb_kernels k; /* that solving uses too */
  size_t K;
  float *H;        /* (K, K) symmetric, damped */
  float *U;        /* (K, K) upper: H^-1 = U^T U, rows and columns in the order of visiting; or NULL */
  float *diag;     /* (K) the importance of the inputs: the diagonal, hardly damped */
  uint32_t *order; /* (K) the input that is visited i-th */
  double damp;     /* the damping that was enough */
  size_t dead;     /* inputs that were always 0 */
} nb_hess;

typedef struct nb_hess_opts {
  double damp; /* what is added to the diagonal, as a part of its mean */
  int threads;
  const char *what; /* names the statistics in messages */
} nb_hess_opts;

/* Takes over H (K, K), to be released with nb_free: the sum over tokens of outer products of the inputs (the lower
 * triangle counts). The damping is raised tenfold as long as the Cholesky factorization fails. NB_ERR_NUMERIC: H is not
 * finite, or cannot be factored. */
nb_status nb_hess_prepare(const nb_kernels *k, float *H, size_t K, const nb_hess_opts *o, nb_hess *out, nb_err *err);
/* The same without damping and factor: for solving without GPTQ. */
nb_status nb_hess_unfactored(const nb_kernels *k, float *H, size_t K, const char *what, nb_hess *out, nb_err *err);
void nb_hess_free(nb_hess *h);

#endif
