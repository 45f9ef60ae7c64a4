/* SPDX-License-Identifier: MIT */
/* What the commands share that run a model over the windows of a text (kld, ppl). */
#ifndef NB_WINDOWS_H
#define NB_WINDOWS_H

#include "formats/open.h"

#include <cJSON.h>

/* A text and its ids. */
typedef struct cli_window_text {
  char *bytes; /* (n) */
  size_t n;
  nb_ids ids;
  size_t specials; /* names of special tokens that stand in it */
  bool as_tokens;  /* they are those tokens, not text */
} cli_window_text;

/* Reads the file, which must be a text, by tokenizer t. special: what the user chose with CLI_WINDOWS_SPECIAL.
 * cli_windows_free releases, also after a failure. */
nb_status cli_windows_read(const char *file, const nb_tokenizer *t, bool special, cli_window_text *out, nb_err *err);
void cli_windows_free(cli_window_text *t);

/* The option for it, and the line that says which it was, where it matters. */
#define CLI_WINDOWS_SPECIAL(to)                                                                                        \
  CLI_FLAG("special", 0, (to),                                                                                         \
           "names of special tokens in the text (<|end|>) are those tokens, as transformers reads them; else text")
void cli_windows_print_specials(const cli_window_text *t);
/* The same as members of a JSON object: special_names, special_names_as. */
void cli_windows_add_specials(const cli_window_text *t, cJSON *object);

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

/* Warns when the tokenizer of the model at path name, if it has one, has other texts for ids in the windows: a model
 * of another vocabulary reads something else there. */
void cli_windows_warn_of_vocabulary(const char *name, const cli_windows *w);

#endif
