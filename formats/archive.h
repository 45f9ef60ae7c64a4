/* SPDX-License-Identifier: MIT */
/* A data path, whatever it is: a directory (with what is below it), a file, a gzip file or a zip archive, as
 * a list of named members, each read wholly into memory. Members whose name ends in .gz are decompressed too,
 * inside directories and zip archives as well. Nothing is ever written to disk. */
#ifndef NB_ARCHIVE_H
#define NB_ARCHIVE_H

#include "base/status.h"

#include <stddef.h>

/* Guards against decompression bombs: a member, the members of a zip together, and how far bytes may expand
 * (text expands 3 to 10 times, deflate's limit is 1032). The first MiB is free. */
#define NB_ARCHIVE_MAX_MEMBER ((size_t)256 << 20)
#define NB_ARCHIVE_MAX_TOTAL ((size_t)2 << 30)
#define NB_ARCHIVE_MAX_RATIO 100

enum {
  NB_ARCHIVE_MAX_MEMBERS = 100000,
  NB_ARCHIVE_MAX_DEPTH = 8 /* directories below the one opened */
};

typedef struct nb_archive nb_archive;

/* Opens path; what a file is, is told by its first bytes. Hidden files, empty directories and macOS's
 * __MACOSX entries are left out; links are followed, and a file that linked directories show again is
 * taken once. Refused: an archive without
 * members, member names that leave the archive (..) or occur twice, sizes above the limits, .tar files.
 * The caller ends it with nb_archive_close. */
nb_status nb_archive_open(const char *path, nb_archive **out, nb_err *err);

/* As a file of that name and these bytes, which must outlive the archive. */
nb_status nb_archive_open_memory(const void *data, size_t n, const char *name, nb_archive **out, nb_err *err);

void nb_archive_close(nb_archive *a); /* NULL is fine */

/* Members, sorted by name. */
size_t nb_archive_count(const nb_archive *a);

/* The name of member i < count: the path inside with '/' between its parts and without ".gz"; control
 * characters and what is not UTF-8 are replaced by '?'. For a single file its own name without directories. */
const char *nb_archive_name(const nb_archive *a, size_t i);

/* Where member i is, for messages: "DIR/NAME", "FILE", or "FILE.zip: NAME". */
const char *nb_archive_where(const nb_archive *a, size_t i);

/* Reads member i: *n bytes and a NUL behind them, which the caller frees with free. Checksums are checked.
 * Encrypted members and those with an unknown compression are refused. Not for two threads at once. */
nb_status nb_archive_read(nb_archive *a, size_t i, char **out, size_t *n, nb_err *err);

#endif
