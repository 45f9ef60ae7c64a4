/* SPDX-License-Identifier: MIT */
/* A run that ends as soon as its verdict against a baseline is certain: questions in random order, looked at in chunks
 * by a test that allows looking (sequential.h). Within a chunk the questions are answered in the data's order, so it is
 * looked at only when all of it is answered: half a chunk would be a sample of the first subjects. The verdict is that
 * of nb_compare over the same answers, to the last bit. */
#ifndef NB_STOPPING_H
#define NB_STOPPING_H

#include "eval/compare.h"
#include "eval/evaluate.h"
#include "eval/sequential.h"

typedef struct nb_stopping {
  nb_sequential test;
  size_t looked; /* the first so many questions of the run's order have been looked at */
  const nb_result *base;
  const nb_evaluation *e;
  nb_row *row;  /* (e->n) the answers that came, in the run's order */
  double *diff; /* (n_diff of e->n) of the questions looked at that the baseline has; sorted */
  size_t n_diff;
} nb_stopping;

/* Puts e's questions into a random order drawn from seed (within a chunk they keep the data's order, so that subjects
 * stand together). base and e must outlive *out; nb_stopping_free releases. */
nb_status nb_stopping_begin(nb_evaluation *e, const nb_result *base, double margin, double alpha, uint64_t seed,
                            nb_stopping *out, nb_err *err);
void nb_stopping_free(nb_stopping *s);

/* For nb_evaluation_run.answered. Errors: a question that is not the baseline's. */
nb_status nb_stopping_answered(nb_stopping *s, size_t index, const nb_item *item, const nb_answer *a, nb_err *err);

/* For nb_evaluation_run.enough: after how many questions the verdict was certain; 0: not yet. */
size_t nb_stopping_enough(const nb_stopping *s);

#endif
