/* SPDX-License-Identifier: MIT */
/* How much the model's predictions suffer when one matrix alone is rounded coarsely: what bits.h chooses by. */
#ifndef NB_SENS_H
#define NB_SENS_H

#include "quant/walk.h"

typedef struct nb_sens_opts {
  nb_walk_opts walk; /* the text, and how it is run */
  size_t max_layers; /* layers that are probed; the others' sensitivities are interpolated. 0: all */
} nb_sens_opts;

/* kl[i]: the mean KL divergence, in nats, when matrix i alone is rounded to nb_sens_probe; error[i]: the relative
 * squared error of that rounding. All runs are of the model at 8 bits (proxy8.h). kl, error (parts.n_matrices) by
 * number. */
nb_status nb_sens_measure(const nb_config *c, const nb_weights *w, const nb_sens_opts *o, double *kl, double *error,
                          nb_err *err);
extern const nb_qfmt nb_sens_probe;

#endif
