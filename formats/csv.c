/* SPDX-License-Identifier: MIT */
#include "formats/csv.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

nb_status nb_csv_open(const char *bytes, size_t n, const char *file, nb_csv *c, nb_err *err) {
  *c = (nb_csv){.file = file, .line = 1};
  if (n >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3)) bytes += 3, n -= 3;
  /* a decoded field takes no more than its bytes and its separator, the last one a NUL more */
  c->text = malloc(n + 1);
  if (!c->text) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", file);
  c->out = c->text;
  c->p = bytes, c->end = bytes + n;
  return NB_OK;
}

void nb_csv_close(nb_csv *c) {
  free(c->text);
  free(c->fields);
  *c = (nb_csv){0};
}

/* Moves behind a line break, if there is one. */
static bool skip_break(nb_csv *c) {
  if (c->p == c->end || (*c->p != '\n' && *c->p != '\r')) return false;
  if (*c->p == '\r' && c->end - c->p > 1 && c->p[1] == '\n') c->p++;
  c->p++;
  c->line++;
  return true;
}

/* Copies the field in quotes at c->p. */
static nb_status quoted(nb_csv *c, nb_err *err) {
  size_t from = c->line;
  for (c->p++; c->p < c->end; c->p++) {
    if (*c->p == '"' && (c->end - c->p < 2 || c->p[1] != '"')) {
      c->p++;
      if (c->p == c->end || *c->p == ',' || *c->p == '\n' || *c->p == '\r') return NB_OK;
      return nb_fail(err, NB_ERR_FORMAT,
                     "%s:%zu: text behind the closing quote of a field (double the quotes inside it)", c->file,
                     c->line);
    }
    if (*c->p == '"') c->p++;
    if (*c->p == '\n' || (*c->p == '\r' && (c->end - c->p < 2 || c->p[1] != '\n'))) c->line++;
    if (!*c->p) return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: a NUL byte", c->file, c->line);
    *c->out++ = *c->p;
  }
  return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: a quoted field begins here and never ends", c->file, from);
}

static nb_status plain(nb_csv *c, nb_err *err) {
  for (; c->p < c->end && *c->p != ',' && *c->p != '\n' && *c->p != '\r'; c->p++) {
    if (!*c->p) return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: a NUL byte", c->file, c->line);
    *c->out++ = *c->p;
  }
  return NB_OK;
}

nb_status nb_csv_next(nb_csv *c, bool *more, nb_err *err) {
  c->n_fields = 0;
  while (skip_break(c)) continue;
  *more = c->p < c->end;
  c->row_line = c->line;
  while (*more) {
    if (c->n_fields == NB_CSV_MAX_FIELDS)
      return nb_fail(err, NB_ERR_UNSUPPORTED, "%s:%zu: more than %d fields", c->file, c->line, NB_CSV_MAX_FIELDS);
    NB_TRY(nb_grow(&c->fields, &c->cap_fields, c->n_fields + 1, sizeof *c->fields, err));
    c->fields[c->n_fields++] = c->out;
    NB_TRY(c->p < c->end && *c->p == '"' ? quoted(c, err) : plain(c, err));
    *c->out++ = '\0';
    if (c->p == c->end || *c->p != ',') break;
    c->p++;
  }
  skip_break(c);
  return NB_OK;
}
