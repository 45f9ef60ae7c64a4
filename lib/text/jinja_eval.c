/* SPDX-License-Identifier: MIT */
/* Runs the tree of a chat template. */
#include "text/jinja.h"

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

static nb_status get_var(jinja *j, const char *name, value *out) {
  static const char *const functions[] = {"raise_exception", "namespace", "range", "dict",        "joiner",
                                          "cycler",          "lipsum",    "self",  "strftime_now"};
  enum { N = sizeof functions / sizeof *functions };
  for (const frame *f = j->scope; f; f = f->parent) {
    const value *v;
    NB_TRY(nb_jinja_dict_get(j, &f->vars, nb_jinja_cstring(name), &v));
    if (v) return *out = *v, NB_OK;
  }
  *out = nb_jinja_undefined(name);
  for (size_t i = 0; i < N; i++)
    if (!strcmp(name, functions[i]) && (i + 1 < N || j->now)) *out = (value){V_FUNCTION, 0, {.s = functions[i]}, false};
  return NB_OK;
}

/* ---- slices ---- */

static nb_status slice(jinja *j, const node *e, value v, value *out) {
  const node *part[3] = {e->b, e->c, e->d};
  int64_t at[3] = {0, 0, 1};
  bool given[3] = {false, false, false};
  for (int k = 0; k < 3; k++) {
    value x = nb_jinja_none();
    if (part[k]) NB_TRY(eval(j, part[k], &x));
    if (x.type == V_NONE) continue;
    if (!nb_jinja_is_int(x))
      return nb_jinja_fail(j, e->line, "a slice needs whole numbers, not %s", nb_jinja_type_name(x));
    at[k] = x.u.i;
    given[k] = true;
  }
  NB_TRY(nb_jinja_undefined_fails(j, e->line, v));
  if (v.type != V_LIST && v.type != V_TUPLE && v.type != V_RANGE && v.type != V_STRING)
    return nb_jinja_fail(j, e->line, "%s cannot be sliced", nb_jinja_type_name(v));
  if (at[2] == 0) return nb_jinja_fail(j, e->line, "a slice cannot have the step 0");
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
  NB_TRY(nb_jinja_new_list(j, v.type == V_STRING ? V_LIST : v.type, &l));
  int64_t step = at[2] > n ? n + 1 : at[2] < -n ? -n - 1 : at[2];
  for (int64_t i = at[0]; step > 0 ? i < at[1] : i > at[1]; i += step) NB_TRY(nb_jinja_list_push(j, l.u.list, in.v[i]));
  *out = l;
  if (v.type != V_STRING) return NB_OK;
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

/* What * and ** add to a call's arguments. */
static nb_status spread(jinja *j, const node *e, value v, list *values, list *keys) {
  list l;
  if (e->op != 2) {
    NB_TRY(nb_jinja_iterate(j, e->line, v, &l));
    for (size_t i = 0; i < l.n; i++) NB_TRY(nb_jinja_list_push(j, values, l.v[i]));
    return NB_OK;
  }
  if (v.type != V_DICT) return nb_jinja_fail(j, e->line, "** needs a dict, not %s", nb_jinja_type_name(v));
  for (size_t i = 0; i < v.u.dict->n; i++) {
    value key = v.u.dict->key[i];
    if (key.type != V_STRING) return nb_jinja_fail(j, e->line, "** needs a dict whose keys are strings");
    NB_TRY(nb_jinja_copy(j, key.u.s, key.n, &key));
    NB_TRY(nb_jinja_list_push(j, keys, key));
    NB_TRY(nb_jinja_list_push(j, values, v.u.dict->val[i]));
  }
  return NB_OK;
}

/* Evaluates a call's arguments: the positional ones first, then those with names. */
static nb_status eval_arguments(jinja *j, const node *e, arguments *a) {
  list v = {0}, names = {0};
  const char **keys;
  *a = (arguments){0};
  for (int named = 0; named < 2; named++) {
    for (size_t i = 0; i < e->n; i++) {
      const node *k = e->list[i];
      bool is_named = k->kind == E_KW || (k->kind == E_STAR && k->op == 2);
      if (is_named != named) continue;
      value x;
      NB_TRY(eval(j, k->kind == E_KW || k->kind == E_STAR ? k->a : k, &x));
      if (k->kind == E_STAR) {
        NB_TRY(spread(j, k, x, &v, &names));
        continue;
      }
      NB_TRY(nb_jinja_list_push(j, &v, x));
      if (named) NB_TRY(nb_jinja_list_push(j, &names, nb_jinja_cstring(k->name)));
    }
    if (!named) a->n = v.n;
  }
  a->n_key = names.n;
  NB_TRY(nb_jinja_alloc(j, (names.n + 1) * sizeof *keys, &keys));
  for (size_t i = 0; i < names.n; i++) keys[i] = names.v[i].u.s;
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

/* Arguments with names beyond the parameters: `caller`, or what the body reads as `kwargs`. */
static nb_status other_arguments(jinja *j, const node *e, const node *m, const arguments *a) {
  value varargs, kwargs;
  NB_TRY(nb_jinja_new_list(j, V_TUPLE, &varargs));
  NB_TRY(nb_jinja_dict(j, V_DICT, &kwargs));
  for (size_t i = m->n; i < a->n; i++) {
    if (!(m->op & USES_VARARGS))
      return nb_jinja_fail(j, e->line, "the macro %s takes at most %zu arguments", m->name ? m->name : "caller", m->n);
    NB_TRY(nb_jinja_list_push(j, varargs.u.list, a->v[i]));
  }
  if (m->op & USES_CALLER) NB_TRY(set_var(j, "caller", nb_jinja_undefined("caller")));
  for (size_t k = 0; k < a->n_key; k++) {
    const char *key = a->key[k];
    size_t i = 0;
    while (i < m->n && strcmp(m->list[i]->name, key)) i++;
    if (i < m->n) {
      if (i < a->n)
        return nb_jinja_fail(j, e->line, "the macro %s is given %s twice", m->name ? m->name : "caller", key);
    } else if (!strcmp(key, "caller") && (m->op & USES_CALLER)) {
      NB_TRY(set_var(j, "caller", a->v[a->n + k]));
    } else if (m->op & USES_KWARGS) {
      NB_TRY(nb_jinja_dict_set(j, kwargs.u.dict, nb_jinja_cstring(key), a->v[a->n + k]));
    } else {
      return nb_jinja_fail(j, e->line, "the macro %s has no argument '%s'", m->name ? m->name : "caller", key);
    }
  }
  if (m->op & USES_VARARGS) NB_TRY(set_var(j, "varargs", varargs));
  return m->op & USES_KWARGS ? set_var(j, "kwargs", kwargs) : NB_OK;
}

static nb_status call_macro(jinja *j, const node *e, const macro *made, const arguments *a, value *out) {
  const node *m = made->node;
  frame *caller = j->scope;
  NB_TRY(push_scope(j, made->scope));
  NB_TRY(other_arguments(j, e, m, a));
  for (size_t i = 0; i < m->n; i++) {
    value v = nb_jinja_undefined(m->list[i]->name);
    bool given = i < a->n;
    if (given) v = a->v[i];
    for (size_t k = 0; k < a->n_key; k++)
      if (!strcmp(a->key[k], m->list[i]->name)) v = a->v[a->n + k], given = true;
    if (!given && m->list[i]->a) NB_TRY(eval(j, m->list[i]->a, &v));
    NB_TRY(set_var(j, m->list[i]->name, v));
  }
  NB_TRY(run_caught(j, m->b, out));
  j->scope = caller;
  return NB_OK;
}

static nb_status run_loop(jinja *j, const node *e, frame *outer, value iterable, size_t depth);

/* loop(items) in a recursive loop: the loop again, as text. */
static nb_status call_loop(jinja *j, const node *e, const loop *l, const arguments *a, value *out) {
  value items;
  nb_text text = {0}, *before = j->out;
  frame *scope = j->scope;
  NB_TRY(nb_jinja_bind(j, e->line, "loop", a, "iterable", 1, &items));
  if (l->node->op != 1) return nb_jinja_fail(j, e->line, "only a loop that is marked recursive can be called");
  j->out = &text;
  nb_status st = run_loop(j, l->node, l->outer, items, l->depth + 1);
  j->out = before;
  j->scope = scope;
  if (st == NB_OK) return nb_jinja_take(j, &text, out);
  nb_text_free(&text);
  return st;
}

static nb_status call(jinja *j, const node *e, value *out) {
  arguments a;
  value f;
  if (e->a->kind == E_ATTR) { /* a method without a value for it between */
    value self;
    NB_TRY(eval(j, e->a->a, &self));
    NB_TRY(nb_jinja_attribute(j, e->line, self, nb_jinja_cstring(e->a->name), true, &f));
    if (f.type == V_UNDEFINED)
      return nb_jinja_fail(j, e->line, "the method %s() of %s is not supported", e->a->name, nb_jinja_type_name(self));
  } else {
    NB_TRY(eval(j, e->a, &f));
  }
  NB_TRY(eval_arguments(j, e, &a));
  switch (f.type) {
  case V_MACRO: return call_macro(j, e, f.u.macro, &a, out);
  case V_FUNCTION: return nb_jinja_function(j, e->line, f.u.s, &a, out);
  case V_METHOD: return nb_jinja_method(j, e->line, f.u.method->self, f.u.method->name, &a, out);
  case V_LOOP: return call_loop(j, e, f.u.loop, &a, out);
  case V_JOINER:
    NB_TRY(nb_jinja_bind(j, e->line, "a joiner", &a, "", 0, out));
    *out = f.u.list->cap ? f.u.list->v[0] : nb_jinja_cstring("");
    f.u.list->cap = 1; /* called */
    return NB_OK;
  case V_UNDEFINED: return nb_jinja_fail(j, e->line, "the function '%s' is not supported", f.u.s ? f.u.s : "?");
  default: return nb_jinja_fail(j, e->line, "%s cannot be called", nb_jinja_type_name(f));
  }
}

/* ---- expressions ---- */

static nb_status eval_collection(jinja *j, const node *e, value *out) {
  value k, v;
  bool is_dict = e->kind == E_DICT;
  NB_TRY(is_dict ? nb_jinja_dict(j, V_DICT, out) : nb_jinja_new_list(j, e->kind == E_TUPLE ? V_TUPLE : V_LIST, out));
  for (size_t i = 0; i < e->n; i++) {
    NB_TRY(eval(j, e->list[i], &k));
    if (is_dict) NB_TRY(eval(j, e->list[++i], &v));
    if (is_dict && (k.type == V_LIST || k.type == V_DICT))
      return nb_jinja_fail(j, e->line, "%s cannot be the key of a dict", nb_jinja_type_name(k));
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
    NB_TRY(nb_jinja_compare(j, e->line, e->list[i]->op, a, b, &yes));
  }
  *out = nb_jinja_bool(yes);
  return NB_OK;
}

static nb_status eval_unchecked(jinja *j, const node *e, value *out) {
  value a = nb_jinja_none(), b = nb_jinja_none();
  arguments args;
  bool yes;
  switch (e->kind) {
  case E_CONST:
  case E_PIPED: *out = e->v; return NB_OK;
  case E_NAME: return get_var(j, e->name, out);
  case E_LIST:
  case E_TUPLE:
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
  case E_ATTR: return nb_jinja_attribute(j, e->line, a, nb_jinja_cstring(e->name), true, out);
  case E_ITEM: NB_TRY(eval(j, e->b, &b)); return nb_jinja_attribute(j, e->line, a, b, false, out);
  case E_SLICE: return slice(j, e, a, out);
  case E_AND:
  case E_OR: return nb_jinja_true(a) == (e->kind == E_OR) ? (*out = a, NB_OK) : eval(j, e->b, out);
  case E_NOT: *out = nb_jinja_bool(!nb_jinja_true(a)); return NB_OK;
  case E_NEGATE:
    if (a.type == V_FLOAT) return *out = (value){V_FLOAT, 0, {.f = -a.u.f}, false}, NB_OK;
    return nb_jinja_binary(j, e->line, '-', nb_jinja_int(0), a, out);
  case E_PLUS: return nb_jinja_binary(j, e->line, '+', nb_jinja_int(0), a, out);
  case E_BINARY: NB_TRY(eval(j, e->b, &b)); return nb_jinja_binary(j, e->line, e->op, a, b, out);
  case E_FILTER: NB_TRY(eval_arguments(j, e, &args)); return nb_jinja_filter(j, e->line, a, e->name, &args, out);
  case E_TEST:
    NB_TRY(eval_arguments(j, e, &args));
    NB_TRY(nb_jinja_test(j, e->line, a, e->name, &args, &yes));
    *out = nb_jinja_bool(yes != (e->op == 1));
    return NB_OK;
  default: return nb_jinja_fail(j, e->line, "a construct that is not an expression");
  }
}

static nb_status eval(jinja *j, const node *e, value *out) {
  NB_TRY(nb_jinja_work(j, 1));
  if (++j->depth > 10 * JINJA_MAX_DEPTH) return nb_jinja_fail(j, e->line, "it is nested too deeply");
  NB_TRY(eval_unchecked(j, e, out));
  j->depth--;
  return NB_OK;
}

/* ---- statements ---- */

static nb_status assign(jinja *j, const node *target, value v) {
  if (target->kind == E_NAME) return set_var(j, target->name, v);
  if (target->kind == E_TUPLE) {
    list l;
    NB_TRY(nb_jinja_iterate(j, target->line, v, &l));
    if (l.n != target->n) return nb_jinja_fail(j, target->line, "%zu values for %zu names", l.n, target->n);
    for (size_t i = 0; i < l.n; i++) NB_TRY(assign(j, target->list[i], l.v[i]));
    return NB_OK;
  }
  value ns;
  NB_TRY(eval(j, target->a, &ns));
  if (ns.type != V_NAMESPACE)
    return nb_jinja_fail(j, target->line, "attributes can only be set on a namespace, and '%s' is %s", target->a->name,
                         nb_jinja_type_name(ns));
  if (target->name[0] == '_')
    return nb_jinja_fail(j, target->line, "a namespace cannot have the attribute %s", target->name);
  return nb_jinja_dict_set(j, ns.u.dict, nb_jinja_cstring(target->name), v);
}

/* The items for which a loop's condition holds. */
static nb_status filter_items(jinja *j, const node *e, frame *outer, const list *all, list *items) {
  value v;
  for (size_t i = 0; i < all->n; i++) {
    NB_TRY(push_scope(j, outer));
    NB_TRY(assign(j, e->list[0], all->v[i]));
    NB_TRY(eval(j, e->d, &v));
    j->scope = outer;
    if (nb_jinja_true(v)) NB_TRY(nb_jinja_list_push(j, items, all->v[i]));
  }
  return NB_OK;
}

static nb_status run_loop(jinja *j, const node *e, frame *outer, value iterable, size_t depth) {
  loop *l;
  list all;
  NB_TRY(nb_jinja_alloc(j, sizeof *l, &l));
  *l = (loop){.node = e, .outer = outer, .depth = depth};
  NB_TRY(nb_jinja_iterate(j, e->line, iterable, &all));
  j->scope = outer;
  if (e->d) NB_TRY(filter_items(j, e, outer, &all, &l->items));
  else l->items = all;
  for (; l->i < l->items.n && j->leave != 1; l->i++) {
    j->leave = 0;
    NB_TRY(push_scope(j, outer));
    NB_TRY(set_var(j, "loop", (value){V_LOOP, 0, {.loop = l}, false}));
    NB_TRY(assign(j, e->list[0], l->items.v[l->i]));
    NB_TRY(run(j, e->b));
  }
  j->leave = 0;
  j->scope = outer;
  if (l->items.n || !e->c) return NB_OK;
  NB_TRY(push_scope(j, outer));
  NB_TRY(run(j, e->c));
  j->scope = outer;
  return NB_OK;
}

static nb_status run_for(jinja *j, const node *e) {
  value iterable;
  NB_TRY(eval(j, e->a, &iterable));
  return run_loop(j, e, j->scope, iterable, 0);
}

/* The text of a body in a scope of its own, after the filters that `piped` is, if there are any. */
static nb_status run_filtered(jinja *j, const node *e, value *out) {
  frame *outer = j->scope;
  NB_TRY(push_scope(j, outer));
  NB_TRY(run_caught(j, e->b, out));
  j->scope = outer;
  if (!e->a) return NB_OK;
  node *n = e->a;
  while (n->kind == E_FILTER) n = n->a;
  n->v = *out; /* the E_PIPED; it is read before anything can run this body again */
  return eval(j, e->a, out);
}

static nb_status run_set(jinja *j, const node *e) {
  value v;
  NB_TRY(e->b ? run_filtered(j, e, &v) : eval(j, e->a, &v));
  return assign(j, e->list[0], v);
}

static nb_status run_with(jinja *j, const node *e) {
  frame *outer = j->scope, *inner;
  NB_TRY(push_scope(j, outer));
  inner = j->scope;
  for (size_t i = 0; i < e->n; i++) {
    value v;
    j->scope = outer;
    NB_TRY(eval(j, e->list[i]->a, &v));
    j->scope = inner;
    NB_TRY(assign(j, e->list[i]->b, v));
  }
  NB_TRY(run(j, e->b));
  j->scope = outer;
  return NB_OK;
}

static nb_status make_macro(jinja *j, const node *e, value *out) {
  macro *m;
  NB_TRY(nb_jinja_alloc(j, sizeof *m, &m));
  *m = (macro){e, j->scope};
  *out = (value){V_MACRO, 0, {.macro = m}, false};
  return NB_OK;
}

static nb_status put_text(jinja *j, value v) { return nb_jinja_print(j, v, false, j->out); }

/* {% call %}: a call with the body as its argument `caller`. */
static nb_status run_call(jinja *j, const node *e) {
  value v;
  node with = *e->a, kw = {.kind = E_KW, .line = e->line, .name = "caller"}, body = {.kind = E_CONST, .line = e->line};
  NB_TRY(make_macro(j, e, &body.v));
  kw.a = &body;
  NB_TRY(nb_jinja_alloc(j, (with.n + 1) * sizeof *with.list, &with.list));
  if (with.n) memcpy(with.list, e->a->list, with.n * sizeof *with.list);
  with.list[with.n++] = &kw;
  NB_TRY(eval(j, &with, &v));
  return put_text(j, v);
}

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
  case N_WITH: return run_with(j, e);
  case N_FILTER:
    NB_TRY(run_filtered(j, e, &v));
    if (v.type == V_STRING) return put_text(j, v);
    return nb_jinja_fail(j, e->line, "a filter block ends in %s, not in text", nb_jinja_type_name(v));
  case N_MACRO: NB_TRY(make_macro(j, e, &v)); return set_var(j, e->name, v);
  case N_CALL: return run_call(j, e);
  case N_BREAK: j->leave = 1; return NB_OK;
  case N_CONTINUE: j->leave = 2; return NB_OK;
  default: return nb_jinja_fail(j, e->line, "a construct that is not a statement");
  }
}

static nb_status run(jinja *j, const node *e) {
  NB_TRY(nb_jinja_work(j, 1));
  if (++j->depth > 10 * JINJA_MAX_DEPTH) return nb_jinja_fail(j, e->line, "it is nested too deeply");
  NB_TRY(run_unchecked(j, e));
  j->depth--;
  return NB_OK;
}

nb_status nb_jinja_run(jinja *j, const node *body) { return run(j, body); }
