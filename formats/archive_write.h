/* SPDX-License-Identifier: MIT */
/* Writing a zip archive. Files in memory only, so that it appears whole or not at all. */
#ifndef NB_ARCHIVE_WRITE_H
#define NB_ARCHIVE_WRITE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct nb_archive_file {
  const char *name; /* in the archive, '/' between folders */
  const void *data; /* (n) bytes, borrowed until the call returns */
  size_t n;
} nb_archive_file;

/* False: built without libzip. */
bool nb_archive_writes(void);

/* Writes n files into a new archive that replaces path when it is complete. The same files give the same bytes (their
 * date is 1 January 1980). NB_ERR_UNSUPPORTED: built without libzip; NB_ERR_IO: the archive cannot be written. */
nb_status nb_archive_save(const char *path, const nb_archive_file *file, size_t n, nb_err *err);

#endif
