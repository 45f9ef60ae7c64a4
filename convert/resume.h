/* SPDX-License-Identifier: MIT */
/* The layers that a calibrated run has finished, kept beside its output (FILE.part) so that a killed run goes on.
 *
 *   magic (8 bytes), signature (16), the formats (3 bytes a matrix) and what they were chosen by (3 doubles a matrix, 0
 *   without a budget), then for each finished layer its matrices (size, losses, rows kept plain, bytes) and the XXH3-64
 *   of that record. A record that is cut short or damaged ends the list. */
#ifndef NB_RESUME_H
#define NB_RESUME_H

#include "quant/calib.h"

typedef struct nb_resume nb_resume;

struct nb_quantize_choice;

/* Opens PATH.part or prepares a new one. signature (16 bytes) stands for everything that the result depends on; another
 * one in the file, or a file of another kind, is NB_ERR_ARG. When there is such a file, formats and choice (may be
 * NULL) are read from it and *found is set. */
nb_status nb_resume_open(const char *path, const uint8_t signature[16], const nb_parts *parts, nb_qfmt *formats,
                         struct nb_quantize_choice *choice, bool *found, nb_resume **out, nb_err *err);
/* Begins the file, when it was not found, now that formats and choice are known. */
nb_status nb_resume_begin(nb_resume *r, const nb_qfmt *formats, const struct nb_quantize_choice *choice, nb_err *err);
/* Layers that are complete. */
size_t nb_resume_layers(const nb_resume *r);
/* A matrix of a complete layer, or NULL. */
const void *nb_resume_matrix(const nb_resume *r, size_t matrix, size_t n_bytes);
/* Adds a matrix; the record is written with its layer's last. A matrix of a complete layer instead gets the losses that
 * the earlier run measured. */
nb_status nb_resume_put(nb_resume *r, nb_quantized *q, nb_err *err);
/* Closes; done: the file is not needed any more. */
void nb_resume_close(nb_resume *r, bool done);

#endif
