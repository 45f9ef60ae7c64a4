/* SPDX-License-Identifier: MIT */
/* A .nbl file on its way over a network: its bytes entropy-coded by Zstandard, in an order in which that finds
 * something, to be expanded to the identical file (NBLZ.md). A 4-bit code of a calibrated matrix carries some 3.8 bits.
 */
#ifndef NB_NBLZ_H
#define NB_NBLZ_H

#include "base/progress.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Packs the .nbl file `path`, whose checksums are all checked first, into `out`, which appears whole or not at all.
 * packed_bytes: its size. progress (bytes; may be NULL). NB_ERR_UNSUPPORTED: a build without Zstandard (zstd.h), here
 * and below. */
nb_status nb_nblz_pack(const char *path, const char *out, int threads, const nb_progress *progress,
                       uint64_t *packed_bytes, nb_err *err);

/* A packed file that was opened: what its beginning says. */
typedef struct nb_nblz {
  const uint8_t *data; /* (n) borrowed */
  size_t n, at;        /* at: of the first chunk */
  uint64_t file_bytes; /* of the .nbl file */
  uint8_t hash[16];    /* XXH3-128 of it */
  size_t n_segments;
  const char *name; /* for messages, borrowed */
} nb_nblz;

/* Checks the beginning and the list of segments: NB_ERR_FORMAT. */
nb_status nb_nblz_open_memory(const void *data, size_t n, const char *name, nb_nblz *out, nb_err *err);

/* Passes the file's bytes in order to put, and checks in the end that they are those that were packed: only then may
 * they be used. NB_ERR_FORMAT: damaged. Memory: two chunks of at most 1 MiB. */
nb_status nb_nblz_expand(const nb_nblz *z, nb_status (*put)(void *ctx, const void *data, size_t n, nb_err *err),
                         void *ctx, nb_err *err);

/* Expands the file `path` into `out`, which appears whole or not at all. file_bytes: its size. */
nb_status nb_nblz_unpack(const char *path, const char *out, const nb_progress *progress, uint64_t *file_bytes,
                         nb_err *err);

#endif
