/* SPDX-License-Identifier: MIT */
/* A file, or a run of its bytes, as read-only memory, and a bounds-checked cursor over bytes. */
#ifndef NB_MAPFILE_H
#define NB_MAPFILE_H

#include "base/little.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A mapped file. Views of data must not outlive it. Should another process truncate the file meanwhile, or its disk
 * fail, touching the lost pages raises SIGBUS, which a program may catch (nb_mapfile_at); what is overwritten in place
 * is seen at the end (nb_mapfile_unchanged). */
typedef struct nb_mapfile {
  const uint8_t *data; /* size bytes; those of a whole file are page-aligned */
  size_t size;         /* at least 1 */
  char *path;          /* a copy, for messages */
  struct nb_mapping *listed;
} nb_mapfile;

/* Maps the regular file at path. Refuses directories, devices, pipes and empty files. On failure *out is
 * zeroed. Reads nothing yet. */
nb_status nb_mapfile_open(const char *path, nb_mapfile *out, nb_err *err);

/* Where bytes are: in a file that is named, or that is open already, whole or a run of it. */
typedef struct nb_mapfile_place {
  const char *path;        /* NULL: fd says which file */
  int fd;                  /* without a path: open for reading; it stays the caller's, who may close it afterwards */
  uint64_t offset, length; /* the run, at any offset; length 0: to the end of the file */
} nb_mapfile_place;

/* Maps the bytes at a place, as nb_mapfile_open does a file's. Messages call a descriptor "file descriptor N".
 * NB_ERR_ARG: the run does not lie within the file. */
nb_status nb_mapfile_open_place(const nb_mapfile_place *place, nb_mapfile *out, nb_err *err);

/* Unmaps; a zeroed nb_mapfile is fine. Leaves *m zeroed. */
void nb_mapfile_close(nb_mapfile *m);

/* For a handler of SIGBUS: the path of the open mapping that an address lies in, or NULL. Async-signal-safe. A list of
 * the process's mappings stands behind this, because a signal handler can be given nothing else. */
const char *nb_mapfile_at(const void *address);

/* NB_ERR_IO names a file that was written to since it was mapped (by its size and time of change): what was computed
 * from it is of no one file. A file that was replaced by another of its name is not meant. */
nb_status nb_mapfile_unchanged(nb_err *err);

/* Tells the system that n bytes from p on are needed next, wherever they are: it begins to read what is not in memory,
 * all of it side by side, and nobody waits until it is touched. Touched without that, each page that is missing makes
 * the system read what lies around it (8 MB on some machines), one after another. */
void nb_mapfile_want(const void *p, size_t n);

/* Asks the system to forget the pages of all open mappings, as after a long time without them; what was mapped stays
 * mapped. *left: the part of their bytes that is in memory all the same, since another program uses it or the file
 * system keeps it there. NB_ERR_UNSUPPORTED: this system has no way to ask; NB_ERR_IO. For measurements. */
nb_status nb_mapfile_forget(double *left, nb_err *err);

/* Reads a whole regular file of at most max_bytes into memory, with a NUL behind it that *n does not
 * count. May be empty. The caller frees *out with free. */
nb_status nb_mapfile_read(const char *path, size_t max_bytes, char **out, size_t *n, nb_err *err);

/* A position in bytes that never moves outside them. The first read that does not fit sets `failed`,
 * after which every read gives 0 or NULL: check `failed` once at the end of a record. */
typedef struct nb_cursor {
  const uint8_t *data;
  size_t size, pos;
  bool failed;
} nb_cursor;

/* The next n bytes, or NULL. */
static inline const uint8_t *nb_cursor_bytes(nb_cursor *c, size_t n) {
  if (c->failed || n > c->size - c->pos) {
    c->failed = true;
    return NULL;
  }
  c->pos += n;
  return c->data + c->pos - n;
}

/* A little-endian number of n bytes, 1 <= n <= 8. */
static inline uint64_t nb_cursor_uint(nb_cursor *c, unsigned n) {
  const uint8_t *p = nb_cursor_bytes(c, n);
  return p ? nb_little_get(p, n) : 0;
}
static inline uint8_t nb_cursor_u8(nb_cursor *c) { return (uint8_t)nb_cursor_uint(c, 1); }
static inline uint16_t nb_cursor_u16(nb_cursor *c) { return (uint16_t)nb_cursor_uint(c, 2); }
static inline uint32_t nb_cursor_u32(nb_cursor *c) { return (uint32_t)nb_cursor_uint(c, 4); }
static inline uint64_t nb_cursor_u64(nb_cursor *c) { return nb_cursor_uint(c, 8); }

/* Moves to an absolute position, at most size. */
static inline void nb_cursor_seek(nb_cursor *c, size_t pos) {
  if (pos > c->size) c->failed = true;
  else if (!c->failed) c->pos = pos;
}

#endif
