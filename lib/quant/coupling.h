/* SPDX-License-Identifier: MIT */
/* How the rows of a matrix go together when it is rounded. Where the loss of errors E (N, K) is tr(G E H E^T), G not
 * diagonal, what rows have lost can partly be made good by the rows that follow. With G = M^T D M, M lower with ones on
 * its diagonal, the loss is the sum over rows i of D[i][i] (e H e^T), e = E[i] + the sum over j < i of M[i][j] E[j]:
 * row i is solved as if alone, for a target that is moved by that sum. (GPTQ does the same for columns, by H; YAQA,
 * arXiv 2505.22988, for both.) Here rows are solved in blocks, M and D being made of blocks too: D's own are taken as
 * diagonal.
 */
#ifndef NB_COUPLING_H
#define NB_COUPLING_H

#include "quant/matmul.h"

/* Sums of g g^T over the gradients g of a matrix's outputs: of all its rows, or of those of each tile of 16 alone. Both
 * NULL: none are known. */
typedef struct nb_row_sums {
  float *all;   /* (N, N): the lower triangle counts */
  float *tiles; /* (ceil(N / 16), 16, 16); rows that are not there 0 */
} nb_row_sums;
void nb_row_sums_free(nb_row_sums *s);

/* Sums are of few tokens: what is off the diagonal is trusted less (times 0.8), and the diagonal is damped by 0.02 of
 * its mean. Of tiles here, of all rows below. NB_ERR_NUMERIC names the matrix (`what`): they are not finite. */
nb_status nb_row_sums_trust_tiles(nb_row_sums *s, size_t N, const char *what, nb_err *err);

typedef struct nb_coupling {
  size_t N, block; /* rows; how many are solved together, a multiple of 16 */
  uint32_t *order; /* (N) the row that is solved i-th. Rows that lie close to each other (a head's) go together most,
                    * and come into different blocks. Whole runs of `run` rows, when so created. */
  float *U;        /* (N, N) of the rows in this order: G = U U^T, U upper, stored transposed */
} nb_coupling;

/* Takes the sums G (N, N; the lower triangle counts) over, and trusts them as above. NB_ERR_NUMERIC: G is not finite.
 * run: 1, or 16 where the rows of a tile have to stay together. */
nb_status nb_coupling_create(const nb_matmul *mul, float *G, size_t N, size_t run, const char *what, nb_coupling *out,
                             nb_err *err);
void nb_coupling_free(nb_coupling *c);

/* out (rows, K) = what the targets of the rows [row0, row0 + rows), one block in the order of solving, move by. E
 * (row0, K): of all rows before them, the weights (not the moved targets) minus what became of these. */
void nb_coupling_move(const nb_coupling *c, const nb_matmul *mul, const float *E, size_t K, size_t row0, size_t rows,
                      float *out);

/* A (ceil(rows / 16), 16, 16) = how the rows of each tile of a block go together when all before them are solved and
 * all behind make good. */
void nb_coupling_tiles(const nb_coupling *c, size_t row0, size_t rows, float *A);

#endif
