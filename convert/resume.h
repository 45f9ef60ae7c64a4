/* SPDX-License-Identifier: MIT */
/* The matrices that a calibrated run has finished, kept beside its output (FILE.part) so that a killed run goes on.
 *
 *   magic (8 bytes), signature (16), how many matrices have a format (8), the formats (3 bytes each) and what they were
 *   chosen by (3 doubles each, 0 without a budget), XXH3-64 of all that; then a record for each finished matrix:
 *   the record's number from 0 (8), the matrix's number (8), bytes of its coded form (8), the losses of plain rounding
 *   and of the result (8 each), rows kept plain (8), the coded form, and XXH3-64 of the record with the header's hash
 *   as its seed. Little endian.
 *
 * A record counts only where it was written: in its place, of a matrix that has none yet, and of this header. The
 * first that does not ends the list. The file is locked while a run uses it, so that two runs with one output never
 * write into one file. */
#ifndef NB_RESUME_H
#define NB_RESUME_H

#include "quant/calib.h"

typedef struct nb_resume nb_resume;

struct nb_quantize_choice;

/* Opens PATH.part, or makes it, and locks it: before any work, so that a second run with this output is refused at
 * once (NB_ERR_IO). Refused too: a link, in place of which another file would be written. */
nb_status nb_resume_lock(const char *path, nb_resume **out, nb_err *err);
/* Reads it. signature (16 bytes) stands for everything that the result depends on; another one in the file, or a file
 * of another kind, is NB_ERR_ARG. When an earlier run began the file, formats (of so many matrices) and choice (may be
 * NULL) are read from it and *found is set. */
nb_status nb_resume_read(nb_resume *r, const uint8_t signature[16], size_t matrices, nb_qfmt *formats,
                         struct nb_quantize_choice *choice, bool *found, nb_err *err);
/* Begins the file, when it was not found, now that formats and choice are known. */
nb_status nb_resume_begin(nb_resume *r, const nb_qfmt *formats, const struct nb_quantize_choice *choice, nb_err *err);
/* Matrices that an earlier run finished. */
size_t nb_resume_count(const nb_resume *r);
/* The coded form of one of those, when it has n_bytes; else NULL. Borrowed. */
const void *nb_resume_find(const nb_resume *r, size_t matrix, size_t n_bytes);
/* Adds a matrix that is finished. One of an earlier run instead gets the losses that were measured then. */
nb_status nb_resume_put(nb_resume *r, nb_quantized *q, nb_err *err);
/* Closes; done: the file is not needed any more. One that was never begun is removed. NULL is fine. */
void nb_resume_close(nb_resume *r, bool done);

#endif
