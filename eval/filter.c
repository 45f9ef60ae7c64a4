/* SPDX-License-Identifier: MIT */
/* The filters of templates (template.h). */
#include "eval/strings.h"
#include "eval/template.h"

#include <utf8proc.h>

/* Removes every [...] that holds no line break, each as short as can be. */
static void remove_brackets(nb_text *t) {
  size_t to = 0;
  for (size_t i = 0; i < t->n; i++) {
    if (t->s[i] == '[') {
      size_t n = strcspn(t->s + i, "]\n");
      if (t->s[i + n] == ']') {
        i += n;
        continue;
      }
    }
    t->s[to++] = t->s[i];
  }
  t->n = to;
  if (t->s) t->s[to] = 0;
}

static nb_status wikihow(nb_text *t, nb_err *err) {
  nb_strings_strip(t);
  NB_TRY(nb_strings_replace(t, " [title]", ". ", err));
  remove_brackets(t);
  return nb_strings_replace(t, "  ", " ", err);
}

static nb_status capitalize(nb_text *t, nb_err *err) {
  nb_text out = {0};
  nb_status st = NB_OK;
  size_t len;
  for (size_t i = 0; i < t->n; i += len) {
    int32_t c = nb_strings_char(t->s, t->n, i, &len);
    utf8proc_uint8_t buf[4];
    if (c >= 0) {
      utf8proc_ssize_t k = utf8proc_encode_char(i ? utf8proc_tolower(c) : utf8proc_totitle(c), buf);
      NB_GOTO(nb_text_append(&out, (const char *)buf, (size_t)k, err));
    } else {
      NB_GOTO(nb_text_append(&out, t->s + i, 1, err));
    }
  }
  NB_GOTO(nb_text_append_str(&out, "", err));
  nb_text_free(t);
  *t = out;
  return NB_OK;
fail:
  nb_text_free(&out);
  return st;
}

/* Keeps what is before or after the first mark. */
static nb_status cut(nb_text *t, const char *mark, size_t n_mark, bool after, const char *where, nb_err *err) {
  if (!n_mark) return nb_fail(err, NB_ERR_ARG, "%s: a template's before: or after: names no mark", where);
  for (size_t i = 0; i + n_mark <= t->n; i++)
    if (!memcmp(t->s + i, mark, n_mark)) {
      size_t begin = after ? i + n_mark : 0, end = after ? t->n : i;
      memmove(t->s, t->s + begin, end - begin);
      t->n = end - begin, t->s[t->n] = 0;
      return NB_OK;
    }
  return nb_fail(err, NB_ERR_FORMAT, "%s: the text holds no \"%.*s\"", where, (int)n_mark, mark);
}

static nb_status remove_all(nb_text *t, const char *mark, size_t n_mark, const char *where, nb_err *err) {
  char what[200];
  if (!n_mark || n_mark >= sizeof what)
    return nb_fail(err, NB_ERR_ARG, "%s: a template's remove: names no mark", where);
  memcpy(what, mark, n_mark), what[n_mark] = 0;
  return nb_strings_replace(t, what, "", err);
}

static bool is(const char *f, size_t n, const char *name) { return n == strlen(name) && !memcmp(f, name, n); }

nb_status nb_template_filter(const char *filters, nb_text *text, const char *where, nb_err *err) {
  for (const char *f = filters;;) {
    size_t n = strcspn(f, "|");
    if (is(f, n, "strip")) nb_strings_strip(text);
    else if (is(f, n, "capitalize")) NB_TRY(capitalize(text, err));
    else if (is(f, n, "wikihow")) NB_TRY(wikihow(text, err));
    else if (n >= 7 && !memcmp(f, "before:", 7)) NB_TRY(cut(text, f + 7, n - 7, false, where, err));
    else if (n >= 6 && !memcmp(f, "after:", 6)) NB_TRY(cut(text, f + 6, n - 6, true, where, err));
    else if (n >= 7 && !memcmp(f, "remove:", 7)) NB_TRY(remove_all(text, f + 7, n - 7, where, err));
    else if (is(f, n, "spaces")) {
      for (size_t i = 0; i < text->n; i++)
        if (text->s[i] == '_') text->s[i] = ' ';
    } else
      return nb_fail(err, NB_ERR_ARG,
                     "%s: unknown filter \"%.*s\"; there are strip, spaces, capitalize, wikihow, "
                     "before:X, after:X, remove:X",
                     where, (int)n, f);
    if (!f[n]) return NB_OK;
    f += n + 1;
  }
}
