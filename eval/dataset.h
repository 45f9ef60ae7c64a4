/* SPDX-License-Identifier: MIT */
/* Data sets as uniform items, whatever their files look like.
 *
 * A task names patterns of file names for each split (pattern.h), tried in order; the first that any file matches is
 * taken, with all the files that match it, by name; what {subject} matches, is the subject of rows that name none. The
 * data are a directory (searched through), a .zip file, or one file, which then is the split that is evaluated,
 * whatever its name is. Rows.h says how names end.
 *
 * Every row that the task's "where" asks for becomes an item or an error that names file and line. */
#ifndef NB_DATASET_H
#define NB_DATASET_H

#include "eval/pool.h"
#include "eval/task.h"

/* Limits on what is read: questions of a set, values in the rows of a set (fields, elements), bytes of a field. */
enum { NB_MAX_QUESTIONS = 1000000, NB_MAX_ROW_VALUES = 1 << 25, NB_MAX_FIELD_BYTES = 1 << 20 };

typedef struct nb_item {
  const char *id;       /* unique in the set: the row's own, or SUBJECT:N, N counted from 0 in the subject */
  const char *subject;  /* "" when the set has no subjects */
  const char *question; /* "" when the task names no question field */
  const char **choice;  /* (n_choices) */
  bool *correct;        /* (n_choices); at least one is true; NULL where answers are written */
  size_t n_choices;     /* 2 to NB_MAX_CHOICES; may be 0 where answers are written */
  size_t answer;        /* the first correct one */
  const char **target;  /* (n_targets) right answers of a question whose answer is written; else none */
  size_t n_targets;
  bool left_out;    /* by the task's "where", until nb_dataset_finish */
  const cJSON *row; /* the row itself, for templates */
  size_t at;        /* the row's number, counted from 0 through all files */
} nb_item;

typedef struct nb_dataset {
  nb_item *item; /* (n) by subject, and in the order of the rows within it */
  size_t n;
  char split[32];
  nb_pool pool; /* texts */
  cJSON **row;  /* (n_rows) */
  size_t n_rows, cap_rows, cap_items;
  size_t n_values; /* in all rows */
} nb_dataset;

/* Reads one split of a task's data. Errors: NB_ERR_FORMAT naming file and line; NB_ERR_ARG: no file matches. */
nb_status nb_dataset_read(const nb_task *t, const char *path, const char *split, nb_dataset *out, nb_err *err);
void nb_dataset_free(nb_dataset *d);

/* Brings the rows of all files into their order, gives ids to those that have none, and drops those that the task's
 * "where" does not want: so that the same questions are
 * the same set, whether one file holds all subjects or each has its own. NB_ERR_FORMAT: an id comes twice; `path` is
 * for the message. */
nb_status nb_dataset_finish(nb_dataset *d, const char *path, nb_err *err);

/* One file of rows, and the answers file beside it. */
typedef struct nb_dataset_file {
  const char *name;    /* says what the bytes are, and stands in messages */
  const char *subject; /* from the file's name, or NULL */
  const char *bytes;   /* (n) */
  size_t n;
  const char *answers; /* (n_answers) or NULL */
  size_t n_answers;
} nb_dataset_file;

/* Adds the rows of one file. What nb_dataset_read does for each file, before nb_dataset_finish; for tests and for
 * fuzzing. */
nb_status nb_dataset_add(const nb_task *t, const nb_dataset_file *file, nb_dataset *d, nb_err *err);

#endif
