/* SPDX-License-Identifier: MIT */
/* The inside of the chat template interpreter, shared by jinja_*.c and chat_template.c only: the subset of
 * Jinja (jinja.palletsprojects.com) that models' templates use, with its semantics. Everything that one
 * rendering allocates lives in one arena; its size, the number of steps, the depth and the output are
 * bounded, because a template comes with a model and may be hostile. */
#ifndef NB_JINJA_H
#define NB_JINJA_H

#include "base/text.h"

enum {
  JINJA_MAX_DEPTH = 100,       /* of nested expressions, blocks and macro calls */
  JINJA_MAX_STEPS = 5000000,   /* nodes evaluated */
  JINJA_MAX_ARENA = 512 << 20, /* bytes */
  JINJA_MAX_OUTPUT = 64 << 20, /* bytes */
  JINJA_MAX_RANGE = 100000     /* elements of range() */
};

typedef enum value_type {
  V_UNDEFINED,
  V_NONE,
  V_BOOL,
  V_INT,
  V_FLOAT,
  V_STRING,
  V_LIST,
  V_DICT,
  V_NAMESPACE, /* a dict that assignments may change */
  V_MACRO,
  V_FUNCTION
} value_type;

typedef struct value value;
typedef struct node node;

typedef struct list {
  value *v;
  size_t n, cap;
} list;

typedef struct dict { /* in order of insertion */
  value *key, *val;
  size_t n, cap;
} dict;

struct value {
  value_type type;
  size_t n; /* of a string: its bytes */
  union {
    int64_t i; /* also of a bool */
    double f;
    const char *s; /* of a string; of an undefined: its name, or NULL; of a function: its name */
    list *list;
    dict *dict;
    const node *macro;
  } u;
};

typedef enum node_kind {
  /* statements */
  N_DATA,   /* v */
  N_OUTPUT, /* a */
  N_IF,     /* a condition, b body, c else */
  N_FOR,    /* list: targets; a iterable, b body, c else, d filter */
  N_SET,    /* list: targets (E_NAME or E_ATTR); a value, or b body */
  N_MACRO,  /* name; list: E_KW parameters, a default or NULL; b body */
  N_BODY,   /* list */
  N_BREAK,
  N_CONTINUE,
  /* expressions */
  E_CONST,  /* v */
  E_NAME,   /* name */
  E_ATTR,   /* a . name */
  E_ITEM,   /* a [ b ] */
  E_SLICE,  /* a [ b : c : d ], each may be NULL */
  E_CALL,   /* a ( list ) */
  E_FILTER, /* a | name ( list ) */
  E_TEST,   /* a is name ( list ); op 1: negated */
  E_LIST,   /* list */
  E_DICT,   /* list: keys and values in turn */
  E_IF,     /* b if a else c */
  E_AND,
  E_OR,
  E_NOT,
  E_NEGATE,
  E_BINARY,  /* a op b; op: + - * / % ~, 'f' for //, 'p' for ** */
  E_COMPARE, /* a, then list of E_KW with op and a: = ! < > l (<=) g (>=) i (in) n (not in) */
  E_KW       /* name = a, an argument */
} node_kind;

struct node {
  node_kind kind;
  char op;
  unsigned line; /* of the template, from 1 */
  node *a, *b, *c, *d;
  node **list;
  size_t n;
  const char *name; /* NUL-terminated */
  value v;
};

typedef struct frame { /* a scope of variables */
  struct frame *parent;
  dict vars;
} frame;

typedef struct jinja {
  nb_err *err;
  void *blocks; /* of the arena */
  size_t block_used, block_size, arena_total;
  size_t steps;
  unsigned depth;
  const char *src; /* NUL-terminated */
  size_t n_src;
  frame *scope, *globals;
  nb_text *out;
  int64_t now; /* seconds since 1970 for strftime_now, 0: not defined */
  int leave;   /* 1 break, 2 continue: the loop is being left */
} jinja;

/* ---- jinja_value.c ---- */
nb_status nb_jinja_alloc(jinja *j, size_t n, void *out); /* n zeroed bytes, *(void **)out */
void nb_jinja_free(jinja *j);
nb_status nb_jinja_fail(jinja *j, unsigned line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static inline value nb_jinja_int(int64_t i) { return (value){V_INT, 0, {.i = i}}; }
static inline value nb_jinja_bool(bool b) { return (value){V_BOOL, 0, {.i = b}}; }
static inline value nb_jinja_none(void) { return (value){V_NONE, 0, {.i = 0}}; }
static inline value nb_jinja_undefined(const char *name) { return (value){V_UNDEFINED, 0, {.s = name}}; }
static inline value nb_jinja_string(const char *s, size_t n) { return (value){V_STRING, n, {.s = s}}; }
static inline value nb_jinja_cstring(const char *s) { return nb_jinja_string(s, strlen(s)); }

nb_status nb_jinja_list(jinja *j, value *out);
nb_status nb_jinja_dict(jinja *j, value_type type, value *out);
nb_status nb_jinja_list_push(jinja *j, list *l, value v);
nb_status nb_jinja_dict_set(jinja *j, dict *d, value key, value v);
const value *nb_jinja_dict_get(const dict *d, value key);
nb_status nb_jinja_copy(jinja *j, const char *s, size_t n, value *out); /* a string in the arena */

bool nb_jinja_true(value v);
bool nb_jinja_equal(value a, value b);
const char *nb_jinja_type_name(value v);
bool nb_jinja_less(value a, value b, bool *ordered); /* *ordered: whether the two can be compared */
/* Appends str(v), or repr(v), or its JSON (indent < 0: on one line). */
nb_status nb_jinja_print(jinja *j, value v, bool repr, nb_text *out);
nb_status nb_jinja_json(jinja *j, value v, int indent, int level, nb_text *out);
nb_status nb_jinja_to_string(jinja *j, value v, value *out); /* str(v) as a value */
/* The elements of anything that can be iterated, as a list. */
nb_status nb_jinja_iterate(jinja *j, unsigned line, value v, list *out);
size_t nb_jinja_length(value v, bool *has);

/* ---- jinja_parse.c ---- */
nb_status nb_jinja_parse(jinja *j, node **out);

/* ---- jinja_call.c ---- */
typedef struct arguments {
  value *v; /* the positional ones */
  size_t n;
  const char *const *key; /* names of the n_key others, whose values follow the n */
  size_t n_key;
} arguments;
nb_status nb_jinja_method(jinja *j, const node *e, value self, const char *name, const arguments *a, value *out);
nb_status nb_jinja_filter(jinja *j, const node *e, value v, const char *name, const arguments *a, value *out);
nb_status nb_jinja_test(jinja *j, const node *e, value v, const char *name, const arguments *a, bool *out);
nb_status nb_jinja_function(jinja *j, const node *e, const char *name, const arguments *a, value *out);

/* ---- jinja_eval.c ---- */
nb_status nb_jinja_run(jinja *j, const node *body);
nb_status nb_jinja_attribute(jinja *j, const node *e, value v, value key, value *out);
nb_status nb_jinja_binary(jinja *j, unsigned line, char op, value a, value b, value *out);

#endif
