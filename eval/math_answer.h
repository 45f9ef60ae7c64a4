/* SPDX-License-Identifier: MIT */
/* Answers of mathematics problems, written in LaTeX: found in a solution, and brought to one form (Lewkowycz et al.
 * 2022, arXiv 2206.14858, appendix D, as lm-evaluation-harness 0.4.13 has it). */
#ifndef NB_MATH_ANSWER_H
#define NB_MATH_ANSWER_H

#include "base/text.h"

#include <stdbool.h>

/* Replaces a solution by what its last \boxed{} or \fbox{} holds; by nothing when there is none. */
nb_status nb_math_boxed(nb_text *t, nb_err *err);

/* Replaces an answer by its normal form. */
nb_status nb_math_normalize(nb_text *t, nb_err *err);

/* Whether two normal forms are the same text, or both plain numbers or fractions of one value. */
bool nb_math_equal(const char *a, const char *b);

#endif
