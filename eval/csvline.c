/* SPDX-License-Identifier: MIT */
#include "csvline.h"

#include "mem.h"

#include <stdlib.h>
#include <string.h>

nb_status nb_csv_open(nb_csv *c, const char *bytes, size_t n, char separator, const char *file, nb_err *err) {
  *c = (nb_csv){.at = bytes, .end = bytes + n, .file = file, .separator = separator, .next_line = 1};
  if (n >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3)) c->at += 3;
  const char *nul = memchr(bytes, 0, n);
  if (nul) return nb_fail(err, NB_ERR_FORMAT, "%s: a NUL character at byte %zu", file, (size_t)(nul - bytes));
  size_t room; /* fields and their NULs never take more than the bytes and one */
  if (!nb_add(n, 1, &room) || !(c->text = malloc(room))) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", file);
  return NB_OK;
}

/* Copies one field to *out and moves behind it. */
static nb_status read_field(nb_csv *c, char **out, nb_err *err) {
  char *o = *out;
  const char *p = c->at;
  if (p < c->end && *p == '"') {
    for (p++;; p++) {
      if (p == c->end) return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: a quoted field never ends", c->file, c->line);
      if (*p == '"' && (p + 1 == c->end || p[1] != '"')) break;
      p += *p == '"'; /* a doubled quote counts once */
      c->next_line += *p == '\n';
      *o++ = *p;
    }
    p++;
    if (p < c->end && *p == '\r') p++;
    if (p < c->end && *p != c->separator && *p != '\n')
      return nb_fail(err, NB_ERR_FORMAT, "%s:%zu: text behind a field's closing quote", c->file, c->next_line);
  } else {
    while (p < c->end && *p != c->separator && *p != '\n') *o++ = *p++;
    if (o > *out && o[-1] == '\r' && (p == c->end || *p == '\n')) o--;
  }
  *o++ = 0;
  *out = o, c->at = p;
  return NB_OK;
}

nb_status nb_csv_next(nb_csv *c, bool *more, nb_err *err) {
  while (c->at < c->end && (*c->at == '\n' || (*c->at == '\r' && c->at + 1 < c->end && c->at[1] == '\n')))
    c->next_line += *c->at++ == '\n';
  *more = c->at < c->end;
  if (!*more) return NB_OK;
  char *o = c->text;
  c->n = 0, c->line = c->next_line;
  for (;;) {
    NB_TRY(nb_grow(&c->field, &c->capacity, c->n + 1, sizeof *c->field, err));
    c->field[c->n++] = o;
    NB_TRY(read_field(c, &o, err));
    if (c->at == c->end) return NB_OK;
    if (*c->at++ == '\n') return c->next_line++, NB_OK;
  }
}

void nb_csv_close(nb_csv *c) {
  free(c->field), free(c->text);
  *c = (nb_csv){0};
}
