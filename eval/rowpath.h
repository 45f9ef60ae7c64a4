/* SPDX-License-Identifier: MIT */
/* Finding fields in a row of a data set, which is a JSON object (a CSV line is one of strings).
 *
 * A path is a list of parts with commas between them; the values of all the parts are put one after another, and
 * each part must be there. A part is a member's name followed by any of:
 *   .name     a member of that object
 *   [3]       an element of that array, counted from 0
 *   []        every element
 *   {keys}    the names of an object's members, in the file's order; those that are null are not there
 *   {values}  their values, likewise */
#ifndef NB_ROWPATH_H
#define NB_ROWPATH_H

#include "eval/pool.h"

#include <cJSON.h>

typedef struct nb_values {
  const char **text;  /* (n) the values as text: numbers as JSON writes them, true, false; NULL for objects, arrays */
  const cJSON **node; /* (n) the values themselves; NULL for {keys} */
  size_t n;
} nb_values;

/* Looks a path up. *found = false, and no error, when a part is missing or null. What *out points to lives in the
 * pool or the row. NB_ERR_ARG: the path cannot be read (the message shows it). */
nb_status nb_rowpath_find(const cJSON *row, const char *path, nb_pool *pool, nb_values *out, bool *found, nb_err *err);

/* Checks the spelling alone. */
nb_status nb_rowpath_check(const char *path, nb_err *err);

/* The name of the first member of each part, for CSV headers: calls see(ctx, name, n_bytes). */
void nb_rowpath_names(const char *path, void (*see)(void *ctx, const char *name, size_t n), void *ctx);

#endif
