/* SPDX-License-Identifier: MIT */
/* nibble bench --replay: known answers to known prompts, written with and without guesses of the next tokens. */
#ifndef NB_REPLAY_H
#define NB_REPLAY_H

#include "tools/cli.h"

typedef struct replay_opts {
  const char *model, *file, *kv; /* kv: the cache's type, or NULL */
  int repeat;                    /* runs of each text each way; the best counts */
} replay_opts;

/* Reads the file's records, {"kind", "prompt", "answer"} each, and prints a row a kind. */
nb_status replay_texts(const replay_opts *o, const cli_common *common, nb_err *err);

#endif
