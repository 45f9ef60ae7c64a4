/* SPDX-License-Identifier: MIT */
/* Questions about what stands somewhere in a long text, for task needle: sentences with numbers ("needles") are put
 * into a text at even depths, and each is asked for, the other needles' numbers being the wrong choices. The questions
 * about one text share it as their beginning. */
#ifndef NB_PROBE_H
#define NB_PROBE_H

#include "text/tokenizer.h"

enum { NB_PROBE_NEEDLES = 4, NB_PROBE_MIN = 256 /* tokens */ };

typedef struct nb_probe_opts {
  size_t length; /* tokens of a text with its needles, at most; at least NB_PROBE_MIN */
  size_t texts;  /* of that length, from different places of the source */
  uint64_t seed; /* of names and numbers */
} nb_probe_opts;

/* Appends texts x NB_PROBE_NEEDLES rows as JSON lines: id, subject ("4096 tokens"), depth (0 to 1), tokens (of the
 * text), passage, question, choices, answer. ids: the source, n tokens, used over again when it is short. NB_ERR_ARG:
 * the length is out of range. */
nb_status nb_probe_make(const nb_tokenizer *t, const int32_t *ids, size_t n, const nb_probe_opts *o, nb_text *out,
                        nb_err *err);

#endif
