/* SPDX-License-Identifier: MIT */
/* A candidate's run against a baseline's, question by question. */
#ifndef NB_COMPARE_H
#define NB_COMPARE_H

#include "eval/plan.h"
#include "eval/result.h"
#include "eval/stats.h"

typedef struct nb_compare_opts {
  double alpha;    /* error of a claim, one-sided: 0.05 */
  double margin;   /* the drop in accuracy that would still be accepted: 0.01 is one point */
  bool common;     /* compare the questions that both have, when the runs asked different ones */
  bool any_model;  /* do not ask that both come from one checkpoint */
  bool sequential; /* judge the margin by the test that a sequential run used, though it did not stop */
  size_t reps;     /* bootstrap resamples; 0: 10000 */
  uint64_t seed;
} nb_compare_opts;

/* One question in both runs. */
typedef struct nb_pair {
  const nb_row *base, *cand;
  nb_grade base_grade, cand_grade;
  double base_score, cand_score; /* the task's metric */
  double kl, tv;                 /* of the choices' distributions: KL(base || cand) in nats, total variation */
  uint32_t subject;              /* index of its subject */
} nb_pair;

typedef struct nb_subject_change {
  const char *name, *category;
  size_t n, gained, lost;
  double base, cand;  /* mean score */
  double kl;          /* mean */
  double p, holm, bh; /* exact McNemar; adjusted for the number of subjects */
} nb_subject_change;

typedef struct nb_comparison {
  const nb_result *base, *cand;
  nb_pair *pair; /* (n) in the baseline's order */
  size_t n, n_base_only, n_cand_only;
  double paired;       /* share of the runs' questions that both have; without what a stopped run left unasked */
  size_t gained, lost; /* wrong then right; right then wrong (by the metric; for mass: by the pick) */
  size_t same_pick;
  double base_score, cand_score, diff; /* means, and candidate minus baseline */
  double mcnemar_p;
  double low, high;       /* Tango's interval for diff at 1 - 2 alpha; the bootstrap's for metric mass */
  nb_bootstrap clustered; /* of diff, whole subjects drawn; at 1 - 2 alpha */
  nb_bootstrap kl;        /* mean KL, questions drawn; at 1 - 2 alpha */
  double kl_median, kl_p90, kl_p99, kl_max, tv_mean;
  nb_noninferiority test;
  nb_subject_change *subject; /* (n_subjects) */
  size_t n_subjects;
  bool same_checkpoint; /* known to come from one */
  bool sequential;      /* test is the sequential one: asked for, or a run stopped when it was certain */
} nb_comparison;

/* Compares two runs, which must outlive the comparison. NB_ERR_ARG with the reason when they are not comparable: other
 * task, protocol, data, prompts or checkpoint, or no question in common. nb_comparison_free releases. */
nb_status nb_compare(const nb_result *base, const nb_result *cand, const nb_compare_opts *o, nb_comparison *out,
                     nb_err *err);
/* What is known before the candidate's run over the plan's items: *paired, the share of questions in both as
 * nb_comparison.paired counts it; NB_ERR_ARG: one whose prompt, subject or answer is another than the baseline's. */
nb_status nb_compare_ahead(const nb_result *base, const nb_item *const *items, const nb_plan *plan, double *paired,
                           nb_err *err);
/* The part of that which is known before the candidate's run: task, preset, split, shots, scoring. */
nb_status nb_compare_protocols(const nb_protocol *base, const nb_protocol *cand, nb_err *err);
void nb_comparison_free(nb_comparison *c);

#endif
