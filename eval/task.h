/* SPDX-License-Identifier: MIT */
/* Task descriptions: where a data set's questions are, how a prompt is built from them, and how the answer is
 * scored. JSON, documented in formats/TASKS.md; the built-in ones are data/tasks/ *.json, compiled in. */
#ifndef NB_TASK_H
#define NB_TASK_H

#include "base/status.h"

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum nb_score_by {
  NB_SCORE_LETTER,       /* the letters of the choices are continuations of one prompt */
  NB_SCORE_CONTINUATION, /* so are the choices' texts */
  NB_SCORE_PARTIAL,      /* each choice has its own prompt, all with one continuation (WinoGrande) */
  NB_SCORE_GENERATE      /* the model writes a text, and rules mark it (marker.h) */
} nb_score_by;

/* What makes a question right; every run reports all that apply, the task names the one that counts. */
typedef enum nb_metric {
  NB_METRIC_ACC,       /* the largest log-prob */
  NB_METRIC_ACC_NORM,  /* the largest log-prob a character (code point) of the choice's text */
  NB_METRIC_ACC_BYTES, /* the same a byte */
  NB_METRIC_MASS,      /* share of the probability that the right choices have (TruthfulQA MC2) */
  NB_METRIC_MARK       /* what the first rule gives a written answer */
} nb_metric;
const char *nb_metric_name(nb_metric m); /* "acc", "acc_norm", "acc_bytes", "mass", "mark" */

/* What files call the values of nb_score_by, of nb_metric, and of ties_wrong; each list ends with NULL. */
extern const char *const nb_score_words[], *const nb_metric_words[], *const nb_tie_words[];

typedef enum nb_shots_select {
  NB_SHOTS_SUBJECT, /* the first rows of the question's own subject */
  NB_SHOTS_SPREAD,  /* the first row of each of so many subjects, evenly spread: one prompt head for all */
  NB_SHOTS_FIRST,   /* the first rows of the split, whatever their subject: likewise */
  NB_SHOTS_RANDOM   /* drawn for every question as Python's random.Random(1234).sample draws them, one after another:
                     * what lm-evaluation-harness does unless a task says otherwise */
} nb_shots_select;

enum { NB_MAX_CHOICES = 26, NB_MAX_SHOTS = 64 };

/* Strings belong to `json`. A pointer to cJSON stands where the description may give one path or a list. */
typedef struct nb_task {
  cJSON *json;               /* the description, the preset merged in */
  const char *name, *preset; /* preset "": the task has none */
  const char *about;

  /* data */
  const char *rows;     /* the member of a JSON file that lists its rows; NULL: the file is the list */
  const cJSON *splits;  /* object: split -> patterns of file names, see dataset.h */
  const cJSON *columns; /* array of names for CSV files without a header; NULL: they need one */
  const cJSON *subject, *id, *question, *choices, *labels, *correct, *answer; /* paths; NULL: not given */
  const cJSON *where;       /* object: path -> the text or list of texts that a row must have there; NULL: all rows */
  const cJSON *targets;     /* for written answers: the right ones, any of which counts */
  const char *answers_file; /* suffix of a file with an answer a line beside each data file; NULL: none */
  size_t answer_base;       /* the number of the first choice in answers that are numbers */
  const char *split;        /* evaluated by default */

  /* prompt */
  size_t shots;
  const char *shots_from; /* a split; NULL when shots is 0 by default and none is named */
  nb_shots_select shots_select;
  bool drop_shots;       /* a prompt too long for the model loses examples, as the original MMLU script does it */
  const cJSON *examples; /* array of rows that examples come from instead of a split; NULL: none */
  const char *header, *prompt, *option, *target, *delimiter, *separator; /* templates; target may be NULL */
  const char *prompt_filter, *choice_filter;                             /* NULL: none */

  /* score */
  nb_score_by score;
  nb_metric metric;
  bool ties_wrong; /* a right answer that ties with another is wrong; otherwise the first of them counts */

  /* written answers */
  const char *const *stop; /* (n_stop) a text ends before the first of these */
  size_t n_stop, max_tokens, samples;
  double temperature, top_p;
  struct nb_marker *marker; /* NULL for other scores */
  const cJSON *by_subject;  /* object: subject -> header, prompt, examples, extract of its own; NULL: none */

  const cJSON *categories; /* object: category -> array of subjects; NULL: none */
} nb_task;

/* Reads a description. preset: NULL for the description's own default. Unknown keys, presets and values are refused
 * by name. The caller frees with nb_task_free. */
nb_status nb_task_parse(const char *json, size_t n, const char *file, const char *preset, nb_task *out, nb_err *err);

/* A built-in task, or the file at that path when `name` holds a '/' or ends in ".json". */
nb_status nb_task_open(const char *name, const char *preset, nb_task *out, nb_err *err);
/* The same with the keys of `with` over it, as those of a preset are; name stands for the preset's in runs. with NULL:
 * nb_task_open. */
nb_status nb_task_open_with(const char *task, const char *preset, const cJSON *with, const char *name, nb_task *out,
                            nb_err *err);
void nb_task_free(nb_task *t);

/* The value that `key` (header, prompt) has for a subject: its own, else the task's. */
const char *nb_task_text(const nb_task *t, const char *subject, const char *key, const char *whole);

/* The category of a subject, "" when it has none. */
const char *nb_task_category(const nb_task *t, const char *subject);

/* The built-in descriptions (task_builtin.c is made from data/tasks by the Makefile). */
typedef struct nb_builtin {
  const char *name;
  const unsigned char *json;
  size_t n;
} nb_builtin;
extern const nb_builtin nb_builtin_tasks[];
extern const size_t nb_n_builtin_tasks;

#endif
