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
  JINJA_MAX_WORK = 20000000,   /* units: a node evaluated, an element looked at, 16 bytes looked at or allocated */
  JINJA_MAX_ARENA = 256 << 20, /* bytes */
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
  V_TUPLE,
  V_RANGE,     /* a list that was range() */
  V_VIEW,      /* what keys(), values() and items() of a dict give */
  V_GENERATOR, /* what map, select and others give: it can be walked through once, and not printed */
  V_DICT,
  V_NAMESPACE, /* a dict that assignments may change */
  V_MACRO,
  V_FUNCTION,
  V_METHOD, /* of an object, not called yet */
  V_LOOP,
  V_CYCLER,
  V_JOINER,
  V_TYPES
} value_type;

typedef struct value value;
typedef struct node node;
typedef struct frame frame;
typedef struct loop loop;

typedef struct list {
  value *v;
  size_t n, cap;
} list;

typedef struct dict { /* in order of insertion */
  value *key, *val;
  size_t n, cap;
} dict;

typedef struct macro { /* with the scope where it stands */
  const node *node;
  frame *scope;
} macro;

typedef struct method method;

struct value {
  value_type type;
  size_t n; /* of a string: its bytes; of a view: which one ('k', 'v' or 'i'); of a tuple: 1 when groupby made it */
  union {
    int64_t i; /* also of a bool */
    double f;
    const char *s; /* of a string; of an undefined: its name, or NULL; of a function: its name */
    list *list;    /* also of a cycler, whose place is n, and of a joiner, whose n tells whether it was called */
    dict *dict;
    const macro *macro;
    const method *method;
    loop *loop;
  } u;
  bool safe; /* a string that the filter `safe` made: Jinja would escape what is joined to it */
};

struct method {
  value self;
  const char *name;
};

struct loop { /* the variable `loop` */
  const node *node;
  frame *outer;
  list items;
  size_t i, depth;
  bool any_changed;
  value changed; /* what loop.changed saw last, a list */
};

typedef enum node_kind {
  /* statements */
  N_DATA,   /* v */
  N_OUTPUT, /* a */
  N_IF,     /* a condition, b body, c else */
  N_FOR,    /* list[0]: the target; a iterable, b body, c else, d filter; op 1: recursive */
  N_SET,    /* list[0]: the target; a value; or b body, a what filters make of E_PIPED, or NULL */
  N_WITH,   /* list: targets, each with its value in a E_KW; b body */
  N_FILTER, /* a what filters make of E_PIPED, b body */
  N_MACRO,  /* name; list: E_KW parameters, a default or NULL; b body; op: USES_* */
  N_CALL,   /* as N_MACRO, for the caller; a the call */
  N_BODY,   /* list */
  N_BREAK,
  N_CONTINUE,
  /* expressions */
  E_CONST,  /* v */
  E_PIPED,  /* v, set just before */
  E_NAME,   /* name */
  E_ATTR,   /* a . name */
  E_ITEM,   /* a [ b ] */
  E_SLICE,  /* a [ b : c : d ], each may be NULL */
  E_CALL,   /* a ( list ) */
  E_FILTER, /* a | name ( list ) */
  E_TEST,   /* a is name ( list ); op 1: negated */
  E_LIST,   /* list */
  E_TUPLE,  /* list; as a target: its parts */
  E_DICT,   /* list: keys and values in turn */
  E_IF,     /* b if a else c */
  E_AND,
  E_OR,
  E_NOT,
  E_NEGATE,
  E_PLUS,
  E_BINARY,  /* a op b; op: + - * / % ~, 'f' for //, 'p' for ** */
  E_COMPARE, /* a, then list of E_KW with op and a: = ! < > l (<=) g (>=) i (in) n (not in) */
  E_KW,      /* name = a, an argument */
  E_STAR,    /* * a, arguments; op 2: ** a */
} node_kind;

enum { USES_CALLER = 1, USES_VARARGS = 2, USES_KWARGS = 4 }; /* names that a macro's body holds */

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

struct frame { /* a scope of variables */
  struct frame *parent;
  dict vars;
};

typedef struct jinja {
  nb_err *err;
  void *blocks; /* of the arena */
  size_t block_used, block_size, arena_total;
  size_t work, max_work;
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
nb_status nb_jinja_work(jinja *j, size_t units); /* fails when that makes too many */

static inline value nb_jinja_int(int64_t i) { return (value){V_INT, 0, {.i = i}, false}; }
static inline value nb_jinja_bool(bool b) { return (value){V_BOOL, 0, {.i = b}, false}; }
static inline value nb_jinja_none(void) { return (value){V_NONE, 0, {.i = 0}, false}; }
static inline value nb_jinja_undefined(const char *name) { return (value){V_UNDEFINED, 0, {.s = name}, false}; }
static inline value nb_jinja_string(const char *s, size_t n) { return (value){V_STRING, n, {.s = s}, false}; }
static inline value nb_jinja_cstring(const char *s) { return nb_jinja_string(s, strlen(s)); }

static inline bool nb_jinja_is_list(value v) { return v.type >= V_LIST && v.type <= V_GENERATOR; } /* has u.list */
static inline bool nb_jinja_is_int(value v) { return v.type == V_BOOL || v.type == V_INT; }
static inline bool nb_jinja_is_number(value v) { return nb_jinja_is_int(v) || v.type == V_FLOAT; }
static inline double nb_jinja_double(value v) { return v.type == V_FLOAT ? v.u.f : (double)v.u.i; }

nb_status nb_jinja_new_list(jinja *j, value_type type, value *out); /* V_LIST to V_GENERATOR */
nb_status nb_jinja_dict(jinja *j, value_type type, value *out);
nb_status nb_jinja_list_push(jinja *j, list *l, value v);
nb_status nb_jinja_dict_set(jinja *j, dict *d, value key, value v);
nb_status nb_jinja_dict_get(jinja *j, const dict *d, value key, const value **out); /* NULL: not there */
nb_status nb_jinja_copy(jinja *j, const char *s, size_t n, value *out);             /* a string in the arena */
nb_status nb_jinja_take(jinja *j, nb_text *t, value *out);                          /* the same, and frees t */

bool nb_jinja_true(value v);
nb_status nb_jinja_equal(jinja *j, value a, value b, bool *out);
/* < 0, 0, > 0 for values that Python can order, else an error. */
nb_status nb_jinja_order(jinja *j, unsigned line, value a, value b, int *out);
nb_status nb_jinja_contains(jinja *j, unsigned line, value item, value in, bool *out);
const char *nb_jinja_type_name(value v);
/* The elements of anything that can be iterated, as a list; a generator is empty afterwards. */
nb_status nb_jinja_iterate(jinja *j, unsigned line, value v, list *out);
size_t nb_jinja_length(value v, bool *has);
nb_status nb_jinja_undefined_fails(jinja *j, unsigned line, value v); /* an error when v is undefined */
/* v[key] (by_dot: v.key); undefined when there is no such thing. */
nb_status nb_jinja_attribute(jinja *j, unsigned line, value v, value key, bool by_dot, value *out);

/* ---- jinja_print.c ---- */
/* Appends str(v), or repr(v). */
nb_status nb_jinja_print(jinja *j, value v, bool repr, nb_text *out);
nb_status nb_jinja_to_string(jinja *j, value v, value *out); /* str(v) as a value */
typedef struct json_form {
  int indent; /* < 0: on one line */
  const char *comma, *colon;
  bool ascii, sort;
} json_form;
nb_status nb_jinja_json(jinja *j, value v, const json_form *f, int level, nb_text *out);
/* text % arguments (a tuple, a dict or one value), as Python formats. */
nb_status nb_jinja_format(jinja *j, unsigned line, value text, value arguments, value *out);
/* text.format(...) */
typedef struct arguments arguments;
nb_status nb_jinja_format_braces(jinja *j, unsigned line, value text, const arguments *a, value *out);

/* ---- jinja_parse.c, jinja_expr.c ---- */
nb_status nb_jinja_parse(jinja *j, node **out);

/* ---- arguments ---- */
struct arguments {
  value *v; /* the positional ones */
  size_t n;
  const char *const *key; /* names of the n_key others, whose values follow the n */
  size_t n_key;
};
/* Sorts arguments to the names in `spec`, divided by blanks; a name that begins with a dot cannot be used as one. The
 * first `least` have to be there; out[i] is left alone where the i-th is not given. jinja_value.c */
nb_status nb_jinja_bind(jinja *j, unsigned line, const char *who, const arguments *a, const char *spec, size_t least,
                        value *out);

/* jinja_string.c: methods of strings; *known is false for others. */
nb_status nb_jinja_string_method(jinja *j, unsigned line, value s, const char *name, const arguments *a, bool *known,
                                 value *out);
bool nb_jinja_has_string_method(const char *name);
value nb_jinja_strip(value s, value set, bool left, bool right);
nb_status nb_jinja_replace(jinja *j, unsigned line, value s, value from, value to, value most, value *out);
const char *nb_jinja_find(const char *s, size_t n, const char *w, size_t n_w); /* the first place, or NULL */
/* how: 'u' upper, 'l' lower, 't' title, 'c' capitalize, 's' swapcase. */
nb_status nb_jinja_change_case(jinja *j, value s, char how, value *out);

/* jinja_call.c: methods of everything; functions. */
nb_status nb_jinja_method(jinja *j, unsigned line, value self, const char *name, const arguments *a, value *out);
nb_status nb_jinja_function(jinja *j, unsigned line, const char *name, const arguments *a, value *out);
bool nb_jinja_has_method(value v, const char *name);

/* jinja_filter.c, jinja_filter_list.c, jinja_test.c */
nb_status nb_jinja_filter(jinja *j, unsigned line, value v, const char *name, const arguments *a, value *out);
nb_status nb_jinja_list_filter(jinja *j, unsigned line, value v, const char *name, const arguments *a, bool *known,
                               value *out);
nb_status nb_jinja_test(jinja *j, unsigned line, value v, const char *name, const arguments *a, bool *out);

/* ---- jinja_eval.c ---- */
nb_status nb_jinja_run(jinja *j, const node *body);

/* ---- jinja_operator.c; op as in E_BINARY and E_COMPARE ---- */
nb_status nb_jinja_compare(jinja *j, unsigned line, char op, value a, value b, bool *out);
nb_status nb_jinja_binary(jinja *j, unsigned line, char op, value a, value b, value *out);

#endif
