/* SPDX-License-Identifier: MIT */
/* Calibrated rounding of one matrix: keeps the outputs W x on the calibration inputs x, not the weights.
 *
 * The loss of codes Q for a matrix W is the sum over rows of (w - q) H (w - q)^T, H = sum of x x^T over the inputs.
 *  - GPTQ (Frantar et al., arXiv 2210.17323): columns are rounded one after another, each error is made good by the
 *    columns that follow, by the rows of U, the upper Cholesky factor of H^-1. Groups are static (their scales are
 *    chosen before), columns are visited by falling diagonal of H.
 *  - Sweeps: coordinate descent on the same loss. For each group the scale moves to the grid point that loses least
 *    with the codes as they are, then each code likewise. No step can increase the loss.
 *    Where codes are of a trellis (qmat.h), the rows of a tile take their levels of a column together, in both.
 * H and U come from hess.h. */
#ifndef NB_GPTQ_H
#define NB_GPTQ_H

#include "quant/blocks.h"
#include "quant/hess.h"
#include "quant/quant.h"

typedef struct nb_gptq_opts {
  bool gptq;  /* false: plain rounding, then the sweeps */
  int sweeps; /* of coordinate descent */
  int threads;
  const char *what; /* names the matrix in messages */
} nb_gptq_opts;

/* Rows row0 .. row0 + N - 1 of a matrix, row-major: w (N, K). */
typedef struct nb_gptq_rows {
  const float *w;
  size_t row0, N;
  const float *tiles; /* G (ceil(N / 16), 16, 16), NULL: none. Where codes are of a trellis, what counts of each tile is
                       * tr(G E H E^T) */
} nb_gptq_rows;

/* Losses are sums over the rows, of rows with sums of the tiles. */
typedef struct nb_gptq_report {
  double plain, solved; /* of plain rounding, of the result */
  double zero;          /* about that of all weights being 0: by the diagonal of H alone */
  size_t fell_back;     /* rows for which plain rounding was better and was kept; of a trellis in whole tiles */
} nb_gptq_report;

/* Rounds rows to the same rows of out; row0 is a multiple of 16. *report is added to. */
nb_status nb_gptq_solve(const nb_hess *h, const nb_gptq_rows *rows, const nb_grid *g, const nb_gptq_opts *o,
                        nb_qout *out, nb_gptq_report *report, nb_err *err);

/* The same for a block type: out is the whole matrix, nb_blocks_row_bytes a row. Steps and offsets move only to what
 * the type can store. */
nb_status nb_gptq_solve_blocks(const nb_hess *h, const nb_gptq_rows *rows, const nb_blocks *b, const nb_gptq_opts *o,
                               uint8_t *out, nb_gptq_report *report, nb_err *err);

#endif
