/* SPDX-License-Identifier: MIT */
/* nibble quantize --tune: the quantized file is of another name first; it is tuned, and the result written. */
#ifndef NB_TUNE_FILE_H
#define NB_TUNE_FILE_H

#include "base/progress.h"
#include "convert/quantize.h"

/* "20m", "90s", "2h" or "50steps"; fails otherwise. */
nb_status nb_tune_file_parse(const char *s, nb_quantize_tune *out, nb_err *err);

/* Sets j->untuned, which the caller frees: OUT.untuned. */
nb_status nb_tune_file_name(nb_quantize_job *j, nb_err *err);

/* Tunes j->untuned, which nb_quantize_run wrote, into j->out, and removes it. */
nb_status nb_tune_file_run(nb_quantize_job *j, const nb_reporter *reporter, nb_err *err);

#endif
