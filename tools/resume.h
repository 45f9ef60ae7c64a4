/* SPDX-License-Identifier: MIT */
/* The layers that a calibrated run has finished, kept beside its output (FILE.part) so that a killed run goes on.
 *
 *   magic (8 bytes), signature (16), the formats (3 bytes a matrix) and what they were chosen by (3 doubles a matrix, 0
 *   without a budget), then for each finished layer its slices (size, losses, rows kept plain, bytes) and the XXH3-64
 *   of that record. A record that is cut short or damaged ends the list. */
#ifndef NB_RESUME_H
#define NB_RESUME_H

#include "calib.h"

typedef struct resume resume;

struct quantize_choice;

/* Opens PATH.part or prepares a new one. signature (16 bytes) stands for everything that the result depends on; another
 * one in the file, or a file of another kind, is NB_ERR_ARG. When there is such a file, formats and choice (may be
 * NULL) are read from it and *found is set. */
nb_status resume_open(const char *path, const uint8_t signature[16], const nb_config *c, nb_formats *formats,
                      struct quantize_choice *choice, bool *found, resume **out, nb_err *err);
/* Begins the file, when it was not found, now that formats and choice are known. */
nb_status resume_begin(resume *r, const nb_formats *formats, const struct quantize_choice *choice, nb_err *err);
/* Layers that are complete. */
size_t resume_layers(const resume *r);
/* A slice of a complete layer, or NULL. */
const void *resume_slot(const resume *r, size_t layer, nb_slot slot, size_t n_bytes);
/* Adds a slice; the record is written with its layer's last. A slice of a complete layer instead gets the losses that
 * the earlier run measured. */
nb_status resume_put(resume *r, nb_quantised *q, nb_err *err);
/* Closes; done: the file is not needed any more. */
void resume_close(resume *r, bool done);

#endif
