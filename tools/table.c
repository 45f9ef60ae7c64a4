/* SPDX-License-Identifier: MIT */
#include "tools/table.h"

#include "base/mem.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char RULE[] = "-"; /* a cell that is this very pointer starts a line across */

void cli_table_begin(cli_table *t, const char *align) {
  memset(t, 0, sizeof *t);
  t->align = align;
  t->columns = strlen(align);
}

static void add(cli_table *t, char *cell) {
  if (!t->failed && nb_grow(&t->cells, &t->capacity, t->n + 1, sizeof *t->cells, NULL) != NB_OK) t->failed = 1;
  if (t->failed) {
    if (cell != RULE) free(cell);
    return;
  }
  t->cells[t->n++] = cell;
}

void cli_table_cell(cli_table *t, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  char *cell = n < 0 ? NULL : malloc((size_t)n + 1);
  if (cell) {
    vsnprintf(cell, (size_t)n + 1, fmt, again);
    nb_status_printable(cell, "");
    add(t, cell);
  } else {
    t->failed = 1;
  }
  va_end(again);
}

void cli_table_rule(cli_table *t) {
  for (size_t i = 0; i < t->columns; i++) add(t, (char *)RULE);
}

/* Code points, which is what a terminal shows for the texts that nibble prints. */
static size_t width_of(const char *s) {
  size_t n = 0;
  for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
  return n;
}

static void print_row(const cli_table *t, char **row, const size_t *width, FILE *f) {
  for (size_t c = 0; c < t->columns; c++) {
    size_t pad = row[c] == RULE ? 0 : width[c] - width_of(row[c]);
    bool last = c + 1 == t->columns;
    if (c) fputs("  ", f);
    if (row[c] == RULE) {
      for (size_t i = 0; i < width[c]; i++) fputc('-', f);
    } else if (t->align[c] == 'r') {
      fprintf(f, "%*s%s", (int)pad, "", row[c]);
    } else {
      fprintf(f, "%s%*s", row[c], last ? 0 : (int)pad, "");
    }
  }
  fputc('\n', f);
}

void cli_table_end(cli_table *t, FILE *f) {
  size_t *width = t->columns ? calloc(t->columns, sizeof *width) : NULL;
  if (f && !t->failed && width) {
    for (size_t i = 0; i < t->n; i++) {
      size_t w = t->cells[i] == RULE ? 0 : width_of(t->cells[i]);
      width[i % t->columns] = nb_max(width[i % t->columns], w);
    }
    for (size_t i = 0; i + t->columns <= t->n; i += t->columns) print_row(t, t->cells + i, width, f);
  }
  for (size_t i = 0; i < t->n; i++)
    if (t->cells[i] != RULE) free(t->cells[i]);
  free(t->cells);
  free(width);
  memset(t, 0, sizeof *t);
}
