/* SPDX-License-Identifier: MIT */
#include "text/jinja_lex.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>

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
    if (c != '\\' || i == end) {
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
    } else if (c >= '0' && c <= '7') {
      unsigned v = (unsigned)(c - '0');
      for (int k = 0; k < 2 && i < end && s[i] >= '0' && s[i] <= '7'; k++) v = 8 * v + (unsigned)(s[i++] - '0');
      n += nb_utf8_put(v, out + n);
    } else if (digits || c == 'N') {
      return nb_jinja_fail(p->j, p->line, "a bad escape in a string");
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

/* Digits of a base with single underscores between them, copied to b; the number of characters read. */
static size_t take_digits(const char *s, int base, char *b, size_t *n, size_t most) {
  size_t i = 0;
  for (;; i++) {
    char c = s[i];
    int d = isdigit((unsigned char)c) ? c - '0' : isalpha((unsigned char)c) ? (c | 32) - 'a' + 10 : 99;
    if (c == '_' && i && isalnum((unsigned char)s[i + 1]) && s[i - 1] != '_') continue;
    if (d >= base || *n + 2 > most) return i;
    b[(*n)++] = c;
  }
}

static nb_status lex_number(parser *p) {
  const char *s = p->j->src + p->pos;
  char b[400], *end;
  size_t n = 0, i = 0;
  int base = s[0] != '0' ? 10 : (s[1] | 32) == 'x' ? 16 : (s[1] | 32) == 'o' ? 8 : (s[1] | 32) == 'b' ? 2 : 10;
  bool is_float = false;
  if (base != 10) i = 2;
  i += take_digits(s + i, base, b, &n, sizeof b);
  if (base == 10 && s[i] == '.' && isdigit((unsigned char)s[i + 1])) {
    is_float = true;
    b[n++] = '.', i++;
    i += take_digits(s + i, 10, b, &n, sizeof b - 8);
  }
  size_t sign = (s[i] | 32) == 'e' && (s[i + 1] == '+' || s[i + 1] == '-');
  if (base == 10 && (s[i] | 32) == 'e' && isdigit((unsigned char)s[i + 1 + sign])) {
    is_float = true;
    for (size_t k = 0; k <= sign; k++) b[n++] = s[i++];
    i += take_digits(s + i, 10, b, &n, sizeof b);
  }
  b[n] = 0;
  p->pos += i;
  errno = 0;
  p->kind = is_float ? T_FLOAT : T_INT;
  p->v = is_float ? (value){V_FLOAT, 0, {.f = strtod(b, NULL)}, false} : nb_jinja_int(strtoll(b, &end, base));
  if (n == 0 || isalnum((unsigned char)s[i]) || (base == 10 && n > 1 && b[0] == '0' && !is_float && strspn(b, "0") < n))
    return nb_jinja_fail(p->j, p->line, "\"%.*s\" is not a number", (int)i + 1, s);
  return !is_float && errno == ERANGE ? nb_jinja_fail(p->j, p->line, "the number %.40s is too large", b) : NB_OK;
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
  size_t k;
  if (isalpha((unsigned char)c) || c == '_' ||
      ((unsigned char)c >= 0x80 && nb_utf8_is_word(nb_utf8_get(s + p->pos, &k)))) {
    while (isalnum((unsigned char)s[p->pos + n]) || s[p->pos + n] == '_') n++;
    if ((unsigned char)s[p->pos + n] >= 0x80)
      return nb_jinja_fail(p->j, p->line, "a name that is not ASCII is not supported");
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

nb_status nb_jinja_lex_raw(parser *p, value *out) {
  const char *s = p->j->src;
  size_t start, at;
  if (p->kind != T_END) return nb_jinja_lex_fail(p, "expected the end of the tag");
  p->pos = p->start;
  bool strip = s[p->pos] == '-';
  p->pos += (strip || s[p->pos] == '+') + 2;
  if (strip) skip_space(p);
  for (start = at = p->pos;; at++) {
    const char *tag = strstr(s + at, "{%");
    if (!tag) return nb_jinja_fail(p->j, p->line, "the template ends before {%% endraw %%}");
    at = (size_t)(tag - s);
    size_t k = at + 2 + (s[at + 2] == '-' || s[at + 2] == '+'), len;
    while (s[k] && is_py_space(s + k, &len)) k += len;
    if (strncmp(s + k, "endraw", 6)) continue;
    k += 6;
    while (s[k] && is_py_space(s + k, &len)) k += len;
    size_t sign = s[k] == '-' || s[k] == '+';
    if (strncmp(s + k + sign, "%}", 2)) continue;
    p->line_start = false; /* of the body: it follows a tag */
    *out = nb_jinja_lex_before(p, start, at);
    for (size_t i = start; i < k; i++) p->line += s[i] == '\n';
    p->kind = T_END;
    p->start = p->pos = k;
    return nb_jinja_lex_end_tag(p, true);
  }
}

/* The text from start up to the tag at `at`, without what the tag's whitespace control takes from its end. */
value nb_jinja_lex_before(parser *p, size_t start, size_t at) {
  const char *s = p->j->src;
  size_t end = at;
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
  return nb_jinja_string(s + start, end - start);
}

value nb_jinja_lex_data(parser *p) {
  const char *s = p->j->src;
  size_t start = p->pos, at = start;
  while (at < p->j->n_src && !(s[at] == '{' && s[at + 1] && strchr("{%#", s[at + 1]))) at++;
  value v = nb_jinja_lex_before(p, start, at);
  for (size_t i = start; i < at; i++) p->line += s[i] == '\n';
  p->pos = at;
  return v;
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
