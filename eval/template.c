/* SPDX-License-Identifier: MIT */
#include "eval/template.h"

enum { FIELD_MAX = 200 };

/* ---- scope ---- */

static nb_status look_up(const char *name, const nb_scope *scope, const char *where, nb_text *out, nb_err *err) {
  char bare[FIELD_MAX];
  size_t n = strlen(name);
  bool optional = n > 1 && name[n - 1] == '?';
  if (optional) memcpy(bare, name, n - 1), bare[n - 1] = 0, name = bare;
  for (size_t i = 0; i < scope->n_vars; i++)
    if (!strcmp(scope->var[i].name, name) && scope->var[i].value)
      return nb_text_append_str(out, scope->var[i].value, err);
  nb_pool pool = {0};
  nb_values v = {0};
  bool found = false;
  nb_status st = scope->row ? nb_rowpath_find(scope->row, name, &pool, &v, &found, err) : NB_OK;
  if (st == NB_OK && !found && optional) return nb_pool_free(&pool), nb_text_append_str(out, "", err);
  if (st == NB_OK && (!found || v.n != 1 || !v.text[0]))
    st = nb_fail(err, NB_ERR_ARG, "%s: the template's {{%s}} is not %s", where, name,
                 found ? "one text or number in this row" : "a field of this row");
  if (st == NB_OK) st = nb_text_append_str(out, v.text[0], err);
  nb_pool_free(&pool);
  return st;
}

/* ---- rendering ---- */

/* The next {{...}} at or after p: *open and *close delimit what is inside. *open = NULL: none is left. */
static nb_status next_field(const char *p, const char **open, const char **close, const char *where, nb_err *err) {
  const char *o = strstr(p, "{{");
  *open = NULL;
  if (!o) return NB_OK;
  const char *c = strstr(o + 2, "}}");
  while (c && c[2] == '}') c++; /* {{targets{keys}}} */
  if (!c) return nb_fail(err, NB_ERR_ARG, "%s: \"{{\" without \"}}\" in a template", where);
  *open = o + 2, *close = c;
  return NB_OK;
}

/* Splits "name|filters"; both NUL-terminated in buf, *filters NULL when there are none. */
static nb_status split_field(const char *open, const char *close, char buf[FIELD_MAX], char **filters,
                             const char *where, nb_err *err) {
  size_t n = (size_t)(close - open);
  if (n == 0 || n >= FIELD_MAX)
    return nb_fail(err, NB_ERR_ARG, "%s: a template's {{...}} holds %zu bytes; want 1 to %d", where, n, FIELD_MAX - 1);
  memcpy(buf, open, n), buf[n] = 0;
  *filters = strchr(buf, '|');
  if (*filters) *(*filters)++ = 0;
  return NB_OK;
}

nb_status nb_template_render(const char *tmpl, const nb_scope *scope, const char *where, nb_text *out, nb_err *err) {
  nb_text value = {0};
  nb_status st = NB_OK;
  for (const char *p = tmpl;;) {
    const char *open, *close;
    NB_GOTO(next_field(p, &open, &close, where, err));
    if (!open) {
      NB_GOTO(nb_text_append_str(out, p, err));
      break;
    }
    NB_GOTO(nb_text_append(out, p, (size_t)(open - 2 - p), err));
    char buf[FIELD_MAX], *filters;
    NB_GOTO(split_field(open, close, buf, &filters, where, err));
    nb_text_clear(&value);
    NB_GOTO(look_up(buf, scope, where, &value, err));
    if (filters) NB_GOTO(nb_template_filter(filters, &value, where, err));
    NB_GOTO(nb_text_append(out, value.s, value.n, err));
    p = close + 2;
  }
fail:
  nb_text_free(&value);
  return st;
}

nb_status nb_template_check(const char *tmpl, const char *where, nb_err *err) {
  for (const char *p = tmpl;;) {
    const char *open, *close;
    NB_TRY(next_field(p, &open, &close, where, err));
    if (!open) return NB_OK;
    char buf[FIELD_MAX], *filters;
    NB_TRY(split_field(open, close, buf, &filters, where, err));
    nb_status st = nb_rowpath_check(buf, err);
    if (st != NB_OK) return nb_fail_in(err, st, "%s", where);
    if (filters) {
      nb_text none = {0};
      NB_TRY(nb_text_append_str(&none, "", err));
      st = nb_template_filter(filters, &none, where, err);
      nb_text_free(&none);
      if (st == NB_ERR_ARG) return st; /* NB_ERR_FORMAT: the empty text has no blank, which is no matter */
    }
    p = close + 2;
  }
}
