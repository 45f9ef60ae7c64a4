/* SPDX-License-Identifier: MIT */
/* A run that ends as soon as its verdict against a baseline is certain: questions in random order, looked at in chunks
 * by tests that allow looking (sequential.h). Within a chunk the questions are answered in the data's order, so it is
 * looked at only when all of it is answered: half a chunk would be a sample of the first subjects. Without a limit on
 * the divergence the verdict is that of nb_compare over the same answers, to the last bit. */
#ifndef NB_STOPPING_H
#define NB_STOPPING_H

#include "eval/compare.h"
#include "eval/evaluate.h"
#include "eval/sequential.h"

enum { NB_STOPPING_MAX_CHUNKS = 8 };

typedef struct nb_stopping_opts {
  double margin, alpha; /* the drop that is tested, and the error of a pass */
  double alpha_fail;    /* the error of a fail by it; 0: alpha */
  bool refuse_only;     /* there is no pass, only a fail */
  double max_kld;       /* the mean divergence of the answers above which it is a fail, too, shown with error */
  double alpha_kld;     /* this; 0: it is not tested */
  size_t chunk[NB_STOPPING_MAX_CHUNKS]; /* questions between two looks: the first, the second, ...; the last that is not
                                         * 0 holds from then on. All 0: 128 */
  uint64_t seed;                        /* of the order */
} nb_stopping_opts;

typedef struct nb_stopping {
  nb_stopping_opts o;
  nb_sequential test; /* of the drop */
  nb_excess excess;   /* of the divergence */
  nb_verdict verdict; /* by all that was looked at */
  size_t looked;      /* the first so many questions of the order have been looked at, */
  size_t looks;       /* in so many looks */
  size_t from;        /* where in the order the run at hand begins: the answers' indices count from there */
  size_t pause;       /* the run at hand ends when so many of the order have been looked at, certain or not; 0: never */
  const nb_result *base;
  const nb_evaluation *e;
  nb_row *row;       /* (e->n) the answers that came, in the order */
  double *diff, *kl; /* (n_diff of e->n) of the questions looked at that the baseline has; diff is sorted */
  size_t n_diff;
} nb_stopping;

/* Puts e's questions into a random order drawn from the seed (within a chunk they keep the data's order, so that
 * subjects stand together). base and e must outlive *out; nb_stopping_free releases. */
nb_status nb_stopping_begin(nb_evaluation *e, const nb_result *base, const nb_stopping_opts *o, nb_stopping *out,
                            nb_err *err);
void nb_stopping_free(nb_stopping *s);

/* For nb_evaluation_run.answered. Errors: a question that is not the baseline's. */
nb_status nb_stopping_answered(nb_stopping *s, size_t index, const nb_item *item, const nb_answer *a, nb_err *err);

/* For nb_evaluation_run.enough: after how many questions of the run at hand the verdict was certain, or the pause came;
 * 0: not yet. */
size_t nb_stopping_enough(const nb_stopping *s);

#endif
