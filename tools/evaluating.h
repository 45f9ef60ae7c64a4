/* SPDX-License-Identifier: MIT */
/* A run of one task over some models, from options to reports: what `nibble eval` does once, and for a suite once a
 * row. */
#ifndef NB_EVALUATING_H
#define NB_EVALUATING_H

#include "eval/evaluate.h"
#include "tools/judge.h"

enum { EVAL_MAX_MODELS = 16 };

/* As the options of `nibble eval` say; NULL, 0 and below 0: not given. */
typedef struct eval_options {
  const char *task, *suite, *preset, *data, *split, *shots_from, *subjects, *kv, *journal, *shard, *bos, *chat, *system,
      *against, *out_format, *overlong;
  cli_list out, bundle;
  judge_options judge;
  int shots, limit, sample, batch;
  uint64_t seed, kv_memory;
  bool texts, alone, sequential;
  bool silent; /* no tables of scores: a suite has one of its own */
} eval_options;

/* What is asked of the evaluation; strings are o's. */
nb_evaluation_opts eval_prepared(const eval_options *o, const nb_selection *select);

typedef struct eval_model {
  const char *name; /* its path */
  nb_opened model;
  nb_kv_type kv;
  nb_plan plan; /* of its prompts, while it runs */
} eval_model;

/* Opens a model. nb_opened_free releases. */
nb_status eval_load(const eval_options *o, const cli_common *common, const char *name, eval_model *m, nb_err *err);

typedef struct eval_one {
  nb_result result;
  nb_comparison comparison; /* n 0: none */
} eval_one;

/* The runs of a task, and what is said about those that are judged: all but a baseline among them. */
typedef struct eval_runs {
  const eval_options *o;
  const cli_common *common;
  nb_gates gates;
  nb_result against;     /* what --against names */
  const nb_result *base; /* NULL: there is nothing to compare with */
  eval_one run[EVAL_MAX_MODELS];
  size_t n;
  nb_judgement judged[EVAL_MAX_MODELS];
  size_t n_judged;
} eval_runs;

/* Appends FOLDER/ID.ENDING, when a folder is given. */
nb_status eval_file_in(const char *folder, const char *id, const char *ending, nb_text *out, nb_err *err);
/* Makes a folder for the files of several runs, unless it is there; NULL: none is wanted. */
nb_status eval_make_folder(const char *path, nb_err *err);

/* Runs n models over e's questions, saves the results that --out asks for and judges them. *out points into itself and
 * to o, common, e and the models: it must not be moved, and they must outlive it. eval_runs_free releases, after a
 * failure too. */
nb_status eval_run(const eval_options *o, const cli_common *common, nb_evaluation *e, eval_model *model, size_t n,
                   eval_runs *out, nb_err *err);
void eval_runs_free(eval_runs *r);

/* Builds all prompts before the first is run, into the model's plan, which nb_plan_free releases. NB_ERR_ARG names
 * those that do not fit; CI gets a failed test for them. Of r the options, common and gates are read. */
nb_status eval_prompts(const eval_runs *r, const nb_evaluation *e, eval_model *model, nb_err *err);

/* `nibble eval MODEL --suite`: every row of the suite, one table. *code: the worst verdict's, 0 without limits. */
nb_status eval_suite(const eval_options *o, const cli_common *common, const nb_selection *select, const char *model,
                     int *code, nb_err *err);

/* Everything that was asked for beside the result files and the tables of scores. */
nb_status eval_report(const eval_runs *r, nb_err *err);

#endif
