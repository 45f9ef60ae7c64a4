/* SPDX-License-Identifier: MIT */
/* The rows of a data file as JSON objects: .jsonl and .json (an object a line, or one array of them), .csv and .parquet
 * (a
 * ".gz" behind it is ignored). A CSV file has a header when its first line's cells are names that the task's fields
 * use; otherwise the task's columns name its cells. */
#ifndef NB_ROWS_H
#define NB_ROWS_H

#include "eval/task.h"

/* The endings of names that are read, ".jsonl" first: of one name with several, the earlier is taken. */
extern const char *const nb_rows_endings[];
extern const size_t nb_rows_n_endings;

/* Which of them a path ends with (nb_rows_n_endings: none), a ".gz" behind it apart; *length: its bytes. */
size_t nb_rows_ending(const char *path, size_t *length);

/* Calls see with every row, which it then owns; where is "FILE:LINE" or "FILE: row N". Stops at the first failure. */
nb_status nb_rows_read(const nb_task *t, const char *file, const char *bytes, size_t n,
                       nb_status (*see)(void *ctx, cJSON *row, const char *where, nb_err *err), void *ctx, nb_err *err);

#endif
