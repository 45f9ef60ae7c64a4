/* SPDX-License-Identifier: MIT */
/* Regular expressions of task descriptions, over PCRE2, with the meaning that Python's `re` gives them: characters are
 * Unicode's, `.` is anything but a line feed, and matches are found as re.findall finds them. */
#ifndef NB_REGEXP_H
#define NB_REGEXP_H

#include "base/text.h"

#include <stdbool.h>

typedef struct nb_regexp nb_regexp;

/* where: before messages. NB_ERR_FORMAT: the pattern cannot be compiled. nb_regexp_free releases. */
nb_status nb_regexp_compile(const char *pattern, bool any_case, const char *where, nb_regexp **out, nb_err *err);
void nb_regexp_free(nb_regexp *r);

/* The match number `which` (0 the first, -1 the last) as re.findall lists it: the whole match of a pattern without
 * groups, the group's of one with a group, the first group that is not empty of one with several. *found = false when
 * there are too few matches or all groups are empty. */
nb_status nb_regexp_find(const nb_regexp *r, const char *text, size_t n, long which, nb_text *out, bool *found,
                         nb_err *err);

/* Calls see(ctx, match, bytes) with each of those, in order. */
nb_status nb_regexp_each(const nb_regexp *r, const char *text, size_t n,
                         nb_status (*see)(void *ctx, const char *match, size_t bytes, nb_err *err), void *ctx,
                         nb_err *err);

/* Puts `with` in place of every match; ${1} in it is the first group, $$ a dollar sign. */
nb_status nb_regexp_replace(const nb_regexp *r, const char *with, nb_text *text, nb_err *err);

/* Appends text with a backslash before every character that means something in a pattern. */
nb_status nb_regexp_quote(const char *text, size_t n, nb_text *out, nb_err *err);

#endif
