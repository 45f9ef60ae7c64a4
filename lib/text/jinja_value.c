/* SPDX-License-Identifier: MIT */
/* Values of chat templates, as Python's: memory, truth, equality, order, elements, attributes, arguments. */
#include "text/jinja.h"
#include "base/assert.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- memory and work ---- */

nb_status nb_jinja_work(jinja *j, size_t units) {
  j->work += units;
  if (j->work <= j->max_work) return NB_OK;
  return nb_fail(j->err, NB_ERR_FORMAT, "chat template: it takes more than %zu steps of work", j->max_work);
}

/* The arena is a chain of malloc'ed blocks, each beginning with a pointer to the one before. */
nb_status nb_jinja_alloc(jinja *j, size_t n, void *out) {
  size_t need = nb_round_up(nb_min(n, JINJA_MAX_ARENA), 16);
  if (n > JINJA_MAX_ARENA || need > JINJA_MAX_ARENA - j->arena_total)
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: it needs more than %d MB of memory", JINJA_MAX_ARENA >> 20);
  NB_TRY(nb_jinja_work(j, need / 16));
  if (need > j->block_size - j->block_used) {
    size_t size = nb_max(need + 16, j->blocks ? 1 << 16 : 1 << 13);
    char *b = malloc(size);
    if (!b) return nb_fail(j->err, NB_ERR_MEMORY, "out of memory: a chat template");
    memcpy(b, &j->blocks, sizeof j->blocks);
    j->blocks = b;
    j->block_used = 16;
    j->block_size = size;
  }
  void *p = (char *)j->blocks + j->block_used;
  nb_assert(need <= j->block_size - j->block_used && j->arena_total + need <= JINJA_MAX_ARENA);
  j->block_used += need;
  j->arena_total += need;
  memset(p, 0, need);
  memcpy(out, &p, sizeof p);
  return NB_OK;
}

void nb_jinja_free(jinja *j) {
  while (j->blocks) {
    void *b = j->blocks;
    memcpy(&j->blocks, b, sizeof j->blocks);
    free(b);
  }
}

nb_status nb_jinja_fail(jinja *j, unsigned line, const char *fmt, ...) {
  char why[400];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(why, sizeof why, fmt, ap);
  va_end(ap);
  return nb_fail(j->err, NB_ERR_FORMAT, "chat template, line %u: %s", line, why);
}

nb_status nb_jinja_undefined_fails(jinja *j, unsigned line, value v) {
  return v.type == V_UNDEFINED ? nb_jinja_fail(j, line, "'%s' is undefined", v.u.s ? v.u.s : "a value") : NB_OK;
}

nb_status nb_jinja_new_list(jinja *j, value_type type, value *out) {
  *out = (value){type, 0, {.i = 0}, false};
  return nb_jinja_alloc(j, sizeof(list), &out->u.list);
}

nb_status nb_jinja_dict(jinja *j, value_type type, value *out) {
  *out = (value){type, 0, {.i = 0}, false};
  return nb_jinja_alloc(j, sizeof(dict), &out->u.dict);
}

/* Doubles an array of values that is full. */
static nb_status grow(jinja *j, value **v, size_t n, size_t cap) {
  value *p;
  NB_TRY(nb_jinja_alloc(j, cap * sizeof *p, &p));
  if (n) memcpy(p, *v, n * sizeof *p);
  *v = p;
  return NB_OK;
}

nb_status nb_jinja_list_push(jinja *j, list *l, value v) {
  if (l->n == l->cap) {
    size_t cap = l->cap ? 2 * l->cap : 4;
    NB_TRY(grow(j, &l->v, l->n, cap));
    l->cap = cap;
  }
  l->v[l->n++] = v;
  return NB_OK;
}

/* The place of a key, d->n when it is not there. */
static nb_status find_key(jinja *j, const dict *d, value key, size_t *at) {
  for (*at = 0; *at < d->n; ++*at) {
    bool same;
    const value *k = &d->key[*at];
    if (k->type == V_STRING && key.type == V_STRING)
      same = k->n == key.n && (!key.n || !memcmp(k->u.s, key.u.s, key.n));
    else NB_TRY(nb_jinja_equal(j, *k, key, &same));
    if (same) break;
  }
  return nb_jinja_work(j, 1 + *at / 4);
}

nb_status nb_jinja_dict_set(jinja *j, dict *d, value key, value v) {
  size_t i;
  NB_TRY(find_key(j, d, key, &i));
  if (i < d->n) return d->val[i] = v, NB_OK;
  if (d->n == d->cap) {
    size_t cap = d->cap ? 2 * d->cap : 4;
    NB_TRY(grow(j, &d->key, d->n, cap));
    NB_TRY(grow(j, &d->val, d->n, cap));
    d->cap = cap;
  }
  nb_assert(d->n < d->cap);
  d->key[d->n] = key;
  d->val[d->n++] = v;
  return NB_OK;
}

nb_status nb_jinja_dict_get(jinja *j, const dict *d, value key, const value **out) {
  size_t i;
  NB_TRY(find_key(j, d, key, &i));
  *out = i < d->n ? &d->val[i] : NULL;
  return NB_OK;
}

nb_status nb_jinja_copy(jinja *j, const char *s, size_t n, value *out) {
  char *p;
  NB_TRY(nb_jinja_alloc(j, n + 1, &p));
  if (n) memcpy(p, s, n);
  *out = nb_jinja_string(p, n);
  return NB_OK;
}

nb_status nb_jinja_take(jinja *j, nb_text *t, value *out) {
  nb_status st = nb_jinja_copy(j, t->s, t->n, out);
  nb_text_free(t);
  return st;
}

/* ---- truth, equality, order ---- */

bool nb_jinja_true(value v) {
  switch (v.type) {
  case V_UNDEFINED:
  case V_NONE: return false;
  case V_BOOL:
  case V_INT: return v.u.i != 0;
  case V_FLOAT: return v.u.f != 0;
  case V_STRING: return v.n != 0;
  case V_LIST:
  case V_TUPLE:
  case V_RANGE:
  case V_VIEW: return v.u.list->n != 0;
  case V_DICT: return v.u.dict->n != 0;
  case V_LOOP: return v.u.loop->items.n != 0;
  default: return true;
  }
}

const char *nb_jinja_type_name(value v) {
  static const char *const names[V_TYPES] = {
      "undefined", "none", "bool",      "int",   "float",    "string", "list", "tuple",  "range", "dict view",
      "generator", "dict", "namespace", "macro", "function", "method", "loop", "cycler", "joiner"};
  return names[v.type];
}

/* Lists and dicts nest at most as deep as the template's expressions do, except those that a loop nests. */
static nb_status equal(jinja *j, value a, value b, unsigned depth, bool *out) {
  *out = false;
  NB_TRY(nb_jinja_work(j, 1));
  if (nb_jinja_is_number(a) && nb_jinja_is_number(b)) {
    *out = a.type == V_FLOAT || b.type == V_FLOAT ? nb_jinja_double(a) == nb_jinja_double(b) : a.u.i == b.u.i;
    return NB_OK;
  }
  if (a.type != b.type) return NB_OK;
  if (depth > JINJA_MAX_DEPTH) return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a value is nested too deeply");
  switch (a.type) {
  case V_UNDEFINED:
  case V_NONE: *out = true; return NB_OK;
  case V_STRING:
    *out = a.n == b.n && (a.n == 0 || !memcmp(a.u.s, b.u.s, a.n));
    return nb_jinja_work(j, *out ? a.n / 16 : 0);
  case V_LIST:
  case V_TUPLE:
  case V_RANGE:
    *out = a.u.list->n == b.u.list->n;
    for (size_t i = 0; i < a.u.list->n && *out; i++) NB_TRY(equal(j, a.u.list->v[i], b.u.list->v[i], depth + 1, out));
    return NB_OK;
  case V_DICT:
    *out = a.u.dict->n == b.u.dict->n;
    for (size_t i = 0; i < a.u.dict->n && *out; i++) {
      const value *v;
      NB_TRY(nb_jinja_dict_get(j, b.u.dict, a.u.dict->key[i], &v));
      *out = false;
      if (v) NB_TRY(equal(j, a.u.dict->val[i], *v, depth + 1, out));
    }
    return NB_OK;
  default: *out = a.u.s == b.u.s; return NB_OK;
  }
}

nb_status nb_jinja_equal(jinja *j, value a, value b, bool *out) { return equal(j, a, b, 0, out); }

nb_status nb_jinja_order(jinja *j, unsigned line, value a, value b, int *out) {
  *out = 0;
  if (nb_jinja_is_number(a) && nb_jinja_is_number(b)) {
    double x = nb_jinja_double(a), y = nb_jinja_double(b);
    if (a.type == V_FLOAT || b.type == V_FLOAT) *out = (x > y) - (x < y);
    else *out = (a.u.i > b.u.i) - (a.u.i < b.u.i);
    return nb_jinja_work(j, 1);
  }
  if (a.type == V_STRING && b.type == V_STRING) {
    size_t n = nb_min(a.n, b.n);
    *out = n ? memcmp(a.u.s, b.u.s, n) : 0; /* the order of UTF-8 is that of code points */
    if (!*out) *out = (a.n > b.n) - (a.n < b.n);
    return nb_jinja_work(j, 1 + n / 16);
  }
  if (a.type == b.type && (a.type == V_LIST || a.type == V_TUPLE)) {
    if (++j->depth > 10 * JINJA_MAX_DEPTH) return nb_jinja_fail(j, line, "a value is nested too deeply");
    for (size_t i = 0; i < a.u.list->n && i < b.u.list->n; i++) {
      bool same;
      NB_TRY(nb_jinja_equal(j, a.u.list->v[i], b.u.list->v[i], &same));
      if (same) continue;
      NB_TRY(nb_jinja_order(j, line, a.u.list->v[i], b.u.list->v[i], out));
      return j->depth--, NB_OK;
    }
    j->depth--;
    *out = (a.u.list->n > b.u.list->n) - (a.u.list->n < b.u.list->n);
    return NB_OK;
  }
  NB_TRY(nb_jinja_undefined_fails(j, line, a));
  NB_TRY(nb_jinja_undefined_fails(j, line, b));
  return nb_jinja_fail(j, line, "%s and %s have no order", nb_jinja_type_name(a), nb_jinja_type_name(b));
}

nb_status nb_jinja_contains(jinja *j, unsigned line, value item, value in, bool *out) {
  *out = false;
  if (in.type == V_STRING) {
    NB_TRY(nb_jinja_undefined_fails(j, line, item));
    if (item.type != V_STRING)
      return nb_jinja_fail(j, line, "`in` a string needs a string, not %s", nb_jinja_type_name(item));
    *out = nb_jinja_find(in.u.s, in.n, item.u.s, item.n) != NULL;
    return nb_jinja_work(j, 1 + in.n / 16);
  }
  if (in.type == V_DICT) {
    const value *v;
    if (item.type == V_DICT || item.type == V_LIST)
      return nb_jinja_fail(j, line, "%s cannot be the key of a dict", nb_jinja_type_name(item));
    NB_TRY(nb_jinja_dict_get(j, in.u.dict, item, &v));
    *out = v != NULL;
    return NB_OK;
  }
  list l;
  NB_TRY(nb_jinja_iterate(j, line, in, &l));
  for (size_t i = 0; i < l.n && !*out; i++) NB_TRY(nb_jinja_equal(j, l.v[i], item, out));
  return NB_OK;
}

/* ---- elements ---- */

nb_status nb_jinja_iterate(jinja *j, unsigned line, value v, list *out) {
  *out = (list){0};
  if (v.type == V_UNDEFINED) return NB_OK;
  if (nb_jinja_is_list(v)) {
    *out = *v.u.list;
    out->cap = out->n; /* nothing is pushed to what is shared */
    if (v.type == V_GENERATOR) *v.u.list = (list){0};
    return nb_jinja_work(j, out->n / 4);
  }
  if (v.type == V_DICT) return out->v = v.u.dict->key, out->n = out->cap = v.u.dict->n, nb_jinja_work(j, out->n / 4);
  if (v.type != V_STRING) return nb_jinja_fail(j, line, "a value of type %s cannot be iterated", nb_jinja_type_name(v));
  for (size_t i = 0, k; i < v.n; i += k) {
    nb_utf8_get(v.u.s + i, &k);
    NB_TRY(nb_jinja_list_push(j, out, nb_jinja_string(v.u.s + i, k)));
  }
  return NB_OK;
}

size_t nb_jinja_length(value v, bool *has) {
  *has = true;
  size_t n = 0;
  switch (v.type) {
  case V_UNDEFINED: return 0;
  case V_LIST:
  case V_TUPLE:
  case V_RANGE:
  case V_VIEW: return v.u.list->n;
  case V_DICT: return v.u.dict->n;
  case V_LOOP: return v.u.loop->items.n;
  case V_STRING:
    for (size_t i = 0; i < v.n; i++) n += ((unsigned char)v.u.s[i] & 0xc0) != 0x80;
    return n;
  default: *has = false; return 0;
  }
}

/* ---- attributes ---- */

static nb_status loop_attribute(const loop *l, const char *name, value *out) {
  size_t n = l->items.n, i = l->i;
  const struct {
    const char *name;
    value v;
  } fields[] = {{"index", nb_jinja_int((int64_t)i + 1)},
                {"index0", nb_jinja_int((int64_t)i)},
                {"first", nb_jinja_bool(i == 0)},
                {"last", nb_jinja_bool(i + 1 == n)},
                {"length", nb_jinja_int((int64_t)n)},
                {"revindex", nb_jinja_int((int64_t)(n - i))},
                {"revindex0", nb_jinja_int((int64_t)(n - i) - 1)},
                {"depth", nb_jinja_int((int64_t)l->depth + 1)},
                {"depth0", nb_jinja_int((int64_t)l->depth)},
                {"previtem", i ? l->items.v[i - 1] : nb_jinja_undefined("previtem")},
                {"nextitem", i + 1 < n ? l->items.v[i + 1] : nb_jinja_undefined("nextitem")}};
  for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
    if (!strcmp(name, fields[k].name)) *out = fields[k].v;
  return NB_OK;
}

static nb_status element(jinja *j, value v, value key, value *out) {
  bool has;
  int64_t n = (int64_t)nb_jinja_length(v, &has), i = key.u.i < 0 ? key.u.i + n : key.u.i;
  if (i < 0 || i >= n) return NB_OK;
  if (v.type != V_STRING) return *out = v.u.list->v[i], NB_OK;
  size_t at = 0, k;
  for (; i; i--) nb_utf8_get(v.u.s + at, &k), at += k;
  nb_utf8_get(v.u.s + at, &k);
  *out = nb_jinja_string(v.u.s + at, k);
  return nb_jinja_work(j, v.n / 16);
}

/* What is there by name, beside the items of a dict. */
static nb_status by_name(jinja *j, unsigned line, value v, const char *name, value *out) {
  static const char *const of_numbers[] = {"real",       "imag", "numerator", "denominator",      "bit_length",
                                           "is_integer", "hex",  "conjugate", "as_integer_ratio", "bit_count",
                                           "to_bytes"};
  if (name[0] == '_') return NB_OK;
  if (v.type == V_LOOP) NB_TRY(loop_attribute(v.u.loop, name, out));
  if (v.type == V_TUPLE && v.n && (!strcmp(name, "grouper") || !strcmp(name, "list")))
    return *out = v.u.list->v[*name == 'l'], NB_OK;
  if (v.type == V_CYCLER && !strcmp(name, "current")) return *out = v.u.list->v[v.u.list->cap], NB_OK;
  if (v.type == V_MACRO && !strcmp(name, "name")) {
    const char *s = v.u.macro->node->name;
    return *out = s ? nb_jinja_cstring(s) : nb_jinja_none(), NB_OK;
  }
  for (size_t i = 0; nb_jinja_is_number(v) && i < sizeof of_numbers / sizeof *of_numbers; i++)
    if (!strcmp(name, of_numbers[i]))
      return nb_jinja_fail(j, line, "the attribute %s of a number is not supported", name);
  if (out->type == V_UNDEFINED && nb_jinja_has_method(v, name)) {
    method *m;
    NB_TRY(nb_jinja_alloc(j, sizeof *m, &m));
    *m = (method){v, name};
    *out = (value){V_METHOD, 0, {.method = m}, false};
  }
  return NB_OK;
}

nb_status nb_jinja_attribute(jinja *j, unsigned line, value v, value key, bool by_dot, value *out) {
  const value *found = NULL;
  *out = nb_jinja_undefined(key.type == V_STRING ? key.u.s : NULL);
  NB_TRY(nb_jinja_undefined_fails(j, line, v));
  if (by_dot && v.type == V_DICT) NB_TRY(by_name(j, line, v, key.u.s, out)); /* d.items is the method */
  if (out->type != V_UNDEFINED) return NB_OK;
  if (v.type == V_NAMESPACE && key.type == V_STRING && key.n && key.u.s[0] == '_') return NB_OK;
  if (v.type == V_DICT || v.type == V_NAMESPACE) {
    NB_TRY(nb_jinja_dict_get(j, v.u.dict, key, &found));
    if (found) return *out = *found, NB_OK;
  }
  if (key.type == V_STRING) { /* a copy ends with a NUL */
    value name = key;
    if (memchr(key.u.s, 0, key.n)) return NB_OK;
    if (!by_dot) NB_TRY(nb_jinja_copy(j, key.u.s, key.n, &name));
    return by_name(j, line, v, name.u.s, out);
  }
  bool indexed = v.type == V_STRING || v.type == V_LIST || v.type == V_TUPLE || v.type == V_RANGE;
  return nb_jinja_is_int(key) && indexed ? element(j, v, key, out) : NB_OK;
}

/* ---- arguments ---- */

nb_status nb_jinja_bind(jinja *j, unsigned line, const char *who, const arguments *a, const char *spec, size_t least,
                        value *out) {
  enum { MOST = 8 };
  const char *name[MOST];
  size_t len[MOST], n = 0;
  bool given[MOST] = {false};
  for (const char *p = spec; *p && n < MOST; p += len[n - 1], p += *p == ' ')
    name[n] = p, len[n] = strcspn(p, " "), n++;
  if (a->n > n) return nb_jinja_fail(j, line, "%s takes at most %zu arguments, not %zu", who, n, a->n);
  for (size_t i = 0; i < a->n; i++) out[i] = a->v[i], given[i] = true;
  for (size_t k = 0; k < a->n_key; k++) {
    size_t i = 0;
    while (i < n && (strlen(a->key[k]) != len[i] || memcmp(a->key[k], name[i], len[i]))) i++;
    if (i == n) return nb_jinja_fail(j, line, "%s has no argument '%s'", who, a->key[k]);
    if (given[i]) return nb_jinja_fail(j, line, "%s is given the argument '%s' twice", who, a->key[k]);
    out[i] = a->v[a->n + k], given[i] = true;
  }
  for (size_t i = 0; i < least; i++)
    if (!given[i]) return nb_jinja_fail(j, line, "%s needs the argument '%.*s'", who, (int)len[i], name[i]);
  return NB_OK;
}
