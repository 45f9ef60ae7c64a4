/* SPDX-License-Identifier: MIT */
/* How many sentences an English text has, as NLTK's Punkt counts them (Kiss and Strunk 2006; nltk/tokenize/punkt.py of
 * 3.9). Punkt's rules are all here. Of its model's statistics are not: for each of 20,000 words, whether it was seen in
 * upper or lower case within and at the beginning of sentences. They decide only between an abbreviation, an initial,
 * a number or an ellipsis and some words behind it; everything else is decided as there, and what is open makes a
 * range. */
#ifndef NB_SENTENCES_H
#define NB_SENTENCES_H

#include "base/status.h"

#include <stddef.h>

typedef struct nb_sentences {
  size_t fewest, likely, most; /* with each open place being no end, the likelier of both, an end */
} nb_sentences;

nb_status nb_sentences_count(const char *text, size_t n, nb_sentences *out, nb_err *err);

#endif
