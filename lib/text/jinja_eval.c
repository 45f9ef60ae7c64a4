/* SPDX-License-Identifier: MIT */
/* Runs the tree of a chat template. */
#include "text/jinja.h"
#include "base/utf8.h"

#include <math.h>

static nb_status eval(jinja *j, const node *e, value *out);
static nb_status run(jinja *j, const node *e);

/* ---- scopes ---- */

static nb_status push_scope(jinja *j, frame *parent) {
  frame *f;
  NB_TRY(nb_jinja_alloc(j, sizeof *f, &f));
  f->parent = parent;
  j->scope = f;
  return NB_OK;
}

static nb_status set_var(jinja *j, const char *name, value v) {
  return nb_jinja_dict_set(j, &j->scope->vars, nb_jinja_cstring(name), v);
}

static value get_var(const jinja *j, const char *name) {
  for (const frame *f = j->scope; f; f = f->parent) {
    const value *v = nb_jinja_dict_get(&f->vars, nb_jinja_cstring(name));
    if (v) return *v;
  }
  static const char *const functions[] = {"raise_exception", "namespace", "range", "dict", "strftime_now"};
  for (size_t i = 0; i < 5; i++)
    if (!strcmp(name, functions[i]) && (i < 4 || j->now)) return (value){V_FUNCTION, 0, {.s = functions[i]}};
  return nb_jinja_undefined(name);
}

/* ---- operators ---- */

static int64_t floor_mod(int64_t a, int64_t b) {
  int64_t r = b == -1 ? 0 : a % b;
  return r && (r < 0) != (b < 0) ? r + b : r;
}

static nb_status concat(jinja *j, value a, value b, value *out) {
  char *s;
  NB_TRY(nb_jinja_alloc(j, a.n + b.n + 1, &s));
  if (a.n) memcpy(s, a.u.s, a.n);
  if (b.n) memcpy(s + a.n, b.u.s, b.n);
  *out = nb_jinja_string(s, a.n + b.n);
  return NB_OK;
}

static nb_status repeat(jinja *j, unsigned line, value s, int64_t n, value *out) {
  size_t total;
  char *p;
  if (n < 0) n = 0;
  if (!nb_mul(s.n, (size_t)n, &total) || total > JINJA_MAX_OUTPUT)
    return nb_jinja_fail(j, line, "a string is repeated too often");
  NB_TRY(nb_jinja_alloc(j, total + 1, &p));
  for (size_t i = 0; i < total; i++) p[i] = s.u.s[i % s.n];
  *out = nb_jinja_string(p, total);
  return NB_OK;
}

static bool is_int(value v) { return v.type == V_INT || v.type == V_BOOL; }

static nb_status int_binary(jinja *j, unsigned line, char op, int64_t a, int64_t b, value *out) {
  int64_t r = 0;
  bool bad = false;
  if (strchr("/f%", op) && b == 0) return nb_jinja_fail(j, line, "division by zero");
  switch (op) {
  case '+': bad = __builtin_add_overflow(a, b, &r); break;
  case '-': bad = __builtin_sub_overflow(a, b, &r); break;
  case '*': bad = __builtin_mul_overflow(a, b, &r); break;
  case '%': r = floor_mod(a, b); break;
  case 'f':
    bad = a == INT64_MIN && b == -1;
    if (!bad) r = a / b - (a % b && (a < 0) != (b < 0));
    break;
  case 'p': /* a non-negative power of two factors at a time */
    if (b < 0) return *out = (value){V_FLOAT, 0, {.f = pow((double)a, (double)b)}}, NB_OK;
    r = 1;
    for (int64_t x = a; b && !bad; b >>= 1) {
      if (b & 1) bad = __builtin_mul_overflow(r, x, &r);
      if (b > 1 && !bad) bad = __builtin_mul_overflow(x, x, &x);
    }
    break;
  default: return *out = (value){V_FLOAT, 0, {.f = (double)a / (double)b}}, NB_OK;
  }
  if (bad) return nb_jinja_fail(j, line, "a number becomes too large");
  *out = nb_jinja_int(r);
  return NB_OK;
}

nb_status nb_jinja_binary(jinja *j, unsigned line, char op, value a, value b, value *out) {
  if (op == '~') {
    NB_TRY(nb_jinja_to_string(j, a, &a));
    NB_TRY(nb_jinja_to_string(j, b, &b));
    return concat(j, a, b, out);
  }
  if (is_int(a) && is_int(b)) return int_binary(j, line, op, a.u.i, b.u.i, out);
  if ((is_int(a) || a.type == V_FLOAT) && (is_int(b) || b.type == V_FLOAT)) {
    double x = a.type == V_FLOAT ? a.u.f : (double)a.u.i, y = b.type == V_FLOAT ? b.u.f : (double)b.u.i;
    if (strchr("/f%", op) && y == 0) return nb_jinja_fail(j, line, "division by zero");
    double r = op == '+'   ? x + y
               : op == '-' ? x - y
               : op == '*' ? x * y
               : op == '/' ? x / y
               : op == 'p' ? pow(x, y)
               : op == 'f' ? floor(x / y)
                           : x - y * floor(x / y);
    *out = (value){V_FLOAT, 0, {.f = r}};
    return NB_OK;
  }
  if (op == '+' && a.type == V_STRING && b.type == V_STRING) return concat(j, a, b, out);
  if (op == '*' && a.type == V_STRING && is_int(b)) return repeat(j, line, a, b.u.i, out);
  if (op == '*' && is_int(a) && b.type == V_STRING) return repeat(j, line, b, a.u.i, out);
  if (op == '+' && a.type == V_LIST && b.type == V_LIST) {
    NB_TRY(nb_jinja_list(j, out));
    for (size_t i = 0; i < a.u.list->n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, a.u.list->v[i]));
    for (size_t i = 0; i < b.u.list->n; i++) NB_TRY(nb_jinja_list_push(j, out->u.list, b.u.list->v[i]));
    return NB_OK;
  }
  const value *u = a.type == V_UNDEFINED ? &a : b.type == V_UNDEFINED ? &b : NULL;
  if (u) return nb_jinja_fail(j, line, "'%s' is undefined", u->u.s ? u->u.s : "a value");
  return nb_jinja_fail(j, line, "the operator %s cannot take %s and %s",
                       op == 'f'   ? "//"
                       : op == 'p' ? "**"
                                   : (char[]){op, 0},
                       nb_jinja_type_name(a), nb_jinja_type_name(b));
}

static nb_status contains(jinja *j, unsigned line, value item, value in, bool *out) {
  *out = false;
  if (in.type == V_STRING) {
    if (item.type != V_STRING)
      return nb_jinja_fail(j, line, "`in` a string needs a string, not %s", nb_jinja_type_name(item));
    for (size_t i = 0; i + item.n <= in.n && !*out; i++) *out = !item.n || !memcmp(in.u.s + i, item.u.s, item.n);
    return NB_OK;
  }
  list l;
  NB_TRY(nb_jinja_iterate(j, line, in, &l));
  for (size_t i = 0; i < l.n && !*out; i++) *out = nb_jinja_equal(l.v[i], item);
  return NB_OK;
}

static nb_status compare(jinja *j, unsigned line, char op, value a, value b, bool *out) {
  bool ordered = true;
  switch (op) {
  case '=': *out = nb_jinja_equal(a, b); return NB_OK;
  case '!': *out = !nb_jinja_equal(a, b); return NB_OK;
  case 'i': return contains(j, line, a, b, out);
  case 'n':
    NB_TRY(contains(j, line, a, b, out));
    *out = !*out;
    return NB_OK;
  case '<': *out = nb_jinja_less(a, b, &ordered); break;
  case '>': *out = nb_jinja_less(b, a, &ordered); break;
  case 'l': *out = !nb_jinja_less(b, a, &ordered); break;
  default: *out = !nb_jinja_less(a, b, &ordered); break;
  }
  return ordered ? NB_OK
                 : nb_jinja_fail(j, line, "%s and %s have no order", nb_jinja_type_name(a), nb_jinja_type_name(b));
}

/* ---- attributes, items, slices ---- */

nb_status nb_jinja_attribute(jinja *j, const node *e, value v, value key, value *out) {
  bool has;
  *out = nb_jinja_undefined(key.type == V_STRING ? key.u.s : NULL);
  if (v.type == V_UNDEFINED) return nb_jinja_fail(j, e->line, "'%s' is undefined", v.u.s ? v.u.s : "a value");
  if (v.type == V_DICT || v.type == V_NAMESPACE) {
    const value *found = nb_jinja_dict_get(v.u.dict, key);
    if (found) *out = *found;
    return NB_OK;
  }
  if (!is_int(key) || (v.type != V_LIST && v.type != V_STRING)) return NB_OK;
  int64_t n = (int64_t)nb_jinja_length(v, &has), i = key.u.i < 0 ? key.u.i + n : key.u.i;
  if (i < 0 || i >= n) return NB_OK;
  if (v.type == V_LIST) return *out = v.u.list->v[i], NB_OK;
  list chars;
  NB_TRY(nb_jinja_iterate(j, e->line, v, &chars));
  *out = chars.v[i];
  return NB_OK;
}

static nb_status slice(jinja *j, const node *e, value v, value *out) {
  const node *part[3] = {e->b, e->c, e->d};
  int64_t at[3] = {0, 0, 1};
  bool given[3] = {false, false, false};
  for (int k = 0; k < 3; k++) {
    value x = nb_jinja_none();
    if (part[k]) NB_TRY(eval(j, part[k], &x));
    if (x.type == V_NONE) continue;
    if (!is_int(x)) return nb_jinja_fail(j, e->line, "a slice needs whole numbers, not %s", nb_jinja_type_name(x));
    at[k] = x.u.i;
    given[k] = true;
  }
  if (at[2] == 0) return nb_jinja_fail(j, e->line, "a slice cannot have the step 0");
  if (v.type != V_LIST && v.type != V_STRING)
    return nb_jinja_fail(j, e->line, "%s cannot be sliced", nb_jinja_type_name(v));
  list in;
  NB_TRY(nb_jinja_iterate(j, e->line, v, &in));
  int64_t n = (int64_t)in.n, low = at[2] > 0 ? 0 : -1, high = at[2] > 0 ? n : n - 1;
  for (int k = 0; k < 2; k++) {
    if (!given[k]) at[k] = (k == 0) == (at[2] > 0) ? low : high;
    else {
      if (at[k] < 0) at[k] = at[k] < -n ? low : at[k] + n;
      at[k] = at[k] < low ? low : at[k] > high ? high : at[k];
    }
  }
  value l;
  NB_TRY(nb_jinja_list(j, &l));
  int64_t step = at[2] > n ? n + 1 : at[2] < -n ? -n - 1 : at[2];
  for (int64_t i = at[0]; step > 0 ? i < at[1] : i > at[1]; i += step) NB_TRY(nb_jinja_list_push(j, l.u.list, in.v[i]));
  *out = l;
  if (v.type == V_LIST) return NB_OK;
  char *s;
  size_t used = 0;
  NB_TRY(nb_jinja_alloc(j, v.n + 1, &s));
  for (size_t i = 0; i < l.u.list->n; i++) {
    memcpy(s + used, l.u.list->v[i].u.s, l.u.list->v[i].n);
    used += l.u.list->v[i].n;
  }
  *out = nb_jinja_string(s, used);
  return NB_OK;
}

/* ---- calls ---- */

/* Evaluates a call's arguments: the positional ones first, then those with names. */
static nb_status eval_arguments(jinja *j, const node *e, arguments *a) {
  list v = {0};
  const char **keys;
  *a = (arguments){0};
  for (int named = 0; named < 2; named++)
    for (size_t i = 0; i < e->n; i++) {
      const node *k = e->list[i];
      if ((k->kind == E_KW) != named) continue;
      value x;
      NB_TRY(eval(j, named ? k->a : k, &x));
      NB_TRY(nb_jinja_list_push(j, &v, x));
      named ? a->n_key++ : a->n++;
    }
  NB_TRY(nb_jinja_alloc(j, (a->n_key + 1) * sizeof *keys, &keys));
  size_t n = 0;
  for (size_t i = 0; i < e->n; i++)
    if (e->list[i]->kind == E_KW) keys[n++] = e->list[i]->name;
  a->v = v.v;
  a->key = keys;
  return NB_OK;
}

/* Runs a body with its output caught as a string. */
static nb_status run_caught(jinja *j, const node *body, value *out) {
  nb_text text = {0}, *before = j->out;
  j->out = &text;
  nb_status st = run(j, body);
  j->out = before;
  if (st == NB_OK) st = nb_jinja_copy(j, text.s, text.n, out);
  nb_text_free(&text);
  return st;
}

static nb_status call_macro(jinja *j, const node *e, const node *m, const arguments *a, value *out) {
  frame *caller = j->scope;
  if (a->n > m->n) return nb_jinja_fail(j, e->line, "the macro %s takes at most %zu arguments", m->name, m->n);
  NB_TRY(push_scope(j, j->globals));
  for (size_t i = 0; i < m->n; i++) {
    value v = nb_jinja_undefined(m->list[i]->name);
    if (i < a->n) v = a->v[i];
    else if (m->list[i]->a) NB_TRY(eval(j, m->list[i]->a, &v));
    for (size_t k = 0; k < a->n_key; k++)
      if (!strcmp(a->key[k], m->list[i]->name)) v = a->v[a->n + k];
    NB_TRY(set_var(j, m->list[i]->name, v));
  }
  NB_TRY(run_caught(j, m->b, out));
  j->scope = caller;
  return NB_OK;
}

static nb_status call(jinja *j, const node *e, value *out) {
  arguments a;
  value f;
  if (e->a->kind == E_ATTR) { /* a method, unless the object holds something of this name */
    value self, item = nb_jinja_undefined(NULL);
    NB_TRY(eval(j, e->a->a, &self));
    if (self.type == V_UNDEFINED)
      return nb_jinja_fail(j, e->line, "'%s' is undefined", self.u.s ? self.u.s : "a value");
    NB_TRY(eval_arguments(j, e, &a));
    if (self.type == V_NAMESPACE) NB_TRY(nb_jinja_attribute(j, e, self, nb_jinja_cstring(e->a->name), &item));
    if (item.type == V_MACRO) return call_macro(j, e, item.u.macro, &a, out);
    return nb_jinja_method(j, e, self, e->a->name, &a, out);
  }
  NB_TRY(eval(j, e->a, &f));
  NB_TRY(eval_arguments(j, e, &a));
  if (f.type == V_MACRO) return call_macro(j, e, f.u.macro, &a, out);
  if (f.type == V_FUNCTION) return nb_jinja_function(j, e, f.u.s, &a, out);
  if (f.type == V_UNDEFINED)
    return nb_jinja_fail(j, e->line, "the function '%s' is not supported", f.u.s ? f.u.s : "?");
  return nb_jinja_fail(j, e->line, "%s cannot be called", nb_jinja_type_name(f));
}

/* ---- expressions ---- */

static nb_status eval_collection(jinja *j, const node *e, value *out) {
  value k, v;
  bool is_dict = e->kind == E_DICT;
  NB_TRY(is_dict ? nb_jinja_dict(j, V_DICT, out) : nb_jinja_list(j, out));
  for (size_t i = 0; i < e->n; i++) {
    NB_TRY(eval(j, e->list[i], &k));
    if (is_dict) NB_TRY(eval(j, e->list[++i], &v));
    NB_TRY(is_dict ? nb_jinja_dict_set(j, out->u.dict, k, v) : nb_jinja_list_push(j, out->u.list, k));
  }
  return NB_OK;
}

static nb_status eval_compare(jinja *j, const node *e, value *out) {
  value a, b;
  bool yes = true;
  NB_TRY(eval(j, e->a, &a));
  for (size_t i = 0; i < e->n && yes; i++, a = b) {
    NB_TRY(eval(j, e->list[i]->a, &b));
    NB_TRY(compare(j, e->line, e->list[i]->op, a, b, &yes));
  }
  *out = nb_jinja_bool(yes);
  return NB_OK;
}

static nb_status eval_unchecked(jinja *j, const node *e, value *out) {
  value a = nb_jinja_none(), b = nb_jinja_none();
  arguments args;
  bool yes;
  switch (e->kind) {
  case E_CONST: *out = e->v; return NB_OK;
  case E_NAME: *out = get_var(j, e->name); return NB_OK;
  case E_LIST:
  case E_DICT: return eval_collection(j, e, out);
  case E_CALL: return call(j, e, out);
  case E_COMPARE: return eval_compare(j, e, out);
  case E_IF:
    NB_TRY(eval(j, e->a, &a));
    *out = nb_jinja_undefined(NULL);
    return nb_jinja_true(a) ? eval(j, e->b, out) : e->c ? eval(j, e->c, out) : NB_OK;
  default: break;
  }
  NB_TRY(eval(j, e->a, &a));
  switch (e->kind) {
  case E_ATTR: return nb_jinja_attribute(j, e, a, nb_jinja_cstring(e->name), out);
  case E_ITEM: NB_TRY(eval(j, e->b, &b)); return nb_jinja_attribute(j, e, a, b, out);
  case E_SLICE: return slice(j, e, a, out);
  case E_AND:
  case E_OR: return nb_jinja_true(a) == (e->kind == E_OR) ? (*out = a, NB_OK) : eval(j, e->b, out);
  case E_NOT: *out = nb_jinja_bool(!nb_jinja_true(a)); return NB_OK;
  case E_NEGATE: return nb_jinja_binary(j, e->line, '-', nb_jinja_int(0), a, out);
  case E_BINARY: NB_TRY(eval(j, e->b, &b)); return nb_jinja_binary(j, e->line, e->op, a, b, out);
  case E_FILTER: NB_TRY(eval_arguments(j, e, &args)); return nb_jinja_filter(j, e, a, e->name, &args, out);
  case E_TEST:
    NB_TRY(eval_arguments(j, e, &args));
    NB_TRY(nb_jinja_test(j, e, a, e->name, &args, &yes));
    *out = nb_jinja_bool(yes != (e->op == 1));
    return NB_OK;
  default: return nb_jinja_fail(j, e->line, "a construct that is not an expression");
  }
}

static nb_status eval(jinja *j, const node *e, value *out) {
  if (++j->steps > JINJA_MAX_STEPS) return nb_jinja_fail(j, e->line, "it takes more than %d steps", JINJA_MAX_STEPS);
  if (++j->depth > 10 * JINJA_MAX_DEPTH) return nb_jinja_fail(j, e->line, "it is nested too deeply");
  NB_TRY(eval_unchecked(j, e, out));
  j->depth--;
  return NB_OK;
}

/* ---- statements ---- */

static nb_status assign(jinja *j, const node *target, value v) {
  if (target->kind == E_NAME) return set_var(j, target->name, v);
  value ns;
  NB_TRY(eval(j, target->a, &ns));
  if (ns.type != V_NAMESPACE)
    return nb_jinja_fail(j, target->line, "attributes can only be set on a namespace, and '%s' is %s", target->a->name,
                         nb_jinja_type_name(ns));
  return nb_jinja_dict_set(j, ns.u.dict, nb_jinja_cstring(target->name), v);
}

static nb_status assign_all(jinja *j, const node *e, value v) {
  if (e->n == 1) return assign(j, e->list[0], v);
  list l;
  NB_TRY(nb_jinja_iterate(j, e->line, v, &l));
  if (l.n != e->n) return nb_jinja_fail(j, e->line, "%zu values for %zu names", l.n, e->n);
  for (size_t i = 0; i < l.n; i++) NB_TRY(assign(j, e->list[i], l.v[i]));
  return NB_OK;
}

static nb_status loop_variable(jinja *j, const list *items, size_t i, value *out) {
  struct {
    const char *name;
    value v;
  } fields[] = {{"index", nb_jinja_int((int64_t)i + 1)},
                {"index0", nb_jinja_int((int64_t)i)},
                {"first", nb_jinja_bool(i == 0)},
                {"last", nb_jinja_bool(i + 1 == items->n)},
                {"length", nb_jinja_int((int64_t)items->n)},
                {"revindex", nb_jinja_int((int64_t)(items->n - i))},
                {"revindex0", nb_jinja_int((int64_t)(items->n - i) - 1)},
                {"previtem", i ? items->v[i - 1] : nb_jinja_undefined("previtem")},
                {"nextitem", i + 1 < items->n ? items->v[i + 1] : nb_jinja_undefined("nextitem")}};
  NB_TRY(nb_jinja_dict(j, V_DICT, out));
  for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
    if (fields[k].v.type == V_UNDEFINED) continue;
    NB_TRY(nb_jinja_dict_set(j, out->u.dict, nb_jinja_cstring(fields[k].name), fields[k].v));
  }
  return NB_OK;
}

static nb_status run_for(jinja *j, const node *e) {
  value iterable, v;
  list all, items = {0};
  frame *outer = j->scope;
  NB_TRY(eval(j, e->a, &iterable));
  NB_TRY(nb_jinja_iterate(j, e->line, iterable, &all));
  for (size_t i = 0; i < all.n; i++) {
    if (e->d) {
      NB_TRY(push_scope(j, outer));
      NB_TRY(assign_all(j, e, all.v[i]));
      NB_TRY(eval(j, e->d, &v));
      j->scope = outer;
      if (!nb_jinja_true(v)) continue;
    }
    NB_TRY(nb_jinja_list_push(j, &items, all.v[i]));
  }
  for (size_t i = 0; i < items.n && j->leave != 1; i++) {
    j->leave = 0;
    NB_TRY(push_scope(j, outer));
    NB_TRY(loop_variable(j, &items, i, &v));
    NB_TRY(set_var(j, "loop", v));
    NB_TRY(assign_all(j, e, items.v[i]));
    NB_TRY(run(j, e->b));
  }
  j->leave = 0;
  j->scope = outer;
  if (items.n || !e->c) return NB_OK;
  NB_TRY(push_scope(j, outer));
  NB_TRY(run(j, e->c));
  j->scope = outer;
  return NB_OK;
}

static nb_status run_set(jinja *j, const node *e) {
  value v;
  if (e->a) {
    NB_TRY(eval(j, e->a, &v));
  } else {
    frame *outer = j->scope;
    NB_TRY(push_scope(j, outer));
    NB_TRY(run_caught(j, e->b, &v));
    j->scope = outer;
  }
  return assign_all(j, e, v);
}

static nb_status put_text(jinja *j, value v) { return nb_jinja_print(j, v, false, j->out); }

static nb_status run_unchecked(jinja *j, const node *e) {
  value v;
  switch (e->kind) {
  case N_DATA: return put_text(j, e->v);
  case N_OUTPUT: NB_TRY(eval(j, e->a, &v)); return put_text(j, v);
  case N_BODY:
    for (size_t i = 0; i < e->n && !j->leave; i++) NB_TRY(run(j, e->list[i]));
    return NB_OK;
  case N_IF: NB_TRY(eval(j, e->a, &v)); return nb_jinja_true(v) ? run(j, e->b) : e->c ? run(j, e->c) : NB_OK;
  case N_FOR: return run_for(j, e);
  case N_SET: return run_set(j, e);
  case N_MACRO: return set_var(j, e->name, (value){V_MACRO, 0, {.macro = e}});
  case N_BREAK: j->leave = 1; return NB_OK;
  case N_CONTINUE: j->leave = 2; return NB_OK;
  default: return nb_jinja_fail(j, e->line, "a construct that is not a statement");
  }
}

static nb_status run(jinja *j, const node *e) {
  if (++j->steps > JINJA_MAX_STEPS) return nb_jinja_fail(j, e->line, "it takes more than %d steps", JINJA_MAX_STEPS);
  if (++j->depth > 10 * JINJA_MAX_DEPTH) return nb_jinja_fail(j, e->line, "it is nested too deeply");
  NB_TRY(run_unchecked(j, e));
  j->depth--;
  return NB_OK;
}

nb_status nb_jinja_run(jinja *j, const node *body) { return run(j, body); }
