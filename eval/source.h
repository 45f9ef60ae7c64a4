/* SPDX-License-Identifier: MIT */
/* Where a data set's files are: a directory (searched four levels deep), a .zip file, or one file; .gz members are
 * unpacked as they are read. */
#ifndef NB_SOURCE_H
#define NB_SOURCE_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct nb_source nb_source;

nb_status nb_source_open(const char *path, nb_source **out, nb_err *err);
void nb_source_close(nb_source *s); /* NULL is accepted */

const char *nb_source_path(const nb_source *s);
bool nb_source_is_file(const nb_source *s);
size_t nb_source_count(const nb_source *s);
/* Member i's path within the source, sorted by bytes; for one file its own path. */
const char *nb_source_name(const nb_source *s, size_t i);
/* Reads a member whole, NUL behind it; free(*bytes). */
nb_status nb_source_read(nb_source *s, size_t i, char **bytes, size_t *n, nb_err *err);
/* The same by name; NB_OK and *bytes = NULL when there is no such member. */
nb_status nb_source_read_beside(nb_source *s, const char *name, char **bytes, size_t *n, nb_err *err);

#endif
