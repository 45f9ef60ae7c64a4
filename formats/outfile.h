/* SPDX-License-Identifier: MIT */
/* Output files that appear whole or not at all: written under a temporary name in the target's directory
 * and renamed over the target by nb_outfile_commit. */
#ifndef NB_OUTFILE_H
#define NB_OUTFILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nb_outfile {
  int fd;                           /* of the temporary; -1 when closed */
  char *path;                       /* the target: symbolic links resolved */
  char *tmp;                        /* the temporary, beside it; NULL when there is none */
  uint64_t size;                    /* bytes appended by nb_outfile_write so far */
  struct nb_outfile_listed *listed; /* in the list that nb_outfile_remove_all works through */
  unsigned mode; /* permissions of the file that is replaced, which the new one gets; 0: there is none */
} nb_outfile;

/* Begins a file at path. Refuses, before anything is written, a directory that is missing or may not be
 * written to, a target that is not a regular file or is write-protected. On failure *out is closed.
 * Temporaries of the same target that killed processes left behind are removed; those of living ones, which
 * hold a lock (flock) on theirs, are not. A file that replaces another keeps its permissions and its group. */
nb_status nb_outfile_create(const char *path, nb_outfile *out, nb_err *err);

/* Reserves room for a file of `bytes`, so that a disk too full fails now and not after an hour. Does
 * nothing where the file system cannot. */
nb_status nb_outfile_reserve(nb_outfile *f, uint64_t bytes, nb_err *err);

/* Appends n bytes: at offset f->size, which moves on. */
nb_status nb_outfile_write(nb_outfile *f, const void *data, size_t n, nb_err *err);

/* Writes n bytes at an offset; f->size stays. Threads may write different ranges at once. */
nb_status nb_outfile_pwrite(nb_outfile *f, const void *data, size_t n, uint64_t offset, nb_err *err);

/* Makes the file durable (fsync), gives it its name, makes the name durable, and closes. When any of it
 * fails, nothing is left behind and an earlier file of that name is as it was. Fails, too, when a mapped file that it
 * may be made from was written to meanwhile (nb_mapfile_unchanged). */
nb_status nb_outfile_commit(nb_outfile *f, nb_err *err);

/* The same for n files that make one output: all are durable before the first gets its name, and the one at 0 gets its
 * own last. When one cannot, those before it that replaced nothing are removed again; what was replaced by then stays
 * replaced. */
nb_status nb_outfile_commit_all(nb_outfile *f, size_t n, nb_err *err);

/* Closes and removes the temporary. Fine on a committed, an aborted or a zeroed one, so that one cleanup
 * path serves success and failure. */
void nb_outfile_abort(nb_outfile *f);

/* Writes a whole file from memory: create, write, commit. */
nb_status nb_outfile_save(const char *path, const void *data, size_t n, nb_err *err);

/* For a handler of SIGINT or SIGTERM that is about to end the process: removes the temporaries of every
 * open nb_outfile. Async-signal-safe. The list behind it is, with that of mappings (mapfile.h), the library's one
 * mutable global state, because a signal handler can be given nothing else. */
void nb_outfile_remove_all(void);

#endif
