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
/* Moves over a comment. */
nb_status nb_jinja_lex_comment(parser *p);

static inline bool nb_jinja_lex_is_op(const parser *p, const char *op) {
  return p->kind == T_OP && !strcmp(p->v.u.s, op);
}
static inline bool nb_jinja_lex_is_word(const parser *p, const char *w) {
  return p->kind == T_NAME && !strcmp(p->v.u.s, w);
}

#endif
