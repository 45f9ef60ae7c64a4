/* SPDX-License-Identifier: MIT */
/* A few numbers by which a text is recognised inside another: which of a set's questions a model was calibrated on.
 *
 * A text is taken as its words (runs of letters and digits, in lower case; bytes above 127 count as letters), its
 * grams are the hashes of each 10 words in a row, and of any 6 grams in a row the smallest is kept (winnowing:
 * Schleimer, Wilkerson, Aiken, SIGMOD 2003). Any 15 words that two texts share in a row are therefore found, shorter
 * runs by chance, and nothing shorter than 10 words. A gram has 40 bits: among 4096 of them a million others find one
 * by accident in 270 tries. */
#ifndef NB_SKETCH_H
#define NB_SKETCH_H

#include "base/text.h"

enum { NB_SKETCH_WORDS = 10, NB_SKETCH_WINDOW = 6, NB_SKETCH_MAX = 4096, NB_SKETCH_DIGITS = 10 };

typedef struct nb_sketch {
  uint64_t *gram; /* (n) ascending, each once; released by nb_sketch_free */
  size_t n;       /* at most NB_SKETCH_MAX: of a longer text the smallest are kept, and less of it is found */
} nb_sketch;

/* The sketch of a text, which may be any bytes. */
nb_status nb_sketch_make(const char *text, size_t n, nb_sketch *out, nb_err *err);
void nb_sketch_free(nb_sketch *s);

/* Appends it as hexadecimal digits, NB_SKETCH_DIGITS a gram; and back. NB_ERR_FORMAT: not such a text. */
nb_status nb_sketch_print(const nb_sketch *s, nb_text *out, nb_err *err);
nb_status nb_sketch_parse(const char *digits, nb_sketch *out, nb_err *err);

/* Whether some 10 words of the text are in the sketch. */
bool nb_sketch_finds(const nb_sketch *s, const char *text, size_t n);

#endif
