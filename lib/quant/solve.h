/* SPDX-License-Identifier: MIT */
/* One matrix of a calibrated run, rows at a time: from dense weights and statistics to a coded form. Of calib.c. */
#ifndef NB_SOLVE_H
#define NB_SOLVE_H

#include "quant/calib.h"
#include "quant/coded.h"
#include "quant/coupling.h"

/* What is common to a run. */
typedef struct nb_solve {
  const nb_calib_opts *o;
  uint64_t done, total; /* weights */
  const char *what;     /* the matrix, for messages */
  nb_row_sums G;        /* of the matrix at hand. The caller's to free; what is used up is NULL afterwards */
  const nb_matmul *mul; /* with G */
  const float *columns; /* (K) factors of the matrix's columns (fold.h), or NULL: 1 */
} nb_solve;

/* What solving leaves of the loss of plain rounding: as it was measured by role (docs/quantization.md). down's inputs
 * go hand in hand less than others', so that there is less to make good. coupled: and what rows that make good each
 * other's errors leave of that. */
double nb_solve_leaves(nb_role role, bool coupled);

/* n more weights are done. NB_ERR_INTERRUPTED: the run is to stop. */
nb_status nb_solve_advance(nb_solve *s, uint64_t n, nb_err *err);

/* Rounds a dense matrix by the statistics into coded, which has room for the format; fills q's losses. */
nb_status nb_solve_matrix(nb_solve *s, const nb_hess *h, const nb_linear *m, nb_qfmt fmt, nb_coded *coded,
                          nb_quantized *q, nb_err *err);

/* Rounds a dense matrix to blocks, coded being empty. q->few, or a type that the solver does not know: weight by
 * weight.
 */
nb_status nb_solve_blocks(nb_solve *s, const nb_hess *h, const nb_linear *m, const nb_ggml_type *type, nb_coded *coded,
                          nb_quantized *q, nb_err *err);

#endif
