/* SPDX-License-Identifier: MIT */
/* nibble bench --replay: known answers to known prompts, written with and without guesses of the next tokens. */
#ifndef NB_TOOLS_BENCH_REPLAY_H
#define NB_TOOLS_BENCH_REPLAY_H

#include "tools/cli.h"

typedef struct bench_replay_opts {
  const char *model, *file, *kv; /* kv: the cache's type, or NULL */
  int repeat;                    /* runs of each text each way; the best counts */
} bench_replay_opts;

/* Reads the file's records, {"kind", "prompt", "answer"} each, and prints a row a kind. */
nb_status bench_replay(const bench_replay_opts *o, const cli_common *common, nb_err *err);

#endif
