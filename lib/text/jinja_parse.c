/* SPDX-License-Identifier: MIT */
/* The statements of chat templates to a tree; jinja_expr.c has the expressions. */
#include "text/jinja_lex.h"

static nb_status parse_body(parser *p, const char *const *until, node **out);

/* The body up to one of the tags `until`, and what is left of the last of them. */
static nb_status parse_block(parser *p, const char *end, node **out) {
  const char *const until[] = {end, NULL};
  NB_TRY(nb_jinja_lex_end_tag(p, true));
  NB_TRY(parse_body(p, until, out));
  NB_TRY(nb_jinja_lex_next(p));
  return nb_jinja_lex_end_tag(p, true);
}

static nb_status parse_for(parser *p, node *e) {
  static const char *const ends[] = {"else", "endfor", NULL};
  node *target;
  NB_TRY(nb_jinja_parse_target(p, false, true, &target));
  NB_TRY(nb_jinja_add_child(p, e, target));
  if (!nb_jinja_lex_is_word(p, "in")) return nb_jinja_lex_fail(p, "expected `in`");
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(nb_jinja_parse_tuple(p, true, &e->a)); /* without `if`, which begins the loop's filter */
  if (nb_jinja_lex_is_word(p, "if")) {
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(nb_jinja_parse_expr(p, false, &e->d));
  }
  if (nb_jinja_lex_is_word(p, "recursive")) {
    e->op = 1;
    NB_TRY(nb_jinja_lex_next(p));
  }
  NB_TRY(nb_jinja_lex_end_tag(p, true));
  NB_TRY(parse_body(p, ends, &e->b));
  if (nb_jinja_lex_is_word(p, "else")) {
    NB_TRY(nb_jinja_lex_next(p));
    return parse_block(p, "endfor", &e->c);
  }
  NB_TRY(nb_jinja_lex_next(p));
  return nb_jinja_lex_end_tag(p, true);
}

static nb_status parse_if(parser *p, node *e) {
  static const char *const ends[] = {"elif", "else", "endif", NULL};
  NB_TRY(nb_jinja_parse_tuple(p, true, &e->a));
  NB_TRY(nb_jinja_lex_end_tag(p, true));
  NB_TRY(parse_body(p, ends, &e->b));
  if (nb_jinja_lex_is_word(p, "elif")) {
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(nb_jinja_new_node(p, N_IF, &e->c));
    NB_TRY(nb_jinja_deeper(p)); /* the chain is walked by recursion */
    NB_TRY(parse_if(p, e->c));
    p->j->depth--;
    return NB_OK; /* the last branch has read endif */
  }
  if (nb_jinja_lex_is_word(p, "else")) {
    NB_TRY(nb_jinja_lex_next(p));
    return parse_block(p, "endif", &e->c);
  }
  NB_TRY(nb_jinja_lex_next(p));
  return nb_jinja_lex_end_tag(p, true);
}

static nb_status parse_set(parser *p, node *e) {
  node *target, *piped;
  NB_TRY(nb_jinja_parse_target(p, true, true, &target));
  NB_TRY(nb_jinja_add_child(p, e, target));
  if (nb_jinja_lex_is_op(p, "=")) {
    NB_TRY(nb_jinja_lex_next(p));
    NB_TRY(nb_jinja_parse_tuple(p, false, &e->a));
    return nb_jinja_lex_end_tag(p, true);
  }
  NB_TRY(nb_jinja_new_node(p, E_PIPED, &piped));
  NB_TRY(nb_jinja_parse_filters(p, false, piped, &e->a));
  return parse_block(p, "endset", &e->b);
}

static nb_status parse_with(parser *p, node *e) {
  while (p->kind != T_END) {
    node *pair;
    if (e->n) NB_TRY(nb_jinja_lex_expect(p, ","));
    NB_TRY(nb_jinja_new_node(p, E_KW, &pair));
    NB_TRY(nb_jinja_parse_target(p, false, false, &pair->b));
    NB_TRY(nb_jinja_lex_expect(p, "="));
    NB_TRY(nb_jinja_parse_expr(p, false, &pair->a));
    NB_TRY(nb_jinja_add_child(p, e, pair));
  }
  return parse_block(p, "endwith", &e->b);
}

static nb_status parse_filter_block(parser *p, node *e) {
  node *piped;
  NB_TRY(nb_jinja_new_node(p, E_PIPED, &piped));
  NB_TRY(nb_jinja_parse_filters(p, true, piped, &e->a));
  return parse_block(p, "endfilter", &e->b);
}

/* The parameters of a macro, behind the opening bracket. */
static nb_status parse_signature(parser *p, node *e) {
  bool defaults = false;
  NB_TRY(nb_jinja_parse_arguments(p, false, e));
  for (size_t i = 0; i < e->n; i++) {
    node *k = e->list[i];
    if (k->kind != E_NAME && k->kind != E_KW) return nb_jinja_lex_fail(p, "a macro's parameter must be a name");
    if (defaults && k->kind == E_NAME) return nb_jinja_lex_fail(p, "a parameter without a default behind one with it");
    defaults = defaults || k->kind == E_KW;
    k->kind = E_KW; /* a plain name has no default */
  }
  return NB_OK;
}

/* A macro's body, noting which of its special names it uses. */
static nb_status parse_macro_body(parser *p, const char *end, node *e) {
  char outside = p->uses;
  p->uses = 0;
  NB_TRY(parse_block(p, end, &e->b));
  e->op = p->uses;
  p->uses |= outside;
  return NB_OK;
}

static nb_status parse_macro(parser *p, node *e) {
  if (p->kind != T_NAME) return nb_jinja_lex_fail(p, "expected the macro's name");
  e->name = p->v.u.s;
  NB_TRY(nb_jinja_lex_next(p));
  NB_TRY(nb_jinja_lex_expect(p, "("));
  NB_TRY(parse_signature(p, e));
  return parse_macro_body(p, "endmacro", e);
}

static nb_status parse_call_block(parser *p, node *e) {
  bool bracket;
  NB_TRY(nb_jinja_lex_accept(p, "(", &bracket));
  if (bracket) NB_TRY(parse_signature(p, e));
  NB_TRY(nb_jinja_parse_expr(p, false, &e->a));
  if (e->a->kind != E_CALL) return nb_jinja_lex_fail(p, "expected a call");
  return parse_macro_body(p, "endcall", e);
}

/* Marks the assistant's part for training; its body has a scope of its own. */
static nb_status parse_generation(parser *p, node *e) { return parse_block(p, "endgeneration", &e->b); }

static nb_status parse_raw(parser *p, node *e) { return nb_jinja_lex_raw(p, &e->v); }

static nb_status parse_statement(parser *p, node **out) {
  static const struct {
    const char *name;
    node_kind kind;
    nb_status (*parse)(parser *, node *);
  } known[] = {{"for", N_FOR, parse_for},
               {"if", N_IF, parse_if},
               {"set", N_SET, parse_set},
               {"macro", N_MACRO, parse_macro},
               {"break", N_BREAK, NULL},
               {"continue", N_CONTINUE, NULL},
               {"with", N_WITH, parse_with},
               {"filter", N_FILTER, parse_filter_block},
               {"call", N_CALL, parse_call_block},
               {"raw", N_DATA, parse_raw},
               {"generation", N_WITH, parse_generation}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (!nb_jinja_lex_is_word(p, known[i].name)) continue;
    NB_TRY(nb_jinja_new_node(p, known[i].kind, out));
    NB_TRY(nb_jinja_lex_next(p));
    return known[i].parse ? known[i].parse(p, *out) : nb_jinja_lex_end_tag(p, true);
  }
  return nb_jinja_lex_fail(p, "this statement is not supported:");
}

/* Statements up to a tag whose first word is one of `until` (which becomes the current token), or to the end
 * of the template without `until`. */
static nb_status parse_body(parser *p, const char *const *until, node **out) {
  NB_TRY(nb_jinja_deeper(p));
  NB_TRY(nb_jinja_new_node(p, N_BODY, out));
  for (;;) {
    node *e;
    value text = nb_jinja_lex_data(p);
    if (text.n) {
      NB_TRY(nb_jinja_new_node(p, N_DATA, &e));
      e->v = text;
      NB_TRY(nb_jinja_add_child(p, *out, e));
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
      NB_TRY(nb_jinja_new_node(p, N_OUTPUT, &e));
      NB_TRY(nb_jinja_parse_tuple(p, false, &e->a));
      NB_TRY(nb_jinja_lex_end_tag(p, false));
    } else {
      for (size_t i = 0; until && until[i]; i++)
        if (nb_jinja_lex_is_word(p, until[i])) return p->j->depth--, NB_OK;
      NB_TRY(parse_statement(p, &e));
    }
    NB_TRY(nb_jinja_add_child(p, *out, e));
  }
  p->kind = T_EOF;
  p->j->depth--;
  return until ? nb_jinja_fail(p->j, p->line, "the template ends before {%% %s %%}", until[0]) : NB_OK;
}

nb_status nb_jinja_parse(jinja *j, node **out) {
  parser p = {.j = j, .line = 1, .line_start = true};
  return parse_body(&p, NULL, out);
}
