/* SPDX-License-Identifier: MIT */
/* The filters of chat templates for sequences. */
#include "text/jinja.h"

/* ---- attributes by text: 'a.b.0', or a number ---- */

static nb_status get_path(jinja *j, unsigned line, value v, value path, value otherwise, value *out) {
  if (path.type == V_NONE) return *out = v, NB_OK;
  if (nb_jinja_is_int(path)) {
    NB_TRY(nb_jinja_attribute(j, line, v, path, false, &v));
  } else if (path.type != V_STRING) {
    return nb_jinja_fail(j, line, "an attribute is a name or a number, not %s", nb_jinja_type_name(path));
  }
  for (size_t i = 0; path.type == V_STRING && i <= path.n;) {
    const char *dot = path.n > i ? memchr(path.u.s + i, '.', path.n - i) : NULL;
    size_t n = dot ? (size_t)(dot - path.u.s) - i : path.n - i;
    value key;
    NB_TRY(nb_jinja_copy(j, path.u.s + i, n, &key));
    if (n && strspn(key.u.s, "0123456789") == n && n < 10) key = nb_jinja_int(strtol(key.u.s, NULL, 10));
    NB_TRY(nb_jinja_attribute(j, line, v, key, false, &v));
    if (v.type == V_UNDEFINED && otherwise.type != V_NONE) v = otherwise;
    i += n + 1;
  }
  if (v.type == V_UNDEFINED && otherwise.type != V_NONE) v = otherwise;
  *out = v;
  return NB_OK;
}

/* What values are sorted by. */
typedef struct sorting {
  value path;      /* an attribute, or several with commas between them */
  value otherwise; /* for values without it */
  bool with_case;  /* else strings count without theirs */
} sorting;

static nb_status sort_key(jinja *j, unsigned line, value v, const sorting *by, value *out) {
  const value path = by->path;
  bool several = path.type == V_STRING && path.n && memchr(path.u.s, ',', path.n);
  if (!several) {
    NB_TRY(get_path(j, line, v, path, by->otherwise, out));
    return !by->with_case && out->type == V_STRING ? nb_jinja_change_case(j, *out, 'l', out) : NB_OK;
  }
  NB_TRY(nb_jinja_new_list(j, V_LIST, out));
  for (size_t i = 0; i <= path.n;) {
    const char *comma = i < path.n ? memchr(path.u.s + i, ',', path.n - i) : NULL;
    size_t n = comma ? (size_t)(comma - path.u.s) - i : path.n - i;
    value key;
    const sorting one = {nb_jinja_string(path.u.s + i, n), by->otherwise, by->with_case};
    NB_TRY(sort_key(j, line, v, &one, &key));
    NB_TRY(nb_jinja_list_push(j, out->u.list, key));
    i += n + 1;
  }
  return NB_OK;
}

/* Whether a < b or, in reverse, a > b. In lists, which is what `sort` makes of its keys, equal values need no order. */
static nb_status before(jinja *j, unsigned line, value a, value b, bool in_lists, bool reverse, bool *out) {
  bool same = false;
  int c;
  *out = false;
  if (in_lists) NB_TRY(nb_jinja_equal(j, a, b, &same));
  if (same) return NB_OK;
  NB_TRY(nb_jinja_order(j, line, a, b, &c));
  *out = reverse ? c > 0 : c < 0;
  return NB_OK;
}

/* Sorts items by their keys, stable; `reverse` keeps equal ones in order too, as Python does. */
static nb_status merge_sort(jinja *j, unsigned line, value *key, value *item, size_t n, bool in_lists, bool reverse) {
  value *k2, *i2;
  NB_TRY(nb_jinja_alloc(j, (n + 1) * sizeof *k2, &k2));
  NB_TRY(nb_jinja_alloc(j, (n + 1) * sizeof *i2, &i2));
  for (size_t width = 1; width < n; width *= 2) {
    for (size_t lo = 0; lo < n; lo += 2 * width) {
      size_t mid = nb_min(lo + width, n), hi = nb_min(lo + 2 * width, n), a = lo, b = mid;
      for (size_t k = lo; k < hi; k++) {
        bool right = a == mid;
        if (a < mid && b < hi) NB_TRY(before(j, line, key[b], key[a], in_lists, reverse, &right));
        size_t from = right ? b++ : a++;
        k2[k] = key[from], i2[k] = item[from];
      }
    }
    memcpy(key, k2, n * sizeof *key);
    memcpy(item, i2, n * sizeof *item);
  }
  return NB_OK;
}

/* Copies of the elements of v and their keys. */
static nb_status keyed(jinja *j, unsigned line, value v, const sorting *by, list *items, value **key) {
  list l;
  NB_TRY(nb_jinja_iterate(j, line, v, &l));
  NB_TRY(nb_jinja_alloc(j, (l.n + 1) * sizeof **key, key));
  NB_TRY(nb_jinja_alloc(j, (l.n + 1) * sizeof *items->v, &items->v));
  items->n = items->cap = l.n;
  for (size_t i = 0; i < l.n; i++) {
    items->v[i] = l.v[i];
    NB_TRY(sort_key(j, line, l.v[i], by, &(*key)[i]));
  }
  return NB_OK;
}

static nb_status new_from(jinja *j, value_type type, const list *l, value *out) {
  NB_TRY(nb_jinja_new_list(j, type, out));
  for (size_t i = 0; i < l->n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, l->v[i]));
  return NB_OK;
}

/* ---- filters ---- */

static nb_status sort(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x[3] = {nb_jinja_bool(false), nb_jinja_bool(false), nb_jinja_none()}, *key;
  list items;
  NB_TRY(nb_jinja_bind(j, line, "sort", a, "reverse case_sensitive attribute", 0, x));
  const sorting by = {x[2], nb_jinja_none(), nb_jinja_true(x[1])};
  NB_TRY(keyed(j, line, v, &by, &items, &key));
  NB_TRY(merge_sort(j, line, key, items.v, items.n, true, nb_jinja_true(x[0])));
  return new_from(j, V_LIST, &items, out);
}

static nb_status dictsort(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x[3] = {nb_jinja_bool(false), nb_jinja_cstring("key"), nb_jinja_bool(false)}, *key, pairs;
  list items;
  NB_TRY(nb_jinja_bind(j, line, "dictsort", a, "case_sensitive by reverse", 0, x));
  NB_TRY(nb_jinja_undefined_fails(j, line, v));
  bool by_value = x[1].type == V_STRING && x[1].n == 5 && !memcmp(x[1].u.s, "value", 5);
  if (v.type != V_DICT) return nb_jinja_fail(j, line, "dictsort needs a dict, not %s", nb_jinja_type_name(v));
  if (!by_value && !(x[1].type == V_STRING && x[1].n == 3 && !memcmp(x[1].u.s, "key", 3)))
    return nb_jinja_fail(j, line, "dictsort sorts by key or by value");
  NB_TRY(nb_jinja_method(j, line, v, "items", &(arguments){0}, &pairs));
  const sorting by = {nb_jinja_int(by_value), nb_jinja_none(), nb_jinja_true(x[0])};
  NB_TRY(keyed(j, line, pairs, &by, &items, &key));
  NB_TRY(merge_sort(j, line, key, items.v, items.n, false, nb_jinja_true(x[2])));
  return new_from(j, V_LIST, &items, out);
}

static nb_status group_by(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x[3] = {nb_jinja_none(), nb_jinja_none(), nb_jinja_bool(false)}, *key, group, members = nb_jinja_none();
  list items;
  NB_TRY(nb_jinja_bind(j, line, "groupby", a, "attribute default case_sensitive", 1, x));
  const sorting by = {x[0], x[1], nb_jinja_true(x[2])};
  NB_TRY(keyed(j, line, v, &by, &items, &key));
  NB_TRY(merge_sort(j, line, key, items.v, items.n, false, false));
  NB_TRY(nb_jinja_new_list(j, V_LIST, out));
  for (size_t i = 0; i < items.n; i++) {
    bool same = false;
    if (i) NB_TRY(nb_jinja_equal(j, key[i - 1], key[i], &same));
    if (!same) {
      value name;
      const sorting as_is = {x[0], x[1], true}; /* as the first of the group has it */
      NB_TRY(sort_key(j, line, items.v[i], &as_is, &name));
      NB_TRY(nb_jinja_new_list(j, V_TUPLE, &group));
      NB_TRY(nb_jinja_new_list(j, V_LIST, &members));
      NB_TRY(nb_jinja_list_push(j, group.u.list, name));
      NB_TRY(nb_jinja_list_push(j, group.u.list, members));
      group.n = 1;
      NB_TRY(nb_jinja_list_push(j, out->u.list, group));
    }
    NB_TRY(nb_jinja_list_push(j, members.u.list, items.v[i]));
  }
  return NB_OK;
}

static nb_status unique(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x[2] = {nb_jinja_bool(false), nb_jinja_none()}, *key, seen;
  list items;
  NB_TRY(nb_jinja_bind(j, line, "unique", a, "case_sensitive attribute", 0, x));
  const sorting by = {x[1], nb_jinja_none(), nb_jinja_true(x[0])};
  NB_TRY(keyed(j, line, v, &by, &items, &key));
  NB_TRY(nb_jinja_dict(j, V_DICT, &seen));
  NB_TRY(nb_jinja_new_list(j, V_GENERATOR, out));
  for (size_t i = 0; i < items.n; i++) {
    const value *found;
    if (key[i].type == V_LIST || key[i].type == V_DICT)
      return nb_jinja_fail(j, line, "unique of %s is not possible", nb_jinja_type_name(key[i]));
    NB_TRY(nb_jinja_dict_get(j, seen.u.dict, key[i], &found));
    if (found) continue;
    NB_TRY(nb_jinja_dict_set(j, seen.u.dict, key[i], key[i]));
    NB_TRY(nb_jinja_list_push(j, out->u.list, items.v[i]));
  }
  return NB_OK;
}

static nb_status min_max(jinja *j, unsigned line, value v, const char *name, const arguments *a, value *out) {
  value x[2] = {nb_jinja_bool(false), nb_jinja_none()}, *key;
  list items;
  size_t best = 0;
  NB_TRY(nb_jinja_bind(j, line, name, a, "case_sensitive attribute", 0, x));
  const sorting by = {x[1], nb_jinja_none(), nb_jinja_true(x[0])};
  NB_TRY(keyed(j, line, v, &by, &items, &key));
  for (size_t i = 1; i < items.n; i++) {
    int c;
    NB_TRY(nb_jinja_order(j, line, key[i], key[best], &c));
    if (name[1] == 'i' ? c < 0 : c > 0) best = i;
  }
  *out = items.n ? items.v[best] : nb_jinja_undefined(name);
  return NB_OK;
}

static nb_status sum(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  value x[2] = {nb_jinja_none(), nb_jinja_int(0)}, *key;
  list items;
  NB_TRY(nb_jinja_bind(j, line, "sum", a, "attribute start", 0, x));
  const sorting by = {x[0], nb_jinja_none(), true};
  NB_TRY(keyed(j, line, v, &by, &items, &key));
  if (x[1].type == V_STRING) return nb_jinja_fail(j, line, "sum cannot join strings");
  *out = x[1];
  for (size_t i = 0; i < items.n; i++) NB_TRY(nb_jinja_binary(j, line, '+', *out, key[i], out));
  return NB_OK;
}

/* batch: lists of n; slice: n lists. */
static nb_status portions(jinja *j, unsigned line, value v, const char *name, const arguments *a, value *out) {
  value x[2] = {nb_jinja_none(), nb_jinja_none()}, part = nb_jinja_none();
  bool batch = *name == 'b';
  list l;
  NB_TRY(nb_jinja_bind(j, line, name, a, batch ? "linecount fill_with" : "slices fill_with", 1, x));
  NB_TRY(nb_jinja_iterate(j, line, v, &l));
  if (!nb_jinja_is_int(x[0]) || x[0].u.i < 1 || x[0].u.i > 100000)
    return nb_jinja_fail(j, line, "%s needs a number", name);
  NB_TRY(nb_jinja_new_list(j, V_GENERATOR, out));
  size_t n = (size_t)x[0].u.i, parts = batch ? (l.n + n - 1) / n : n, at = 0;
  for (size_t i = 0; i < parts; i++) {
    size_t size = batch ? nb_min(n, l.n - at) : l.n / n + (i < l.n % n);
    NB_TRY(nb_jinja_new_list(j, V_LIST, &part));
    for (size_t k = 0; k < size; k++) NB_TRY(nb_jinja_list_push(j, part.u.list, l.v[at++]));
    bool fill = x[1].type != V_NONE && (batch ? size < n : i >= l.n % n);
    for (size_t k = batch ? size : 0; fill && k < (batch ? n : 1); k++)
      NB_TRY(nb_jinja_list_push(j, part.u.list, x[1]));
    NB_TRY(nb_jinja_list_push(j, out->u.list, part));
  }
  return NB_OK;
}

static nb_status name_argument(jinja *j, unsigned line, const char *who, value v, const char **out) {
  value name;
  if (v.type != V_STRING) return nb_jinja_fail(j, line, "%s needs a name, not %s", who, nb_jinja_type_name(v));
  NB_TRY(nb_jinja_copy(j, v.u.s, v.n, &name));
  *out = name.u.s;
  return NB_OK;
}

/* select, reject, selectattr, rejectattr: the items for which a test holds, or does not. */
static nb_status select_items(jinja *j, unsigned line, value v, const char *who, const arguments *a, value *out) {
  list l;
  size_t skip = strstr(who, "attr") ? 1 : 0;
  const char *test = NULL;
  arguments rest = {NULL, 0, a->key, a->n_key};
  if (!nb_jinja_true(v)) v = nb_jinja_undefined(NULL); /* Jinja does not even look whether it has items */
  NB_TRY(nb_jinja_iterate(j, line, v, &l));
  NB_TRY(nb_jinja_new_list(j, V_GENERATOR, out));
  if (a->n < skip) return nb_jinja_fail(j, line, "%s needs an attribute's name", who);
  if (a->n > skip) NB_TRY(name_argument(j, line, who, a->v[skip], &test));
  if (!test && a->n_key) return nb_jinja_fail(j, line, "%s has no argument '%s'", who, a->key[0]);
  if (test) rest.v = a->v + skip + 1, rest.n = a->n - skip - 1;
  for (size_t i = 0; i < l.n; i++) {
    value x = l.v[i];
    bool yes;
    if (skip) NB_TRY(get_path(j, line, x, a->v[0], nb_jinja_none(), &x));
    if (test) NB_TRY(nb_jinja_test(j, line, x, test, &rest, &yes));
    else yes = nb_jinja_true(x);
    if (yes == (*who == 's')) NB_TRY(nb_jinja_list_push(j, out->u.list, l.v[i]));
  }
  return NB_OK;
}

static nb_status map_items(jinja *j, unsigned line, value v, const arguments *a, value *out) {
  list l;
  value x[2] = {nb_jinja_none(), nb_jinja_none()};
  const char *filter = NULL;
  arguments rest = {NULL, 0, NULL, 0};
  if (!nb_jinja_true(v)) v = nb_jinja_undefined(NULL);
  NB_TRY(nb_jinja_iterate(j, line, v, &l));
  NB_TRY(nb_jinja_new_list(j, V_GENERATOR, out));
  if (a->n == 0) { /* attribute=, default= */
    NB_TRY(nb_jinja_bind(j, line, "map", a, "attribute default", 1, x));
  } else {
    NB_TRY(name_argument(j, line, "map", a->v[0], &filter));
    rest = (arguments){a->v + 1, a->n - 1, a->key, a->n_key};
  }
  if (++j->depth > JINJA_MAX_DEPTH) return nb_jinja_fail(j, line, "map is nested too deeply");
  for (size_t i = 0; i < l.n; i++) {
    value y;
    NB_TRY(filter ? nb_jinja_filter(j, line, l.v[i], filter, &rest, &y) : get_path(j, line, l.v[i], x[0], x[1], &y));
    NB_TRY(nb_jinja_list_push(j, out->u.list, y));
  }
  j->depth--;
  return NB_OK;
}

static nb_status join(jinja *j, unsigned line, value items, const arguments *a, value *out) {
  value x[2] = {nb_jinja_cstring(""), nb_jinja_none()};
  list l;
  nb_text t = {0};
  nb_status st = NB_OK;
  NB_TRY(nb_jinja_bind(j, line, "join", a, "d attribute", 0, x));
  NB_TRY(nb_jinja_iterate(j, line, items, &l));
  for (size_t i = 0; i < l.n; i++) {
    value y;
    NB_GOTO(get_path(j, line, l.v[i], x[1], nb_jinja_none(), &y));
    if (i) NB_GOTO(nb_jinja_print(j, x[0], false, &t));
    NB_GOTO(nb_jinja_print(j, y, false, &t));
  }
  return nb_jinja_take(j, &t, out);
fail:
  nb_text_free(&t);
  return st;
}

static nb_status reverse_items(jinja *j, unsigned line, value v, value *out) {
  list l;
  NB_TRY(nb_jinja_iterate(j, line, v, &l));
  NB_TRY(nb_jinja_new_list(j, v.type == V_GENERATOR ? V_LIST : V_GENERATOR, out));
  for (size_t i = l.n; i-- > 0;) NB_TRY(nb_jinja_list_push(j, out->u.list, l.v[i]));
  if (v.type != V_STRING) return NB_OK;
  const value empty = nb_jinja_string("", 0);
  return nb_jinja_method(j, line, empty, "join", &(arguments){out, 1, NULL, 0}, out);
}

/* first, last, length, list, items: without arguments */
static nb_status plain(jinja *j, unsigned line, value v, const char *name, value *out) {
  list l;
  bool has;
  if (!strcmp(name, "length") || !strcmp(name, "count")) {
    *out = nb_jinja_int((int64_t)nb_jinja_length(v, &has));
    NB_TRY(nb_jinja_work(j, v.type == V_STRING ? v.n / 16 : 0));
    return has ? NB_OK : nb_jinja_fail(j, line, "%s has no length", nb_jinja_type_name(v));
  }
  if (!strcmp(name, "reverse")) return reverse_items(j, line, v, out);
  if (!strcmp(name, "items")) {
    if (v.type != V_DICT && v.type != V_UNDEFINED)
      return nb_jinja_fail(j, line, "items needs a dict, not %s", nb_jinja_type_name(v));
    if (v.type == V_DICT) NB_TRY(nb_jinja_method(j, line, v, "items", &(arguments){0}, &v));
    NB_TRY(nb_jinja_iterate(j, line, v, &l));
    return new_from(j, V_GENERATOR, &l, out);
  }
  if (!strcmp(name, "first") && v.type == V_GENERATOR && v.u.list->n) { /* takes one, and leaves the rest */
    *out = v.u.list->v[0];
    *v.u.list = (list){v.u.list->v + 1, v.u.list->n - 1, v.u.list->n - 1};
    return NB_OK;
  }
  if (!strcmp(name, "last") && v.type == V_GENERATOR)
    return nb_jinja_fail(j, line, "last of a generator: it has no end");
  NB_TRY(nb_jinja_iterate(j, line, v, &l));
  if (!strcmp(name, "list")) return new_from(j, V_LIST, &l, out);
  *out = l.n ? l.v[*name == 'f' ? 0 : l.n - 1] : nb_jinja_undefined(name);
  return NB_OK;
}

nb_status nb_jinja_list_filter(jinja *j, unsigned line, value v, const char *name, const arguments *a, bool *known,
                               value *out) {
  static const char *const plain_names[] = {"first", "last", "length", "count", "list", "items", "reverse"};
  *known = true;
  for (size_t i = 0; i < sizeof plain_names / sizeof *plain_names; i++)
    if (!strcmp(name, plain_names[i])) {
      NB_TRY(nb_jinja_bind(j, line, name, a, "", 0, out));
      return plain(j, line, v, name, out);
    }
  if (!strcmp(name, "select") || !strcmp(name, "reject") || !strcmp(name, "selectattr") || !strcmp(name, "rejectattr"))
    return select_items(j, line, v, name, a, out);
  if (!strcmp(name, "map")) return map_items(j, line, v, a, out);
  if (!strcmp(name, "join")) return join(j, line, v, a, out);
  if (!strcmp(name, "sort")) return sort(j, line, v, a, out);
  if (!strcmp(name, "dictsort")) return dictsort(j, line, v, a, out);
  if (!strcmp(name, "groupby")) return group_by(j, line, v, a, out);
  if (!strcmp(name, "unique")) return unique(j, line, v, a, out);
  if (!strcmp(name, "min") || !strcmp(name, "max")) return min_max(j, line, v, name, a, out);
  if (!strcmp(name, "sum")) return sum(j, line, v, a, out);
  if (!strcmp(name, "batch") || !strcmp(name, "slice")) return portions(j, line, v, name, a, out);
  *known = false;
  return NB_OK;
}
