/* SPDX-License-Identifier: MIT */
/* Which matrix gets how many bits: the least predicted loss that a number of bytes can buy.
 *
 * The loss of a choice is predicted as sensitivity x rounding error: the sensitivity of a matrix is the KL divergence
 * of the model's next-token distributions when that matrix alone is rounded coarsely, over the error of that rounding;
 * the rounding errors of the formats are measured on a part of its rows. Losses of different matrices are taken to add
 * up. */
#ifndef NB_ALLOC_H
#define NB_ALLOC_H

#include "calib.h"

/* ---- choosing ---- */

/* One way to store one item. */
typedef struct nb_alloc_option {
  uint64_t bytes;
  double loss; /* infinite: not allowed */
} nb_alloc_option;

/* Picks one of the m options of each of n items, option[i * m + j], so that the bytes are at most `budget` and the sum
 * of losses is small: a Lagrangian relaxation (Everett 1963), whose remainder is spent on single upgrades, the most
 * worthwhile first. NB_ERR_ARG: even the smallest is larger than the budget; *bytes is then that size. */
nb_status nb_alloc_pick(const nb_alloc_option *option, size_t n, size_t m, uint64_t budget, uint8_t *pick,
                        uint64_t *bytes, double *loss, nb_err *err);

/* ---- formats ---- */

enum { NB_ALLOC_FORMATS = 15 };
/* The formats that are considered, by rising bits. */
extern const nb_qfmt nb_alloc_formats[NB_ALLOC_FORMATS];

/* ---- sensitivities ---- */

typedef struct nb_sens_opts {
  const int32_t *tokens; /* (n_seqs, seq_len) */
  size_t n_seqs, seq_len;
  size_t max_layers; /* layers that are probed; the others' sensitivities are interpolated. 0: all */
  int threads;
  unsigned cpu_features;
  const nb_progress *progress; /* in layers that a probe passes; may be NULL */
} nb_sens_opts;

/* kl[i]: the mean KL divergence, in nats, when item i alone is rounded to nb_sens_probe; error[i]: the relative squared
 * error of that rounding. All runs are of the model at 8 bits (eight.h). Items: (layers * NB_SLOTS) slices, then the
 * embedding, then the head (or 0 when tied). */
nb_status nb_sens_measure(const nb_config *c, const nb_weights *w, const nb_sens_opts *o, double *kl, double *error,
                          nb_err *err);
extern const nb_qfmt nb_sens_probe;

/* The relative squared error of rounding a sample of m's rows to each of the formats: error (NB_ALLOC_FORMATS). */
nb_status nb_alloc_errors(const nb_linear *m, int threads, double *error, nb_err *err);

#endif
