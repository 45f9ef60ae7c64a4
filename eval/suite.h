/* SPDX-License-Identifier: MIT */
/* Suites: several tasks that are run one after another and shown in one table beside what others have published. JSON,
 * documented in formats/TASKS.md; the built-in ones are data/suites/ *.json, and what is published is
 * data/published.json, both compiled in. */
#ifndef NB_SUITE_H
#define NB_SUITE_H

#include "base/text.h"
#include "eval/task.h"

/* A row of a suite. Strings belong to the suite's JSON. */
typedef struct nb_suite_row {
  const char *name;      /* in the table, and in what is published */
  char id[64];           /* the name in small letters, for files; no two rows have the same */
  const char *task;      /* NULL: the row cannot be run, and */
  const char *needs;     /* says what that would take */
  const char *preset;    /* NULL: the task's */
  const char *split;     /* NULL: the task's */
  int shots;             /* -1: the task's */
  const cJSON *with;     /* keys over the task's, as in a preset; NULL: none */
  const cJSON *data;     /* names of folders or files; the first that is there has the questions */
  const cJSON *examples; /* splits, of which the first that is there has the examples; NULL: the task's */
} nb_suite_row;

typedef struct nb_suite {
  cJSON *json, *published_json;
  const char *name, *about, *source;
  const cJSON *published; /* of published.json: source, models, rows; NULL: none */
  nb_suite_row *row;      /* (n) */
  size_t n;
} nb_suite;

/* A built-in suite, or the file at that path when `name` holds a '/' or ends in ".json". Unknown keys are refused by
 * name. nb_suite_free releases. */
nb_status nb_suite_open(const char *name, nb_suite *out, nb_err *err);
nb_status nb_suite_parse(const char *json, size_t n, const char *file, nb_suite *out, nb_err *err);
void nb_suite_free(nb_suite *s);

/* The path of the row's questions in the folder dir: the first of the row's names that is there, in dir or in one of
 * its folders. *out stays empty when none is. */
nb_status nb_suite_find_data(const nb_suite_row *row, const char *dir, nb_text *out, nb_err *err);

/* How many models are published, a model's name, and what it is published to score in a row: percent, NAN when it is
 * not. *shots: the examples it was published with; may be NULL. */
size_t nb_suite_n_published(const nb_suite *s);
const char *nb_suite_published_model(const nb_suite *s, size_t model);
double nb_suite_published(const nb_suite *s, const nb_suite_row *row, size_t model, size_t *shots);
/* Whether that number stands on none of the pages that were looked at ("checked" in data/published.json). */
bool nb_suite_unconfirmed(const nb_suite *s, const nb_suite_row *row, size_t model);

/* data/suites and data/published.json, made into C by the Makefile (task_builtin.c). */
extern const nb_builtin nb_builtin_suites[];
extern const size_t nb_n_builtin_suites;
extern const nb_builtin nb_builtin_published;

#endif
