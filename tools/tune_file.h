/* SPDX-License-Identifier: MIT */
/* nibble quantize --tune: the quantised file is of another name first; it is tuned, and the result written. */
#ifndef NB_TUNE_FILE_H
#define NB_TUNE_FILE_H

#include "cli.h"
#include "quantize.h"

/* "20m", "90s", "2h" or "50steps"; fails otherwise. */
nb_status tune_parse(const char *s, quantize_tune *out, nb_err *err);

/* Sets j->untuned, which the caller frees: OUT.untuned. */
nb_status tune_name(quantize_job *j, nb_err *err);

/* Tunes j->untuned, which quantize_run wrote, into j->out, and removes it. */
nb_status tune_run(quantize_job *j, const cli_common *common, nb_err *err);

#endif
