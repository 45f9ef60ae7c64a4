/* SPDX-License-Identifier: MIT */
/* The table of a suite: what each row scored, with its interval, beside what others have published. What is published
 * decides nothing: it was measured with other prompts. */
#ifndef NB_SUITE_TABLE_H
#define NB_SUITE_TABLE_H

#include "eval/gate.h"
#include "eval/suite.h"

typedef struct nb_suite_line {
  const nb_suite_row *row;
  const nb_result *result;    /* NULL: it was not run, and */
  char why[NB_GATE_TEXT];     /* says why */
  const nb_judgement *judged; /* NULL: nothing was asked of it */
} nb_suite_line;

typedef struct nb_suite_table {
  const nb_suite *suite;
  const nb_model_facts *model;
  const nb_suite_line *line; /* (n) in the suite's order */
  size_t n;
} nb_suite_table;

/* A row's numbers: percent, and the text of its examples: "5", "5 (val)". */
typedef struct nb_suite_cell {
  size_t questions;
  double score, low, high;
  char shots[32];
} nb_suite_cell;
void nb_suite_line_cell(const nb_suite_line *l, nb_suite_cell *out);

/* Rows that were run, and the mean of their scores; of a published model over those rows: NAN when one is not
 * published. */
size_t nb_suite_table_mean(const nb_suite_table *t, double *mean);
double nb_suite_table_published_mean(const nb_suite_table *t, size_t model);

/* Each appends to out. The JSON holds the suite's description, so that it can be read back (nibble merge). */
nb_status nb_suite_table_markdown(const nb_suite_table *t, nb_text *out, nb_err *err);
nb_status nb_suite_table_json(const nb_suite_table *t, nb_text *out, nb_err *err);
nb_status nb_suite_table_html(const nb_suite_table *t, nb_text *out, nb_err *err);

/* What is said below the columns of what is published: the one sentence of every form of the table. */
#define NB_SUITE_PUBLISHED_NOTE                                                                                        \
  "The columns of other models are published numbers, measured with other prompts: no verdict. A ? marks numbers "     \
  "that "                                                                                                              \
  "could not be found on a page of their makers (data/published.json)."

#endif
