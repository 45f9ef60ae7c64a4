/* SPDX-License-Identifier: MIT */
/* Weights that are rounded already. Matrices that other tools quantized symmetrically are, group by group, whole
 * multiples of a step, but for the rounding to 16 bits of what was stored. Where a uniform format has as many codes and
 * the same groups, it keeps every code: nothing is lost but what the step's own rounding costs, and not even that where
 * int8 times bfloat16 gives the steps of a row exactly. */
#ifndef NB_LATTICE_H
#define NB_LATTICE_H

#include "quant/quant.h"

/* The step (negative where only that gives codes in range) of which w (n) are multiples by g's codes, g uniform: a
 * number of the type that the weights are stored in, as the scales of such matrices are, and each product rounded to
 * the type is the weight. 0: there is none. Weights that are all 0 have no step. */
float nb_lattice_step(const nb_grid *g, nb_dtype type, const float *w, size_t n);

/* Scales of a row for its groups' steps s (n_groups; 0: a group without weights), as nb_quant_round_scales writes them:
 * exact ones when there are any, else those of the least squared error. */
void nb_lattice_scales(const float *s, size_t n_groups, int8_t *scale, uint16_t *row_scale);

#endif
