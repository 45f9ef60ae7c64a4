/* SPDX-License-Identifier: MIT */
/* What `nibble calibrate` measures on a model and a text, kept for any number of `nibble quantize` and `nibble diff`
 * (CALIBRATION.md). */
#ifndef NB_CALFILE_H
#define NB_CALFILE_H

#include "base/status.h"

#include <cJSON.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nb_calfile {
  cJSON *meta; /* nibble, sources, calibration, probe */
  size_t n_seqs, seq;
  int32_t *tokens; /* (n_seqs, seq) none negative */
  size_t n_matrices;
  double *probe_kl, *probe_error; /* (n_matrices) as nb_sens_measure gives them; finite, errors not negative */
  size_t n_inputs;
  float *importance; /* (n_inputs) as nb_importance_measure gives them; finite, not negative */
} nb_calfile;

/* Reads and checks a file: NB_ERR_FORMAT says what is wrong. nb_calfile_free releases all members. */
nb_status nb_calfile_read(const char *path, nb_calfile *out, nb_err *err);
/* As from memory; `name` stands in for the path. */
nb_status nb_calfile_parse(const void *bytes, size_t n, const char *name, nb_calfile *out, nb_err *err);
void nb_calfile_free(nb_calfile *f);

/* Writes it, whole or not at all. */
nb_status nb_calfile_save(const nb_calfile *f, const char *path, nb_err *err);

#endif
