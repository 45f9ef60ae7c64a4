/* SPDX-License-Identifier: MIT */
/* Rounding to trellis codes (qmat.h): the best path for the 16 rows of a tile at one input. Rows are what a path runs
 * over, not inputs, since the rows of a column are rounded at once wherever columns wait for each other (gptq.h), so
 * that nothing has to be guessed. */
#ifndef NB_TRELLIS_H
#define NB_TRELLIS_H

#include "quant/quant.h"

/* One input of the rows of a tile: row r may become step[r] * value[level], which costs the square of what is then
 * missing to x[r], in steps: so every row fares as it would among its like, whatever the sizes of the others, which say
 * nothing of how much a row matters. */
typedef struct nb_trellis_column {
  unsigned rows; /* the others cost nothing, and their codes have 0 as the lowest bit: they need not be kept */
  float x[NB_TILE], step[NB_TILE];
} nb_trellis_column;

/* The levels that cost least together, of a grid of trellis codes: exactly (Viterbi's algorithm, from each of the four
 * states to itself), but that within the levels that a state allows a row takes the one nearest to x / step as
 * nb_grid_nearest has it. */
void nb_trellis_round(const nb_grid *g, const nb_trellis_column *c, uint8_t level[NB_TILE]);

/* nb_gptq_fit_table for trellis codes: whole tiles are sampled. */
void nb_trellis_fit_table(nb_grid *g, const float *w, size_t N, size_t K, const float *h);

#endif
