/* SPDX-License-Identifier: MIT */
/* CSV (RFC 4180) a record at a time: quoted fields may hold separators, doubled quotes and line breaks; lines end
 * in LF or CRLF; a byte order mark in front is skipped. */
#ifndef NB_CSVLINE_H
#define NB_CSVLINE_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct nb_csv {
  char **field;       /* (n) NUL-terminated, of the record read last */
  size_t n, capacity;
  size_t line;        /* where that record begins, from 1 */
  /* private */
  const char *at, *end, *file;
  char *text;         /* the record's fields, one after another */
  size_t next_line;
  char separator;
} nb_csv;

/* Begins reading bytes, which must outlive it; file names them in messages. Ends with nb_csv_close. */
nb_status nb_csv_open(nb_csv *c, const char *bytes, size_t n, char separator, const char *file, nb_err *err);
/* Reads the next record into field; *more = false at the end. Empty lines are passed over. NB_ERR_FORMAT: a quote
 * that is never closed, text behind a closing quote, a NUL. */
nb_status nb_csv_next(nb_csv *c, bool *more, nb_err *err);
void nb_csv_close(nb_csv *c);

#endif
