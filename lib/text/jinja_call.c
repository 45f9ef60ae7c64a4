/* SPDX-License-Identifier: MIT */
/* The methods, filters, tests and functions that chat templates call. */
#include "text/jinja.h"
#include "base/utf8.h"

#include <time.h>
#include <utf8proc.h>

/* Argument i, or the one named `key`; `otherwise` when neither is given. */
static value arg(const arguments *a, size_t i, const char *key, value otherwise) {
  if (i < a->n) return a->v[i];
  for (size_t k = 0; k < a->n_key; k++)
    if (key && !strcmp(a->key[k], key)) return a->v[a->n + k];
  return otherwise;
}

static nb_status want_string(jinja *j, const node *e, const char *who, value v) {
  if (v.type == V_STRING) return NB_OK;
  if (v.type == V_UNDEFINED) return nb_jinja_fail(j, e->line, "'%s' is undefined", v.u.s ? v.u.s : "a value");
  return nb_jinja_fail(j, e->line, "%s needs a string, not %s", who, nb_jinja_type_name(v));
}

/* ---- strings ---- */

static bool in_set(const char *c, size_t k, value set) { /* of characters to strip: none given means white space */
  if (set.type != V_STRING) {
    uint32_t cp = nb_utf8_get(c, &k);
    return nb_utf8_is_space(cp) || (cp >= 0x1c && cp <= 0x1f);
  }
  for (size_t i = 0, n; i < set.n; i += n) {
    nb_utf8_get(set.u.s + i, &n);
    if (n == k && !memcmp(set.u.s + i, c, k)) return true;
  }
  return false;
}

static value strip(value s, value set, bool left, bool right) {
  size_t a = 0, b = s.n, k;
  while (left && a < b && (nb_utf8_get(s.u.s + a, &k), in_set(s.u.s + a, k, set))) a += k;
  while (right && a < b && (k = nb_utf8_back(s.u.s, b), in_set(s.u.s + b - k, k, set))) b -= k;
  return nb_jinja_string(s.u.s + a, b - a);
}

static const char *find(const char *s, size_t n, value w) {
  for (size_t i = 0; i + w.n <= n; i++)
    if (!w.n || !memcmp(s + i, w.u.s, w.n)) return s + i;
  return NULL;
}

static nb_status split_string(jinja *j, const node *e, value s, const arguments *a, value *out) {
  value sep = arg(a, 0, "sep", nb_jinja_none()), most = arg(a, 1, "maxsplit", nb_jinja_int(-1));
  int64_t left = most.type == V_INT && most.u.i >= 0 ? most.u.i : INT64_MAX;
  NB_TRY(nb_jinja_list(j, out));
  if (sep.type == V_NONE) { /* runs of white space, and none at the ends */
    s = strip(s, sep, true, left == INT64_MAX);
    while (s.n) {
      size_t i = 0, k;
      while (left && i < s.n && (nb_utf8_get(s.u.s + i, &k), !in_set(s.u.s + i, k, sep))) i += k;
      if (!left) i = s.n;
      left--;
      NB_TRY(nb_jinja_list_push(j, out->u.list, nb_jinja_string(s.u.s, i)));
      s = strip(nb_jinja_string(s.u.s + i, s.n - i), sep, true, false);
    }
    return NB_OK;
  }
  NB_TRY(want_string(j, e, "split", sep));
  if (!sep.n) return nb_jinja_fail(j, e->line, "split needs a separator that is not empty");
  for (const char *p; left > 0 && (p = find(s.u.s, s.n, sep)); left--) {
    size_t k = (size_t)(p - s.u.s);
    NB_TRY(nb_jinja_list_push(j, out->u.list, nb_jinja_string(s.u.s, k)));
    s = nb_jinja_string(p + sep.n, s.n - k - sep.n);
  }
  return nb_jinja_list_push(j, out->u.list, s);
}

static nb_status replace_string(jinja *j, const node *e, value s, const arguments *a, value *out) {
  value from = arg(a, 0, "old", nb_jinja_none()), to = arg(a, 1, "new", nb_jinja_none()),
        most = arg(a, 2, "count", nb_jinja_none());
  NB_TRY(want_string(j, e, "replace", from));
  NB_TRY(want_string(j, e, "replace", to));
  if (!from.n) return nb_jinja_fail(j, e->line, "replace needs a text to look for that is not empty");
  int64_t left = most.type == V_INT && most.u.i >= 0 ? most.u.i : INT64_MAX;
  nb_text t = {0};
  nb_status st = NB_OK;
  for (const char *p; left > 0 && (p = find(s.u.s, s.n, from)); left--) {
    size_t k = (size_t)(p - s.u.s);
    if (t.n > JINJA_MAX_OUTPUT) {
      st = nb_jinja_fail(j, e->line, "replace makes too long a text");
      goto fail;
    }
    NB_GOTO(nb_text_append(&t, s.u.s, k, j->err));
    NB_GOTO(nb_text_append(&t, to.u.s, to.n, j->err));
    s = nb_jinja_string(p + from.n, s.n - k - from.n);
  }
  NB_GOTO(nb_text_append(&t, s.u.s, s.n, j->err));
  st = nb_jinja_copy(j, t.s, t.n, out);
fail:
  nb_text_free(&t);
  return st;
}

/* how: 'u' upper, 'l' lower, 't' title, 'c' capitalize. */
static nb_status change_case(jinja *j, value s, char how, value *out) {
  char *p;
  size_t n = 0;
  bool inside = false;
  NB_TRY(nb_jinja_alloc(j, 2 * s.n + 1, &p)); /* a case mapping never doubles the length */
  for (size_t i = 0, k; i < s.n; i += k) {
    utf8proc_int32_t c = (utf8proc_int32_t)nb_utf8_get(s.u.s + i, &k);
    bool up = how == 'u' || (how == 't' && !inside) || (how == 'c' && i == 0);
    inside = utf8proc_tolower(c) != c || utf8proc_toupper(c) != c;
    n += nb_utf8_put((uint32_t)(up ? utf8proc_toupper(c) : utf8proc_tolower(c)), p + n);
  }
  *out = nb_jinja_string(p, n);
  return NB_OK;
}

static nb_status affix(jinja *j, const node *e, value s, value what, bool start, value *out) {
  list l = {0};
  if (what.type == V_LIST) l = *what.u.list; /* any of several */
  else NB_TRY(nb_jinja_list_push(j, &l, what));
  *out = nb_jinja_bool(false);
  for (size_t i = 0; i < l.n; i++) {
    value w = l.v[i];
    NB_TRY(want_string(j, e, start ? "startswith" : "endswith", w));
    if (w.n <= s.n && !memcmp(s.u.s + (start ? 0 : s.n - w.n), w.u.s, w.n)) *out = nb_jinja_bool(true);
  }
  return NB_OK;
}

static nb_status join(jinja *j, const node *e, value items, value sep, value *out) {
  list l;
  nb_text t = {0};
  nb_status st = NB_OK;
  NB_TRY(nb_jinja_iterate(j, e->line, items, &l));
  for (size_t i = 0; i < l.n; i++) {
    if (i) NB_GOTO(nb_jinja_print(j, sep, false, &t));
    NB_GOTO(nb_jinja_print(j, l.v[i], false, &t));
  }
  st = nb_jinja_copy(j, t.s, t.n, out);
fail:
  nb_text_free(&t);
  return st;
}

static nb_status string_method(jinja *j, const node *e, value s, const char *name, const arguments *a, bool *known,
                               value *out) {
  value first = arg(a, 0, NULL, nb_jinja_none());
  *known = true;
  if (!strcmp(name, "strip")) return *out = strip(s, first, true, true), NB_OK;
  if (!strcmp(name, "lstrip")) return *out = strip(s, first, true, false), NB_OK;
  if (!strcmp(name, "rstrip")) return *out = strip(s, first, false, true), NB_OK;
  if (!strcmp(name, "split")) return split_string(j, e, s, a, out);
  if (!strcmp(name, "replace")) return replace_string(j, e, s, a, out);
  if (!strcmp(name, "startswith")) return affix(j, e, s, first, true, out);
  if (!strcmp(name, "endswith")) return affix(j, e, s, first, false, out);
  if (!strcmp(name, "upper")) return change_case(j, s, 'u', out);
  if (!strcmp(name, "lower")) return change_case(j, s, 'l', out);
  if (!strcmp(name, "title")) return change_case(j, s, 't', out);
  if (!strcmp(name, "capitalize")) return change_case(j, s, 'c', out);
  if (!strcmp(name, "join")) return join(j, e, first, s, out);
  if (!strcmp(name, "find")) {
    NB_TRY(want_string(j, e, "find", first));
    const char *p = find(s.u.s, s.n, first);
    bool has;
    *out = nb_jinja_int(p ? (int64_t)nb_jinja_length(nb_jinja_string(s.u.s, (size_t)(p - s.u.s)), &has) : -1);
    return NB_OK;
  }
  *known = false;
  return NB_OK;
}

/* ---- dicts ---- */

/* what: 'k' keys, 'v' values, 'i' items. */
static nb_status dict_list(jinja *j, const dict *d, char what, value *out) {
  NB_TRY(nb_jinja_list(j, out));
  for (size_t i = 0; i < d->n; i++) {
    value x = what == 'k' ? d->key[i] : d->val[i];
    if (what == 'i') {
      NB_TRY(nb_jinja_list(j, &x));
      NB_TRY(nb_jinja_list_push(j, x.u.list, d->key[i]));
      NB_TRY(nb_jinja_list_push(j, x.u.list, d->val[i]));
    }
    NB_TRY(nb_jinja_list_push(j, out->u.list, x));
  }
  return NB_OK;
}

nb_status nb_jinja_method(jinja *j, const node *e, value self, const char *name, const arguments *a, value *out) {
  bool known = false;
  if (self.type == V_STRING) NB_TRY(string_method(j, e, self, name, a, &known, out));
  if (known) return NB_OK;
  if (self.type == V_DICT) {
    if (!strcmp(name, "keys")) return dict_list(j, self.u.dict, 'k', out);
    if (!strcmp(name, "values")) return dict_list(j, self.u.dict, 'v', out);
    if (!strcmp(name, "items")) return dict_list(j, self.u.dict, 'i', out);
    if (!strcmp(name, "get")) {
      const value *v = nb_jinja_dict_get(self.u.dict, arg(a, 0, NULL, nb_jinja_none()));
      *out = v ? *v : arg(a, 1, NULL, nb_jinja_none());
      return NB_OK;
    }
  }
  return nb_jinja_fail(j, e->line, "the method %s() of %s is not supported", name, nb_jinja_type_name(self));
}

/* ---- filters ---- */

/* select, reject, selectattr, rejectattr: the items for which a test holds, or does not. */
static nb_status select_items(jinja *j, const node *e, value v, const arguments *a, bool by_attribute, bool keep,
                              value *out) {
  list l;
  size_t skip = by_attribute ? 1 : 0;
  arguments rest = {NULL, 0, NULL, 0};
  NB_TRY(nb_jinja_iterate(j, e->line, v, &l));
  NB_TRY(nb_jinja_list(j, out));
  if (by_attribute && (a->n < 1 || a->v[0].type != V_STRING))
    return nb_jinja_fail(j, e->line, "%s needs an attribute's name", e->name);
  if (a->n > skip) NB_TRY(want_string(j, e, e->name, a->v[skip]));
  if (a->n > skip + 1) rest = (arguments){a->v + skip + 1, a->n - skip - 1, NULL, 0};
  for (size_t i = 0; i < l.n; i++) {
    value x = l.v[i];
    bool yes;
    if (by_attribute) NB_TRY(nb_jinja_attribute(j, e, x, a->v[0], &x));
    if (a->n > skip) {
      value name;
      NB_TRY(nb_jinja_copy(j, a->v[skip].u.s, a->v[skip].n, &name));
      NB_TRY(nb_jinja_test(j, e, x, name.u.s, &rest, &yes));
    } else {
      yes = nb_jinja_true(x);
    }
    if (yes == keep) NB_TRY(nb_jinja_list_push(j, out->u.list, l.v[i]));
  }
  return NB_OK;
}

static nb_status map_items(jinja *j, const node *e, value v, const arguments *a, value *out) {
  list l;
  value attribute = arg(a, a->n, "attribute", nb_jinja_none()), name;
  arguments rest = {NULL, 0, NULL, 0};
  NB_TRY(nb_jinja_iterate(j, e->line, v, &l));
  NB_TRY(nb_jinja_list(j, out));
  if (attribute.type != V_STRING) {
    NB_TRY(want_string(j, e, "map", arg(a, 0, NULL, nb_jinja_none())));
    NB_TRY(nb_jinja_copy(j, a->v[0].u.s, a->v[0].n, &name));
    if (!strcmp(name.u.s, "map")) return nb_jinja_fail(j, e->line, "map of map is not supported");
    rest = (arguments){a->v + 1, a->n - 1, NULL, 0};
  }
  for (size_t i = 0; i < l.n; i++) {
    value x;
    NB_TRY(attribute.type == V_STRING ? nb_jinja_attribute(j, e, l.v[i], attribute, &x)
                                      : nb_jinja_filter(j, e, l.v[i], name.u.s, &rest, &x));
    NB_TRY(nb_jinja_list_push(j, out->u.list, x));
  }
  return NB_OK;
}

static nb_status to_json(jinja *j, const node *e, value v, const arguments *a, value *out) {
  value indent = arg(a, 1, "indent", nb_jinja_none());
  for (size_t k = 0; k < a->n_key; k++)
    if (strcmp(a->key[k], "indent") && strcmp(a->key[k], "ensure_ascii"))
      return nb_jinja_fail(j, e->line, "tojson with %s is not supported", a->key[k]);
  nb_text t = {0};
  nb_status st =
      nb_jinja_json(j, v, indent.type == V_INT && indent.u.i >= 0 && indent.u.i < 100 ? (int)indent.u.i : -1, 0, &t);
  if (st == NB_OK) st = nb_jinja_copy(j, t.s, t.n, out);
  nb_text_free(&t);
  return st;
}

static nb_status indent_lines(jinja *j, const node *e, value s, const arguments *a, value *out) {
  value width = arg(a, 0, "width", nb_jinja_int(4));
  bool first = nb_jinja_true(arg(a, 1, "first", nb_jinja_bool(false))),
       blank = nb_jinja_true(arg(a, 2, "blank", nb_jinja_bool(false)));
  nb_text t = {0};
  nb_status st = NB_OK;
  if (width.type != V_INT || width.u.i < 0 || width.u.i > 100)
    return nb_jinja_fail(j, e->line, "indent needs a width up to 100");
  for (size_t i = 0; i < s.n; i++) {
    bool start = i == 0 ? first : s.u.s[i - 1] == '\n';
    if (start && (blank || s.u.s[i] != '\n'))
      for (int64_t k = 0; k < width.u.i; k++) NB_GOTO(nb_text_append(&t, " ", 1, j->err));
    NB_GOTO(nb_text_append(&t, s.u.s + i, 1, j->err));
    if (t.n > JINJA_MAX_OUTPUT) st = nb_jinja_fail(j, e->line, "indent makes too long a text");
    if (st != NB_OK) goto fail;
  }
  st = nb_jinja_copy(j, t.s, t.n, out);
fail:
  nb_text_free(&t);
  return st;
}

static nb_status to_int(value v, value *out) {
  *out = nb_jinja_int(0);
  if (v.type == V_INT || v.type == V_BOOL) out->u.i = v.u.i;
  else if (v.type == V_FLOAT && v.u.f > -1e18 && v.u.f < 1e18) out->u.i = (int64_t)v.u.f;
  else if (v.type == V_STRING && v.n < 19) {
    char b[20] = {0}, *end;
    memcpy(b, v.u.s, v.n);
    long long i = strtoll(b, &end, 10);
    if (*b && !*end) out->u.i = i;
  }
  return NB_OK;
}

static nb_status list_filter(jinja *j, const node *e, value v, const char *name, bool *known, value *out) {
  list l;
  bool first = !strcmp(name, "first"), reverse = !strcmp(name, "reverse");
  *known = first || reverse || !strcmp(name, "last") || !strcmp(name, "list");
  if (!*known) return NB_OK;
  NB_TRY(nb_jinja_iterate(j, e->line, v, &l));
  if (first || !strcmp(name, "last")) return *out = l.n ? l.v[first ? 0 : l.n - 1] : nb_jinja_undefined(name), NB_OK;
  if (reverse && v.type == V_STRING) return nb_jinja_fail(j, e->line, "reverse of a string is not supported");
  NB_TRY(nb_jinja_list(j, out));
  for (size_t i = 0; i < l.n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, l.v[reverse ? l.n - 1 - i : i]));
  return NB_OK;
}

static nb_status string_filter(jinja *j, const node *e, value v, const char *name, const arguments *a, bool *known,
                               value *out) {
  static const char *const names[] = {"trim",    "upper",  "lower", "title", "capitalize",
                                      "replace", "string", "safe",  "indent"};
  *known = false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) *known = *known || !strcmp(name, names[i]);
  if (!*known) return NB_OK;
  NB_TRY(nb_jinja_to_string(j, v, &v));
  if (!strcmp(name, "trim")) return *out = strip(v, arg(a, 0, "chars", nb_jinja_none()), true, true), NB_OK;
  if (!strcmp(name, "string") || !strcmp(name, "safe")) return *out = v, NB_OK;
  if (!strcmp(name, "replace")) return replace_string(j, e, v, a, out);
  if (!strcmp(name, "indent")) return indent_lines(j, e, v, a, out);
  return change_case(j, v, *name, out);
}

nb_status nb_jinja_filter(jinja *j, const node *e, value v, const char *name, const arguments *a, value *out) {
  bool known;
  NB_TRY(string_filter(j, e, v, name, a, &known, out));
  if (known) return NB_OK;
  NB_TRY(list_filter(j, e, v, name, &known, out));
  if (known) return NB_OK;
  if (!strcmp(name, "length") || !strcmp(name, "count")) {
    *out = nb_jinja_int((int64_t)nb_jinja_length(v, &known));
    return known ? NB_OK : nb_jinja_fail(j, e->line, "%s has no length", nb_jinja_type_name(v));
  }
  if (!strcmp(name, "default") || !strcmp(name, "d")) {
    bool use =
        v.type == V_UNDEFINED || (nb_jinja_true(arg(a, 1, "boolean", nb_jinja_bool(false))) && !nb_jinja_true(v));
    *out = use ? arg(a, 0, "default_value", nb_jinja_cstring("")) : v;
    return NB_OK;
  }
  if (!strcmp(name, "join")) return join(j, e, v, arg(a, 0, "d", nb_jinja_cstring("")), out);
  if (!strcmp(name, "int")) return to_int(v, out);
  if (!strcmp(name, "tojson")) return to_json(j, e, v, a, out);
  if (!strcmp(name, "items")) {
    if (v.type == V_UNDEFINED) return nb_jinja_list(j, out);
    if (v.type == V_DICT) return dict_list(j, v.u.dict, 'i', out);
  }
  if (!strcmp(name, "select") || !strcmp(name, "reject")) return select_items(j, e, v, a, false, *name == 's', out);
  if (!strcmp(name, "selectattr") || !strcmp(name, "rejectattr"))
    return select_items(j, e, v, a, true, *name == 's', out);
  if (!strcmp(name, "map")) return map_items(j, e, v, a, out);
  return nb_jinja_fail(j, e->line, "the filter \"%s\" is not supported", name);
}

/* ---- tests ---- */

nb_status nb_jinja_test(jinja *j, const node *e, value v, const char *name, const arguments *a, bool *out) {
  value x = arg(a, 0, NULL, nb_jinja_none());
  value_type t = v.type;
  bool ordered, is_number = t == V_INT || t == V_FLOAT || t == V_BOOL;
  struct {
    const char *name;
    bool yes;
  } simple[] = {{"defined", t != V_UNDEFINED},
                {"undefined", t == V_UNDEFINED},
                {"none", t == V_NONE},
                {"string", t == V_STRING},
                {"mapping", t == V_DICT},
                {"iterable", t == V_STRING || t == V_LIST || t == V_DICT || t == V_UNDEFINED},
                {"sequence", t == V_STRING || t == V_LIST || t == V_DICT || t == V_UNDEFINED},
                {"number", is_number},
                {"integer", t == V_INT},
                {"float", t == V_FLOAT},
                {"boolean", t == V_BOOL},
                {"true", t == V_BOOL && v.u.i},
                {"false", t == V_BOOL && !v.u.i},
                {"callable", t == V_MACRO || t == V_FUNCTION},
                {"equalto", nb_jinja_equal(v, x)},
                {"eq", nb_jinja_equal(v, x)},
                {"ne", !nb_jinja_equal(v, x)},
                {"sameas", nb_jinja_equal(v, x) && t == x.type}};
  for (size_t i = 0; i < sizeof simple / sizeof *simple; i++)
    if (!strcmp(name, simple[i].name)) return *out = simple[i].yes, NB_OK;
  if (!strcmp(name, "gt") || !strcmp(name, "lt")) {
    *out = *name == 'l' ? nb_jinja_less(v, x, &ordered) : nb_jinja_less(x, v, &ordered);
    return ordered ? NB_OK
                   : nb_jinja_fail(j, e->line, "%s and %s have no order", nb_jinja_type_name(v), nb_jinja_type_name(x));
  }
  if (!strcmp(name, "in")) {
    list l;
    NB_TRY(nb_jinja_iterate(j, e->line, x, &l));
    *out = x.type == V_STRING && t == V_STRING && find(x.u.s, x.n, v);
    for (size_t i = 0; i < l.n && !*out; i++) *out = nb_jinja_equal(l.v[i], v);
    return NB_OK;
  }
  if (t == V_INT && (!strcmp(name, "even") || !strcmp(name, "odd"))) return *out = (v.u.i & 1) == (*name == 'o'), NB_OK;
  if (t == V_INT && x.type == V_INT && x.u.i && !strcmp(name, "divisibleby"))
    return *out = x.u.i == -1 || v.u.i % x.u.i == 0, NB_OK;
  return nb_jinja_fail(j, e->line, "the test \"%s\" of %s is not supported", name, nb_jinja_type_name(v));
}

/* ---- functions ---- */

static nb_status make_range(jinja *j, const node *e, const arguments *a, value *out) {
  int64_t at[3] = {0, 0, 1};
  for (size_t i = 0; i < a->n; i++) {
    if (a->v[i].type != V_INT || i > 2) return nb_jinja_fail(j, e->line, "range takes one to three whole numbers");
    at[a->n == 1 ? 1 : i] = a->v[i].u.i;
    if (a->v[i].u.i > INT32_MAX || a->v[i].u.i < -INT32_MAX) return nb_jinja_fail(j, e->line, "range goes too far");
  }
  if (a->n == 0 || at[2] == 0)
    return nb_jinja_fail(j, e->line, "range takes one to three whole numbers, the third not 0");
  NB_TRY(nb_jinja_list(j, out));
  for (int64_t i = at[0]; at[2] > 0 ? i < at[1] : i > at[1]; i += at[2]) {
    if (out->u.list->n >= JINJA_MAX_RANGE)
      return nb_jinja_fail(j, e->line, "range has more than %d elements", JINJA_MAX_RANGE);
    NB_TRY(nb_jinja_list_push(j, out->u.list, nb_jinja_int(i)));
  }
  return NB_OK;
}

nb_status nb_jinja_function(jinja *j, const node *e, const char *name, const arguments *a, value *out) {
  if (!strcmp(name, "raise_exception")) {
    value v = arg(a, 0, "message", nb_jinja_cstring("an error"));
    NB_TRY(nb_jinja_to_string(j, v, &v));
    return nb_jinja_fail(j, e->line, "%.*s", (int)nb_min(v.n, 300), v.u.s);
  }
  if (!strcmp(name, "range")) return make_range(j, e, a, out);
  if (!strcmp(name, "strftime_now")) {
    value format = arg(a, 0, NULL, nb_jinja_none());
    char b[256], f[128];
    time_t t = (time_t)j->now;
    struct tm tm;
    NB_TRY(want_string(j, e, name, format));
    if (format.n >= sizeof f || !gmtime_r(&t, &tm)) return nb_jinja_fail(j, e->line, "strftime_now cannot do this");
    memcpy(f, format.u.s, format.n);
    f[format.n] = 0;
    return nb_jinja_copy(j, b, strftime(b, sizeof b, f, &tm), out);
  }
  NB_TRY(nb_jinja_dict(j, *name == 'n' ? V_NAMESPACE : V_DICT, out)); /* namespace(..) and dict(..) */
  if (a->n > 1 || (a->n == 1 && a->v[0].type != V_DICT))
    return nb_jinja_fail(j, e->line, "%s takes named arguments", name);
  for (size_t i = 0; a->n && i < a->v[0].u.dict->n; i++)
    NB_TRY(nb_jinja_dict_set(j, out->u.dict, a->v[0].u.dict->key[i], a->v[0].u.dict->val[i]));
  for (size_t k = 0; k < a->n_key; k++)
    NB_TRY(nb_jinja_dict_set(j, out->u.dict, nb_jinja_cstring(a->key[k]), a->v[a->n + k]));
  return NB_OK;
}
