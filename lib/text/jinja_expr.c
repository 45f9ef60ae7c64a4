/* SPDX-License-Identifier: MIT */
/* The expressions of chat templates to a tree, by recursive descent along Jinja's own grammar (jinja2/parser.py). */
#include "text/jinja_lex.h"

nb_status nb_jinja_new_node(parser *p, node_kind kind, node **out) {
  NB_TRY(nb_jinja_alloc(p->j, sizeof **out, out));
  (*out)->kind = kind;
  (*out)->line = p->line;
  return NB_OK;
}

nb_status nb_jinja_add_child(parser *p, node *e, node *child) {
  if ((e->n & (e->n - 1)) == 0) { /* full at every power of two */
    node **grown;
    NB_TRY(nb_jinja_alloc(p->j, (e->n ? 2 * e->n : 1) * sizeof *grown, &grown));
    if (e->n) memcpy(grown, e->list, e->n * sizeof *grown);
    e->list = grown;
  }
  e->list[e->n++] = child;
  return NB_OK;
}

nb_status nb_jinja_deeper(parser *p) {
  if (++p->j->depth > JINJA_MAX_DEPTH) return nb_jinja_fail(p->j, p->line, "it is nested too deeply");
  return NB_OK;
}

static nb_status binary(parser *p, node_kind kind, char op, node *a, node *b, node **out) {
  NB_TRY(nb_jinja_new_node(p, kind, out));
  (*out)->op = op, (*out)->a = a, (*out)->b = b;
  return NB_OK;
}

static nb_status accept_word(parser *p, const char *word, bool *yes) {
  *yes = nb_jinja_lex_is_word(p, word);
  return *yes ? nb_jinja_lex_next(p) : NB_OK;
}

/* ---- primaries ---- */

/* Items up to a closing bracket, into e->list. */
static nb_status parse_items(parser *p, const char *close, node *e) {
  bool done, comma;
  NB_TRY(nb_jinja_lex_accept(p, close, &done));
  while (!done) {
    node *item;
    NB_TRY(nb_jinja_parse_expr(p, false, &item));
    NB_TRY(nb_jinja_add_child(p, e, item));
    NB_TRY(nb_jinja_lex_accept(p, ",", &comma));
    NB_TRY(nb_jinja_lex_accept(p, close, &done));
    if (!comma && !done) return nb_jinja_lex_fail(p, "expected , or a closing bracket");
  }
  return NB_OK;
}

nb_status nb_jinja_parse_arguments(parser *p, bool stars, node *e) {
  bool done, comma, one = false, two = false, named = false;
  NB_TRY(nb_jinja_lex_accept(p, ")", &done));
  while (!done) {
    node *item, *kw;
    if (stars) NB_TRY(nb_jinja_lex_accept(p, "*", &one));
    if (stars) NB_TRY(nb_jinja_lex_accept(p, "**", &two));
    NB_TRY(nb_jinja_parse_expr(p, false, &item));
    bool is_named = item->kind == E_NAME && nb_jinja_lex_is_op(p, "=") && !one && !two;
    if (named && !is_named && !two) return nb_jinja_lex_fail(p, "an argument without a name behind one with a name");
    if (is_named) {
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(nb_jinja_new_node(p, E_KW, &kw));
      kw->name = item->name;
      NB_TRY(nb_jinja_parse_expr(p, false, &kw->a));
      item = kw;
    } else if (one || two) {
      NB_TRY(binary(p, E_STAR, two ? 2 : 1, item, NULL, &kw));
      item = kw;
    }
    named = named || is_named;
    NB_TRY(nb_jinja_add_child(p, e, item));
    NB_TRY(nb_jinja_lex_accept(p, ",", &comma));
    NB_TRY(nb_jinja_lex_accept(p, ")", &done));
    if (!comma && !done) return nb_jinja_lex_fail(p, "expected , or a closing bracket");
  }
  return NB_OK;
}

static nb_status parse_dict(parser *p, node *e) {
  bool done, comma;
  NB_TRY(nb_jinja_lex_accept(p, "}", &done));
  while (!done) {
    node *key, *val;
    NB_TRY(nb_jinja_parse_expr(p, false, &key));
    NB_TRY(nb_jinja_lex_expect(p, ":"));
    NB_TRY(nb_jinja_parse_expr(p, false, &val));
    NB_TRY(nb_jinja_add_child(p, e, key));
    NB_TRY(nb_jinja_add_child(p, e, val));
    NB_TRY(nb_jinja_lex_accept(p, ",", &comma));
    NB_TRY(nb_jinja_lex_accept(p, "}", &done));
    if (!comma && !done) return nb_jinja_lex_fail(p, "expected , or }");
  }
  return NB_OK;
}

static nb_status parse_name(parser *p, node **out) {
  static const struct {
    const char *name;
    value_type type;
    int64_t i;
  } words[] = {{"true", V_BOOL, 1},  {"True", V_BOOL, 1}, {"false", V_BOOL, 0},
               {"False", V_BOOL, 0}, {"none", V_NONE, 0}, {"None", V_NONE, 0}};
  static const char *const used[] = {"caller", "varargs", "kwargs"}; /* USES_*, in this order */
  NB_TRY(nb_jinja_new_node(p, E_NAME, out));
  (*out)->name = p->v.u.s;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (nb_jinja_lex_is_word(p, words[i].name))
      (*out)->kind = E_CONST, (*out)->v = (value){words[i].type, 0, {.i = words[i].i}, false};
  for (int i = 0; i < 3; i++)
    if (nb_jinja_lex_is_word(p, used[i])) p->uses |= (char)(1 << i);
  return nb_jinja_lex_next(p);
}

static nb_status parse_constant(parser *p, node **out) {
  NB_TRY(nb_jinja_new_node(p, E_CONST, out));
  (*out)->v = p->v;
  bool string = p->kind == T_STRING;
  NB_TRY(nb_jinja_lex_next(p));
  while (string && p->kind == T_STRING) { /* neighbouring strings are one */
    char *s;
    value *v = &(*out)->v;
    NB_TRY(nb_jinja_alloc(p->j, v->n + p->v.n + 1, &s));
    memcpy(s, v->u.s, v->n);
    memcpy(s + v->n, p->v.u.s, p->v.n);
    *v = nb_jinja_string(s, v->n + p->v.n);
    NB_TRY(nb_jinja_lex_next(p));
  }
  return NB_OK;
}

static nb_status parse_primary(parser *p, node **out) {
  bool yes;
  if (p->kind == T_NAME) return parse_name(p, out);
  if (p->kind == T_STRING || p->kind == T_INT || p->kind == T_FLOAT) return parse_constant(p, out);
  NB_TRY(nb_jinja_lex_accept(p, "(", &yes));
  if (yes) { /* a bracketed expression, or a tuple */
    if (nb_jinja_lex_is_op(p, ")")) NB_TRY(nb_jinja_new_node(p, E_TUPLE, out));
    else NB_TRY(nb_jinja_parse_tuple(p, false, out));
    return nb_jinja_lex_expect(p, ")");
  }
  NB_TRY(nb_jinja_lex_accept(p, "[", &yes));
  if (yes) {
    NB_TRY(nb_jinja_new_node(p, E_LIST, out));
    return parse_items(p, "]", *out);
  }
  NB_TRY(nb_jinja_lex_accept(p, "{", &yes));
  if (!yes) return nb_jinja_lex_fail(p, "expected an expression");
  NB_TRY(nb_jinja_new_node(p, E_DICT, out));
  return parse_dict(p, *out);
}

/* ---- behind a primary ---- */

static nb_status parse_subscript(parser *p, node *a, node **out) {
  node *part[3] = {0};
  bool yes;
  int n = 0;
  NB_TRY(nb_jinja_new_node(p, E_ITEM, out));
  while (!nb_jinja_lex_is_op(p, "]")) {
    if (!nb_jinja_lex_is_op(p, ":")) NB_TRY(nb_jinja_parse_expr(p, false, &part[n]));
    NB_TRY(nb_jinja_lex_accept(p, ":", &yes));
    if (!yes) break;
    (*out)->kind = E_SLICE;
    if (++n > 2) return nb_jinja_lex_fail(p, "too many colons in a slice");
  }
  (*out)->a = a, (*out)->b = part[0], (*out)->c = part[1], (*out)->d = part[2];
  if ((*out)->kind == E_ITEM && !part[0]) return nb_jinja_lex_fail(p, "expected an index");
  return nb_jinja_lex_expect(p, "]");
}

static nb_status parse_call(parser *p, node **e) {
  node *a = *e;
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(nb_jinja_new_node(p, E_CALL, e));
  (*e)->a = a;
  return nb_jinja_parse_arguments(p, true, *e);
}

/* .name, [..], (..) */
static nb_status parse_postfix(parser *p, node **e) {
  for (;;) {
    node *a = *e;
    if (nb_jinja_lex_is_op(p, ".")) {
      NB_TRY(nb_jinja_lex_next(p));
      if (p->kind != T_NAME && p->kind != T_INT) return nb_jinja_lex_fail(p, "expected a name behind the dot");
      NB_TRY(nb_jinja_new_node(p, p->kind == T_NAME ? E_ATTR : E_ITEM, e));
      (*e)->a = a;
      if (p->kind == T_NAME) {
        (*e)->name = p->v.u.s;
      } else {
        NB_TRY(nb_jinja_new_node(p, E_CONST, &(*e)->b));
        (*e)->b->v = p->v;
      }
      NB_TRY(nb_jinja_lex_next(p));
    } else if (nb_jinja_lex_is_op(p, "[")) {
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(parse_subscript(p, a, e));
    } else if (nb_jinja_lex_is_op(p, "(")) {
      NB_TRY(parse_call(p, e));
    } else {
      return NB_OK;
    }
  }
}

/* The name of a filter or test, and its arguments if there is a bracket. */
static nb_status parse_named(parser *p, node *e, bool *bracket) {
  if (p->kind != T_NAME)
    return nb_jinja_lex_fail(p, e->kind == E_TEST ? "expected the name of a test" : "expected the name of a filter");
  e->name = p->v.u.s;
  NB_TRY(nb_jinja_lex_next(p));
  if (nb_jinja_lex_is_op(p, ".")) return nb_jinja_lex_fail(p, "a dot behind a filter or test is part of its name:");
  NB_TRY(nb_jinja_lex_accept(p, "(", bracket));
  return *bracket ? nb_jinja_parse_arguments(p, true, e) : NB_OK;
}

nb_status nb_jinja_parse_filters(parser *p, bool bare, node *a, node **out) {
  bool more = bare, bracket;
  *out = a;
  if (!bare) NB_TRY(nb_jinja_lex_accept(p, "|", &more));
  while (more) {
    node *inner = *out;
    NB_TRY(nb_jinja_new_node(p, E_FILTER, out));
    (*out)->a = inner;
    NB_TRY(parse_named(p, *out, &bracket));
    NB_TRY(nb_jinja_lex_accept(p, "|", &more));
  }
  return NB_OK;
}

static nb_status parse_test(parser *p, node **e) {
  static const char *const ends[] = {"else", "or", "and"}, *const never[] = {"is", "if", "in", "not"};
  node *a = *e, *arg;
  bool bracket, yes;
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(nb_jinja_new_node(p, E_TEST, e));
  (*e)->a = a;
  NB_TRY(accept_word(p, "not", &yes));
  (*e)->op = yes;
  NB_TRY(parse_named(p, *e, &bracket));
  bool starts = p->kind == T_NAME || p->kind == T_STRING || p->kind == T_INT || p->kind == T_FLOAT ||
                nb_jinja_lex_is_op(p, "[") || nb_jinja_lex_is_op(p, "{");
  for (int i = 0; i < 3; i++) starts = starts && !nb_jinja_lex_is_word(p, ends[i]);
  for (int i = 0; i < 4 && !bracket; i++)
    if (nb_jinja_lex_is_word(p, never[i])) return nb_jinja_lex_fail(p, "Jinja reads this as the argument of a test:");
  if (bracket || !starts) return NB_OK;
  NB_TRY(parse_primary(p, &arg)); /* `x is equalto 1`, without brackets */
  NB_TRY(parse_postfix(p, &arg));
  return nb_jinja_add_child(p, *e, arg);
}

static nb_status parse_filter_expr(parser *p, node **e) {
  for (;;) {
    if (nb_jinja_lex_is_op(p, "|")) NB_TRY(nb_jinja_parse_filters(p, false, *e, e));
    else if (nb_jinja_lex_is_word(p, "is")) NB_TRY(parse_test(p, e));
    else if (nb_jinja_lex_is_op(p, "(")) NB_TRY(parse_call(p, e));
    else return NB_OK;
  }
}

/* ---- operators ---- */

static nb_status parse_unary(parser *p, bool with_filter, node **out) {
  bool minus = nb_jinja_lex_is_op(p, "-");
  if (minus || nb_jinja_lex_is_op(p, "+")) {
    node *a;
    NB_TRY(nb_jinja_deeper(p));
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(parse_unary(p, false, &a));
    p->j->depth--;
    NB_TRY(binary(p, minus ? E_NEGATE : E_PLUS, 0, a, NULL, out));
  } else {
    NB_TRY(parse_primary(p, out));
  }
  NB_TRY(parse_postfix(p, out));
  return with_filter ? parse_filter_expr(p, out) : NB_OK;
}

/* The binary operators by level, the loosest first; `**` is the tightest. */
static char operator_at(const parser *p, int level) {
  if (p->kind != T_OP) return 0;
  const char *s = p->v.u.s;
  if (!strcmp(s, "**")) return level == 3 ? 'p' : 0;
  if (!strcmp(s, "//")) return level == 2 ? 'f' : 0;
  static const char *const ops[] = {"+-", "~", "*/%", ""};
  return !s[1] && strchr(ops[level], *s) ? *s : 0;
}

static nb_status parse_arithmetic(parser *p, int level, node **out) {
  NB_TRY(level == 3 ? parse_unary(p, true, out) : parse_arithmetic(p, level + 1, out));
  for (char op; (op = operator_at(p, level));) {
    node *a = *out, *b;
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(level == 3 ? parse_unary(p, true, &b) : parse_arithmetic(p, level + 1, &b));
    NB_TRY(binary(p, E_BINARY, op, a, b, out));
  }
  return NB_OK;
}

static nb_status compare_op(parser *p, char *op) {
  static const char *const names[] = {"==", "!=", "<", ">", "<=", ">="};
  *op = 0;
  for (int i = 0; i < 6; i++)
    if (nb_jinja_lex_is_op(p, names[i])) *op = "=!<>lg"[i];
  if (nb_jinja_lex_is_word(p, "in")) *op = 'i';
  if (nb_jinja_lex_is_word(p, "not")) { /* only `not in` can follow an operand */
    NB_TRY(nb_jinja_lex_next(p));
    if (!nb_jinja_lex_is_word(p, "in")) return nb_jinja_lex_fail(p, "expected `in` behind `not`");
    *op = 'n';
  }
  return *op ? nb_jinja_lex_next(p) : NB_OK;
}

static nb_status parse_compare(parser *p, node **out) {
  NB_TRY(parse_arithmetic(p, 0, out));
  node *chain = NULL, *link;
  for (char op;;) {
    NB_TRY(compare_op(p, &op));
    if (!op) return NB_OK;
    if (!chain) {
      NB_TRY(binary(p, E_COMPARE, 0, *out, NULL, &chain));
      *out = chain;
    }
    NB_TRY(nb_jinja_new_node(p, E_KW, &link));
    link->op = op;
    NB_TRY(parse_arithmetic(p, 0, &link->a));
    NB_TRY(nb_jinja_add_child(p, chain, link));
  }
}

static nb_status parse_not(parser *p, node **out) {
  if (!nb_jinja_lex_is_word(p, "not")) return parse_compare(p, out);
  node *a;
  NB_TRY(nb_jinja_deeper(p));
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(parse_not(p, &a));
  p->j->depth--;
  return binary(p, E_NOT, 0, a, NULL, out);
}

static nb_status parse_and_or(parser *p, bool is_or, node **out) {
  NB_TRY(is_or ? parse_and_or(p, false, out) : parse_not(p, out));
  while (nb_jinja_lex_is_word(p, is_or ? "or" : "and")) {
    node *a = *out, *b;
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(is_or ? parse_and_or(p, false, &b) : parse_not(p, &b));
    NB_TRY(binary(p, is_or ? E_OR : E_AND, 0, a, b, out));
  }
  return NB_OK;
}

nb_status nb_jinja_parse_expr(parser *p, bool without_if, node **out) {
  NB_TRY(nb_jinja_deeper(p));
  NB_TRY(parse_and_or(p, true, out));
  while (!without_if && nb_jinja_lex_is_word(p, "if")) {
    node *value_node = *out;
    bool yes;
    NB_TRY(nb_jinja_new_node(p, E_IF, out));
    (*out)->b = value_node;
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(parse_and_or(p, true, &(*out)->a));
    NB_TRY(accept_word(p, "else", &yes));
    if (yes) NB_TRY(nb_jinja_parse_expr(p, false, &(*out)->c));
  }
  p->j->depth--;
  return NB_OK;
}

nb_status nb_jinja_parse_tuple(parser *p, bool without_if, node **out) {
  node *tuple = NULL, *item;
  bool comma;
  for (;;) {
    if (tuple && (p->kind == T_END || nb_jinja_lex_is_op(p, ")"))) return *out = tuple, NB_OK;
    NB_TRY(nb_jinja_parse_expr(p, without_if, &item));
    if (tuple) NB_TRY(nb_jinja_add_child(p, tuple, item));
    NB_TRY(nb_jinja_lex_accept(p, ",", &comma));
    if (!comma) return *out = tuple ? tuple : item, NB_OK;
    if (tuple) continue;
    NB_TRY(nb_jinja_new_node(p, E_TUPLE, &tuple));
    NB_TRY(nb_jinja_add_child(p, tuple, item));
  }
}

nb_status nb_jinja_parse_target(parser *p, bool with_attribute, bool commas, node **out) {
  node *tuple = NULL, *t, *name;
  bool bracket, comma = true;
  NB_TRY(nb_jinja_deeper(p));
  for (bool end = false; comma && !end;) {
    NB_TRY(nb_jinja_lex_accept(p, "(", &bracket));
    if (bracket) {
      NB_TRY(nb_jinja_parse_target(p, false, true, &t));
      NB_TRY(nb_jinja_lex_expect(p, ")"));
    } else {
      if (p->kind != T_NAME) return nb_jinja_lex_fail(p, "expected a name to assign to");
      NB_TRY(parse_name(p, &t));
      if (t->kind != E_NAME) return nb_jinja_lex_fail(p, "a constant cannot be assigned to");
    }
    if (with_attribute && !bracket && nb_jinja_lex_is_op(p, ".")) {
      NB_TRY(nb_jinja_lex_next(p));
      if (p->kind != T_NAME) return nb_jinja_lex_fail(p, "expected a name behind the dot");
      name = t;
      NB_TRY(nb_jinja_new_node(p, E_ATTR, &t));
      t->a = name;
      t->name = p->v.u.s;
      NB_TRY(nb_jinja_lex_next(p));
    }
    comma = false;
    if (commas) NB_TRY(nb_jinja_lex_accept(p, ",", &comma));
    end = nb_jinja_lex_is_word(p, "in") || nb_jinja_lex_is_op(p, "=") || nb_jinja_lex_is_op(p, ")");
    if (comma && !tuple) NB_TRY(nb_jinja_new_node(p, E_TUPLE, &tuple));
    if (tuple) NB_TRY(nb_jinja_add_child(p, tuple, t));
  }
  p->j->depth--;
  *out = tuple ? tuple : t;
  return NB_OK;
}
