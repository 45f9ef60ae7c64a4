/* SPDX-License-Identifier: MIT */
/* IFEval's rules (Zhou et al. 2023, arXiv 2311.07911): whether a text follows the instructions of its prompt. Each
 * checker decides as lm-evaluation-harness 0.4.13's does, or says that it may not. */
#ifndef NB_IFEVAL_H
#define NB_IFEVAL_H

#include "base/status.h"

#include <cJSON.h>
#include <stdbool.h>

enum { NB_IFEVAL_MARKS = 4 };
/* prompt_strict, inst_strict, prompt_loose, inst_loose */
extern const char *const nb_ifeval_mark_names[NB_IFEVAL_MARKS];

typedef struct nb_ifeval_marks {
  double value[NB_IFEVAL_MARKS], weight[NB_IFEVAL_MARKS]; /* instructions count one each in the inst marks' weights */
  bool approximate; /* an instruction's verdict rests on the text's language (language.h), which is not found as there,
                       on a number of sentences that is not certain (sentences.h), or on how often something comes
                       that is no letter, in whose place the harness draws one by chance */
} nb_ifeval_marks;

/* row: with instruction_id_list and kwargs. NB_ERR_FORMAT: the row names an instruction that is not known. */
nb_status nb_ifeval_mark(const cJSON *row, const char *text, nb_ifeval_marks *out, nb_err *err);

#endif
