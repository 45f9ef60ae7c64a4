/* SPDX-License-Identifier: MIT */
/* A table of text whose columns are as wide as they need. */
#ifndef NB_TABLE_H
#define NB_TABLE_H

#include <stddef.h>
#include <stdio.h>

typedef struct cli_table {
  char **cells;
  size_t n, capacity;
  size_t columns;
  const char *align;
  int failed; /* memory is out: nothing is printed */
} cli_table;

/* One letter a column: l left, r right. The string must outlive the table. */
void cli_table_begin(cli_table *t, const char *align);
/* The next cell, row by row. Text is UTF-8. */
void cli_table_cell(cli_table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line across, between rows. */
void cli_table_rule(cli_table *t);
/* Prints the table (f is NULL: nothing), two spaces between columns, and frees it. */
void cli_table_end(cli_table *t, FILE *f);

#endif
