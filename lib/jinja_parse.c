/* SPDX-License-Identifier: MIT */
/* Template text to a tree. Whitespace control is Jinja's with trim_blocks and lstrip_blocks on, as
 * transformers sets them: the newline behind a block goes, and so does the indentation in front of it. */
#include "jinja.h"
#include "utf8.h"

#include <ctype.h>

typedef enum token_kind { T_END, T_EOF, T_NAME, T_INT, T_FLOAT, T_STRING, T_OP } token_kind;

typedef struct parser {
  jinja *j;
  size_t pos;        /* in the source; behind the current token while inside a tag */
  unsigned line;
  bool line_start;   /* the last tag ended with a newline, or there was none yet */
  unsigned nest;     /* open brackets inside the tag */
  token_kind kind;   /* the current token */
  value v;           /* its text (names and operators), or its value */
  size_t start;      /* where it starts */
} parser;

static nb_status parse_expr(parser *p, node **out);
static nb_status parse_body(parser *p, const char *const *until, node **out);

static nb_status fail_at(parser *p, const char *what) {
  if (p->kind == T_EOF) return nb_jinja_fail(p->j, p->line, "%s, but the template ends", what);
  int n = (int)nb_min(p->pos - p->start, 40);
  return nb_jinja_fail(p->j, p->line, "%s at \"%.*s\"", what, n, p->j->src + p->start);
}

/* ---- tokens ---- */

static bool is_py_space(const char *s, size_t *k) {
  uint32_t c = nb_utf8_get(s, k);
  return nb_is_space(c) || (c >= 0x1c && c <= 0x1f);
}

/* Moves over white space, counting lines; tells whether the last character was a newline. */
static bool skip_space(parser *p) {
  bool newline = false;
  for (size_t k; p->pos < p->j->n_src && is_py_space(p->j->src + p->pos, &k); p->pos += k)
    if ((newline = p->j->src[p->pos] == '\n')) p->line++;
  return newline;
}

static nb_status lex_string(parser *p, char quote) {
  const char *s = p->j->src;
  char *out;
  size_t n = 0, i = p->pos + 1, end = i;
  while (end < p->j->n_src && s[end] != quote) end += s[end] == '\\' && end + 1 < p->j->n_src ? 2 : 1;
  p->kind = T_STRING;
  if (end >= p->j->n_src) return nb_jinja_fail(p->j, p->line, "a string does not end");
  NB_TRY(nb_jinja_alloc(p->j, end - i + 1, &out));
  while (i < end) {
    char c = s[i++];
    if (c == '\n') p->line++;
    if (c != '\\') {
      out[n++] = c;
      continue;
    }
    c = s[i++];
    const char *from = "ntrbfav\\'\"", *at = strchr(from, c);
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits && end - i >= digits) { /* at most as long in UTF-8 as the escape itself */
      char hex[9] = {0}, *stop;
      memcpy(hex, s + i, digits);
      unsigned long cp = strtoul(hex, &stop, 16);
      if (*stop || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) return nb_jinja_fail(p->j, p->line, "a bad escape in a string");
      n += nb_utf8_put((uint32_t)cp, out + n);
      i += digits;
    } else if (c && at) {
      out[n++] = "\n\t\r\b\f\a\v\\'\""[at - from];
    } else if (c == '\n') {
      p->line++;
    } else {
      out[n++] = '\\', out[n++] = c;
    }
  }
  p->v = nb_v_string(out, n);
  p->pos = end + 1;
  return NB_OK;
}

static nb_status lex_number(parser *p) {
  const char *s = p->j->src;
  char b[64];
  size_t n = 0;
  bool is_float = false;
  for (; n + 1 < sizeof b; p->pos++) {
    char c = s[p->pos];
    if (c == '_') continue;
    if (c == '.' && (is_float || !isdigit((unsigned char)s[p->pos + 1]))) break;
    if (c == '.') is_float = true;
    else if (!isdigit((unsigned char)c)) break;
    b[n++] = c;
  }
  size_t sign = (s[p->pos] | 32) == 'e' && strchr("+-", s[p->pos + 1]) && s[p->pos + 1];
  if ((s[p->pos] | 32) == 'e' && isdigit((unsigned char)s[p->pos + sign + 1])) {
    is_float = true;
    do b[n++] = s[p->pos++];
    while (n + 1 < sizeof b && (isdigit((unsigned char)s[p->pos]) || (sign && b[n - 1] != s[p->pos] && strchr("eE", b[n - 1]))));
  }
  b[n] = 0;
  if (n > 18 && !is_float) return nb_jinja_fail(p->j, p->line, "the number %s is too large", b);
  p->kind = is_float ? T_FLOAT : T_INT;
  p->v = is_float ? (value){V_FLOAT, 0, {.f = strtod(b, NULL)}} : nb_v_int(strtoll(b, NULL, 10));
  return NB_OK;
}

/* Reads the next token of a tag. */
static nb_status next(parser *p) {
  static const char *const two[] = {"==", "!=", "<=", ">=", "//", "**"};
  const char *s = p->j->src;
  skip_space(p);
  p->start = p->pos;
  char c = s[p->pos]; /* a NUL at the end */
  if (p->pos >= p->j->n_src) return p->kind = T_EOF, NB_OK;
  if (!p->nest) {
    size_t sign = c == '-' || c == '+';
    if ((s[p->pos + sign] == '%' || s[p->pos + sign] == '}') && s[p->pos + sign + 1] == '}') return p->kind = T_END, NB_OK;
  }
  if (c == '"' || c == '\'') return lex_string(p, c);
  if (isdigit((unsigned char)c)) return lex_number(p);
  size_t n = 0;
  if (isalpha((unsigned char)c) || c == '_') {
    while (isalnum((unsigned char)s[p->pos + n]) || s[p->pos + n] == '_') n++;
    p->kind = T_NAME;
  } else {
    n = 1;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
      if (!strncmp(s + p->pos, two[i], 2)) n = 2;
    if (!strchr("+-*/%~=!<>()[]{}.,:|", c)) return nb_jinja_fail(p->j, p->line, "an unexpected character '%c'", c);
    if (strchr("([{", c)) p->nest++;
    if (strchr(")]}", c) && p->nest) p->nest--;
    p->kind = T_OP;
  }
  p->pos += n;
  return nb_v_copy(p->j, s + p->start, n, &p->v); /* NUL-terminated */
}

static bool is_op(const parser *p, const char *op) { return p->kind == T_OP && !strcmp(p->v.u.s, op); }
static bool is_word(const parser *p, const char *w) { return p->kind == T_NAME && !strcmp(p->v.u.s, w); }

static nb_status accept(parser *p, const char *op, bool *yes) {
  *yes = is_op(p, op);
  return *yes ? next(p) : NB_OK;
}

static nb_status expect(parser *p, const char *op) {
  char what[32] = "expected ";
  strncat(what, op, 8);
  return is_op(p, op) ? next(p) : fail_at(p, what);
}

/* Leaves the tag, which must end here, and applies its right-hand whitespace control. */
static nb_status end_tag(parser *p, bool block) {
  if (p->kind != T_END) return fail_at(p, "expected the end of the tag");
  const char *s = p->j->src + p->start;
  char sign = *s == '-' || *s == '+' ? *s++ : 0;
  if (*s != (block ? '%' : '}')) return fail_at(p, block ? "expected %}" : "expected }}");
  p->pos = (size_t)(s - p->j->src) + 2;
  p->line_start = false;
  if (sign == '-') p->line_start = skip_space(p);
  else if (block && sign != '+' && p->j->src[p->pos] == '\n') p->pos++, p->line++, p->line_start = true;
  return NB_OK;
}

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
  NB_TRY(accept(p, close, &done));
  while (!done) {
    node *item, *kw;
    NB_TRY(parse_expr(p, &item));
    if (names && item->kind == E_NAME && is_op(p, "=")) {
      NB_TRY(next(p));
      NB_TRY(new_node(p, E_KW, &kw));
      kw->name = item->name;
      NB_TRY(parse_expr(p, &kw->a));
      item = kw;
    }
    NB_TRY(add_child(p, e, item));
    NB_TRY(accept(p, ",", &comma));
    NB_TRY(accept(p, close, &done));
    if (!comma && !done) return fail_at(p, "expected , or a closing bracket");
  }
  return NB_OK;
}

static nb_status parse_dict(parser *p, node *e) {
  bool done, comma;
  NB_TRY(accept(p, "}", &done));
  while (!done) {
    node *key, *val;
    NB_TRY(parse_expr(p, &key));
    NB_TRY(expect(p, ":"));
    NB_TRY(parse_expr(p, &val));
    NB_TRY(add_child(p, e, key));
    NB_TRY(add_child(p, e, val));
    NB_TRY(accept(p, ",", &comma));
    NB_TRY(accept(p, "}", &done));
    if (!comma && !done) return fail_at(p, "expected , or }");
  }
  return NB_OK;
}

static nb_status parse_constant(parser *p, node **out) {
  static const struct {
    const char *name;
    value_type type;
    int64_t i;
  } words[] = {{"true", V_BOOL, 1}, {"True", V_BOOL, 1}, {"false", V_BOOL, 0}, {"False", V_BOOL, 0}, {"none", V_NONE, 0}, {"None", V_NONE, 0}};
  NB_TRY(new_node(p, E_CONST, out));
  (*out)->v = p->v;
  if (p->kind == T_NAME) {
    (*out)->kind = E_NAME;
    (*out)->name = p->v.u.s;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
      if (is_word(p, words[i].name)) (*out)->kind = E_CONST, (*out)->v = (value){words[i].type, 0, {.i = words[i].i}};
  }
  bool string = p->kind == T_STRING;
  NB_TRY(next(p));
  while (string && p->kind == T_STRING) { /* neighbouring strings are one */
    char *s;
    value *v = &(*out)->v;
    NB_TRY(nb_jinja_alloc(p->j, v->n + p->v.n + 1, &s));
    memcpy(s, v->u.s, v->n);
    memcpy(s + v->n, p->v.u.s, p->v.n);
    *v = nb_v_string(s, v->n + p->v.n);
    NB_TRY(next(p));
  }
  return NB_OK;
}

static nb_status parse_primary(parser *p, node **out) {
  if (p->kind == T_NAME || p->kind == T_STRING || p->kind == T_INT || p->kind == T_FLOAT) return parse_constant(p, out);
  bool yes;
  NB_TRY(accept(p, "(", &yes));
  if (yes) { /* a bracketed expression, or a tuple */
    node *first;
    NB_TRY(accept(p, ")", &yes));
    if (yes) return new_node(p, E_LIST, out);
    NB_TRY(parse_expr(p, &first));
    if (!is_op(p, ",")) return *out = first, expect(p, ")");
    NB_TRY(next(p));
    NB_TRY(new_node(p, E_LIST, out));
    NB_TRY(add_child(p, *out, first));
    return parse_items(p, ")", false, *out);
  }
  NB_TRY(accept(p, "[", &yes));
  if (yes) {
    NB_TRY(new_node(p, E_LIST, out));
    return parse_items(p, "]", false, *out);
  }
  NB_TRY(accept(p, "{", &yes));
  if (!yes) return fail_at(p, "expected an expression");
  NB_TRY(new_node(p, E_DICT, out));
  return parse_dict(p, *out);
}

static nb_status parse_subscript(parser *p, node *a, node **out) {
  node *part[3] = {0};
  bool yes;
  int n = 0;
  NB_TRY(new_node(p, E_ITEM, out));
  while (!is_op(p, "]")) {
    if (!is_op(p, ":")) NB_TRY(parse_expr(p, &part[n]));
    NB_TRY(accept(p, ":", &yes));
    if (!yes) break;
    (*out)->kind = E_SLICE;
    if (++n > 2) return fail_at(p, "too many colons in a slice");
  }
  (*out)->a = a, (*out)->b = part[0], (*out)->c = part[1], (*out)->d = part[2];
  if ((*out)->kind == E_ITEM && !part[0]) return fail_at(p, "expected an index");
  return expect(p, "]");
}

/* .name, [..], (..) behind an expression; also filters and tests unless `plain`. */
static nb_status parse_postfix(parser *p, bool plain, node **e) {
  for (;;) {
    node *a = *e;
    if (is_op(p, ".")) {
      NB_TRY(next(p));
      if (p->kind != T_NAME && p->kind != T_INT) return fail_at(p, "expected a name behind the dot");
      NB_TRY(new_node(p, p->kind == T_NAME ? E_ATTR : E_ITEM, e));
      (*e)->a = a;
      if (p->kind == T_NAME) {
        (*e)->name = p->v.u.s;
      } else {
        NB_TRY(new_node(p, E_CONST, &(*e)->b));
        (*e)->b->v = p->v;
      }
      NB_TRY(next(p));
    } else if (is_op(p, "[")) {
      NB_TRY(next(p));
      NB_TRY(parse_subscript(p, a, e));
    } else if (is_op(p, "(")) {
      NB_TRY(next(p));
      NB_TRY(new_node(p, E_CALL, e));
      (*e)->a = a;
      NB_TRY(parse_items(p, ")", true, *e));
    } else if (!plain && (is_op(p, "|") || is_word(p, "is"))) {
      bool test = is_word(p, "is"), yes = false;
      NB_TRY(next(p));
      NB_TRY(new_node(p, test ? E_TEST : E_FILTER, e));
      (*e)->a = a;
      if (test && is_word(p, "not")) {
        (*e)->op = 1;
        NB_TRY(next(p));
      }
      if (p->kind != T_NAME) return fail_at(p, test ? "expected the name of a test" : "expected the name of a filter");
      (*e)->name = p->v.u.s;
      NB_TRY(next(p));
      NB_TRY(accept(p, "(", &yes));
      if (yes) {
        NB_TRY(parse_items(p, ")", true, *e));
      } else if (test && (p->kind == T_STRING || p->kind == T_INT || p->kind == T_FLOAT || is_op(p, "[") ||
                          (p->kind == T_NAME && !is_word(p, "else") && !is_word(p, "or") && !is_word(p, "and") &&
                           !is_word(p, "is") && !is_word(p, "if") && !is_word(p, "in") && !is_word(p, "not")))) {
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
  if (!is_op(p, "-") && !is_op(p, "+")) {
    NB_TRY(parse_primary(p, out));
    return parse_postfix(p, plain, out);
  }
  bool minus = is_op(p, "-");
  node *a;
  NB_TRY(deeper(p));
  NB_TRY(next(p));
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
    NB_TRY(next(p));
    NB_TRY(level == 3 ? parse_unary(p, false, &b) : parse_arithmetic(p, level + 1, &b));
    NB_TRY(binary(p, E_BINARY, op, a, b, out));
  }
  return NB_OK;
}

static nb_status compare_op(parser *p, char *op) {
  static const char *const names[] = {"==", "!=", "<", ">", "<=", ">="};
  *op = 0;
  for (int i = 0; i < 6; i++)
    if (is_op(p, names[i])) *op = "=!<>lg"[i];
  if (is_word(p, "in")) *op = 'i';
  if (is_word(p, "not")) { /* only `not in` can follow an operand */
    NB_TRY(next(p));
    if (!is_word(p, "in")) return fail_at(p, "expected `in` behind `not`");
    *op = 'n';
  }
  return *op ? next(p) : NB_OK;
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
  if (!is_word(p, "not")) return parse_compare(p, out);
  node *a;
  NB_TRY(deeper(p));
  NB_TRY(next(p));
  NB_TRY(parse_not(p, &a));
  p->j->depth--;
  return binary(p, E_NOT, 0, a, NULL, out);
}

static nb_status parse_and_or(parser *p, bool is_or, node **out) {
  NB_TRY(is_or ? parse_and_or(p, false, out) : parse_not(p, out));
  while (is_word(p, is_or ? "or" : "and")) {
    node *a = *out, *b;
    NB_TRY(next(p));
    NB_TRY(is_or ? parse_and_or(p, false, &b) : parse_not(p, &b));
    NB_TRY(binary(p, is_or ? E_OR : E_AND, 0, a, b, out));
  }
  return NB_OK;
}

static nb_status parse_expr(parser *p, node **out) {
  NB_TRY(deeper(p));
  NB_TRY(parse_and_or(p, true, out));
  while (is_word(p, "if")) {
    node *value_node = *out;
    NB_TRY(new_node(p, E_IF, out));
    (*out)->b = value_node;
    NB_TRY(next(p));
    NB_TRY(parse_and_or(p, true, &(*out)->a));
    if (is_word(p, "else")) {
      NB_TRY(next(p));
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
  NB_TRY(accept(p, "(", &bracket));
  while (more) {
    node *t, *name;
    if (p->kind != T_NAME) return fail_at(p, "expected a name to assign to");
    NB_TRY(parse_constant(p, &t));
    if (t->kind != E_NAME) return fail_at(p, "a constant cannot be assigned to");
    if (is_op(p, ".")) {
      NB_TRY(next(p));
      if (p->kind != T_NAME) return fail_at(p, "expected a name behind the dot");
      name = t;
      NB_TRY(new_node(p, E_ATTR, &t));
      t->a = name;
      t->name = p->v.u.s;
      NB_TRY(next(p));
    }
    NB_TRY(add_child(p, e, t));
    NB_TRY(accept(p, ",", &more));
  }
  return bracket ? expect(p, ")") : NB_OK;
}

static nb_status parse_for(parser *p, node *e) {
  static const char *const ends[] = {"else", "endfor", NULL}, *const end[] = {"endfor", NULL};
  NB_TRY(parse_targets(p, e));
  if (!is_word(p, "in")) return fail_at(p, "expected `in`");
  NB_TRY(next(p));
  NB_TRY(parse_and_or(p, true, &e->a)); /* without `if`, which begins the loop's filter */
  if (is_word(p, "if")) {
    NB_TRY(next(p));
    NB_TRY(parse_expr(p, &e->d));
  }
  if (is_word(p, "recursive")) return fail_at(p, "recursive loops are not supported,");
  NB_TRY(end_tag(p, true));
  NB_TRY(parse_body(p, ends, &e->b));
  if (is_word(p, "else")) {
    NB_TRY(next(p));
    NB_TRY(end_tag(p, true));
    NB_TRY(parse_body(p, end, &e->c));
  }
  NB_TRY(next(p));
  return end_tag(p, true);
}

static nb_status parse_if(parser *p, node *e) {
  static const char *const ends[] = {"elif", "else", "endif", NULL}, *const end[] = {"endif", NULL};
  NB_TRY(parse_expr(p, &e->a));
  NB_TRY(end_tag(p, true));
  NB_TRY(parse_body(p, ends, &e->b));
  if (is_word(p, "elif")) {
    NB_TRY(next(p));
    NB_TRY(new_node(p, N_IF, &e->c));
    NB_TRY(deeper(p)); /* the chain is walked by recursion */
    NB_TRY(parse_if(p, e->c));
    p->j->depth--;
    return NB_OK; /* the last branch has read endif */
  }
  if (is_word(p, "else")) {
    NB_TRY(next(p));
    NB_TRY(end_tag(p, true));
    NB_TRY(parse_body(p, end, &e->c));
  }
  NB_TRY(next(p));
  return end_tag(p, true);
}

static nb_status parse_set(parser *p, node *e) {
  static const char *const end[] = {"endset", NULL};
  NB_TRY(parse_targets(p, e));
  if (!is_op(p, "=")) {
    NB_TRY(end_tag(p, true));
    NB_TRY(parse_body(p, end, &e->b));
    NB_TRY(next(p));
    return end_tag(p, true);
  }
  NB_TRY(next(p));
  NB_TRY(parse_expr(p, &e->a));
  if (is_op(p, ",")) { /* a tuple without brackets */
    node *first = e->a, *item;
    NB_TRY(new_node(p, E_LIST, &e->a));
    NB_TRY(add_child(p, e->a, first));
    while (is_op(p, ",")) {
      NB_TRY(next(p));
      NB_TRY(parse_expr(p, &item));
      NB_TRY(add_child(p, e->a, item));
    }
  }
  return end_tag(p, true);
}

static nb_status parse_macro(parser *p, node *e) {
  static const char *const end[] = {"endmacro", NULL};
  if (p->kind != T_NAME) return fail_at(p, "expected the macro's name");
  e->name = p->v.u.s;
  NB_TRY(next(p));
  NB_TRY(expect(p, "("));
  NB_TRY(parse_items(p, ")", true, e));
  for (size_t i = 0; i < e->n; i++) {
    node *k = e->list[i];
    if (k->kind != E_NAME && k->kind != E_KW) return fail_at(p, "a macro's parameter must be a name");
    k->kind = E_KW; /* a plain name has no default */
  }
  NB_TRY(end_tag(p, true));
  NB_TRY(parse_body(p, end, &e->b));
  NB_TRY(next(p));
  return end_tag(p, true);
}

static nb_status parse_statement(parser *p, node **out) {
  static const char *const end_generation[] = {"endgeneration", NULL};
  static const struct {
    const char *name;
    node_kind kind;
    nb_status (*parse)(parser *, node *);
  } known[] = {{"for", N_FOR, parse_for}, {"if", N_IF, parse_if}, {"set", N_SET, parse_set}, {"macro", N_MACRO, parse_macro},
               {"break", N_BREAK, NULL}, {"continue", N_CONTINUE, NULL}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (!is_word(p, known[i].name)) continue;
    NB_TRY(new_node(p, known[i].kind, out));
    NB_TRY(next(p));
    return known[i].parse ? known[i].parse(p, *out) : end_tag(p, true);
  }
  if (is_word(p, "generation")) { /* marks the assistant's part for training */
    NB_TRY(next(p));
    NB_TRY(end_tag(p, true));
    NB_TRY(parse_body(p, end_generation, out));
    NB_TRY(next(p));
    return end_tag(p, true);
  }
  return fail_at(p, "this statement is not supported:");
}

/* The text up to the next tag, without what whitespace control takes from its end. */
static nb_status parse_data(parser *p, node *body) {
  const char *s = p->j->src;
  size_t start = p->pos, at = start, end;
  while (at < p->j->n_src && !(s[at] == '{' && s[at + 1] && strchr("{%#", s[at + 1]))) at++;
  end = at;
  if (at < p->j->n_src) {
    char sign = s[at + 2];
    if (sign == '-') {
      for (size_t k, len; end > start; end -= k) {
        k = nb_utf8_back(s, end);
        if (!is_py_space(s + end - k, &len)) break;
      }
    } else if (sign != '+' && s[at + 1] != '{') {
      size_t l = at, len;
      while (l > start && s[l - 1] != '\n' && is_py_space(s + l - nb_utf8_back(s, l), &len)) l -= nb_utf8_back(s, l);
      if (l > start ? s[l - 1] == '\n' : p->line_start) end = l;
    }
  }
  node *d;
  for (size_t i = start; i < at; i++) p->line += s[i] == '\n';
  p->pos = at;
  if (end == start) return NB_OK;
  NB_TRY(new_node(p, N_DATA, &d));
  d->v = nb_v_string(s + start, end - start);
  return add_child(p, body, d);
}

static nb_status skip_comment(parser *p) {
  const char *s = p->j->src, *end = strstr(s + p->pos, "#}");
  if (!end) return nb_jinja_fail(p->j, p->line, "a comment does not end");
  for (const char *c = s + p->pos; c < end; c++) p->line += *c == '\n';
  char sign = end > s + p->pos + 2 ? end[-1] : 0;
  p->pos = (size_t)(end - s) + 2;
  p->line_start = false;
  if (sign == '-') p->line_start = skip_space(p);
  else if (sign != '+' && s[p->pos] == '\n') p->pos++, p->line++, p->line_start = true;
  return NB_OK;
}

/* Statements up to a tag whose first word is one of `until` (which becomes the current token), or to the end
 * of the template without `until`. */
static nb_status parse_body(parser *p, const char *const *until, node **out) {
  NB_TRY(deeper(p));
  NB_TRY(new_node(p, N_BODY, out));
  for (;;) {
    node *e;
    NB_TRY(parse_data(p, *out));
    if (p->pos >= p->j->n_src) break;
    char type = p->j->src[p->pos + 1];
    if (type == '#') {
      NB_TRY(skip_comment(p));
      continue;
    }
    p->pos += 2 + (p->j->src[p->pos + 2] == '-' || p->j->src[p->pos + 2] == '+');
    p->nest = 0;
    NB_TRY(next(p));
    if (type == '{') {
      NB_TRY(new_node(p, N_OUTPUT, &e));
      NB_TRY(parse_expr(p, &e->a));
      NB_TRY(end_tag(p, false));
    } else {
      for (size_t i = 0; until && until[i]; i++)
        if (is_word(p, until[i])) return p->j->depth--, NB_OK;
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
