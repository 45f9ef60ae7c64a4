/* SPDX-License-Identifier: MIT */
/* A whole evaluation: task, data, prompts and questions prepared once, then any number of models run over them. */
#ifndef NB_EVALUATE_H
#define NB_EVALUATE_H

#include "eval/identity.h"
#include "eval/journal.h"
#include "eval/plan.h"
#include "formats/open.h"
#include "eval/result.h"
#include "eval/select.h"

typedef struct nb_evaluation_opts {
  const char *task, *preset; /* preset NULL: the task's own default */
  const char *data;
  const char *split;      /* NULL: the task's */
  int shots;              /* -1: the task's */
  const char *shots_from; /* the split that examples come from; NULL: the task's */
  const cJSON *with;      /* keys that replace the task's (nb_task_open_with); NULL: none */
  const char *with_name;  /* what runs call those in place of a preset */
  nb_selection select;
  bool plain;         /* no BOS by template */
  nb_chat chat;       /* whether prompts go through the models' chat templates */
  const char *system; /* what stands before a task's header; NULL: nothing */
  bool texts;         /* results carry the questions' texts */
  nb_overlong overlong;
} nb_evaluation_opts;

typedef struct nb_evaluation {
  nb_evaluation_opts o;
  nb_task task;
  nb_dataset set, examples;
  nb_prompter prompter;
  const nb_item **item; /* (n) the questions of this run: of the shard, where there are shards */
  size_t n;
  uint64_t order; /* 0: the data's; else the seed of a random one (nb_stopping_begin) */
  nb_protocol protocol;
} nb_evaluation;

/* Reads task and data and chooses the questions. Strings of opts must outlive it. nb_evaluation_free releases. */
nb_status nb_evaluation_prepare(const nb_evaluation_opts *opts, nb_evaluation *out, nb_err *err);
void nb_evaluation_free(nb_evaluation *e);

typedef struct nb_evaluation_run {
  const char *name; /* the model's path, as given */
  const nb_opened *model;
  nb_session *session;
  const nb_plan *plan; /* nb_evaluation_plan's for this model; NULL: it is made here */
  nb_kv_type kv;
  size_t kv_bytes; /* memory for caches while answers are written; 0: no bound */
  int threads;
  bool alone;                        /* see nb_run_opts */
  const char *journal;               /* path, or NULL; a journal of the same run (run_key.h) is continued */
  uint64_t max_anonymous, max_total; /* bytes; a run that goes over them ends with NB_ERR_GATE; 0: no ceiling */
  const char **ended_by; /* may be NULL; set by a ceiling that ends the run: "max_memory" or "max_total_memory" */
  const nb_progress *progress;
  /* Called for each answer, those from the journal included; may be NULL. A failure ends the run. */
  nb_status (*answered)(void *ctx, size_t index, const nb_item *item, const nb_answer *a, nb_err *err);
  /* Asked now and then; may be NULL. n > 0: the first n questions are answered and suffice, the run ends and its
   * result has no others; 0: go on. */
  size_t (*enough)(void *ctx);
  void *ctx; /* of both */
} nb_evaluation_run;

/* Which of the questions share text with what the model was calibrated on (overlap.h): found (n) may be NULL. name: of
 * the model, for messages. */
nb_status nb_evaluation_overlap(const nb_evaluation *e, const nb_opened *m, const char *name, bool *found,
                                size_t *count, nb_err *err);

/* Builds every prompt as the model will read it. nb_plan_free releases. progress may be NULL. */
nb_status nb_evaluation_plan(const nb_evaluation *e, const nb_opened *m, int threads, const nb_progress *progress,
                             nb_plan *out, nb_err *err);
/* Refuses a plan with questions that the model cannot read (NB_ERR_ARG, with what to do), unless e->o.overlong says
 * what is to be done with them. */
nb_status nb_evaluation_accept(const nb_evaluation *e, const nb_opened *m, const nb_plan *plan, nb_err *err);

/* Runs one model over the questions. The result borrows from e, run->name and the model. nb_result_free releases. */
nb_status nb_evaluation_answer(const nb_evaluation *e, const nb_evaluation_run *run, nb_result *out, nb_err *err);

#endif
