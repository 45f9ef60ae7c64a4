/* SPDX-License-Identifier: MIT */
/* Everything that decides the answers of a run, as one text: two runs with the same key have the same answers, so that
 * one may go on from the journal of the other. */
#ifndef NB_RUN_KEY_H
#define NB_RUN_KEY_H

#include "eval/evaluate.h"

/* Appends the key: nibble's version, the resolved task with all its templates, the selection and its order, the
 * questions, every prompt and its tokens (the plan), and the model: its weights, the bytes of its files, its cache.
 * model: nb_identity_make's; path: where its files are. A .nbl file is read whole. */
nb_status nb_run_key(const nb_evaluation *e, const nb_plan *plan, const nb_model_facts *model, const char *path,
                     nb_text *out, nb_err *err);

#endif
