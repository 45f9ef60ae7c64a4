/* SPDX-License-Identifier: MIT */
/* The file of `nibble calibrate` on its way into other commands. */
#ifndef NB_CALIB_FILE_H
#define NB_CALIB_FILE_H

#include "formats/calfile.h"
#include "convert/calib_text.h"
#include "convert/quantize.h"

/* How much of a text is used, and for what; -1: not given as an option. */
typedef struct nb_calib_numbers {
  int tokens, seq;                /* 32768, 512 */
  int probe_tokens, probe_layers; /* 256, 12; layers 0: all */
} nb_calib_numbers;

/* Fills what was not given with the defaults. */
void nb_calib_numbers_default(nb_calib_numbers *n);

/* Opens a file and checks that it has as many matrices and inputs as the model has. nb_calfile_free releases. */
nb_status nb_calib_file_open(const char *path, const nb_model *m, nb_calfile *out, nb_err *err);

/* The same for quantizing: refuses a file that another version made, that was made on another checkpoint (this one is
 * read whole for its hashes) or with other numbers than those given; the others are filled from it. Fills text. */
nb_status nb_calib_file_load(const char *path, nb_quantize_job *j, nb_calib_numbers *n, nb_calib_text *text,
                             nb_calfile *out, nb_err *err);

/* Whether a text (its tokens) is the file's. */
nb_status nb_calib_file_same_text(const char *path, const nb_calfile *f, const nb_calib_text *t, nb_err *err);

#endif
