/* SPDX-License-Identifier: MIT */
/* Marks for written answers: a task's rules ("extract", "compare"; formats/TASKS.md) applied to what a model wrote. */
#ifndef NB_MARKER_H
#define NB_MARKER_H

#include "eval/dataset.h"

enum { NB_MAX_MARKS = 8, NB_MAX_SAMPLES = 256 };

/* What a model wrote for a question, and what it is worth by each of the task's rules. */
typedef struct nb_written {
  size_t n;           /* samples */
  const char **text;  /* (n) */
  uint32_t *tokens;   /* (n) new tokens of each, an end token not counted */
  const char *prompt; /* what the model read; NULL: not kept */
  size_t n_marks;
  const char **found;          /* (n_marks) the answer that the rule found in it; "" for rules that find none */
  double value[NB_MAX_MARKS];  /* 0 to weight */
  double weight[NB_MAX_MARKS]; /* what the question counts: 1, but IFEval's instructions count one each */
  bool approximate;            /* see nb_ifeval_marks */
} nb_written;

typedef struct nb_marker nb_marker;

/* Reads a task's rules, those of single subjects included. nb_marker_free releases; the JSON must outlive it. */
nb_status nb_marker_create(const cJSON *task, const char *where, nb_marker **out, nb_err *err);
void nb_marker_free(nb_marker *m);

size_t nb_marker_count(const nb_marker *m);
const char *nb_marker_name(const nb_marker *m, size_t mark);

/* Fills found, value and weight from text; memory comes from the pool. Safe from several threads with several pools. */
nb_status nb_marker_mark(const nb_marker *m, const nb_item *item, nb_pool *pool, nb_written *w, nb_err *err);

#endif
