/* SPDX-License-Identifier: MIT */
/* Results as tables for people. */
#ifndef NB_REPORT_TEXT_H
#define NB_REPORT_TEXT_H

#include "eval/gate.h"
#include "eval/suite_table.h"

#include <stdio.h>

/* Accuracy by subject, category and in total, with intervals; speed; memory. */
nb_status report_text(const nb_result *r, FILE *f, nb_err *err);

/* The comparison, where there is one (subjects, statistics); gates; verdict. */
void report_judgement(const nb_judgement *j, const nb_gates *g, FILE *f);

/* The table of a suite, what was not run, and the verdicts. */
void report_suite(const nb_suite_table *s, FILE *f);

#endif
