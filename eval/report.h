/* SPDX-License-Identifier: MIT */
/* A comparison for people and for CI. Each appends to out. */
#ifndef NB_REPORT_H
#define NB_REPORT_H

#include "gate.h"

/* A summary in GitHub's Markdown: verdict, gates, numbers, the subjects that changed most. */
nb_status nb_report_markdown(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err);

/* JUnit XML: a test case a gate; undecided gates are errors, failed ones failures. */
nb_status nb_report_junit(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err);

/* Workflow commands of GitHub Actions: ::error or ::warning for every gate that did not pass, ::notice for the verdict.
 */
nb_status nb_report_github(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err);

/* All numbers as one JSON object: verdict, gates, statistics, subjects, flips (with texts where both runs have them).
 */
nb_status nb_report_json(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err);

/* One HTML file that needs nothing else: the JSON of nb_report_json inside data/report/report.html. others: more runs
 * for the chart of size against accuracy, n_others of them. */
nb_status nb_report_html(const nb_comparison *c, const nb_gate_report *g, const nb_result *const *others,
                         size_t n_others, nb_text *out, nb_err *err);

#endif
