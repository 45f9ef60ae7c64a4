/* SPDX-License-Identifier: MIT */
/* Where calibration tokens come from. */
#ifndef NB_CALIB_TEXT_H
#define NB_CALIB_TEXT_H

#include "base/progress.h"
#include "formats/open.h"

#include <cJSON.h>

/* Calibration tokens and what is to be remembered about them. */
typedef struct nb_calib_text {
  nb_ids ids; /* (n_seqs * seq) */
  size_t n_seqs, seq;
  cJSON *origin; /* the provenance's "calibration" (FORMAT.md) */
} nb_calib_text;

typedef struct nb_calib_text_opts {
  size_t tokens, seq; /* ids to read at most, and in a sequence */
  uint64_t seed;      /* of text that the model writes, which takes the rest of these: */
  int threads;
  unsigned cpu_features;
  const nb_reporter *reporter; /* may be NULL */
} nb_calib_text_opts;

/* Reads up to `tokens` ids as whole sequences of `seq`. source: a text file; a .jsonl or .json file of chats
 * ("messages" or "conversations": role and content), rendered by the model's own template; or "self": sequences that
 * the model writes itself, from its begin token or a random one, at temperature 1 (LLM-QAT, arXiv 2305.17888), which
 * takes as long as generating them does. NB_ERR_ARG: not even one sequence. */
nb_status nb_calib_text_read(const char *source, const nb_opened *m, const nb_calib_text_opts *o, nb_calib_text *out,
                             nb_err *err);
/* What the origin of "self" will be, but for the hash, which has the same length: to plan a file before the text is
 * written. The caller deletes it. */
cJSON *nb_calib_text_expect(size_t tokens, size_t seq, uint64_t seed);
void nb_calib_text_free(nb_calib_text *t);

#endif
