/* SPDX-License-Identifier: MIT */
/* The inner basis in which a model's layers are written: the scales that `nibble quantize` folds into norms and
 * matrices (lib/quant/fold.h) change every weight and no output, so a comparison takes them out. */
#ifndef NB_BASIS_H
#define NB_BASIS_H

#include "model/model.h"

/* For each matrix, the factors that bring B's weights into A's basis. */
typedef struct nb_basis_factors {
  const float *row; /* (N), or NULL: 1 */
  const float *col; /* (K), or NULL: 1 */
} nb_basis_factors;

typedef struct nb_basis {
  nb_basis_factors *of; /* (n_matrices) by number */
  float *own;
} nb_basis;

/* Factors that take B's layers and head into A's basis. The columns of matrices whose inputs are normed: by the norms,
 * exactly. The rows of v and up, and with them the columns of o and down: by least squares over each row; left alone
 * when all of the models' norms are the same, for then nothing was folded. c: of both, whose matrices have the same
 * shapes. Ends with nb_basis_free. */
nb_status nb_basis_between(const nb_config *c, const nb_weights *a, const nb_weights *b, int threads, nb_basis *out,
                           nb_err *err);
void nb_basis_free(nb_basis *b);

/* Multiplies row n of B's matrix (K) by its factors. */
void nb_basis_apply(const nb_basis_factors *f, size_t n, size_t K, float *row);

#endif
