/* SPDX-License-Identifier: MIT */
/* Tables of values, fitted to a matrix. */
#ifndef NB_FIT_TABLE_H
#define NB_FIT_TABLE_H

#include "quant/quant.h"

/* Replaces g's table, from which it starts, by one for w (N, K) in units of its groups' steps, an error at input k
 * weighed by h[k] (NULL: all alike): Lloyd and Max's on a sample of rows; of a trellis by the levels that paths through
 * a sample of tiles take. The same for any number of threads. */
nb_status nb_fit_table(nb_grid *g, const float *w, size_t N, size_t K, const float *h, int threads, nb_err *err);

#endif
