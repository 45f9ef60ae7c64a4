/* SPDX-License-Identifier: MIT */
/* The template language of task descriptions (formats/TASKS.md): text with {{name}} or {{name|filter|filter}} in
 * it. A name is one of the scope's variables or a field path of the row (rowpath.h) that gives one value;
 * with a '?' behind it, nothing where the row has no such field or null. */
#ifndef NB_TEMPLATE_H
#define NB_TEMPLATE_H

#include "eval/rowpath.h"
#include "base/text.h"

typedef struct nb_variable {
  const char *name, *value; /* value NULL: not set in this place */
} nb_variable;

typedef struct nb_scope {
  const nb_variable *var; /* (n_vars) looked up first */
  size_t n_vars;
  const cJSON *row; /* then the fields of this object; may be NULL */
} nb_scope;

/* Appends the rendered template to out. `where` stands before messages ("task mmlu, question anatomy:3").
 * NB_ERR_ARG: broken template, unknown name or filter. */
nb_status nb_template_render(const char *tmpl, const nb_scope *scope, const char *where, nb_text *out, nb_err *err);

/* Checks braces, paths and filters without rendering. */
nb_status nb_template_check(const char *tmpl, const char *where, nb_err *err);

/* Replaces *text by its filtered form. Filters, joined with '|' ("strip|capitalize"):
 *   strip        without white space at both ends (what Python's str.strip removes)
 *   spaces       underscores become spaces
 *   capitalize   first character upper case, the rest lower case (Python's str.capitalize, one to one mappings)
 *   wikihow      the clean-up of HellaSwag: strip, " [title]" to ". ", [bracketed] parts removed, "  " to " "
 *   before:_     what stands before the first _ (any text without | } may follow the colon)
 *   after:_      what stands after it; a text without it is an error, for both
 *   remove:_     without any of it */
nb_status nb_template_filter(const char *filters, nb_text *text, const char *where, nb_err *err);

#endif
