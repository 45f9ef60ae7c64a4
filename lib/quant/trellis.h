/* SPDX-License-Identifier: MIT */
/* Rounding to trellis codes (qmat.h): the best path for the 16 rows of a tile at one input (kernels.h). Rows are what a
 * path runs over, not inputs, since the rows of a column are rounded at once wherever columns wait for each other
 * (gptq.h), so that nothing has to be guessed. */
#ifndef NB_TRELLIS_H
#define NB_TRELLIS_H

#include "quant/quant.h"

/* The ties of the first `rows` rows of a tile, A (16, 16). Symmetric and positive semidefinite, or what is not so is
 * left out. */
void nb_trellis_tie(const float *A, unsigned rows, nb_trellis_ties *out);

/* The levels that cost least together, of a grid of trellis codes (the kernel trellis_path). */
void nb_trellis_round(const nb_grid *g, const nb_trellis_column *c, uint8_t level[NB_TILE]);

#endif
