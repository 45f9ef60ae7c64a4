/* SPDX-License-Identifier: MIT */
/* The methods and functions that chat templates call. Methods that change a list or a dict are forbidden in templates:
 * transformers runs them in Jinja's ImmutableSandboxedEnvironment. */
#include "text/jinja.h"

#include <time.h>

/* ---- methods ---- */

static const char
    *const dict_methods[] = {"keys", "values", "items", "get", "copy", NULL},
           *const list_methods[] = {"index", "count", "copy", NULL}, *const tuple_methods[] = {"index", "count", NULL},
           *const loop_methods[] = {"cycle", "changed", NULL}, *const cycler_methods[] = {"next", "reset", NULL};

bool nb_jinja_has_method(value v, const char *name) {
  const char *const *m = v.type == V_DICT                         ? dict_methods
                         : v.type == V_LIST                       ? list_methods
                         : v.type == V_TUPLE || v.type == V_RANGE ? tuple_methods
                         : v.type == V_LOOP                       ? loop_methods
                         : v.type == V_CYCLER                     ? cycler_methods
                                                                  : NULL;
  if (v.type == V_STRING) return nb_jinja_has_string_method(name);
  for (; m && *m; m++)
    if (!strcmp(*m, name)) return true;
  return false;
}

static nb_status dict_view(jinja *j, const dict *d, const char *name, value *out) {
  NB_TRY(nb_jinja_new_list(j, V_VIEW, out));
  out->n = (size_t)name[0];
  for (size_t i = 0; i < d->n; i++) {
    value x = name[0] == 'k' ? d->key[i] : d->val[i];
    if (name[0] == 'i') {
      NB_TRY(nb_jinja_new_list(j, V_TUPLE, &x));
      NB_TRY(nb_jinja_list_push(j, x.u.list, d->key[i]));
      NB_TRY(nb_jinja_list_push(j, x.u.list, d->val[i]));
    }
    NB_TRY(nb_jinja_list_push(j, out->u.list, x));
  }
  return NB_OK;
}

static nb_status dict_method(jinja *j, unsigned line, value self, const char *name, const arguments *a, value *out) {
  value v[2] = {nb_jinja_none(), nb_jinja_none()};
  const dict *d = self.u.dict;
  if (!strcmp(name, "get")) {
    const value *found;
    NB_TRY(nb_jinja_bind(j, line, "get", a, ".key .default", 1, v));
    NB_TRY(nb_jinja_dict_get(j, d, v[0], &found));
    *out = found ? *found : v[1];
    return NB_OK;
  }
  NB_TRY(nb_jinja_bind(j, line, name, a, "", 0, v));
  if (strcmp(name, "copy")) return dict_view(j, d, name, out);
  NB_TRY(nb_jinja_dict(j, V_DICT, out));
  for (size_t i = 0; i < d->n; i++) NB_TRY(nb_jinja_dict_set(j, out->u.dict, d->key[i], d->val[i]));
  return NB_OK;
}

static nb_status list_method(jinja *j, unsigned line, value self, const char *name, const arguments *a, value *out) {
  value x;
  const list *l = self.u.list;
  if (!strcmp(name, "copy")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "", 0, &x));
    NB_TRY(nb_jinja_new_list(j, V_LIST, out));
    for (size_t i = 0; i < l->n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, l->v[i]));
    return NB_OK;
  }
  NB_TRY(nb_jinja_bind(j, line, name, a, ".value", 1, &x));
  int64_t count = 0;
  for (size_t i = 0; i < l->n; i++) {
    bool same;
    NB_TRY(nb_jinja_equal(j, l->v[i], x, &same));
    if (same && *name == 'i') return *out = nb_jinja_int((int64_t)i), NB_OK;
    count += same;
  }
  if (*name == 'i') return nb_jinja_fail(j, line, "index does not find this value");
  *out = nb_jinja_int(count);
  return NB_OK;
}

static nb_status loop_method(jinja *j, unsigned line, loop *l, const char *name, const arguments *a, value *out) {
  if (a->n_key) return nb_jinja_fail(j, line, "loop.%s has no argument '%s'", name, a->key[0]);
  if (!strcmp(name, "cycle")) {
    if (!a->n) return nb_jinja_fail(j, line, "loop.cycle needs values");
    return *out = a->v[l->i % a->n], NB_OK;
  }
  value now;
  bool same = false;
  NB_TRY(nb_jinja_new_list(j, V_LIST, &now));
  for (size_t i = 0; i < a->n; i++) NB_TRY(nb_jinja_list_push(j, now.u.list, a->v[i]));
  if (l->any_changed) NB_TRY(nb_jinja_equal(j, l->changed, now, &same));
  l->any_changed = true;
  l->changed = now;
  *out = nb_jinja_bool(!same);
  return NB_OK;
}

nb_status nb_jinja_method(jinja *j, unsigned line, value self, const char *name, const arguments *a, value *out) {
  bool known = false;
  if (self.safe) return nb_jinja_fail(j, line, "a method of text that went through `safe` is not supported");
  if (self.type == V_STRING) NB_TRY(nb_jinja_string_method(j, line, self, name, a, &known, out));
  if (known) return NB_OK;
  if (!nb_jinja_has_method(self, name) || self.type == V_STRING)
    return nb_jinja_fail(j, line, "the method %s() of %s is not supported", name, nb_jinja_type_name(self));
  if (self.type == V_DICT) return dict_method(j, line, self, name, a, out);
  if (self.type == V_LOOP) return loop_method(j, line, self.u.loop, name, a, out);
  if (self.type != V_CYCLER) return list_method(j, line, self, name, a, out);
  list *l = self.u.list; /* whose cap is its place */
  NB_TRY(nb_jinja_bind(j, line, name, a, "", 0, out));
  if (*name == 'r') return l->cap = 0, *out = nb_jinja_none(), NB_OK;
  *out = l->v[l->cap];
  l->cap = (l->cap + 1) % l->n;
  return NB_OK;
}

/* ---- functions ---- */

static nb_status make_range(jinja *j, unsigned line, const arguments *a, value *out) {
  int64_t at[3] = {0, 0, 1};
  if (a->n_key || a->n == 0 || a->n > 3) return nb_jinja_fail(j, line, "range takes one to three whole numbers");
  for (size_t i = 0; i < a->n; i++) {
    if (!nb_jinja_is_int(a->v[i])) return nb_jinja_fail(j, line, "range takes one to three whole numbers");
    at[a->n == 1 ? 1 : i] = a->v[i].u.i;
    if (a->v[i].u.i > INT32_MAX || a->v[i].u.i < -INT32_MAX) return nb_jinja_fail(j, line, "range goes too far");
  }
  if (at[2] == 0) return nb_jinja_fail(j, line, "the step of range is 0");
  NB_TRY(nb_jinja_new_list(j, V_RANGE, out));
  for (int64_t i = at[0]; at[2] > 0 ? i < at[1] : i > at[1]; i += at[2]) {
    if (out->u.list->n >= JINJA_MAX_RANGE)
      return nb_jinja_fail(j, line, "range has more than %d elements", JINJA_MAX_RANGE);
    NB_TRY(nb_jinja_list_push(j, out->u.list, nb_jinja_int(i)));
  }
  return NB_OK;
}

static nb_status strftime_now(jinja *j, unsigned line, const arguments *a, value *out) {
  value format;
  char b[512], f[128];
  time_t t = (time_t)j->now;
  struct tm tm;
  NB_TRY(nb_jinja_bind(j, line, "strftime_now", a, "format", 1, &format));
  if (format.type != V_STRING || format.n >= sizeof f || !gmtime_r(&t, &tm))
    return nb_jinja_fail(j, line, "strftime_now needs a short format");
  memcpy(f, format.u.s, format.n);
  f[format.n] = 0;
  for (const char *p = strchr(f, '%'); p; p = strchr(p + 2, '%'))
    if (!p[1] || !strchr("aAbBcdHIjmMpSUwWxXyYZzGuVDeFhkln-RTtrPC%", p[1]))
      return nb_jinja_fail(j, line, "strftime_now: the format %%%c is not supported", p[1] ? p[1] : ' ');
  size_t n = strftime(b, sizeof b, f, &tm);
  if (!n && format.n) return nb_jinja_fail(j, line, "strftime_now writes too long a text");
  return nb_jinja_copy(j, b, n, out);
}

/* namespace(..) and dict(..) */
static nb_status make_dict(jinja *j, unsigned line, const char *name, const arguments *a, value *out) {
  NB_TRY(nb_jinja_dict(j, *name == 'n' ? V_NAMESPACE : V_DICT, out));
  if (a->n > 1) return nb_jinja_fail(j, line, "%s takes at most one argument without a name", name);
  if (a->n == 1 && (a->v[0].type == V_DICT || a->v[0].type == V_NAMESPACE)) {
    const dict *d = a->v[0].u.dict;
    if (a->v[0].type == V_NAMESPACE) return nb_jinja_fail(j, line, "%s of a namespace is not supported", name);
    for (size_t i = 0; i < d->n; i++) NB_TRY(nb_jinja_dict_set(j, out->u.dict, d->key[i], d->val[i]));
  } else if (a->n == 1) { /* pairs */
    list l, pair;
    NB_TRY(nb_jinja_iterate(j, line, a->v[0], &l));
    for (size_t i = 0; i < l.n; i++) {
      NB_TRY(nb_jinja_iterate(j, line, l.v[i], &pair));
      if (pair.n != 2) return nb_jinja_fail(j, line, "%s needs pairs", name);
      NB_TRY(nb_jinja_dict_set(j, out->u.dict, pair.v[0], pair.v[1]));
    }
  }
  for (size_t k = 0; k < a->n_key; k++)
    NB_TRY(nb_jinja_dict_set(j, out->u.dict, nb_jinja_cstring(a->key[k]), a->v[a->n + k]));
  for (size_t i = 0; *name == 'n' && i < out->u.dict->n; i++) {
    const value k = out->u.dict->key[i];
    if (k.type == V_STRING && k.n && k.u.s[0] == '_')
      return nb_jinja_fail(j, line, "a namespace cannot have the attribute %s", k.u.s);
  }
  return NB_OK;
}

nb_status nb_jinja_function(jinja *j, unsigned line, const char *name, const arguments *a, value *out) {
  value v = nb_jinja_none();
  if (!strcmp(name, "raise_exception")) {
    NB_TRY(nb_jinja_bind(j, line, name, a, "message", 1, &v));
    NB_TRY(nb_jinja_to_string(j, v, &v));
    return nb_jinja_fail(j, line, "%.*s", (int)nb_min(v.n, 300), v.u.s);
  }
  if (!strcmp(name, "range")) return make_range(j, line, a, out);
  if (!strcmp(name, "strftime_now")) return strftime_now(j, line, a, out);
  if (!strcmp(name, "joiner")) {
    v = nb_jinja_cstring(", ");
    NB_TRY(nb_jinja_bind(j, line, name, a, "sep", 0, &v));
    NB_TRY(nb_jinja_new_list(j, V_JOINER, out));
    NB_TRY(nb_jinja_list_push(j, out->u.list, v));
    out->u.list->cap = 0; /* not called yet */
    return NB_OK;
  }
  if (!strcmp(name, "cycler")) {
    if (!a->n || a->n_key) return nb_jinja_fail(j, line, "cycler needs values");
    NB_TRY(nb_jinja_new_list(j, V_CYCLER, out));
    for (size_t i = 0; i < a->n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, a->v[i]));
    out->u.list->cap = 0; /* its place */
    return NB_OK;
  }
  if (!strcmp(name, "lipsum") || !strcmp(name, "self"))
    return nb_jinja_fail(j, line, "the function '%s' is not supported", name);
  return make_dict(j, line, name, a, out);
}
