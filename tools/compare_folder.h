/* SPDX-License-Identifier: MIT */
/* `nibble compare BASE FOLDER`: all result files in a folder against one baseline, in one table. */
#ifndef NB_COMPARE_FOLDER_H
#define NB_COMPARE_FOLDER_H

#include "tools/judge.h"

typedef struct compare_folder_opts {
  const judge_options *judge;
  nb_compare_opts compare; /* alpha and margin come from the limits */
  bool json;
} compare_folder_opts;

/* Compares each *.json file of `dir` but the baseline itself, question by question, prints a table by size (or the JSON
 * of all comparisons), and writes what judge asks for; the page's chart has all of them. *code: the worst verdict's. */
nb_status compare_folder(const compare_folder_opts *o, const char *base_path, const char *dir, int *code, nb_err *err);

#endif
