/* SPDX-License-Identifier: MIT */
/* Values of chat templates as text: str and repr of Python, JSON of Python's json.dumps, formatting by `%` and by
 * str.format. */
#include "text/jinja.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <utf8proc.h>

static nb_status print_text(jinja *j, nb_text *out, const char *s, size_t n) {
  if (n > JINJA_MAX_OUTPUT || out->n > JINJA_MAX_OUTPUT - n)
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: it writes more than %d MB", JINJA_MAX_OUTPUT >> 20);
  NB_TRY(nb_jinja_work(j, 1 + n / 16));
  return nb_text_append(out, s, n, j->err);
}

static nb_status put_str(jinja *j, nb_text *out, const char *s) { return print_text(j, out, s, strlen(s)); }

/* repr of a float: the fewest digits that read back as f, with an exponent below 1e-4 and from 1e16 on. */
static nb_status put_float(jinja *j, double f, const char *const names[3], nb_text *out) {
  char b[400];
  int digits = 0;
  if (isnan(f)) return put_str(j, out, names[0]);
  if (isinf(f)) return put_str(j, out, names[f < 0 ? 2 : 1]);
  do snprintf(b, sizeof b, "%.*e", digits, f);
  while (strtod(b, NULL) != f && ++digits < 17);
  int exponent = atoi(strchr(b, 'e') + 1);
  if (exponent >= -4 && exponent < 16) snprintf(b, sizeof b, "%.*f", digits > exponent ? digits - exponent : 1, f);
  return put_str(j, out, b);
}

static const char *const python_floats[3] = {"nan", "inf", "-inf"}, *const json_floats[3] = {"NaN", "Infinity",
                                                                                             "-Infinity"};

static bool printable(uint32_t cp) {
  switch (utf8proc_category((utf8proc_int32_t)cp)) {
  case UTF8PROC_CATEGORY_CC:
  case UTF8PROC_CATEGORY_CF:
  case UTF8PROC_CATEGORY_CS:
  case UTF8PROC_CATEGORY_CO:
  case UTF8PROC_CATEGORY_CN:
  case UTF8PROC_CATEGORY_ZL:
  case UTF8PROC_CATEGORY_ZP: return false;
  case UTF8PROC_CATEGORY_ZS: return cp == ' ';
  default: return true;
  }
}

static nb_status put_quoted(jinja *j, value v, nb_text *out) { /* repr of a string */
  char q = memchr(v.n ? v.u.s : "", '\'', v.n) && !memchr(v.u.s, '"', v.n) ? '"' : '\'';
  NB_TRY(print_text(j, out, &q, 1));
  for (size_t i = 0, k; i < v.n; i += k) {
    uint32_t cp = nb_utf8_get(v.u.s + i, &k);
    char b[16];
    const char *name = cp == '\n' ? "\\n" : cp == '\r' ? "\\r" : cp == '\t' ? "\\t" : cp == '\\' ? "\\\\" : NULL;
    if (name) NB_TRY(put_str(j, out, name));
    else if (cp == (uint32_t)q) NB_TRY(put_str(j, out, q == '"' ? "\\\"" : "\\'"));
    else if (printable(cp)) NB_TRY(print_text(j, out, v.u.s + i, k));
    else {
      snprintf(b, sizeof b, cp < 256 ? "\\x%02x" : cp < 65536 ? "\\u%04x" : "\\U%08x", cp);
      NB_TRY(put_str(j, out, b));
    }
  }
  return print_text(j, out, &q, 1);
}

static nb_status put_list(jinja *j, value v, nb_text *out) {
  NB_TRY(put_str(j, out, v.type == V_TUPLE ? "(" : "["));
  for (size_t i = 0; i < v.u.list->n; i++) {
    if (i) NB_TRY(put_str(j, out, ", "));
    NB_TRY(nb_jinja_print(j, v.u.list->v[i], true, out));
  }
  return put_str(j, out, v.type != V_TUPLE ? "]" : v.u.list->n == 1 ? ",)" : ")");
}

static nb_status put_dict(jinja *j, const dict *d, nb_text *out) {
  NB_TRY(put_str(j, out, "{"));
  for (size_t i = 0; i < d->n; i++) {
    if (i) NB_TRY(put_str(j, out, ", "));
    NB_TRY(nb_jinja_print(j, d->key[i], true, out));
    NB_TRY(put_str(j, out, ": "));
    NB_TRY(nb_jinja_print(j, d->val[i], true, out));
  }
  return put_str(j, out, "}");
}

nb_status nb_jinja_print(jinja *j, value v, bool repr, nb_text *out) {
  char b[32];
  if (++j->depth > 10 * JINJA_MAX_DEPTH)
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a value is nested too deeply to print");
  switch (v.type) {
  case V_UNDEFINED: NB_TRY(put_str(j, out, repr ? "Undefined" : "")); break;
  case V_NONE: NB_TRY(put_str(j, out, "None")); break;
  case V_BOOL: NB_TRY(put_str(j, out, v.u.i ? "True" : "False")); break;
  case V_INT: NB_TRY(print_text(j, out, b, (size_t)snprintf(b, sizeof b, "%" PRId64, v.u.i))); break;
  case V_FLOAT: NB_TRY(put_float(j, v.u.f, python_floats, out)); break;
  case V_STRING: NB_TRY(repr ? put_quoted(j, v, out) : print_text(j, out, v.u.s, v.n)); break;
  case V_LIST:
  case V_TUPLE: NB_TRY(put_list(j, v, out)); break;
  case V_VIEW:
    NB_TRY(put_str(j, out, v.n == 'k' ? "dict_keys(" : v.n == 'v' ? "dict_values(" : "dict_items("));
    NB_TRY(put_list(j, v, out));
    NB_TRY(put_str(j, out, ")"));
    break;
  case V_DICT: NB_TRY(put_dict(j, v.u.dict, out)); break;
  case V_NAMESPACE:
    NB_TRY(put_str(j, out, "<Namespace "));
    NB_TRY(put_dict(j, v.u.dict, out));
    NB_TRY(put_str(j, out, ">"));
    break;
  default: return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a %s has no text", nb_jinja_type_name(v));
  }
  j->depth--;
  return NB_OK;
}

nb_status nb_jinja_to_string(jinja *j, value v, value *out) {
  if (v.type == V_STRING) return *out = v, NB_OK;
  nb_text t = {0};
  nb_status st = nb_jinja_print(j, v, false, &t);
  if (st == NB_OK) return nb_jinja_take(j, &t, out);
  nb_text_free(&t);
  return st;
}

/* ---- JSON ---- */

static nb_status json_string(jinja *j, value v, bool ascii, nb_text *out) {
  static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
  NB_TRY(put_str(j, out, "\""));
  for (size_t i = 0, k; i < v.n; i += k) {
    uint32_t cp = nb_utf8_get(v.u.s + i, &k);
    char b[16];
    const char *p = cp && cp < 128 ? strchr(from, (int)cp) : NULL;
    if (p) snprintf(b, sizeof b, "\\%c", to[p - from]);
    else if (cp < 32 || (ascii && cp >= 127 && cp < 65536)) snprintf(b, sizeof b, cp == 127 ? "\x7f" : "\\u%04x", cp);
    else if (ascii && cp >= 65536) snprintf(b, sizeof b, "\\u%04x\\u%04x", 0xd7c0 + (cp >> 10), 0xdc00 + (cp & 0x3ff));
    else {
      NB_TRY(print_text(j, out, v.u.s + i, k));
      continue;
    }
    NB_TRY(put_str(j, out, b));
  }
  return put_str(j, out, "\"");
}

static nb_status json_break(jinja *j, int indent, int level, nb_text *out) {
  if (indent < 0) return NB_OK;
  NB_TRY(put_str(j, out, "\n"));
  for (int i = 0; i < indent * level; i++) NB_TRY(put_str(j, out, " "));
  return NB_OK;
}

/* The order in which the members of a dict are written. */
static nb_status json_order(jinja *j, const dict *d, bool sort, size_t **out) {
  NB_TRY(nb_jinja_alloc(j, (d->n + 1) * sizeof **out, out));
  size_t *at = *out;
  for (size_t i = 0; i < d->n; i++) {
    size_t k = i;
    for (int c; sort && k > 0; k--) { /* by insertion: these are small */
      NB_TRY(nb_jinja_order(j, 0, d->key[at[k - 1]], d->key[i], &c));
      if (c <= 0) break;
      at[k] = at[k - 1];
    }
    at[k] = i;
  }
  return NB_OK;
}

static nb_status json_key(jinja *j, value key, bool ascii, nb_text *out) {
  if (key.type == V_NONE) key = nb_jinja_cstring("null");
  else if (key.type == V_BOOL) key = nb_jinja_cstring(key.u.i ? "true" : "false");
  else if (key.type == V_TUPLE) return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a tuple is no key in JSON");
  NB_TRY(nb_jinja_to_string(j, key, &key));
  return json_string(j, key, ascii, out);
}

nb_status nb_jinja_json(jinja *j, value v, const json_form *f, int level, nb_text *out) {
  if (level > JINJA_MAX_DEPTH)
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a value is nested too deeply for JSON");
  bool is_dict = v.type == V_DICT;
  switch (v.type) {
  case V_NONE: return put_str(j, out, "null");
  case V_BOOL: return put_str(j, out, v.u.i ? "true" : "false");
  case V_STRING: return json_string(j, v, f->ascii, out);
  case V_INT: return nb_jinja_print(j, v, false, out);
  case V_FLOAT: return put_float(j, v.u.f, json_floats, out);
  case V_LIST:
  case V_TUPLE:
  case V_DICT: break;
  default:
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a value of type %s has no JSON", nb_jinja_type_name(v));
  }
  size_t n = is_dict ? v.u.dict->n : v.u.list->n, *at = NULL;
  if (is_dict) NB_TRY(json_order(j, v.u.dict, f->sort, &at));
  NB_TRY(put_str(j, out, is_dict ? "{" : "["));
  for (size_t i = 0; i < n; i++) {
    if (i) NB_TRY(put_str(j, out, f->comma));
    NB_TRY(json_break(j, f->indent, level + 1, out));
    if (is_dict) {
      NB_TRY(json_key(j, v.u.dict->key[at[i]], f->ascii, out));
      NB_TRY(put_str(j, out, f->colon));
    }
    NB_TRY(nb_jinja_json(j, is_dict ? v.u.dict->val[at[i]] : v.u.list->v[i], f, level + 1, out));
  }
  if (n) NB_TRY(json_break(j, f->indent, level, out));
  return put_str(j, out, is_dict ? "}" : "]");
}

/* ---- formatting ---- */

/* One conversion of `%`: flags, width and precision as they stand, in C's syntax, which is the same. */
static nb_status convert(jinja *j, unsigned line, const char *spec, size_t n, char type, value v, nb_text *out) {
  char format[40], b[512];
  bool integer = strchr("diuxXo", type), real = strchr("eEfFgG", type);
  if (n > 16) return nb_jinja_fail(j, line, "a format is absurdly long");
  for (size_t i = 0, run = 0; i < n; i++)
    if ((run = spec[i] >= '0' && spec[i] <= '9' ? run + 1 : 0) > 2)
      return nb_jinja_fail(j, line, "a format is too wide");
  if (integer || real) {
    NB_TRY(nb_jinja_undefined_fails(j, line, v));
    if (!nb_jinja_is_number(v) || (v.type == V_FLOAT && strchr("xXo", type)))
      return nb_jinja_fail(j, line, "the format %%%c needs a number, not %s", type, nb_jinja_type_name(v));
    if (integer && v.type == V_FLOAT && !(v.u.f > -9e18 && v.u.f < 9e18))
      return nb_jinja_fail(j, line, "a number is too large for the format %%%c", type);
    int64_t i = v.type == V_FLOAT ? (int64_t)v.u.f : v.u.i;
    bool minus = strchr("xXo", type) && i < 0; /* Python writes -ff */
    if (minus || (type == 'o' && memchr(spec, '#', n)))
      return nb_jinja_fail(j, line, "the format %%%c of this number is not supported", type);
    snprintf(format, sizeof format, integer ? "%%%.*sl%c" : "%%%.*s%c", (int)n, spec, type == 'u' ? 'd' : type);
    if (integer) snprintf(b, sizeof b, format, (long)i);
    else snprintf(b, sizeof b, format, nb_jinja_double(v));
    return put_str(j, out, b);
  }
  if (!strchr("src", type)) return nb_jinja_fail(j, line, "the format %%%c is not supported", type);
  nb_text t = {0};
  nb_status st;
  bool has;
  NB_GOTO(nb_jinja_print(j, v, type == 'r', &t));
  size_t width = 0, precision = SIZE_MAX, dot = n;
  for (size_t i = 0; i < n; i++)
    if (spec[i] == '.') dot = i;
  for (size_t i = 0; i < dot; i++)
    if (spec[i] >= '0' && spec[i] <= '9') width = width * 10 + (size_t)(spec[i] - '0');
  if (dot < n) precision = (size_t)strtoul(spec + dot + 1, NULL, 10);
  size_t cut = 0, chars = 0, k;
  for (; cut < t.n && chars < precision; cut += k, chars++) nb_utf8_get(t.s + cut, &k);
  if (type == 'c' && nb_jinja_length(nb_jinja_string(t.s, t.n), &has) != 1) {
    st = nb_jinja_fail(j, line, "the format %%c needs one character");
    goto fail;
  }
  bool left = memchr(spec, '-', n);
  for (size_t i = chars; !left && i < width; i++) NB_GOTO(put_str(j, out, " "));
  NB_GOTO(print_text(j, out, t.s, cut));
  for (size_t i = chars; left && i < width; i++) NB_GOTO(put_str(j, out, " "));
fail:
  nb_text_free(&t);
  return st;
}

nb_status nb_jinja_format(jinja *j, unsigned line, value text, value args, value *out) {
  nb_text t = {0};
  nb_status st = NB_OK;
  size_t used = 0, n_args = args.type == V_TUPLE ? args.u.list->n : 1;
  bool named = false;
  for (size_t i = 0; i < text.n;) {
    const char *s = text.u.s + i, *p = memchr(s, '%', text.n - i);
    size_t before = p ? (size_t)(p - s) : text.n - i, n = 0;
    NB_GOTO(print_text(j, &t, s, before));
    if (!p) break;
    i += before + 1;
    value v = args;
    s = text.u.s + i;
    if (i < text.n && *s == '(') { /* %(name)s */
      const char *end = memchr(s, ')', text.n - i);
      const value *found = NULL;
      if (end && args.type == V_DICT)
        NB_GOTO(nb_jinja_dict_get(j, args.u.dict, nb_jinja_string(s + 1, (size_t)(end - s) - 1), &found));
      if (!found) {
        st = nb_jinja_fail(j, line, "a format names a value that is not there");
        goto fail;
      }
      v = *found, named = true;
      i += (size_t)(end - s) + 1;
      s = end + 1;
    }
    while (i + n < text.n && strchr("-+ #0123456789.", s[n]) && s[n]) n++;
    if (i + n >= text.n) {
      st = nb_jinja_fail(j, line, "a format ends early");
      goto fail;
    }
    char type = s[n];
    i += n + 1;
    if (type == '%') {
      NB_GOTO(put_str(j, &t, "%"));
      continue;
    }
    if (!named) {
      if (used >= n_args) {
        st = nb_jinja_fail(j, line, "not enough arguments for the format");
        goto fail;
      }
      if (args.type == V_TUPLE) v = args.u.list->v[used];
      used++;
    }
    NB_GOTO(convert(j, line, s, n, type, v, &t));
  }
  /* Python lets what can be indexed by a name be left over */
  if (!named && used < n_args &&
      (args.type == V_TUPLE ||
       !(args.type == V_DICT || args.type == V_LIST || args.type == V_UNDEFINED || args.type == V_RANGE))) {
    st = nb_jinja_fail(j, line, "not all arguments of the format are used");
    goto fail;
  }
  return nb_jinja_take(j, &t, out);
fail:
  nb_text_free(&t);
  return st;
}

nb_status nb_jinja_format_braces(jinja *j, unsigned line, value text, const arguments *a, value *out) {
  nb_text t = {0};
  nb_status st = NB_OK;
  size_t next = 0;
  for (size_t i = 0; i < text.n; i++) {
    char c = text.u.s[i];
    bool twice = i + 1 < text.n && text.u.s[i + 1] == c;
    if (c != '{' && c != '}') {
      NB_GOTO(print_text(j, &t, &c, 1));
      continue;
    }
    if (twice) {
      NB_GOTO(print_text(j, &t, &c, 1));
      i++;
      continue;
    }
    const char *name = text.u.s + i + 1, *end = c == '{' ? memchr(name, '}', text.n - i - 1) : NULL;
    size_t n = end ? (size_t)(end - name) : 0, index = n ? 0 : next++, k = 0;
    const value *v = NULL;
    while (k < n && name[k] >= '0' && name[k] <= '9' && k < 4) index = index * 10 + (size_t)(name[k++] - '0');
    if (k == n && end && index < a->n) v = &a->v[index];
    for (size_t m = 0; k < n && m < a->n_key; m++)
      if (strlen(a->key[m]) == n && !memcmp(a->key[m], name, n)) v = &a->v[a->n + m];
    if (!v) {
      st = nb_jinja_fail(j, line, "format: \"{%.*s}\" is not supported or has no argument", (int)nb_min(n, 40), name);
      goto fail;
    }
    NB_GOTO(nb_jinja_print(j, *v, false, &t));
    i += n + 1;
  }
  return nb_jinja_take(j, &t, out);
fail:
  nb_text_free(&t);
  return st;
}
