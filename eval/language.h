/* SPDX-License-Identifier: MIT */
/* Which language a text is in: by its script, and for scripts that languages share by their commonest words. */
#ifndef NB_LANGUAGE_H
#define NB_LANGUAGE_H

#include <stddef.h>

/* The ISO 639-1 code of the likeliest of the languages that IFEval asks for; NULL: the text has no letter. */
const char *nb_language_of(const char *text, size_t n);

#endif
