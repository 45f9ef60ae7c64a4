/* SPDX-License-Identifier: MIT */
/* A checkpoint to a .nbl file by a recipe, from the first check to the finished file: what `nibble quantize` and the
 * public library's nibble_quantize both do. */
#ifndef NB_CONVERSION_H
#define NB_CONVERSION_H

#include "convert/recipe.h"

typedef struct nb_conversion {
  nb_quantize_job job;       /* what was done: formats, report, recipe and file_bytes count for the caller */
  nb_quantize_choice choice; /* the job's, with a budget */
  nb_quantize_tune tune;     /* the job's, with --tune */
  nb_calib_text text;
  cJSON *recipe;  /* the job's */
  double seconds; /* from the first matrix to the finished file */
} nb_conversion;

/* Where a conversion goes and what it runs on. */
typedef struct nb_conversion_opts {
  const char *path; /* of the .nbl file */
  int threads;
  unsigned cpu_features;       /* from cpu.h */
  const nb_reporter *reporter; /* told of what takes long, which it also stops: NB_ERR_INTERRUPTED; may be NULL */
} nb_conversion_opts;

/* Quantizes m, a checkpoint with its tokenizer, by a recipe that nb_recipe_check passed (its numbers are filled in).
 * The paths were checked by nb_path_check. A calibrated run holds PATH.part, with which the next one goes on when this
 * one is stopped or killed; a second run with this output is refused meanwhile. nb_conversion_free releases *out, also
 * after a failure. */
nb_status nb_conversion_run(const nb_opened *m, nb_recipe *r, const nb_conversion_opts *o, nb_conversion *out,
                            nb_err *err);
void nb_conversion_free(nb_conversion *c);

#endif
