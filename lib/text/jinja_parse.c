/* SPDX-License-Identifier: MIT */
/* Template text to a tree, by recursive descent. */
#include "text/jinja_lex.h"

static nb_status parse_expr(parser *p, node **out);
static nb_status parse_body(parser *p, const char *const *until, node **out);

/* ---- expressions ---- */

static nb_status new_node(parser *p, node_kind kind, node **out) {
  NB_TRY(nb_jinja_alloc(p->j, sizeof **out, out));
  (*out)->kind = kind;
  (*out)->line = p->line;
  return NB_OK;
}

static nb_status add_child(parser *p, node *e, node *child) {
  if ((e->n & (e->n - 1)) == 0) { /* full at every power of two */
    node **grown;
    NB_TRY(nb_jinja_alloc(p->j, (e->n ? 2 * e->n : 1) * sizeof *grown, &grown));
    if (e->n) memcpy(grown, e->list, e->n * sizeof *grown);
    e->list = grown;
  }
  e->list[e->n++] = child;
  return NB_OK;
}

static nb_status binary(parser *p, node_kind kind, char op, node *a, node *b, node **out) {
  NB_TRY(new_node(p, kind, out));
  (*out)->op = op, (*out)->a = a, (*out)->b = b;
  return NB_OK;
}

static nb_status deeper(parser *p) {
  if (++p->j->depth > JINJA_MAX_DEPTH) return nb_jinja_fail(p->j, p->line, "it is nested too deeply");
  return NB_OK;
}

/* Expressions up to a closing bracket, into e->list; with names allowed, `x=...` becomes E_KW. */
static nb_status parse_items(parser *p, const char *close, bool names, node *e) {
  bool done, comma;
  NB_TRY(nb_jinja_lex_accept(p, close, &done));
  while (!done) {
    node *item, *kw;
    NB_TRY(parse_expr(p, &item));
    if (names && item->kind == E_NAME && nb_jinja_lex_is_op(p, "=")) {
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(new_node(p, E_KW, &kw));
      kw->name = item->name;
      NB_TRY(parse_expr(p, &kw->a));
      item = kw;
    }
    NB_TRY(add_child(p, e, item));
    NB_TRY(nb_jinja_lex_accept(p, ",", &comma));
    NB_TRY(nb_jinja_lex_accept(p, close, &done));
    if (!comma && !done) return nb_jinja_lex_fail(p, "expected , or a closing bracket");
  }
  return NB_OK;
}

static nb_status parse_dict(parser *p, node *e) {
  bool done, comma;
  NB_TRY(nb_jinja_lex_accept(p, "}", &done));
  while (!done) {
    node *key, *val;
    NB_TRY(parse_expr(p, &key));
    NB_TRY(nb_jinja_lex_expect(p, ":"));
    NB_TRY(parse_expr(p, &val));
    NB_TRY(add_child(p, e, key));
    NB_TRY(add_child(p, e, val));
    NB_TRY(nb_jinja_lex_accept(p, ",", &comma));
    NB_TRY(nb_jinja_lex_accept(p, "}", &done));
    if (!comma && !done) return nb_jinja_lex_fail(p, "expected , or }");
  }
  return NB_OK;
}

static nb_status parse_constant(parser *p, node **out) {
  static const struct {
    const char *name;
    value_type type;
    int64_t i;
  } words[] = {{"true", V_BOOL, 1},  {"True", V_BOOL, 1}, {"false", V_BOOL, 0},
               {"False", V_BOOL, 0}, {"none", V_NONE, 0}, {"None", V_NONE, 0}};
  NB_TRY(new_node(p, E_CONST, out));
  (*out)->v = p->v;
  if (p->kind == T_NAME) {
    (*out)->kind = E_NAME;
    (*out)->name = p->v.u.s;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
      if (nb_jinja_lex_is_word(p, words[i].name))
        (*out)->kind = E_CONST, (*out)->v = (value){words[i].type, 0, {.i = words[i].i}};
  }
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
  if (p->kind == T_NAME || p->kind == T_STRING || p->kind == T_INT || p->kind == T_FLOAT) return parse_constant(p, out);
  bool yes;
  NB_TRY(nb_jinja_lex_accept(p, "(", &yes));
  if (yes) { /* a bracketed expression, or a tuple */
    node *first;
    NB_TRY(nb_jinja_lex_accept(p, ")", &yes));
    if (yes) return new_node(p, E_LIST, out);
    NB_TRY(parse_expr(p, &first));
    if (!nb_jinja_lex_is_op(p, ",")) return *out = first, nb_jinja_lex_expect(p, ")");
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(new_node(p, E_LIST, out));
    NB_TRY(add_child(p, *out, first));
    return parse_items(p, ")", false, *out);
  }
  NB_TRY(nb_jinja_lex_accept(p, "[", &yes));
  if (yes) {
    NB_TRY(new_node(p, E_LIST, out));
    return parse_items(p, "]", false, *out);
  }
  NB_TRY(nb_jinja_lex_accept(p, "{", &yes));
  if (!yes) return nb_jinja_lex_fail(p, "expected an expression");
  NB_TRY(new_node(p, E_DICT, out));
  return parse_dict(p, *out);
}

static nb_status parse_subscript(parser *p, node *a, node **out) {
  node *part[3] = {0};
  bool yes;
  int n = 0;
  NB_TRY(new_node(p, E_ITEM, out));
  while (!nb_jinja_lex_is_op(p, "]")) {
    if (!nb_jinja_lex_is_op(p, ":")) NB_TRY(parse_expr(p, &part[n]));
    NB_TRY(nb_jinja_lex_accept(p, ":", &yes));
    if (!yes) break;
    (*out)->kind = E_SLICE;
    if (++n > 2) return nb_jinja_lex_fail(p, "too many colons in a slice");
  }
  (*out)->a = a, (*out)->b = part[0], (*out)->c = part[1], (*out)->d = part[2];
  if ((*out)->kind == E_ITEM && !part[0]) return nb_jinja_lex_fail(p, "expected an index");
  return nb_jinja_lex_expect(p, "]");
}

/* .name, [..], (..) behind an expression; also filters and tests unless `plain`. */
static nb_status parse_postfix(parser *p, bool plain, node **e) {
  for (;;) {
    node *a = *e;
    if (nb_jinja_lex_is_op(p, ".")) {
      NB_TRY(nb_jinja_lex_next(p));
      if (p->kind != T_NAME && p->kind != T_INT) return nb_jinja_lex_fail(p, "expected a name behind the dot");
      NB_TRY(new_node(p, p->kind == T_NAME ? E_ATTR : E_ITEM, e));
      (*e)->a = a;
      if (p->kind == T_NAME) {
        (*e)->name = p->v.u.s;
      } else {
        NB_TRY(new_node(p, E_CONST, &(*e)->b));
        (*e)->b->v = p->v;
      }
      NB_TRY(nb_jinja_lex_next(p));
    } else if (nb_jinja_lex_is_op(p, "[")) {
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(parse_subscript(p, a, e));
    } else if (nb_jinja_lex_is_op(p, "(")) {
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(new_node(p, E_CALL, e));
      (*e)->a = a;
      NB_TRY(parse_items(p, ")", true, *e));
    } else if (!plain && (nb_jinja_lex_is_op(p, "|") || nb_jinja_lex_is_word(p, "is"))) {
      bool test = nb_jinja_lex_is_word(p, "is"), yes = false;
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(new_node(p, test ? E_TEST : E_FILTER, e));
      (*e)->a = a;
      if (test && nb_jinja_lex_is_word(p, "not")) {
        (*e)->op = 1;
        NB_TRY(nb_jinja_lex_next(p));
      }
      if (p->kind != T_NAME)
        return nb_jinja_lex_fail(p, test ? "expected the name of a test" : "expected the name of a filter");
      (*e)->name = p->v.u.s;
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(nb_jinja_lex_accept(p, "(", &yes));
      if (yes) {
        NB_TRY(parse_items(p, ")", true, *e));
      } else if (test && (p->kind == T_STRING || p->kind == T_INT || p->kind == T_FLOAT || nb_jinja_lex_is_op(p, "[") ||
                          (p->kind == T_NAME && !nb_jinja_lex_is_word(p, "else") && !nb_jinja_lex_is_word(p, "or") &&
                           !nb_jinja_lex_is_word(p, "and") && !nb_jinja_lex_is_word(p, "is") &&
                           !nb_jinja_lex_is_word(p, "if") && !nb_jinja_lex_is_word(p, "in") &&
                           !nb_jinja_lex_is_word(p, "not")))) {
        node *arg; /* `x is equalto 1`, without brackets */
        NB_TRY(parse_primary(p, &arg));
        NB_TRY(parse_postfix(p, true, &arg));
        NB_TRY(add_child(p, *e, arg));
      }
    } else {
      return NB_OK;
    }
  }
}

static nb_status parse_unary(parser *p, bool plain, node **out) {
  if (!nb_jinja_lex_is_op(p, "-") && !nb_jinja_lex_is_op(p, "+")) {
    NB_TRY(parse_primary(p, out));
    return parse_postfix(p, plain, out);
  }
  bool minus = nb_jinja_lex_is_op(p, "-");
  node *a;
  NB_TRY(deeper(p));
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(parse_unary(p, true, &a));
  p->j->depth--;
  if (minus) NB_TRY(binary(p, E_NEGATE, 0, a, NULL, out));
  else *out = a;
  return plain ? NB_OK : parse_postfix(p, false, out);
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
  NB_TRY(level == 3 ? parse_unary(p, false, out) : parse_arithmetic(p, level + 1, out));
  for (char op; (op = operator_at(p, level));) {
    node *a = *out, *b;
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(level == 3 ? parse_unary(p, false, &b) : parse_arithmetic(p, level + 1, &b));
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
    NB_TRY(new_node(p, E_KW, &link));
    link->op = op;
    NB_TRY(parse_arithmetic(p, 0, &link->a));
    NB_TRY(add_child(p, chain, link));
  }
}

static nb_status parse_not(parser *p, node **out) {
  if (!nb_jinja_lex_is_word(p, "not")) return parse_compare(p, out);
  node *a;
  NB_TRY(deeper(p));
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

static nb_status parse_expr(parser *p, node **out) {
  NB_TRY(deeper(p));
  NB_TRY(parse_and_or(p, true, out));
  while (nb_jinja_lex_is_word(p, "if")) {
    node *value_node = *out;
    NB_TRY(new_node(p, E_IF, out));
    (*out)->b = value_node;
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(parse_and_or(p, true, &(*out)->a));
    if (nb_jinja_lex_is_word(p, "else")) {
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(parse_expr(p, &(*out)->c));
    }
  }
  p->j->depth--;
  return NB_OK;
}

/* ---- statements ---- */

/* a, b or (a, b): names, or for `set` also name.attribute. */
static nb_status parse_targets(parser *p, node *e) {
  bool bracket, more = true;
  NB_TRY(nb_jinja_lex_accept(p, "(", &bracket));
  while (more) {
    node *t, *name;
    if (p->kind != T_NAME) return nb_jinja_lex_fail(p, "expected a name to assign to");
    NB_TRY(parse_constant(p, &t));
    if (t->kind != E_NAME) return nb_jinja_lex_fail(p, "a constant cannot be assigned to");
    if (nb_jinja_lex_is_op(p, ".")) {
      NB_TRY(nb_jinja_lex_next(p));
      if (p->kind != T_NAME) return nb_jinja_lex_fail(p, "expected a name behind the dot");
      name = t;
      NB_TRY(new_node(p, E_ATTR, &t));
      t->a = name;
      t->name = p->v.u.s;
      NB_TRY(nb_jinja_lex_next(p));
    }
    NB_TRY(add_child(p, e, t));
    NB_TRY(nb_jinja_lex_accept(p, ",", &more));
  }
  return bracket ? nb_jinja_lex_expect(p, ")") : NB_OK;
}

static nb_status parse_for(parser *p, node *e) {
  static const char *const ends[] = {"else", "endfor", NULL}, *const end[] = {"endfor", NULL};
  NB_TRY(parse_targets(p, e));
  if (!nb_jinja_lex_is_word(p, "in")) return nb_jinja_lex_fail(p, "expected `in`");
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(parse_and_or(p, true, &e->a)); /* without `if`, which begins the loop's filter */
  if (nb_jinja_lex_is_word(p, "if")) {
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(parse_expr(p, &e->d));
  }
  if (nb_jinja_lex_is_word(p, "recursive")) return nb_jinja_lex_fail(p, "recursive loops are not supported,");
  NB_TRY(nb_jinja_lex_end_tag(p, true));
  NB_TRY(parse_body(p, ends, &e->b));
  if (nb_jinja_lex_is_word(p, "else")) {
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(nb_jinja_lex_end_tag(p, true));
    NB_TRY(parse_body(p, end, &e->c));
  }
  NB_TRY(nb_jinja_lex_next(p));
  return nb_jinja_lex_end_tag(p, true);
}

static nb_status parse_if(parser *p, node *e) {
  static const char *const ends[] = {"elif", "else", "endif", NULL}, *const end[] = {"endif", NULL};
  NB_TRY(parse_expr(p, &e->a));
  NB_TRY(nb_jinja_lex_end_tag(p, true));
  NB_TRY(parse_body(p, ends, &e->b));
  if (nb_jinja_lex_is_word(p, "elif")) {
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(new_node(p, N_IF, &e->c));
    NB_TRY(deeper(p)); /* the chain is walked by recursion */
    NB_TRY(parse_if(p, e->c));
    p->j->depth--;
    return NB_OK; /* the last branch has read endif */
  }
  if (nb_jinja_lex_is_word(p, "else")) {
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(nb_jinja_lex_end_tag(p, true));
    NB_TRY(parse_body(p, end, &e->c));
  }
  NB_TRY(nb_jinja_lex_next(p));
  return nb_jinja_lex_end_tag(p, true);
}

static nb_status parse_set(parser *p, node *e) {
  static const char *const end[] = {"endset", NULL};
  NB_TRY(parse_targets(p, e));
  if (!nb_jinja_lex_is_op(p, "=")) {
    NB_TRY(nb_jinja_lex_end_tag(p, true));
    NB_TRY(parse_body(p, end, &e->b));
    NB_TRY(nb_jinja_lex_next(p));
    return nb_jinja_lex_end_tag(p, true);
  }
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(parse_expr(p, &e->a));
  if (nb_jinja_lex_is_op(p, ",")) { /* a tuple without brackets */
    node *first = e->a, *item;
    NB_TRY(new_node(p, E_LIST, &e->a));
    NB_TRY(add_child(p, e->a, first));
    while (nb_jinja_lex_is_op(p, ",")) {
      NB_TRY(nb_jinja_lex_next(p));
      NB_TRY(parse_expr(p, &item));
      NB_TRY(add_child(p, e->a, item));
    }
  }
  return nb_jinja_lex_end_tag(p, true);
}

static nb_status parse_macro(parser *p, node *e) {
  static const char *const end[] = {"endmacro", NULL};
  if (p->kind != T_NAME) return nb_jinja_lex_fail(p, "expected the macro's name");
  e->name = p->v.u.s;
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(nb_jinja_lex_expect(p, "("));
  NB_TRY(parse_items(p, ")", true, e));
  for (size_t i = 0; i < e->n; i++) {
    node *k = e->list[i];
    if (k->kind != E_NAME && k->kind != E_KW) return nb_jinja_lex_fail(p, "a macro's parameter must be a name");
    k->kind = E_KW; /* a plain name has no default */
  }
  NB_TRY(nb_jinja_lex_end_tag(p, true));
  NB_TRY(parse_body(p, end, &e->b));
  NB_TRY(nb_jinja_lex_next(p));
  return nb_jinja_lex_end_tag(p, true);
}

static nb_status parse_statement(parser *p, node **out) {
  static const char *const end_generation[] = {"endgeneration", NULL};
  static const struct {
    const char *name;
    node_kind kind;
    nb_status (*parse)(parser *, node *);
  } known[] = {{"for", N_FOR, parse_for},       {"if", N_IF, parse_if},   {"set", N_SET, parse_set},
               {"macro", N_MACRO, parse_macro}, {"break", N_BREAK, NULL}, {"continue", N_CONTINUE, NULL}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (!nb_jinja_lex_is_word(p, known[i].name)) continue;
    NB_TRY(new_node(p, known[i].kind, out));
    NB_TRY(nb_jinja_lex_next(p));
    return known[i].parse ? known[i].parse(p, *out) : nb_jinja_lex_end_tag(p, true);
  }
  if (nb_jinja_lex_is_word(p, "generation")) { /* marks the assistant's part for training */
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(nb_jinja_lex_end_tag(p, true));
    NB_TRY(parse_body(p, end_generation, out));
    NB_TRY(nb_jinja_lex_next(p));
    return nb_jinja_lex_end_tag(p, true);
  }
  return nb_jinja_lex_fail(p, "this statement is not supported:");
}

/* Statements up to a tag whose first word is one of `until` (which becomes the current token), or to the end
 * of the template without `until`. */
static nb_status parse_body(parser *p, const char *const *until, node **out) {
  NB_TRY(deeper(p));
  NB_TRY(new_node(p, N_BODY, out));
  for (;;) {
    node *e;
    value text = nb_jinja_lex_data(p);
    if (text.n) {
      NB_TRY(new_node(p, N_DATA, &e));
      e->v = text;
      NB_TRY(add_child(p, *out, e));
    }
    if (p->pos >= p->j->n_src) break;
    char type = p->j->src[p->pos + 1];
    if (type == '#') {
      NB_TRY(nb_jinja_lex_comment(p));
      continue;
    }
    p->pos += 2 + (p->j->src[p->pos + 2] == '-' || p->j->src[p->pos + 2] == '+');
    p->nest = 0;
    NB_TRY(nb_jinja_lex_next(p));
    if (type == '{') {
      NB_TRY(new_node(p, N_OUTPUT, &e));
      NB_TRY(parse_expr(p, &e->a));
      NB_TRY(nb_jinja_lex_end_tag(p, false));
    } else {
      for (size_t i = 0; until && until[i]; i++)
        if (nb_jinja_lex_is_word(p, until[i])) return p->j->depth--, NB_OK;
      NB_TRY(parse_statement(p, &e));
    }
    NB_TRY(add_child(p, *out, e));
  }
  p->kind = T_EOF;
  p->j->depth--;
  return until ? nb_jinja_fail(p->j, p->line, "the template ends before {%% %s %%}", until[0]) : NB_OK;
}

nb_status nb_jinja_parse(jinja *j, node **out) {
  parser p = {.j = j, .line = 1, .line_start = true};
  return parse_body(&p, NULL, out);
}
