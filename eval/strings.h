/* SPDX-License-Identifier: MIT */
/* Texts changed as Python's string methods change them; texts are UTF-8, an ill-formed byte counts as a character. */
#ifndef NB_STRINGS_H
#define NB_STRINGS_H

#include "base/text.h"

#include <stdbool.h>

/* Whether Python's str.isspace says so. */
bool nb_strings_is_space(int32_t c);
/* The character at s[i], -1 for an ill-formed byte, and its length in bytes. */
int32_t nb_strings_char(const char *s, size_t n, size_t i, size_t *len);

/* Whether the cased letters are all upper (or all lower) case, and there is one: Python's isupper and islower. */
bool nb_strings_all_case(const char *s, size_t n, bool upper);

/* Without white space at both ends, in place. */
void nb_strings_strip(nb_text *t);
/* Appends the text in lower or upper case (one to one mappings). */
nb_status nb_strings_lower(const char *s, size_t n, nb_text *out, nb_err *err);
nb_status nb_strings_upper(const char *s, size_t n, nb_text *out, nb_err *err);
/* Puts `with` in place of each `what` (not empty), once over the text. */
nb_status nb_strings_replace(nb_text *t, const char *what, const char *with, nb_err *err);
/* Removes the characters of Unicode's categories P*, or ASCII's 32 punctuation characters. */
nb_status nb_strings_drop_punctuation(nb_text *t, nb_err *err);
void nb_strings_drop_ascii_punctuation(nb_text *t);

/* A number written in English words, as digits: "twenty-one" is no word, "twenty one" is 21. which: as for
 * nb_regexp_find. */
nb_status nb_strings_number_in_words(const nb_text *t, long which, nb_text *out, bool *found, nb_err *err);

#endif
