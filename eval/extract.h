/* SPDX-License-Identifier: MIT */
/* From what a model wrote to its answer: the chain of steps that a task's "extract" lists (formats/TASKS.md). */
#ifndef NB_EXTRACT_H
#define NB_EXTRACT_H

#include "base/text.h"

#include <cJSON.h>
#include <stdbool.h>

typedef enum nb_take { NB_TAKE_FIRST, NB_TAKE_LAST, NB_TAKE_MAJORITY } nb_take;

/* One way to find the answer. */
typedef struct nb_extract {
  const char *name;
  struct nb_step *step; /* (n) */
  size_t n;
  nb_take take; /* of several samples' answers */
  size_t of;    /* how many of the samples count; 0: all */
} nb_extract;

/* Reads a list of steps; where: before messages. nb_extract_free releases. */
nb_status nb_extract_parse(const char *name, const cJSON *steps, const char *where, nb_extract *out, nb_err *err);
void nb_extract_free(nb_extract *e);

/* Replaces *text by what the steps make of it. row: the question's, for steps that look at it; NULL is allowed where
 * none does. */
nb_status nb_extract_run(const nb_extract *e, const cJSON *row, nb_text *text, nb_err *err);

/* Which of n answers counts: the first of those that come most often, where the task asks for the majority. */
size_t nb_extract_choose(const nb_extract *e, const nb_text *answer, size_t n);

#endif
