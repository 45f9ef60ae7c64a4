/* SPDX-License-Identifier: MIT */
/* Results as tables for people. */
#ifndef NB_REPORT_TEXT_H
#define NB_REPORT_TEXT_H

#include "gate.h"

#include <stdio.h>

/* Accuracy by subject, category and in total, with intervals; speed; memory. */
nb_status report_text(const nb_result *r, FILE *f, nb_err *err);

/* A comparison: subjects, statistics, gates, verdict. */
void report_comparison(const nb_comparison *c, const nb_gates *g, const nb_gate_report *report, FILE *f);

#endif
