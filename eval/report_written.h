/* SPDX-License-Identifier: MIT */
/* The part of a report about answers that were written: each question with its texts. */
#ifndef NB_REPORT_WRITTEN_H
#define NB_REPORT_WRITTEN_H

#include "eval/compare.h"

/* Writes the member "texts": questions with prompt, right answers, the texts of the run (and of the baseline, where c
 * is not NULL), what was found in them, their marks and the verdict: right, wrong, gained or lost. Of a large set those
 * whose verdict changed or is wrong come first; the others fill up to a number that a page can hold. */
void nb_report_written(nb_jsonout *j, const nb_result *run, const nb_comparison *c);

#endif
