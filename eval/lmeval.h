/* SPDX-License-Identifier: MIT */
/* Runs of lm-evaluation-harness: its samples, read as a result and written from one.
 *
 * Read are the JSON lines that its --log_samples leaves (samples_TASK_DATE.jsonl), or its results_DATE.json, which
 * stands for all samples of that date beside it. A document is told by what was put to the model: the hash of its
 * contexts and continuations is nibble's hash of a prompt, so documents of both programs pair when their prompts are
 * the same bytes, whatever either calls them. Tasks of log-likelihoods alone have such samples; written answers are
 * refused. */
#ifndef NB_LMEVAL_H
#define NB_LMEVAL_H

#include "eval/evaluate.h"

/* Whether the file's name says that it is one: samples_*.jsonl, results_*.json. */
bool nb_lmeval_named(const char *path);

typedef struct nb_lmeval_found {
  size_t files, documents; /* read */
  size_t matched;          /* documents that `like` asks, too */
} nb_lmeval_found;

/* Reads a run. like: nibble's own run that it is to be compared with, or NULL. With it, only documents with a prompt of
 * like's become rows, under like's ids, subjects and protocol; without, every document becomes one, under its hash.
 * NB_ERR_ARG: no document has a prompt of like's. NB_ERR_FORMAT names file and line: not such samples, or an accuracy
 * that does not follow from the log-probs. nb_result_free releases; *out borrows from like. */
nb_status nb_lmeval_load(const char *path, const nb_result *like, nb_result *out, nb_lmeval_found *found, nb_err *err);

/* Adds the documents of samples in memory; for tests and fuzzing, and what nb_lmeval_load does for each file. Start
 * with a zeroed *out; at the end nb_lmeval_finish. */
nb_status nb_lmeval_add(const char *bytes, size_t n, const char *file, nb_result *out, nb_err *err);
nb_status nb_lmeval_finish(const char *path, const nb_result *like, nb_result *out, nb_lmeval_found *found,
                           nb_err *err);

/* Appends a run as such samples, a line a question, with the prompts' texts. What nibble does not measure, whether a
 * continuation is the greedy one, is "None". */
nb_status nb_lmeval_write(const nb_evaluation *e, const nb_result *r, nb_text *out, nb_err *err);
nb_status nb_lmeval_save(const nb_evaluation *e, const nb_result *r, const char *path, nb_err *err);

#endif
