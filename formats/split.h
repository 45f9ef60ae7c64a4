/* SPDX-License-Identifier: MIT */
/* A .nbl file in several files (FORMAT.md, "Parts"): a store takes no file of this size, and a phone maps each of the
 * parts as it would map the whole. Nothing is copied together: every tensor lies whole in one part. Here is how a file
 * is cut and joined, and which files make one whole; nbl.h opens them. */
#ifndef NB_SPLIT_H
#define NB_SPLIT_H

#include "base/progress.h"
#include "formats/nbl.h"

enum { NB_SPLIT_HEAD = 64, NB_SPLIT_MOST = 65535 }; /* bytes before what a part holds; parts of a file at most */
enum { NB_SPLIT_PATH = 4096 };

/* ---- reading ---- */

/* What the head of a part says. */
typedef struct nb_split_head {
  unsigned number, count; /* of this part, from 1; of all */
  uint8_t whole[16];      /* the checksum in the header of the whole, which covers those of its tensors */
  uint64_t whole_bytes;
  uint64_t begin, size; /* the bytes of the whole that are here */
} nb_split_head;

/* Whether n bytes begin as a part does. */
bool nb_split_is(const void *data, size_t n);

/* Reads and checks the head of a part of n bytes. NB_ERR_FORMAT: damaged or of another size than it says;
 * NB_ERR_UNSUPPORTED: written by a newer nibble. name: for messages. */
nb_status nb_split_read(const void *data, size_t n, const char *name, nb_split_head *out, nb_err *err);

/* Whether part `h` of n goes on where `before` ends (NULL: it is the first); NB_ERR_FORMAT names parts of different
 * files, out of order, or too few of them. name, first: of this part and of the first, for messages. */
nb_status nb_split_follows(const nb_split_head *h, const nb_split_head *before, size_t n, const char *name,
                           const char *first, nb_err *err);

/* PREFIX-00002-of-00003.nbl into out; NB_ERR_ARG: too long. */
nb_status nb_split_name(const char *prefix, unsigned number, unsigned count, char out[NB_SPLIT_PATH], nb_err *err);
/* The name of part `number` beside the first one, `path`. NB_ERR_ARG: that is not called PREFIX-00001-of-COUNT.nbl. */
nb_status nb_split_beside(const char *path, unsigned number, unsigned count, char out[NB_SPLIT_PATH], nb_err *err);

/* ---- cutting and joining ---- */

/* Where a file is cut: part i holds the bytes from begin[i] to begin[i + 1] of the whole. */
typedef struct nb_split_plan {
  uint64_t *begin; /* (n + 1) owned */
  size_t n;
} nb_split_plan;

/* Parts of at most `bytes` each, their heads included, as few as that allows. NB_ERR_ARG names what does not fit into
 * one, and the least that would do. nb_split_plan_free releases. */
nb_status nb_split_plan_make(const nb_nbl *f, uint64_t bytes, nb_split_plan *out, nb_err *err);
void nb_split_plan_free(nb_split_plan *p);

/* Writes the parts, which appear all together or not at all: they get their names when all are written, the first one
 * last, by which they are opened. Until then each is an open file. f: verified. progress (bytes; may be NULL). */
nb_status nb_split_write(const nb_nbl *f, const nb_split_plan *p, const char *prefix, const nb_progress *progress,
                         nb_err *err);

/* Writes the whole, from parts or from one file, to `out`, which appears whole or not at all. */
nb_status nb_split_join(const nb_nbl *f, const char *out, const nb_progress *progress, nb_err *err);

#endif
