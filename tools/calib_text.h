/* SPDX-License-Identifier: MIT */
/* Where calibration tokens come from. */
#ifndef NB_CALIB_TEXT_H
#define NB_CALIB_TEXT_H

#include "cli.h"
#include "open.h"

#include <cJSON.h>

/* Calibration tokens and what is to be remembered about them. */
typedef struct calib_text {
  nb_ids ids; /* (n_seqs * seq) */
  size_t n_seqs, seq;
  cJSON *origin; /* the provenance's "calibration" (FORMAT.md) */
} calib_text;

/* Reads up to `tokens` ids as whole sequences of `seq`. source: a text file; a .jsonl or .json file of chats
 * ("messages" or "conversations": role and content), rendered by the model's own template; or "self": sequences that
 * the model writes itself, from its begin token or a random one, at temperature 1 (LLM-QAT, arXiv 2305.17888), which
 * takes as long as generating them does. NB_ERR_ARG: not even one sequence. */
nb_status calib_text_read(const char *source, const nb_opened *m, size_t tokens, size_t seq, uint64_t seed,
                          const cli_common *common, calib_text *out, nb_err *err);
/* What the origin of "self" will be, but for the hash, which has the same length: to plan a file before the text is
 * written. The caller deletes it. */
cJSON *calib_text_expect(size_t tokens, size_t seq, uint64_t seed);
void calib_text_free(calib_text *t);

#endif
