/* SPDX-License-Identifier: MIT */
/* The filters of chat templates for single values; jinja_filter_list.c has those for sequences. */
#include "text/jinja.h"
#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

/* ---- text ---- */

static nb_status indent_lines(jinja *j, unsigned line, value s, const arguments *a, value *out) {
  value v[3] = {nb_jinja_int(4), nb_jinja_bool(false), nb_jinja_bool(false)};
  NB_TRY(nb_jinja_bind(j, line, "indent", a, "width first blank", 0, v));
  bool first = nb_jinja_true(v[1]), blank = nb_jinja_true(v[2]);
  value pad = v[0];
  nb_text t = {0};
  nb_status st = NB_OK;
  if (pad.type == V_INT && pad.u.i >= 0 && pad.u.i <= 100)
    NB_TRY(nb_jinja_binary(j, line, '*', nb_jinja_cstring(" "), pad, &pad));
  if (pad.type != V_STRING || pad.n > 100) return nb_jinja_fail(j, line, "indent needs a width up to 100");
  for (size_t i = 0; i < s.n; i++) {
    bool start = i == 0 ? first : s.u.s[i - 1] == '\n';
    if (start && (blank || s.u.s[i] != '\n' || i == 0)) NB_GOTO(nb_text_append(&t, pad.u.s, pad.n, j->err));
    NB_GOTO(nb_text_append(&t, s.u.s + i, 1, j->err));
    if (t.n > JINJA_MAX_OUTPUT) st = nb_jinja_fail(j, line, "indent makes too long a text");
    if (st == NB_OK) st = nb_jinja_work(j, start ? 1 + pad.n / 16 : 0);
    if (st != NB_OK) goto fail;
  }
  if (s.n && s.u.s[s.n - 1] == '\n' && blank) NB_GOTO(nb_text_append(&t, pad.u.s, pad.n, j->err));
  if (!s.n && first) NB_GOTO(nb_text_append(&t, pad.u.s, pad.n, j->err));
  return nb_jinja_take(j, &t, out);
fail:
  nb_text_free(&t);
  return st;
}

/* Jinja's own title: the first character of every word, words being what stands between white space and - ( { [ <. */
static nb_status title(jinja *j, value s, value *out) {
  value word, rest;
  nb_text t = {0};
  nb_status st = NB_OK;
  for (size_t i = 0, k; i < s.n; i += k) {
    size_t len = 0;
    uint32_t c = nb_utf8_get(s.u.s + i, &k);
    if (nb_utf8_is_space(c) || (c >= 0x1c && c <= 0x1f) || (c < 128 && strchr("-({[<", (int)c) && c)) {
      NB_GOTO(nb_text_append(&t, s.u.s + i, k, j->err));
      continue;
    }
    while (i + k + len < s.n) {
      size_t m;
      c = nb_utf8_get(s.u.s + i + k + len, &m);
      if (nb_utf8_is_space(c) || (c >= 0x1c && c <= 0x1f) || (c < 128 && strchr("-({[<", (int)c) && c)) break;
      len += m;
    }
    NB_GOTO(nb_jinja_change_case(j, nb_jinja_string(s.u.s + i, k), 'u', &word));
    NB_GOTO(nb_jinja_change_case(j, nb_jinja_string(s.u.s + i + k, len), 'l', &rest));
    NB_GOTO(nb_text_append(&t, word.u.s, word.n, j->err));
    NB_GOTO(nb_text_append(&t, rest.u.s, rest.n, j->err));
    k += len;
  }
  return nb_jinja_take(j, &t, out);
fail:
  nb_text_free(&t);
  return st;
}

static size_t chars_to(value s, size_t n) { /* bytes of the first n characters */
  size_t at = 0, k;
  for (; n && at < s.n; n--) nb_utf8_get(s.u.s + at, &k), at += k;
  return at;
}

static nb_status truncate_text(jinja *j, unsigned line, value s, const arguments *a, value *out) {
  value v[4] = {nb_jinja_int(255), nb_jinja_bool(false), nb_jinja_cstring("..."), nb_jinja_int(5)};
  bool has;
  NB_TRY(nb_jinja_bind(j, line, "truncate", a, "length killwords end leeway", 0, v));
  NB_TRY(nb_jinja_work(j, s.type == V_STRING ? s.n / 16 : 0));
  if (v[3].type == V_NONE) v[3] = nb_jinja_int(5);
  if (!nb_jinja_is_int(v[0]) || !nb_jinja_is_int(v[3]) || v[2].type != V_STRING)
    return nb_jinja_fail(j, line, "truncate needs a length, a text for the end and a leeway");
  int64_t n_end = (int64_t)nb_jinja_length(v[2], &has), n = (int64_t)nb_jinja_length(s, &has), length = v[0].u.i;
  if (length < n_end || v[3].u.i < 0)
    return nb_jinja_fail(j, line, "truncate needs a length of at least that of its end");
  if (!has) return nb_jinja_fail(j, line, "%s has no length", nb_jinja_type_name(s));
  if (n <= length + v[3].u.i) return *out = s, NB_OK;
  if (s.type != V_STRING) return nb_jinja_fail(j, line, "%s cannot be truncated", nb_jinja_type_name(s));
  size_t keep = chars_to(s, (size_t)(length - n_end));
  for (size_t i = keep; !nb_jinja_true(v[1]) && i-- > 0;)
    if (s.u.s[i] == ' ') {
      keep = i;
      break;
    }
  return nb_jinja_binary(j, line, '+', nb_jinja_string(s.u.s, keep), v[2], out);
}

static nb_status word_count(jinja *j, value s, value *out) { /* runs of \w */
  int64_t n = 0;
  bool inside = false;
  for (size_t i = 0, k; i < s.n; i += k) {
    bool word = nb_utf8_is_word(nb_utf8_get(s.u.s + i, &k));
    n += word && !inside;
    inside = word;
  }
  *out = nb_jinja_int(n);
  return nb_jinja_work(j, s.n / 4);
}

static nb_status text_filter(jinja *j, unsigned line, value v, const char *name, const arguments *a, bool *known,
                             value *out) {
  static const char *const names[] = {"trim", "upper",  "lower",    "title",     "capitalize", "replace", "string",
                                      "safe", "indent", "truncate", "wordcount", "center",     "format"};
  value x[3] = {nb_jinja_none(), nb_jinja_none(), nb_jinja_none()};
  *known = false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) *known = *known || !strcmp(name, names[i]);
  if (!*known) return NB_OK;
  if (!strcmp(name, "truncate")) return truncate_text(j, line, v, a, out);
  if (!strcmp(name, "indent") && v.type != V_STRING)
    return nb_jinja_fail(j, line, "indent needs a string, not %s", nb_jinja_type_name(v));
  NB_TRY(nb_jinja_to_string(j, v, &v));
  NB_TRY(nb_jinja_work(j, v.n / 16));
  if (!strcmp(name, "trim")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "chars", 0, x));
    if (x[0].type != V_STRING && x[0].type != V_NONE) return nb_jinja_fail(j, line, "trim needs a text of characters");
    return *out = nb_jinja_strip(v, x[0], true, true), NB_OK;
  }
  if (!strcmp(name, "replace")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "old new count", 2, x));
    for (int i = 0; i < 2; i++) NB_TRY(nb_jinja_to_string(j, x[i], &x[i]));
    return nb_jinja_replace(j, line, v, x[0], x[1], x[2], out);
  }
  if (!strcmp(name, "indent")) return indent_lines(j, line, v, a, out);
  if (!strcmp(name, "center")) {
    x[0] = nb_jinja_int(80);
    NB_TRY(nb_jinja_bind(j, line, name, a, "width", 0, x));
    return nb_jinja_method(j, line, v, "center", &(arguments){x, 1, NULL, 0}, out);
  }
  if (!strcmp(name, "format")) {
    value all;
    if (a->n && a->n_key) return nb_jinja_fail(j, line, "format takes positional arguments or named ones, not both");
    NB_TRY(a->n_key ? nb_jinja_dict(j, V_DICT, &all) : nb_jinja_new_list(j, V_TUPLE, &all));
    for (size_t i = 0; i < a->n; i++) NB_TRY(nb_jinja_list_push(j, all.u.list, a->v[i]));
    for (size_t i = 0; i < a->n_key; i++)
      NB_TRY(nb_jinja_dict_set(j, all.u.dict, nb_jinja_cstring(a->key[i]), a->v[i]));
    return nb_jinja_format(j, line, v, all, out);
  }
  NB_TRY(nb_jinja_bind(j, line, name, a, "", 0, x));
  if (!strcmp(name, "wordcount")) return word_count(j, v, out);
  if (!strcmp(name, "title")) return title(j, v, out);
  if (!strcmp(name, "string") || !strcmp(name, "safe")) return *out = v, out->safe = v.safe || name[1] == 'a', NB_OK;
  return nb_jinja_change_case(j, v, *name, out);
}

/* ---- numbers ---- */

/* Python's int(text, base): white space around, underscores between digits, a prefix that fits the base. */
static bool parse_int(value s, int64_t base, int64_t *out) {
  char b[80], *end;
  size_t n = 0, i = 0;
  s = nb_jinja_strip(s, nb_jinja_none(), true, true);
  if (s.n == 0 || s.n > 70) return false;
  for (; i < s.n; i++) {
    bool between = i && i + 1 < s.n && isalnum((unsigned char)s.u.s[i - 1]) && isalnum((unsigned char)s.u.s[i + 1]);
    if (s.u.s[i] == '_' && !between) return false;
    if (s.u.s[i] != '_') b[n++] = s.u.s[i];
  }
  b[n] = 0;
  size_t sign = b[0] == '-' || b[0] == '+';
  bool prefix = b[sign] == '0' && b[sign + 1] && strchr("xXbBoO", b[sign + 1]);
  if (prefix) {
    int64_t of = strchr("xX", b[sign + 1]) ? 16 : strchr("bB", b[sign + 1]) ? 2 : 8;
    if (of != base) {
      if (base <= 10) return false;
    } else {
      memmove(b + sign, b + sign + 2, n - sign - 1);
    }
  }
  if (!isalnum((unsigned char)b[sign])) return false;
  *out = strtoll(b, &end, (int)base);
  return !*end && *out != INT64_MAX && *out != INT64_MIN;
}

static bool parse_float(value s, double *out) {
  char b[80], *end;
  s = nb_jinja_strip(s, nb_jinja_none(), true, true);
  if (s.n == 0 || s.n >= sizeof b) return false;
  memcpy(b, s.u.s, s.n);
  b[s.n] = 0;
  if (strpbrk(b, "xXpP(")) return false;
  *out = strtod(b, &end);
  return !*end;
}

static nb_status to_int(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x[2] = {nb_jinja_int(0), nb_jinja_int(10)};
  double f;
  NB_TRY(nb_jinja_bind(j, line, "int", a, "default base", 0, x));
  NB_TRY(nb_jinja_undefined_fails(j, line, v));
  if (!nb_jinja_is_int(x[1]) || x[1].u.i < 2 || x[1].u.i > 36)
    return nb_jinja_fail(j, line, "int needs a base from 2 to 36");
  *out = x[0];
  if (v.type == V_STRING) {
    int64_t i;
    if (parse_int(v, x[1].u.i, &i)) return *out = nb_jinja_int(i), NB_OK;
    if (!parse_float(v, &f)) return NB_OK;
  } else if (nb_jinja_is_number(v)) {
    f = nb_jinja_double(v);
    if (v.type != V_FLOAT) return *out = nb_jinja_int(v.u.i), NB_OK;
  } else {
    return NB_OK;
  }
  if (isnan(f) || isinf(f)) return v.type == V_STRING ? NB_OK : nb_jinja_fail(j, line, "int of an infinite number");
  if (!(f > -9e18 && f < 9e18)) return nb_jinja_fail(j, line, "a number becomes too large");
  *out = nb_jinja_int((int64_t)f);
  return NB_OK;
}

static nb_status to_float(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x = {V_FLOAT, 0, {.f = 0}, false};
  double f = 0;
  NB_TRY(nb_jinja_bind(j, line, "float", a, "default", 0, &x));
  NB_TRY(nb_jinja_undefined_fails(j, line, v));
  bool yes = nb_jinja_is_number(v) || (v.type == V_STRING && parse_float(v, &f));
  if (nb_jinja_is_number(v)) f = nb_jinja_double(v);
  *out = yes ? (value){V_FLOAT, 0, {.f = f}, false} : x;
  return NB_OK;
}

static nb_status round_number(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x[2] = {nb_jinja_int(0), nb_jinja_cstring("common")};
  char b[400];
  NB_TRY(nb_jinja_bind(j, line, "round", a, "precision method", 0, x));
  NB_TRY(nb_jinja_undefined_fails(j, line, v));
  if (!nb_jinja_is_number(v) || !nb_jinja_is_int(x[0]) || x[1].type != V_STRING || x[0].u.i < -15 || x[0].u.i > 15)
    return nb_jinja_fail(j, line, "round needs a number, a precision from -15 to 15 and a method");
  double f = nb_jinja_double(v), power = pow(10, (double)x[0].u.i);
  bool is_int = v.type != V_FLOAT;
  if (x[1].n == 6 && !memcmp(x[1].u.s, "common", 6)) { /* to the nearest, halves to even, of the exact value */
    if (x[0].u.i >= 0) snprintf(b, sizeof b, "%.*f", (int)x[0].u.i, f);
    if (x[0].u.i < 0 && is_int) { /* Python rounds whole numbers exactly */
      int64_t p = (int64_t)pow(10, (double)-x[0].u.i), r = v.u.i % p, half = llabs(r) * 2;
      int64_t q = v.u.i - r;
      if (half > p || (half == p && (q / p) % 2)) q += r < 0 ? -p : p;
      return *out = nb_jinja_int(q), NB_OK;
    }
    if (is_int) return *out = v.type == V_BOOL ? nb_jinja_int(v.u.i) : v, NB_OK;
    f = x[0].u.i >= 0 ? strtod(b, NULL) : rint(f * power) / power;
  } else if (x[1].n == 4 && !memcmp(x[1].u.s, "ceil", 4)) {
    f = ceil(f * power) / power;
  } else if (x[1].n == 5 && !memcmp(x[1].u.s, "floor", 5)) {
    f = floor(f * power) / power;
  } else {
    return nb_jinja_fail(j, line, "round knows the methods common, ceil and floor");
  }
  *out = (value){V_FLOAT, 0, {.f = f}, false};
  return NB_OK;
}

/* ---- the others ---- */

static nb_status to_json(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x[4] = {nb_jinja_bool(false), nb_jinja_none(), nb_jinja_none(), nb_jinja_bool(false)};
  NB_TRY(nb_jinja_bind(j, line, "tojson", a, "ensure_ascii indent separators sort_keys", 0, x));
  json_form f = {-1, ", ", ": ", nb_jinja_true(x[0]), nb_jinja_true(x[3])};
  if (x[1].type == V_INT && x[1].u.i >= 0 && x[1].u.i < 100) f.indent = (int)x[1].u.i, f.comma = ",";
  else if (x[1].type != V_NONE) return nb_jinja_fail(j, line, "tojson needs an indent from 0 to 99");
  if (x[2].type != V_NONE) {
    const list *l = x[2].type == V_TUPLE || x[2].type == V_LIST ? x[2].u.list : NULL;
    value s[2];
    if (!l || l->n != 2 || l->v[0].type != V_STRING || l->v[1].type != V_STRING)
      return nb_jinja_fail(j, line, "tojson needs two separators");
    for (int i = 0; i < 2; i++) NB_TRY(nb_jinja_copy(j, l->v[i].u.s, l->v[i].n, &s[i]));
    f.comma = s[0].u.s, f.colon = s[1].u.s;
  }
  nb_text t = {0};
  nb_status st = nb_jinja_json(j, v, &f, 0, &t);
  if (st == NB_OK) return nb_jinja_take(j, &t, out);
  nb_text_free(&t);
  return st;
}

nb_status nb_jinja_filter(jinja *j, unsigned line, value v, const char *name, const arguments *a, value *out) {
  value x[2] = {nb_jinja_cstring(""), nb_jinja_bool(false)};
  bool known;
  NB_TRY(nb_jinja_work(j, 1));
  NB_TRY(text_filter(j, line, v, name, a, &known, out));
  if (!known) NB_TRY(nb_jinja_list_filter(j, line, v, name, a, &known, out));
  if (known) return NB_OK;
  if (!strcmp(name, "default") || !strcmp(name, "d")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "default_value boolean", 0, x));
    *out = v.type == V_UNDEFINED || (nb_jinja_true(x[1]) && !nb_jinja_true(v)) ? x[0] : v;
    return NB_OK;
  }
  if (!strcmp(name, "int")) return to_int(j, line, v, a, out);
  if (!strcmp(name, "float")) return to_float(j, line, v, a, out);
  if (!strcmp(name, "round")) return round_number(j, line, v, a, out);
  if (!strcmp(name, "tojson")) return to_json(j, line, v, a, out);
  if (!strcmp(name, "abs")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "", 0, x));
    NB_TRY(nb_jinja_undefined_fails(j, line, v));
    if (!nb_jinja_is_number(v) || (v.type == V_INT && v.u.i == INT64_MIN))
      return nb_jinja_fail(j, line, "abs needs a number, not %s", nb_jinja_type_name(v));
    *out = v.type == V_FLOAT ? (value){V_FLOAT, 0, {.f = fabs(v.u.f)}, false} : nb_jinja_int(llabs(v.u.i));
    return NB_OK;
  }
  if (!strcmp(name, "attr")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "name", 1, x));
    if (x[0].type != V_STRING) return nb_jinja_fail(j, line, "attr needs a name, not %s", nb_jinja_type_name(x[0]));
    NB_TRY(nb_jinja_copy(j, x[0].u.s, x[0].n, &x[0]));
    if (v.type == V_DICT && !nb_jinja_has_method(v, x[0].u.s)) return *out = nb_jinja_undefined(x[0].u.s), NB_OK;
    if (v.type == V_DICT) return nb_jinja_attribute(j, line, v, x[0], true, out);
    return nb_jinja_attribute(j, line, v, x[0], false, out);
  }
  return nb_jinja_fail(j, line, "the filter \"%s\" is not supported", name);
}
