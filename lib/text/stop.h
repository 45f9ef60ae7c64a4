/* SPDX-License-Identifier: MIT */
/* Stop strings: a text that comes token by token ends before the first of them, whatever tokens they are cut into.
 * What may still become a stop string is held back, so that a text can be shown while it is written. */
#ifndef NB_STOP_H
#define NB_STOP_H

#include "text/tokenizer.h"

#include <stdbool.h>

typedef struct nb_stop {
  nb_decoder *decoder;
  const char *const *stop; /* (n) none of them empty */
  size_t n;
  nb_text text; /* all that was decoded; after the end, without the stop string and what came behind it */
  size_t safe;  /* bytes of it that are sure to belong to the text */
  size_t from;  /* where the next search begins */
  bool ended;   /* by a stop string */
} nb_stop;

/* The tokenizer and the strings must outlive it. nb_stop_free releases. */
nb_status nb_stop_begin(const nb_tokenizer *t, const char *const *stop, size_t n, nb_stop *out, nb_err *err);
void nb_stop_free(nb_stop *s);

/* Takes the next token; s->ended says whether the text ends here. */
nb_status nb_stop_token(nb_stop *s, int32_t id, nb_err *err);

/* The text ends for another reason: what was held back belongs to it. Of stop strings that begin inside one another,
 * the one that is named first counts, as when a text is cut at each of them in turn. */
nb_status nb_stop_finish(nb_stop *s, nb_err *err);

#endif
