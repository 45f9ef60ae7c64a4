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
  size_t tokens, seq; /* ids to draw at most, and in a sequence */
  uint64_t seed;      /* of the draw, or of text that the model writes, which takes the rest of these: */
  int threads;
  unsigned cpu_features;
  const nb_reporter *reporter; /* may be NULL */
} nb_calib_text_opts;

/* Draws up to `tokens` ids as whole sequences of `seq`. given (n): texts, as nb_calib_sources_read takes them (0: the
 * bundled ones), drawn from evenly, each over its whole length: of as many stretches of equal length as sequences are
 * taken from a text, one sequence each. The draw depends on the texts' bytes and the seed alone. Or "self" alone:
 * sequences that the model writes itself, from its begin token or a random one, at temperature 1 (LLM-QAT, arXiv
 * 2305.17888), which takes as long as generating them does. NB_ERR_ARG: not even one sequence. */
nb_status nb_calib_text_read(const char *const *given, size_t n, const nb_opened *m, const nb_calib_text_opts *o,
                             nb_calib_text *out, nb_err *err);
/* Whether the model is to write its own text. */
bool nb_calib_text_is_self(const char *const *given, size_t n);
/* What the origin of "self" will be, but for the hash, which has the same length: to plan a file before the text is
 * written. The caller deletes it. */
cJSON *nb_calib_text_expect(size_t tokens, size_t seq, uint64_t seed);
void nb_calib_text_free(nb_calib_text *t);

#endif
