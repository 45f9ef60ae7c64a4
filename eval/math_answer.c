/* SPDX-License-Identifier: MIT */
#include "eval/math_answer.h"

#include "eval/regexp.h"
#include "eval/strings.h"

#include <ctype.h>

/* ---- \boxed ---- */

static nb_status set(nb_text *t, const char *s, size_t n, nb_err *err) {
  nb_text out = {0};
  NB_TRY(nb_text_append(&out, s, n, err));
  nb_text_free(t);
  *t = out;
  return NB_OK;
}

static const char *last(const char *s, const char *what) {
  const char *hit = NULL;
  for (const char *p = s; (p = strstr(p, what)); p++) hit = p;
  return hit;
}

nb_status nb_math_boxed(nb_text *t, nb_err *err) {
  NB_TRY(nb_text_append(t, "", 0, err));
  const char *spaced = last(t->s, "\\boxed ");
  if (spaced) return set(t, spaced + 7, strcspn(spaced + 7, "$"), err);
  const char *box = last(t->s, "\\boxed"), *open;
  if (!box) box = last(t->s, "\\fbox");
  if (!box || !(open = strchr(box, '{'))) return set(t, "", 0, err);
  size_t depth = 0;
  for (const char *p = open; *p; p++) {
    depth += *p == '{';
    if (*p == '}' && --depth == 0) return set(t, open + 1, (size_t)(p - open - 1), err);
  }
  return set(t, "", 0, err);
}

/* ---- the normal form ---- */

static const char *const substitutions[][2] = {
    {"an ", ""}, {"a ", ""},       {".$", "$"},           {"\\$", ""},          {"\\ ", ""},
    {" ", ""},   {"mbox", "text"}, {",\\text{and}", ","}, {"\\text{and}", ","}, {"\\text{m}", "\\text{}"}};
static const char *const removed[] = {"square",       "ways",
                                      "integers",     "dollars",
                                      "mph",          "inches",
                                      "ft",           "hours",
                                      "km",           "units",
                                      "\\ldots",      "sue",
                                      "points",       "feet",
                                      "minutes",      "digits",
                                      "cents",        "degrees",
                                      "cm",           "gm",
                                      "pounds",       "meters",
                                      "meals",        "edges",
                                      "students",     "childrentickets",
                                      "multiples",    "\\text{s}",
                                      "\\text{.}",    "\\text{\ns}",
                                      "\\text{}^2",   "\\text{}^3",
                                      "\\text{\n}",   "\\text{}",
                                      "\\mathrm{th}", "^\\circ",
                                      "^{\\circ}",    "\\;",
                                      ",\\!",         "{,}",
                                      "\"",           "\\dots"};
enum { REMOVED = sizeof removed / sizeof *removed };

static bool is_word(const char *s) {
  for (; *s; s++)
    if (!isalpha((unsigned char)*s)) return false;
  return true;
}

static nb_status substitute(nb_text *t, const char *pattern, const char *with, nb_err *err) {
  nb_regexp *r;
  NB_TRY(nb_regexp_compile(pattern, false, "math answers", &r, err));
  nb_status st = nb_regexp_replace(r, with, t, err);
  nb_regexp_free(r);
  return st;
}

/* Removes a word, but not inside the name of a command. */
static nb_status remove_outside_commands(nb_text *t, const char *word, nb_err *err) {
  nb_text out = {0}, part = {0};
  nb_status st = nb_text_append(&out, "", 0, err);
  for (size_t i = 0; i < t->n && st == NB_OK;) {
    size_t end = i;
    if (t->s[i] == '\\' && isalpha((unsigned char)t->s[i + 1])) {
      for (end++; isalpha((unsigned char)t->s[end]);) end++;
      st = nb_text_append(&out, t->s + i, end - i, err);
    } else {
      for (end++; end < t->n && !(t->s[end] == '\\' && isalpha((unsigned char)t->s[end + 1]));) end++;
      nb_text_clear(&part);
      st = nb_text_append(&part, t->s + i, end - i, err);
      if (st == NB_OK) st = nb_strings_replace(&part, word, "", err);
      if (st == NB_OK) st = nb_text_append(&out, part.s, part.n, err);
    }
    i = end;
  }
  nb_text_free(&part);
  if (st != NB_OK) return nb_text_free(&out), st;
  nb_text_free(t);
  *t = out;
  return NB_OK;
}

nb_status nb_math_normalize(nb_text *t, nb_err *err) {
  NB_TRY(nb_text_append(t, "", 0, err));
  const char *equals = strrchr(t->s, '=');
  if (equals) NB_TRY(set(t, equals + 1, strlen(equals + 1), err));
  for (size_t i = 0; i < REMOVED; i++)
    if (is_word(removed[i])) {
      char pattern[64] = "(?<!\\\\)\\b";
      strcat(pattern, removed[i]), strcat(pattern, "\\b");
      if (strstr(t->s, removed[i])) NB_TRY(substitute(t, pattern, "", err));
    }
  for (size_t i = 0; i < sizeof substitutions / sizeof *substitutions; i++)
    NB_TRY(nb_strings_replace(t, substitutions[i][0], substitutions[i][1], err));
  for (size_t i = 0; i < REMOVED; i++)
    NB_TRY(is_word(removed[i]) ? remove_outside_commands(t, removed[i], err)
                               : nb_strings_replace(t, removed[i], "", err));
  NB_TRY(substitute(t, "(.*?)(\\$)(.*?)(\\$)(.*)", "$$${3}$$", err));
  NB_TRY(substitute(t, "(\\\\text\\{)(.*?)(\\})", "${2}", err));
  NB_TRY(substitute(t, "(\\\\textbf\\{)(.*?)(\\})", "${2}", err));
  NB_TRY(substitute(t, "(\\\\overline\\{)(.*?)(\\})", "${2}", err));
  NB_TRY(substitute(t, "(\\\\boxed\\{)(.*)(\\})", "${2}", err));
  NB_TRY(substitute(t, "(frac)([^{])(.)", "frac{${2}}{${3}}", err));
  NB_TRY(substitute(t, "(sqrt)(\\[[^\\]]*\\])(\\w)", "${1}${2}{${3}}", err));
  NB_TRY(substitute(t, "(sqrt)(?!\\[)([^{])", "sqrt{${2}}", err));
  NB_TRY(nb_strings_replace(t, "$", "", err));
  nb_regexp *r;
  nb_text hit = {0};
  bool thousands;
  NB_TRY(nb_regexp_compile("\\A-?\\d{1,3}(?:,\\d{3})+\\z", false, "math answers", &r, err));
  nb_status st = nb_regexp_find(r, t->s, t->n, 0, &hit, &thousands, err);
  nb_regexp_free(r), nb_text_free(&hit);
  NB_TRY(st);
  return thousands ? nb_strings_replace(t, ",", "", err) : NB_OK;
}

/* ---- equality ---- */

/* -12.5, 3/4, \frac{3}{4}, -\frac{3}{4}: as a fraction of two doubles. */
static bool number(const char **p, double *out) {
  char *end;
  if (!isdigit((unsigned char)**p) && !(**p == '.' && isdigit((unsigned char)(*p)[1]))) return false;
  size_t n = strspn(*p, "0123456789.");
  *out = strtod(*p, &end);
  bool whole = end == *p + n;
  *p = end;
  return whole;
}

static bool fraction(const char *s, double *top, double *bottom) {
  double sign = 1;
  *bottom = 1;
  if (*s == '-') sign = -1, s++;
  if (!strncmp(s, "\\frac{", 6)) {
    s += 6;
    if (!number(&s, top) || strncmp(s, "}{", 2)) return false;
    s += 2;
    if (!number(&s, bottom) || strcmp(s, "}")) return false;
  } else {
    if (!number(&s, top)) return false;
    if (*s == '/' && (s++, !number(&s, bottom))) return false;
    if (*s) return false;
  }
  *top *= sign;
  return *bottom != 0;
}

bool nb_math_equal(const char *a, const char *b) {
  double p, q, r, s;
  if (*a && !strcmp(a, b)) return true;
  return fraction(a, &p, &q) && fraction(b, &r, &s) && p * s == r * q;
}
