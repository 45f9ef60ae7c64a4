/* SPDX-License-Identifier: MIT */
/* A run as one zip archive, for people who want to look into it with other tools. */
#ifndef NB_BUNDLE_H
#define NB_BUNDLE_H

#include "eval/result.h"
#include "base/text.h"

/* Writes to path, whole or not at all: result.json (formats/RESULT.md); predictions.jsonl, an object a line for each
 * question with the pick, the score and the choices' probabilities; subjects.csv; and report.html when `report` (a
 * page of nb_report_html) is not NULL. NB_ERR_UNSUPPORTED: built without libzip. */
nb_status nb_bundle_save(const char *path, const nb_result *r, const nb_text *report, nb_err *err);

#endif
