/* SPDX-License-Identifier: MIT */
/* A gate from cheap to dear, in a fixed order:
 *
 *   divergence  how far the candidate's answers to a few hundred questions are from the baseline's. Damage shows in
 * tens. written     a task whose answers are written, where there is a baseline of it; at most NB_STAGE_WRITTEN
 * questions. accuracy    more of the first stage's questions, until a drop of the margin is ruled out or shown.
 *
 * All three are tests that may be looked at as often as one likes (sequential.h). A refusal by any of them ends the
 * gate; only the last one accepts. So the chance that a build within all limits is refused is at most the sum of what
 * the three may spend, which is alpha (NB_STAGE_SHARE), and the chance that a build whose accuracy fell by the margin
 * is accepted is at most alpha. */
#ifndef NB_STAGES_H
#define NB_STAGES_H

#include "eval/stopping.h"

enum { NB_STAGE_FIRST = 300, NB_STAGE_WRITTEN = 200 };

typedef enum nb_stage_kind { NB_STAGE_DIVERGENCE, NB_STAGE_TEXTS, NB_STAGE_ACCURACY, NB_STAGES } nb_stage_kind;
/* "divergence", "written", "accuracy", and the share of alpha that each may spend on refusing. */
extern const char *const nb_stage_names[NB_STAGES];
extern const double nb_stage_share[NB_STAGES];

typedef struct nb_stage_limits {
  double margin, alpha; /* of accuracy, and of the written task's mark: 0.01 is a point */
  double max_kld;       /* mean divergence, nats */
  uint64_t seed;        /* of the questions' order */
} nb_stage_limits;

typedef struct nb_stages {
  nb_stage_limits limits;
  nb_stopping choices, texts;
  bool has_texts;
  nb_stage_kind at;   /* the stage that decided, or the last */
  nb_verdict verdict; /* of the gate so far */
  struct {
    size_t questions; /* answered in this stage; 0: it was not reached */
    double seconds;
  } stage[NB_STAGES];
} nb_stages;

/* choices: of a task with choices, against its baseline; texts: of a written task, NULL: none. The evaluations'
 * questions are put into a random order. All must outlive *out; nb_stages_free releases. */
nb_status nb_stages_begin(nb_evaluation *choices, const nb_result *base, nb_evaluation *texts,
                          const nb_result *texts_base, const nb_stage_limits *o, nb_stages *out, nb_err *err);
void nb_stages_free(nb_stages *s);

/* Answers the questions of a stopping run from s->from on, until nb_stopping_enough. */
typedef nb_status nb_stages_answer(void *ctx, nb_stopping *s, nb_err *err);

/* Goes through the stages until one decides. */
nb_status nb_stages_run(nb_stages *s, nb_stages_answer *answer, void *ctx, nb_err *err);

/* One sentence about a stage: what was tested, with its evidence. */
void nb_stages_text(const nb_stages *s, nb_stage_kind kind, char *out, size_t n);

#endif
