/* SPDX-License-Identifier: MIT */
/* The parts of a run as the one run that they are: shards, and what was answered one after another. */
#ifndef NB_MERGE_H
#define NB_MERGE_H

#include "eval/evaluate.h"

/* Joins n shards, in any order, into *out, which borrows their rows' contents: they must outlive it. name[i], the file
 * of shard[i], goes into messages. NB_ERR_ARG: shards of different runs or models, one twice, one missing (named). */
nb_status nb_merge(const nb_result *shard, const char *const *name, size_t n, nb_result *out, nb_err *err);

/* Joins the results of n runs that went through e's questions in its order, each from where the one before ended. *out,
 * which borrows their rows' contents, is what one run gives that stops where the last did. */
nb_status nb_merge_parts(const nb_evaluation *e, const nb_result *part, size_t n, nb_result *out, nb_err *err);

/* Which shard this process is, from the environment: a Slurm array (SLURM_ARRAY_TASK_ID, _MIN, _MAX, _STEP) or job step
 * (SLURM_PROCID, SLURM_STEP_NUM_TASKS), an MPI rank (OMPI_COMM_WORLD_RANK/_SIZE, PMI_RANK/_SIZE), or a CI matrix
 * (NIBBLE_SHARD/NIBBLE_SHARDS, CI_NODE_INDEX/CI_NODE_TOTAL, CIRCLE_NODE_INDEX/_TOTAL, BUILDKITE_PARALLEL_JOB/_COUNT).
 * get: getenv or a test's own. *source names what was found. NB_ERR_ARG when nothing is, or it makes no sense. */
nb_status nb_merge_shard_auto(char *(*get)(const char *name), size_t *shard, size_t *shards, const char **source,
                              nb_err *err);

#endif
