/* SPDX-License-Identifier: MIT */
/* Records of JSON: one object a line (https://jsonlines.org, blank lines skipped), or one array of objects.
 */
#ifndef NB_JSONL_H
#define NB_JSONL_H

#include "formats/json.h"

typedef struct nb_jsonl {
  char where[288]; /* the current record, for messages: "FILE:LINE", or "FILE: record N" (from 1) in an array
                    */
  size_t number;   /* that line or N */

  const char *file; /* private from here on */
  const char *p, *end;
  size_t line;
  cJSON *doc;        /* the current line's value, or the whole array */
  const cJSON *item; /* the next element of the array */
  bool array;
} nb_jsonl;

/* Begins reading n bytes, which must outlive *it, as `file` (the caller's too). A text whose first
 * character is '[' is an array and is parsed at once. */
nb_status nb_jsonl_open(const char *bytes, size_t n, const char *file, nb_jsonl *it, nb_err *err);

/* The next record, an object that lives until the next call; *out is NULL at the end. */
nb_status nb_jsonl_next(nb_jsonl *it, const cJSON **out, nb_err *err);

/* Releases the current record; a zeroed or closed one is fine. */
void nb_jsonl_close(nb_jsonl *it);

#endif
