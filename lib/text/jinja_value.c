/* SPDX-License-Identifier: MIT */
/* Values of chat templates, as Python's: truth, equality, order, text. */
#include "text/jinja.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* The arena is a chain of malloc'ed blocks, each beginning with a pointer to the one before. */
nb_status nb_jinja_alloc(jinja *j, size_t n, void *out) {
  size_t need = nb_round_up(nb_min(n, JINJA_MAX_ARENA), 16);
  if (n > JINJA_MAX_ARENA || need > JINJA_MAX_ARENA - j->arena_total)
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: it needs more than %d MB of memory", JINJA_MAX_ARENA >> 20);
  if (need > j->block_size - j->block_used) {
    size_t size = nb_max(need + 16, 1 << 16);
    char *b = malloc(size);
    if (!b) return nb_fail(j->err, NB_ERR_MEMORY, "out of memory: a chat template");
    memcpy(b, &j->blocks, sizeof j->blocks);
    j->blocks = b;
    j->block_used = 16;
    j->block_size = size;
  }
  void *p = (char *)j->blocks + j->block_used;
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

nb_status nb_jinja_list(jinja *j, value *out) {
  *out = (value){V_LIST, 0, {.i = 0}};
  return nb_jinja_alloc(j, sizeof(list), &out->u.list);
}

nb_status nb_jinja_dict(jinja *j, value_type type, value *out) {
  *out = (value){type, 0, {.i = 0}};
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
    size_t cap = l->cap ? 2 * l->cap : 8;
    NB_TRY(grow(j, &l->v, l->n, cap));
    l->cap = cap;
  }
  l->v[l->n++] = v;
  return NB_OK;
}

nb_status nb_jinja_dict_set(jinja *j, dict *d, value key, value v) {
  for (size_t i = 0; i < d->n; i++)
    if (nb_jinja_equal(d->key[i], key)) return d->val[i] = v, NB_OK;
  if (d->n == d->cap) {
    size_t cap = d->cap ? 2 * d->cap : 8;
    NB_TRY(grow(j, &d->key, d->n, cap));
    NB_TRY(grow(j, &d->val, d->n, cap));
    d->cap = cap;
  }
  d->key[d->n] = key;
  d->val[d->n++] = v;
  return NB_OK;
}

const value *nb_jinja_dict_get(const dict *d, value key) {
  for (size_t i = 0; i < d->n; i++)
    if (nb_jinja_equal(d->key[i], key)) return &d->val[i];
  return NULL;
}

nb_status nb_jinja_copy(jinja *j, const char *s, size_t n, value *out) {
  char *p;
  NB_TRY(nb_jinja_alloc(j, n + 1, &p));
  if (n) memcpy(p, s, n);
  *out = nb_jinja_string(p, n);
  return NB_OK;
}

bool nb_jinja_true(value v) {
  switch (v.type) {
  case V_UNDEFINED:
  case V_NONE: return false;
  case V_BOOL:
  case V_INT: return v.u.i != 0;
  case V_FLOAT: return v.u.f != 0;
  case V_STRING: return v.n != 0;
  case V_LIST: return v.u.list->n != 0;
  case V_DICT: return v.u.dict->n != 0;
  default: return true;
  }
}

const char *nb_jinja_type_name(value v) {
  static const char *const names[] = {"undefined", "none", "bool",      "int",   "float",   "string",
                                      "list",      "dict", "namespace", "macro", "function"};
  return names[v.type];
}

static bool is_number(value v) { return v.type == V_BOOL || v.type == V_INT || v.type == V_FLOAT; }
static double as_double(value v) { return v.type == V_FLOAT ? v.u.f : (double)v.u.i; }

/* Lists and dicts nest at most as deep as the template's expressions do, except those that a loop nests:
 * beyond `depth` levels nothing is equal. */
static bool equal(value a, value b, unsigned depth) {
  if (is_number(a) && is_number(b))
    return a.type == V_FLOAT || b.type == V_FLOAT ? as_double(a) == as_double(b) : a.u.i == b.u.i;
  if (a.type != b.type || depth > JINJA_MAX_DEPTH) return false;
  switch (a.type) {
  case V_UNDEFINED:
  case V_NONE: return true;
  case V_STRING: return a.n == b.n && (a.n == 0 || !memcmp(a.u.s, b.u.s, a.n));
  case V_LIST:
    if (a.u.list == b.u.list) return true;
    if (a.u.list->n != b.u.list->n) return false;
    for (size_t i = 0; i < a.u.list->n; i++)
      if (!equal(a.u.list->v[i], b.u.list->v[i], depth + 1)) return false;
    return true;
  case V_DICT:
    if (a.u.dict == b.u.dict) return true;
    if (a.u.dict->n != b.u.dict->n) return false;
    for (size_t i = 0; i < a.u.dict->n; i++) {
      const value *v = nb_jinja_dict_get(b.u.dict, a.u.dict->key[i]);
      if (!v || !equal(a.u.dict->val[i], *v, depth + 1)) return false;
    }
    return true;
  default: return a.u.s == b.u.s;
  }
}

bool nb_jinja_equal(value a, value b) { return equal(a, b, 0); }

bool nb_jinja_less(value a, value b, bool *ordered) {
  *ordered = true;
  if (is_number(a) && is_number(b))
    return a.type == V_FLOAT || b.type == V_FLOAT ? as_double(a) < as_double(b) : a.u.i < b.u.i;
  if (a.type == V_STRING && b.type == V_STRING) {
    size_t n = nb_min(a.n, b.n);
    int c = n ? memcmp(a.u.s, b.u.s, n) : 0; /* the order of UTF-8 is that of code points */
    return c ? c < 0 : a.n < b.n;
  }
  *ordered = false;
  return false;
}

static nb_status put(jinja *j, nb_text *out, const char *s, size_t n) {
  if (n > JINJA_MAX_OUTPUT || out->n > JINJA_MAX_OUTPUT - n)
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: it writes more than %d MB", JINJA_MAX_OUTPUT >> 20);
  return nb_text_append(out, s, n, j->err);
}

static nb_status put_float(jinja *j, double f, nb_text *out) {
  char b[40];
  int digits = 1;
  do snprintf(b, sizeof b, "%.*g", digits, f); /* the fewest digits that read back as f, as Python */
  while (strtod(b, NULL) != f && ++digits <= 17);
  if (!strpbrk(b, ".en")) strcat(b, ".0");
  return put(j, out, b, strlen(b));
}

static nb_status put_quoted(jinja *j, value v, nb_text *out) { /* repr of a string */
  char q = memchr(v.n ? v.u.s : "", '\'', v.n) && !memchr(v.u.s, '"', v.n) ? '"' : '\'';
  NB_TRY(put(j, out, &q, 1));
  for (size_t i = 0; i < v.n; i++) {
    char c = v.u.s[i], b[8] = {c};
    size_t n = 1;
    if (c == q || c == '\\') n = (size_t)snprintf(b, sizeof b, "\\%c", c);
    else if (c == '\n' || c == '\r' || c == '\t')
      n = (size_t)snprintf(b, sizeof b, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if ((unsigned char)c < 32 || c == 127) n = (size_t)snprintf(b, sizeof b, "\\x%02x", c);
    NB_TRY(put(j, out, b, n));
  }
  return put(j, out, &q, 1);
}

nb_status nb_jinja_print(jinja *j, value v, bool repr, nb_text *out) {
  char b[32];
  if (++j->depth > JINJA_MAX_DEPTH)
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a value is nested too deeply to print");
  switch (v.type) {
  case V_UNDEFINED: break;
  case V_NONE: NB_TRY(put(j, out, "None", 4)); break;
  case V_BOOL: NB_TRY(put(j, out, v.u.i ? "True" : "False", v.u.i ? 4 : 5)); break;
  case V_INT: NB_TRY(put(j, out, b, (size_t)snprintf(b, sizeof b, "%" PRId64, v.u.i))); break;
  case V_FLOAT: NB_TRY(put_float(j, v.u.f, out)); break;
  case V_STRING: NB_TRY(repr ? put_quoted(j, v, out) : put(j, out, v.u.s, v.n)); break;
  case V_LIST:
    NB_TRY(put(j, out, "[", 1));
    for (size_t i = 0; i < v.u.list->n; i++) {
      if (i) NB_TRY(put(j, out, ", ", 2));
      NB_TRY(nb_jinja_print(j, v.u.list->v[i], true, out));
    }
    NB_TRY(put(j, out, "]", 1));
    break;
  case V_DICT:
    NB_TRY(put(j, out, "{", 1));
    for (size_t i = 0; i < v.u.dict->n; i++) {
      if (i) NB_TRY(put(j, out, ", ", 2));
      NB_TRY(nb_jinja_print(j, v.u.dict->key[i], true, out));
      NB_TRY(put(j, out, ": ", 2));
      NB_TRY(nb_jinja_print(j, v.u.dict->val[i], true, out));
    }
    NB_TRY(put(j, out, "}", 1));
    break;
  default: return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a %s has no text", nb_jinja_type_name(v));
  }
  j->depth--;
  return NB_OK;
}

static nb_status json_string(jinja *j, value v, nb_text *out) {
  static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
  NB_TRY(put(j, out, "\"", 1));
  for (size_t i = 0; i < v.n; i++) {
    char c = v.u.s[i], b[8] = {c};
    const char *p = c ? strchr(from, c) : NULL;
    size_t n = 1;
    if (p) n = (size_t)snprintf(b, sizeof b, "\\%c", to[p - from]);
    else if ((unsigned char)c < 32) n = (size_t)snprintf(b, sizeof b, "\\u%04x", c);
    NB_TRY(put(j, out, b, n));
  }
  return put(j, out, "\"", 1);
}

static nb_status json_break(jinja *j, int indent, int level, nb_text *out) {
  if (indent < 0) return NB_OK;
  NB_TRY(put(j, out, "\n", 1));
  for (int i = 0; i < indent * level; i++) NB_TRY(put(j, out, " ", 1));
  return NB_OK;
}

nb_status nb_jinja_json(jinja *j, value v, int indent, int level, nb_text *out) {
  if (level > JINJA_MAX_DEPTH)
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a value is nested too deeply for JSON");
  bool is_dict = v.type == V_DICT;
  switch (v.type) {
  case V_NONE: return put(j, out, "null", 4);
  case V_BOOL: return put(j, out, v.u.i ? "true" : "false", v.u.i ? 4 : 5);
  case V_STRING: return json_string(j, v, out);
  case V_INT:
  case V_FLOAT: return nb_jinja_print(j, v, false, out);
  case V_LIST:
  case V_DICT: break;
  default:
    return nb_fail(j->err, NB_ERR_FORMAT, "chat template: a value of type %s has no JSON", nb_jinja_type_name(v));
  }
  size_t n = is_dict ? v.u.dict->n : v.u.list->n;
  NB_TRY(put(j, out, is_dict ? "{" : "[", 1));
  for (size_t i = 0; i < n; i++) {
    if (i) NB_TRY(put(j, out, ", ", indent < 0 ? 2 : 1));
    NB_TRY(json_break(j, indent, level + 1, out));
    if (is_dict) {
      value key;
      NB_TRY(nb_jinja_to_string(j, v.u.dict->key[i], &key));
      NB_TRY(json_string(j, key, out));
      NB_TRY(put(j, out, ": ", 2));
    }
    NB_TRY(nb_jinja_json(j, is_dict ? v.u.dict->val[i] : v.u.list->v[i], indent, level + 1, out));
  }
  if (n) NB_TRY(json_break(j, indent, level, out));
  return put(j, out, is_dict ? "}" : "]", 1);
}

nb_status nb_jinja_to_string(jinja *j, value v, value *out) {
  if (v.type == V_STRING) return *out = v, NB_OK;
  nb_text t = {0};
  nb_status st = nb_jinja_print(j, v, false, &t);
  if (st == NB_OK) st = nb_jinja_copy(j, t.s, t.n, out);
  nb_text_free(&t);
  return st;
}

nb_status nb_jinja_iterate(jinja *j, unsigned line, value v, list *out) {
  *out = (list){0};
  if (v.type == V_UNDEFINED) return NB_OK;
  if (v.type == V_LIST) return *out = *v.u.list, NB_OK;
  if (v.type == V_DICT) return out->v = v.u.dict->key, out->n = v.u.dict->n, NB_OK;
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
  case V_LIST: return v.u.list->n;
  case V_DICT: return v.u.dict->n;
  case V_STRING:
    for (size_t i = 0; i < v.n; i++) n += ((unsigned char)v.u.s[i] & 0xc0) != 0x80;
    return n;
  default: *has = false; return 0;
  }
}
