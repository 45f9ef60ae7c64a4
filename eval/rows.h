/* SPDX-License-Identifier: MIT */
/* The rows of a data file as JSON objects: .jsonl and .json (an object a line, or one array of them) and .csv (a ".gz"
 * behind it is ignored). A CSV file has a header when its first line's cells are names that the task's fields use;
 * otherwise the task's columns name its cells. */
#ifndef NB_ROWS_H
#define NB_ROWS_H

#include "eval/task.h"

/* Calls see with every row, which it then owns; where is "FILE:LINE". Stops at the first failure. */
nb_status nb_rows_read(const nb_task *t, const char *file, const char *bytes, size_t n,
                       nb_status (*see)(void *ctx, cJSON *row, const char *where, nb_err *err), void *ctx, nb_err *err);

#endif
