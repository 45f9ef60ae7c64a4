/* SPDX-License-Identifier: MIT */
#include "text/jinja_lex.h"
#include "base/utf8.h"

#include <ctype.h>

nb_status nb_jinja_lex_fail(parser *p, const char *what) {
  if (p->kind == T_EOF) return nb_jinja_fail(p->j, p->line, "%s, but the template ends", what);
  int n = (int)nb_min(p->pos - p->start, 40);
  return nb_jinja_fail(p->j, p->line, "%s at \"%.*s\"", what, n, p->j->src + p->start);
}

static bool is_py_space(const char *s, size_t *k) {
  uint32_t c = nb_utf8_get(s, k);
  return nb_utf8_is_space(c) || (c >= 0x1c && c <= 0x1f);
}

/* Moves over white space, counting lines; tells whether the last character was a newline. */
static bool skip_space(parser *p) {
  bool newline = false;
  for (size_t k; p->pos < p->j->n_src && is_py_space(p->j->src + p->pos, &k); p->pos += k)
    if ((newline = p->j->src[p->pos] == '\n')) p->line++;
  return newline;
}

static nb_status lex_string(parser *p, char quote) {
  const char *s = p->j->src;
  char *out;
  size_t n = 0, i = p->pos + 1, end = i;
  while (end < p->j->n_src && s[end] != quote) end += s[end] == '\\' && end + 1 < p->j->n_src ? 2 : 1;
  p->kind = T_STRING;
  if (end >= p->j->n_src) return nb_jinja_fail(p->j, p->line, "a string does not end");
  NB_TRY(nb_jinja_alloc(p->j, end - i + 1, &out));
  while (i < end) {
    char c = s[i++];
    if (c == '\n') p->line++;
    if (c != '\\') {
      out[n++] = c;
      continue;
    }
    c = s[i++];
    const char *from = "ntrbfav\\'\"", *at = strchr(from, c);
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits && end - i >= digits) { /* at most as long in UTF-8 as the escape itself */
      char hex[9] = {0}, *stop;
      memcpy(hex, s + i, digits);
      unsigned long cp = strtoul(hex, &stop, 16);
      if (*stop || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
        return nb_jinja_fail(p->j, p->line, "a bad escape in a string");
      n += nb_utf8_put((uint32_t)cp, out + n);
      i += digits;
    } else if (c && at) {
      out[n++] = "\n\t\r\b\f\a\v\\'\""[at - from];
    } else if (c == '\n') {
      p->line++;
    } else {
      out[n++] = '\\', out[n++] = c;
    }
  }
  p->v = nb_jinja_string(out, n);
  p->pos = end + 1;
  return NB_OK;
}

static nb_status lex_number(parser *p) {
  const char *s = p->j->src;
  char b[64];
  size_t n = 0;
  bool is_float = false;
  for (; n + 1 < sizeof b; p->pos++) {
    char c = s[p->pos];
    if (c == '_') continue;
    if (c == '.' && (is_float || !isdigit((unsigned char)s[p->pos + 1]))) break;
    if (c == '.') is_float = true;
    else if (!isdigit((unsigned char)c)) break;
    b[n++] = c;
  }
  size_t sign = (s[p->pos] | 32) == 'e' && strchr("+-", s[p->pos + 1]) && s[p->pos + 1];
  if ((s[p->pos] | 32) == 'e' && isdigit((unsigned char)s[p->pos + sign + 1])) {
    is_float = true;
    do b[n++] = s[p->pos++];
    while (n + 1 < sizeof b &&
           (isdigit((unsigned char)s[p->pos]) || (sign && b[n - 1] != s[p->pos] && strchr("eE", b[n - 1]))));
  }
  b[n] = 0;
  if (n > 18 && !is_float) return nb_jinja_fail(p->j, p->line, "the number %s is too large", b);
  p->kind = is_float ? T_FLOAT : T_INT;
  p->v = is_float ? (value){V_FLOAT, 0, {.f = strtod(b, NULL)}} : nb_jinja_int(strtoll(b, NULL, 10));
  return NB_OK;
}

/* Reads the next token of a tag. */
nb_status nb_jinja_lex_next(parser *p) {
  static const char *const two[] = {"==", "!=", "<=", ">=", "//", "**"};
  const char *s = p->j->src;
  skip_space(p);
  p->start = p->pos;
  char c = s[p->pos]; /* a NUL at the end */
  if (p->pos >= p->j->n_src) return p->kind = T_EOF, NB_OK;
  if (!p->nest) {
    size_t sign = c == '-' || c == '+';
    if ((s[p->pos + sign] == '%' || s[p->pos + sign] == '}') && s[p->pos + sign + 1] == '}')
      return p->kind = T_END, NB_OK;
  }
  if (c == '"' || c == '\'') return lex_string(p, c);
  if (isdigit((unsigned char)c)) return lex_number(p);
  size_t n = 0;
  if (isalpha((unsigned char)c) || c == '_') {
    while (isalnum((unsigned char)s[p->pos + n]) || s[p->pos + n] == '_') n++;
    p->kind = T_NAME;
  } else {
    n = 1;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
      if (!strncmp(s + p->pos, two[i], 2)) n = 2;
    if (!strchr("+-*/%~=!<>()[]{}.,:|", c)) return nb_jinja_fail(p->j, p->line, "an unexpected character '%c'", c);
    if (strchr("([{", c)) p->nest++;
    if (strchr(")]}", c) && p->nest) p->nest--;
    p->kind = T_OP;
  }
  p->pos += n;
  return nb_jinja_copy(p->j, s + p->start, n, &p->v); /* NUL-terminated */
}

nb_status nb_jinja_lex_accept(parser *p, const char *op, bool *yes) {
  *yes = nb_jinja_lex_is_op(p, op);
  return *yes ? nb_jinja_lex_next(p) : NB_OK;
}

nb_status nb_jinja_lex_expect(parser *p, const char *op) {
  char what[32] = "expected ";
  strncat(what, op, 8);
  return nb_jinja_lex_is_op(p, op) ? nb_jinja_lex_next(p) : nb_jinja_lex_fail(p, what);
}

/* Leaves the tag, which must end here, and applies its right-hand whitespace control. */
nb_status nb_jinja_lex_end_tag(parser *p, bool block) {
  if (p->kind != T_END) return nb_jinja_lex_fail(p, "expected the end of the tag");
  const char *s = p->j->src + p->start;
  char sign = *s == '-' || *s == '+' ? *s++ : 0;
  if (*s != (block ? '%' : '}')) return nb_jinja_lex_fail(p, block ? "expected %}" : "expected }}");
  p->pos = (size_t)(s - p->j->src) + 2;
  p->line_start = false;
  if (sign == '-') p->line_start = skip_space(p);
  else if (block && sign != '+' && p->j->src[p->pos] == '\n') p->pos++, p->line++, p->line_start = true;
  return NB_OK;
}

value nb_jinja_lex_data(parser *p) {
  const char *s = p->j->src;
  size_t start = p->pos, at = start, end;
  while (at < p->j->n_src && !(s[at] == '{' && s[at + 1] && strchr("{%#", s[at + 1]))) at++;
  end = at;
  if (at < p->j->n_src) {
    char sign = s[at + 2];
    if (sign == '-') {
      for (size_t k, len; end > start; end -= k) {
        k = nb_utf8_back(s, end);
        if (!is_py_space(s + end - k, &len)) break;
      }
    } else if (sign != '+' && s[at + 1] != '{') {
      size_t l = at, len;
      while (l > start && s[l - 1] != '\n' && is_py_space(s + l - nb_utf8_back(s, l), &len)) l -= nb_utf8_back(s, l);
      if (l > start ? s[l - 1] == '\n' : p->line_start) end = l;
    }
  }
  for (size_t i = start; i < at; i++) p->line += s[i] == '\n';
  p->pos = at;
  return nb_jinja_string(s + start, end - start);
}

nb_status nb_jinja_lex_comment(parser *p) {
  const char *s = p->j->src, *end = strstr(s + p->pos, "#}");
  if (!end) return nb_jinja_fail(p->j, p->line, "a comment does not end");
  for (const char *c = s + p->pos; c < end; c++) p->line += *c == '\n';
  char sign = end > s + p->pos + 2 ? end[-1] : 0;
  p->pos = (size_t)(end - s) + 2;
  p->line_start = false;
  if (sign == '-') p->line_start = skip_space(p);
  else if (sign != '+' && s[p->pos] == '\n') p->pos++, p->line++, p->line_start = true;
  return NB_OK;
}
