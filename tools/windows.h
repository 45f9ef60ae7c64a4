/* SPDX-License-Identifier: MIT */
/* What the commands share that run a model over the windows of a text (kld, ppl). */
#ifndef NB_WINDOWS_H
#define NB_WINDOWS_H

#include "formats/open.h"

/* The token that a window begins with, or -1. choice: "no"; "auto", as the tokenizer's template says; anything else,
 * its begin token even where the template adds none. */
nb_status cli_windows_begin(const nb_tokenizer *t, const char *choice, int32_t *begin, nb_err *err);

/* n windows of ctx ids each, by tokenizer t. */
typedef struct cli_windows {
  const nb_tokenizer *t;
  const int32_t *ids; /* (n, ctx) */
  size_t n, ctx;
} cli_windows;

/* How many of the windows stand in the calibration text of model m, which messages call name; with a warning when
 * there are some. */
nb_status cli_windows_overlap(const nb_opened *m, const char *name, const cli_windows *w, size_t *count, nb_err *err);

#endif
