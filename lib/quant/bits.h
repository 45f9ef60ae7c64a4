/* SPDX-License-Identifier: MIT */
/* Which matrix gets how many bits: the least predicted loss that a number of bytes can buy.
 *
 * The loss of a choice is predicted as sensitivity x rounding error: the sensitivity of a matrix is the KL divergence
 * of the model's next-token distributions when that matrix alone is rounded coarsely, over the error of that rounding;
 * the rounding errors of the formats are measured on a part of its rows. Losses of different matrices are taken to add
 * up. */
#ifndef NB_BITS_H
#define NB_BITS_H

#include "quant/calib.h"

/* ---- choosing ---- */

/* One way to store one item; or, of a choice, the sums over all of them. */
typedef struct nb_bits_option {
  uint64_t bytes;
  double loss; /* infinite: not allowed */
} nb_bits_option;

/* Picks one of the m options of each of n items, option[i * m + j], so that the bytes are at most `budget` and the sum
 * of losses is small: a Lagrangian relaxation (Everett 1963), whose remainder is spent on single upgrades, the most
 * worthwhile first. NB_ERR_ARG: even the smallest is larger than the budget; *total is then its. */
nb_status nb_bits_pick(const nb_bits_option *option, size_t n, size_t m, uint64_t budget, uint8_t *pick,
                       nb_bits_option *total, nb_err *err);

/* ---- formats ---- */

enum { NB_BITS_FORMATS = 15 };
/* The formats that are considered, by rising bits: the i-th, with trellis codes where there are any, or with tables in
 * their place. */
nb_qfmt nb_bits_format(size_t i, bool trellis);

/* The relative squared error of rounding a sample of m's rows to each of the formats: error (NB_BITS_FORMATS). */
nb_status nb_bits_errors(const nb_linear *m, bool trellis, int threads, double *error, nb_err *err);

#endif
