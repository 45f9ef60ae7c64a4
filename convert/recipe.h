/* SPDX-License-Identifier: MIT */
/* How a checkpoint is to be quantized, as a caller asks for it, and what that means for one model: `nibble quantize`
 * and the public library fill the same structure and so write the same bytes. */
#ifndef NB_RECIPE_H
#define NB_RECIPE_H

#include "convert/allocate.h"
#include "convert/calib_file.h"

/* The ranges of what is given. */
enum {
  NB_RECIPE_MIN_BITS = 3,
  NB_RECIPE_MAX_BITS = 8,
  NB_RECIPE_MIN_GROUP = 32,
  NB_RECIPE_MAX_GROUP = 256,
  NB_RECIPE_MAX_TOKENS = 1 << 24,
  NB_RECIPE_MIN_SEQ = 16,
  NB_RECIPE_MAX_SEQ = 8192
};
#define NB_RECIPE_PRESETS "phone|phone-small"

/* All strings are the caller's and outlive the run. */
typedef struct nb_recipe {
  const char *codes;        /* of 3 to 5 bits: "trellis", "table" or "uniform" */
  int bits, group;          /* of the layers' matrices */
  const char *embed, *head; /* bits, a format such as u6g64, or dense; NULL: 4, u6g64 */
  const char *const *set;   /* (n_set) "[LAYER.]MATRIX=FORMAT" */
  size_t n_set;
  const char *budget, *preset; /* of these and linear_bpw one may be given: a size of the file as nb_allocate_parse */
  double linear_bpw;           /* reads it, a named one, stored bits a weight of the layers' matrices; NULL, NULL, 0 */
  bool fast;                   /* no calibration: a text serves the budget only */
  const char *const *calib;    /* (n_calib) as nb_calib_text_read takes them; none: the bundled texts */
  size_t n_calib;
  const char *stats;  /* instead: a file of nibble calibrate, or NULL */
  nb_calib_numbers n; /* -1: not given */
  uint64_t seed;      /* as nb_calib_text_opts has it */
  double damp;        /* these as nb_calib_opts has them */
  int sweeps;
  int fisher_tokens; /* -1: not given, nb_curvature_tokens */
  bool no_gptq, no_tables, no_head, no_fold, sequential;
  const char *tune; /* "20m", "50steps", or NULL */
  double tune_rate;
} nb_recipe;

/* What holds where nothing is given. */
extern const nb_recipe nb_recipe_default;

/* Refuses with NB_ERR_ARG what is out of range or would be left unused. Before any file is opened. */
nb_status nb_recipe_check(const nb_recipe *r, nb_err *err);

/* Whether a text is read: always but for plain rounding without a budget, or when a file of nibble calibrate has it. */
bool nb_recipe_reads_text(const nb_recipe *r);

/* Whether bits go where they matter. */
bool nb_recipe_has_budget(const nb_recipe *r);

/* The formats (n_matrices) that are given, or hold by default. */
nb_status nb_recipe_formats(const nb_recipe *r, const nb_parts *parts, nb_qfmt *f, nb_err *err);

/* What the budget may be spent on: what the recipe leaves open. out->fixed is released with nb_free, also after a
 * failure. */
nb_status nb_recipe_budget(const nb_recipe *r, const nb_parts *parts, nb_allocate_opts *out, nb_err *err);

/* The provenance's "recipe" (FORMAT.md). The caller deletes it. */
cJSON *nb_recipe_print(const nb_recipe *r);

/* The recipe that was printed, but for the texts, their numbers and the seed, which are not in it. Strings belong to
 * `json`, which `name` stands for in messages; *set is what out->set points to, released with nb_free. NB_ERR_FORMAT
 * names what is missing or of another kind, NB_ERR_UNSUPPORTED an option of earlier versions that is no more. */
nb_status nb_recipe_read(const cJSON *json, const char *name, nb_recipe *out, const char ***set, nb_err *err);

#endif
