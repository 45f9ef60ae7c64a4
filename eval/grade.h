/* SPDX-License-Identifier: MIT */
/* From log-probs to right and wrong, for one question and for many. */
#ifndef NB_GRADE_H
#define NB_GRADE_H

#include "eval/marker.h"
#include "eval/runner.h"

/* One question. acc, acc_norm and acc_bytes are 0 or 1. */
typedef struct nb_grade {
  size_t pick;                     /* the choice with the largest log-prob; the first of equals */
  double acc, acc_norm, acc_bytes; /* see nb_metric */
  double mass;                     /* probability of the right choices, after softmax over the choices */
  double brier;                    /* sum over the choices of (probability - right)^2, right shared evenly */
  double confidence;               /* probability of the pick, after softmax over the choices */
  const nb_written *written;       /* of a written answer, whose other members are 0; NULL: choices were scored */
} nb_grade;

/* A question that was not run (NB_FIT_NOT) is wrong by every metric; its probabilities are even. */
void nb_grade_answer(const nb_item *item, const nb_answer *a, bool ties_wrong, nb_grade *out);

/* The metric's value: in 0 to 1. */
double nb_grade_value(const nb_grade *g, nb_metric m);

/* prob (n) = softmax of logprob. */
void nb_grade_choice_probs(const double *logprob, size_t n, double *prob);

/* Means over questions. Add grades, then read. */
enum { NB_CALIBRATION_BINS = 10 };
typedef struct nb_scores {
  size_t n;
  double acc, acc_norm, acc_bytes, mass, brier; /* sums; divide by n */
  struct {
    size_t n;
    double confidence, right;
  } bin[NB_CALIBRATION_BINS]; /* by confidence, equal widths: sums */
  size_t n_marks;             /* of written answers: sums of marks and of what they could be at most */
  double mark[NB_MAX_MARKS], weight[NB_MAX_MARKS];
} nb_scores;

/* What reports say about questions, in this order: the mean of the metric with Wilson's 95 % interval, the means of all
 * metrics and of the Brier score, and the calibration error. */
enum {
  NB_MEAN_SCORE,
  NB_MEAN_LOW,
  NB_MEAN_HIGH,
  NB_MEAN_ACC,
  NB_MEAN_ACC_NORM,
  NB_MEAN_ACC_BYTES,
  NB_MEAN_MASS,
  NB_MEAN_BRIER,
  NB_MEAN_ECE,
  NB_MEANS
};
extern const char *const nb_mean_names[NB_MEANS]; /* "score", "low", "high", "acc", ... */
void nb_scores_means(const nb_scores *s, nb_metric m, double out[NB_MEANS]);

void nb_scores_add(nb_scores *s, const nb_grade *g);
double nb_scores_sum(const nb_scores *s, nb_metric m);
/* Expected calibration error: mean over questions of |confidence - accuracy| of their bins (Guo et al. 2017). */
double nb_scores_ece(const nb_scores *s);

#endif
