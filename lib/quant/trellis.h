/* SPDX-License-Identifier: MIT */
/* Rounding to trellis codes (qmat.h): the best path for the 16 rows of a tile at one input. Rows are what a path runs
 * over, not inputs, since the rows of a column are rounded at once wherever columns wait for each other (gptq.h), so
 * that nothing has to be guessed. */
#ifndef NB_TRELLIS_H
#define NB_TRELLIS_H

#include "quant/quant.h"

/* How the rows of a tile go together: errors f of theirs lose f A f^T. */
typedef struct nb_trellis_ties {
  float sums[NB_TILE][NB_TILE]; /* A, by row; 0 for rows that are not there */
  /* The same as a path meets it: A = mix^T diag(weight) mix, so that what is lost is a sum over the rows of the ring
   * (qmat.h), of each by what it and those before it have lost. mix has ones on its diagonal, and 0 above it. */
  float mix[NB_TILE][NB_TILE];
  float weight[NB_TILE];
} nb_trellis_ties;

/* The ties of the first `rows` rows of a tile, A (16, 16). Symmetric and positive semidefinite, or what is not so is
 * left out. */
void nb_trellis_tie(const float *A, unsigned rows, nb_trellis_ties *out);

/* One input of the rows of a tile: row r may become step[r] * value[level], and what is then missing to x[r] is its
 * error. */
typedef struct nb_trellis_column {
  unsigned rows; /* the others cost nothing, and their codes have 0 as the lowest bit: they need not be kept */
  float x[NB_TILE], step[NB_TILE];
  const nb_trellis_ties *ties; /* what errors cost. NULL: the square of each in steps, so that every row fares as it
                                * would among its like, whatever the sizes of the others, which say nothing of how much
                                * a row matters */
} nb_trellis_column;

/* The levels that cost least together, of a grid of trellis codes. Without ties exactly (Viterbi's algorithm, from each
 * of the four states to itself), but that within the levels that a state allows a row takes the one nearest to its
 * target as nb_grid_nearest has it. Of rows that are tied, what a row had better be depends on the whole path before
 * it: here on the best one to each state from each start (per-survivor processing: Raheli, Polydoros and Tzou 1995). */
void nb_trellis_round(const nb_grid *g, const nb_trellis_column *c, uint8_t level[NB_TILE]);

#endif
