/* SPDX-License-Identifier: MIT */
/* CSV as in RFC 4180, from memory: fields in double quotes may hold commas, line breaks and doubled quotes;
 * records end with LF, CRLF or CR. Taken as Python's csv and pandas take it: blank lines are skipped, a
 * quote inside a field that does not begin with one is an ordinary character, a byte order mark in front is
 * skipped. No header is assumed and rows may differ in length: what they mean is the caller's matter. */
#ifndef NB_CSV_H
#define NB_CSV_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum { NB_CSV_MAX_FIELDS = 10000 }; /* of a row */

typedef struct nb_csv {
  const char *file;    /* for messages; the caller's */
  const char **fields; /* (n_fields) of the current row; strings live until nb_csv_close, the array until the
                        * next row */
  size_t n_fields;
  size_t row_line; /* the line on which the current row begins, from 1 */

  const char *p, *end; /* private from here on: what is still to be read */
  size_t line;
  char *text, *out; /* all fields decoded so far, and where the next one goes */
  size_t cap_fields;
} nb_csv;

/* Begins reading n bytes, which must outlive *c, as `file`. */
nb_status nb_csv_open(const char *bytes, size_t n, const char *file, nb_csv *c, nb_err *err);

/* The next row into c->fields; *more is false at the end. Fails with file and line on a quote that is never
 * closed, text behind a closing quote, or a NUL byte. */
nb_status nb_csv_next(nb_csv *c, bool *more, nb_err *err);

/* Releases the fields; a zeroed or closed one is fine. */
void nb_csv_close(nb_csv *c);

#endif
