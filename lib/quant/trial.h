/* SPDX-License-Identifier: MIT */
/* Several choices of formats tried on one text: how far the model's predictions would move, were all matrices coded so.
 * A sensitivity says what one matrix does alone; this says what they do together, of a few choices. */
#ifndef NB_TRIAL_H
#define NB_TRIAL_H

#include "base/qmat.h"
#include "quant/walk.h"

typedef struct nb_trial_opts {
  nb_walk_opts walk;
  const nb_qfmt *formats; /* (n, n_matrices) by number; bits 0: left as it is */
  size_t n;               /* choices */
  const double *leaves;   /* (n_matrices) the part of plain rounding's squared error that solving leaves, 0 to 1 */
} nb_trial_opts;

/* kl (n, n_seqs): the mean KL divergence, in nats, of each sequence. Rounding errors are those of plain rounding times
 * the root of what solving leaves; all else is the model at 8 bits (proxy8.h). */
nb_status nb_trial_run(const nb_config *c, const nb_weights *w, const nb_trial_opts *o, double *kl, nb_err *err);

/* Which of n choices to take, by kl (n, n_seqs): the first, or the one whose divergences are least to the first's, on
 * the geometric mean over the sequences, where that is below 1 by more than two standard errors of its logarithm. */
size_t nb_trial_best(const double *kl, size_t n, size_t n_seqs);

#endif
