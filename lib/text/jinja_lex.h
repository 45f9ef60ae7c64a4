/* SPDX-License-Identifier: MIT */
/* The tokens of a chat template, for jinja_parse.c. Whitespace control is Jinja's with trim_blocks and
 * lstrip_blocks on, as transformers sets them: the newline behind a block goes, and so does the indentation
 * in front of it. */
#ifndef NB_JINJA_LEX_H
#define NB_JINJA_LEX_H

#include "text/jinja.h"

typedef enum token_kind { T_END, T_EOF, T_NAME, T_INT, T_FLOAT, T_STRING, T_OP } token_kind;

typedef struct parser {
  jinja *j;
  size_t pos; /* in the source; behind the current token while inside a tag */
  unsigned line;
  bool line_start; /* the last tag ended with a newline, or there was none yet */
  unsigned nest;   /* open brackets inside the tag */
  token_kind kind; /* the current token */
  value v;         /* its text (names and operators), or its value */
  size_t start;    /* where it starts */
  char uses;       /* USES_* seen since the macro began */
} parser;

/* Fails with `what` and the place of the current token. */
nb_status nb_jinja_lex_fail(parser *p, const char *what);
/* Reads the next token of a tag. */
nb_status nb_jinja_lex_next(parser *p);
/* Moves over the operator `op` if it is the current token, or fails if it is not. */
nb_status nb_jinja_lex_accept(parser *p, const char *op, bool *yes);
nb_status nb_jinja_lex_expect(parser *p, const char *op);
/* Leaves the tag, which must end here, and applies its right-hand whitespace control. */
nb_status nb_jinja_lex_end_tag(parser *p, bool block);
/* The text up to the next tag, without what whitespace control takes from its end. */
value nb_jinja_lex_data(parser *p);
/* The text from start up to the tag at `at`, without what the tag's whitespace control takes from its end. */
value nb_jinja_lex_before(parser *p, size_t start, size_t at);
/* Behind `raw` in a tag: moves over {% endraw %}, *out is what stands between. */
nb_status nb_jinja_lex_raw(parser *p, value *out);
/* Moves over a comment. */
nb_status nb_jinja_lex_comment(parser *p);

/* ---- jinja_expr.c, for jinja_parse.c ---- */
nb_status nb_jinja_new_node(parser *p, node_kind kind, node **out);
nb_status nb_jinja_add_child(parser *p, node *e, node *child);
nb_status nb_jinja_deeper(parser *p); /* one level down; fails when that is too deep */
/* An expression; without_if: without `x if y`, which begins a loop's condition. */
nb_status nb_jinja_parse_expr(parser *p, bool without_if, node **out);
/* The same, or several with commas between, which are a tuple. */
nb_status nb_jinja_parse_tuple(parser *p, bool without_if, node **out);
/* Arguments or parameters up to a closing bracket, into e->list; `x=...` becomes E_KW, and with stars * and ** E_STAR.
 */
nb_status nb_jinja_parse_arguments(parser *p, bool stars, node *e);
/* Filters behind `a`: the name of the first stands behind `|` or, with `bare`, is the current token. */
nb_status nb_jinja_parse_filters(parser *p, bool bare, node *a, node **out);
/* What can be assigned to: a name, name.attribute (with_attribute), several of them in brackets or with commas. */
nb_status nb_jinja_parse_target(parser *p, bool with_attribute, bool commas, node **out);

static inline bool nb_jinja_lex_is_op(const parser *p, const char *op) {
  return p->kind == T_OP && !strcmp(p->v.u.s, op);
}
static inline bool nb_jinja_lex_is_word(const parser *p, const char *w) {
  return p->kind == T_NAME && !strcmp(p->v.u.s, w);
}

#endif
