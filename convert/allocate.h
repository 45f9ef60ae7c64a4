/* SPDX-License-Identifier: MIT */
/* Spends a budget of bytes: chooses the formats of a nb_quantize_job. */
#ifndef NB_ALLOCATE_H
#define NB_ALLOCATE_H

#include "convert/quantize.h"

typedef struct nb_allocate_opts {
  uint64_t budget;   /* bytes of the whole file */
  double linear_bpw; /* instead, when not 0: stored bits a weight of the layers' free matrices; the
                      * embedding and the head are then fixed */
  bool *fixed;       /* (n_matrices) j->formats says what these are */
  bool trellis;      /* as nb_bits_format has it */
  size_t probe_tokens, probe_layers;
  bool measured;               /* j->choice has its probe_kl and probe_error already */
  const nb_progress *progress; /* of nb_allocate_measure; may be NULL */
  const nb_reporter *reporter; /* of nb_allocate_formats; may be NULL */
} nb_allocate_opts;

/* Fills the probe_kl and probe_error of j->choice. Of o, the numbers of probes and progress count. */
nb_status nb_allocate_measure(nb_quantize_job *j, const nb_allocate_opts *o, nb_err *err);

/* Whether the budget can be met at all, before any work; changes the formats that are free. */
nb_status nb_allocate_check(nb_quantize_job *j, const nb_allocate_opts *o, nb_err *err);

/* Fills j->formats and j->choice: by sensitivities, read in several ways, which are tried on tokens that no sensitivity
 * was measured on (trial.h). NB_ERR_ARG names the smallest possible size when the budget is below it. *predicted:
 * the sum of the predicted KL divergences. */
nb_status nb_allocate_formats(nb_quantize_job *j, const nb_allocate_opts *o, double *predicted, nb_err *err);

/* Text "1.8GiB", "1932735283", or "4.05bpw" of the whole file, as bytes. */
nb_status nb_allocate_parse(const char *text, const nb_parts *parts, uint64_t *bytes, nb_err *err);

#endif
