/* SPDX-License-Identifier: MIT */
/* What was judged, for people and for CI: runs against a baseline, or alone. Each appends to out. */
#ifndef NB_REPORT_H
#define NB_REPORT_H

#include "eval/gate.h"

/* What the reports of n runs (at least 1) are: */
typedef nb_status nb_report(const nb_judgement *j, size_t n, nb_text *out, nb_err *err);

/* A summary in GitHub's Markdown: verdict, gates, numbers, the subjects that changed most (alone: those with the lowest
 * scores). */
nb_report nb_report_markdown;
/* JUnit XML: a suite a run, a test case a gate; undecided gates are errors, failed ones failures. */
nb_report nb_report_junit;
/* Workflow commands of GitHub Actions: ::error or ::warning for every gate that did not pass, ::notice for a verdict.
 */
nb_report nb_report_github;
/* All numbers, one JSON object a run with commas between: verdict, gates, statistics, subjects, flips (alone: the wrong
 * answers) with texts where the run has them. */
nb_report nb_report_json;

/* One HTML file that needs nothing else: one run's JSON inside data/report/report.html. others: more runs for its
 * charts of score and, of those that were compared, of divergence against size; n_others of them, of which run and
 * against count. */
nb_status nb_report_html(const nb_judgement *j, const nb_judgement *others, size_t n_others, nb_text *out, nb_err *err);

#endif
