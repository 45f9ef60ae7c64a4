/* SPDX-License-Identifier: MIT */
/* The filters of templates (template.h). */
#include "eval/template.h"

#include <utf8proc.h>

/* The character at s[i], and its length in bytes; an ill-formed byte counts as one character of itself. */
static int32_t char_at(const char *s, size_t n, size_t i, size_t *len) {
  utf8proc_int32_t c;
  utf8proc_ssize_t k = utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(n - i), &c);
  *len = k > 0 ? (size_t)k : 1;
  return k > 0 ? c : -1;
}

/* What Python's str.isspace calls white space. */
static bool is_space(int32_t c) {
  return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static void strip(nb_text *t) {
  size_t begin = t->n, end = 0, len;
  for (size_t i = 0; i < t->n; i += len)
    if (!is_space(char_at(t->s, t->n, i, &len))) {
      if (begin == t->n) begin = i;
      end = i + len;
    }
  if (end < begin) begin = end = 0;
  if (t->s) memmove(t->s, t->s + begin, end - begin);
  t->n = end - begin;
  if (t->s) t->s[t->n] = 0;
}

/* Puts the bytes of `with` in place of each `what`, once over the text. */
static nb_status replace(nb_text *t, const char *what, const char *with, nb_err *err) {
  nb_text out = {0};
  nb_status st = NB_OK;
  for (const char *p = t->s ? t->s : "";;) {
    const char *hit = strstr(p, what);
    NB_GOTO(nb_text_append(&out, p, hit ? (size_t)(hit - p) : strlen(p), err));
    if (!hit) break;
    NB_GOTO(nb_text_append_str(&out, with, err));
    p = hit + strlen(what);
  }
  nb_text_free(t);
  *t = out;
  return NB_OK;
fail:
  nb_text_free(&out);
  return st;
}

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
  strip(t);
  NB_TRY(replace(t, " [title]", ". ", err));
  remove_brackets(t);
  return replace(t, "  ", " ", err);
}

static nb_status capitalize(nb_text *t, nb_err *err) {
  nb_text out = {0};
  nb_status st = NB_OK;
  size_t len;
  for (size_t i = 0; i < t->n; i += len) {
    int32_t c = char_at(t->s, t->n, i, &len);
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

static bool is(const char *f, size_t n, const char *name) { return n == strlen(name) && !memcmp(f, name, n); }

nb_status nb_template_filter(const char *filters, nb_text *text, const char *where, nb_err *err) {
  for (const char *f = filters;;) {
    size_t n = strcspn(f, "|");
    if (is(f, n, "strip")) strip(text);
    else if (is(f, n, "capitalize")) NB_TRY(capitalize(text, err));
    else if (is(f, n, "wikihow")) NB_TRY(wikihow(text, err));
    else if (n >= 7 && !memcmp(f, "before:", 7)) NB_TRY(cut(text, f + 7, n - 7, false, where, err));
    else if (n >= 6 && !memcmp(f, "after:", 6)) NB_TRY(cut(text, f + 6, n - 6, true, where, err));
    else if (is(f, n, "spaces")) {
      for (size_t i = 0; i < text->n; i++)
        if (text->s[i] == '_') text->s[i] = ' ';
    } else
      return nb_fail(err, NB_ERR_ARG,
                     "%s: unknown filter \"%.*s\"; there are strip, spaces, capitalize, wikihow, "
                     "before:X, after:X",
                     where, (int)n, f);
    if (!f[n]) return NB_OK;
    f += n + 1;
  }
}
