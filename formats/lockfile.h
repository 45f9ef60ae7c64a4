/* SPDX-License-Identifier: MIT */
/* Files that a killed run leaves for the next one to go on with. One process at a time holds such a file: it is locked
 * (flock), which ends with the process however that ends. Never through a link, so that nothing else is written to. */
#ifndef NB_LOCKFILE_H
#define NB_LOCKFILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nb_lockfile {
  int fd;     /* -1: closed */
  char *path; /* a copy, for messages */
} nb_lockfile;

/* Opens the file for reading and writing, or makes an empty one, and locks it. NB_ERR_IO when another process holds
 * it (user says who that may be: "`nibble quantize` with this output"), when it is a link, has a second name or is no
 * regular file. Where the file system has no locks it is opened all the same. On failure *out is closed. */
nb_status nb_lockfile_open(const char *path, const char *user, nb_lockfile *out, nb_err *err);

/* All its bytes, at most max_bytes. The caller frees *bytes with free. */
nb_status nb_lockfile_read(const nb_lockfile *f, uint64_t max_bytes, char **bytes, size_t *n, nb_err *err);

/* Writes n bytes at an offset. */
nb_status nb_lockfile_write(const nb_lockfile *f, const void *data, size_t n, uint64_t offset, nb_err *err);

/* Makes it `size` bytes long. */
nb_status nb_lockfile_cut(const nb_lockfile *f, uint64_t size, nb_err *err);

/* Closes, and first removes the file when asked to. Fine on one that is closed (fd -1, path NULL). */
void nb_lockfile_close(nb_lockfile *f, bool remove);

#endif
