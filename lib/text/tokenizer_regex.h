/* SPDX-License-Identifier: MIT */
/* The regular expressions of tokenizer files. They are written for Oniguruma with Ruby's syntax and
 * UTF-8; they are translated to PCRE2 where the two differ, and refused where no translation is known. */
#ifndef NB_TOKENIZER_REGEX_H
#define NB_TOKENIZER_REGEX_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct nb_regex nb_regex;

/* Per-thread memory for matching. Start from {0}; once for every text, since it counts what that text has cost. */
typedef struct nb_regex_scratch {
  void *data, *limits;
  size_t spent; /* steps of matches that took more than a few */
} nb_regex_scratch;
void nb_regex_scratch_free(nb_regex_scratch *s);

/* Compiles a pattern. With is_regex false the pattern is a string to find, not empty. */
nb_status nb_regex_new(const char *pattern, size_t n, bool is_regex, nb_regex **out, nb_err *err);
void nb_regex_free(nb_regex *r);

/* Iteration over the matches in valid UTF-8 text s[0..n): start from {.s = s, .n = n}. */
typedef struct nb_regex_iter {
  const char *s;
  size_t n;
  size_t start, end; /* the match found last */
  size_t at;         /* where the search goes on */
  bool any;          /* whether there was a match before */
} nb_regex_iter;

/* Finds the next match; *found is false at the end. An empty match right behind the match before it is
 * passed over. Fails when the patterns need too many steps on this text: more than NB_REGEX_WORK and NB_REGEX_WORK_BYTE
 * for every byte, counted over all matches that take more than NB_REGEX_CHEAP each. */
enum { NB_REGEX_WORK = 20000000, NB_REGEX_WORK_BYTE = 64, NB_REGEX_CHEAP = 1000 };
nb_status nb_regex_next(const nb_regex *r, nb_regex_iter *it, nb_regex_scratch *scratch, bool *found, nb_err *err);

#endif
