/* SPDX-License-Identifier: MIT */
/* What nbl.c, nbl_write.c and split.c share about the layout of a .nbl file. Not for others. */
#ifndef NB_NBL_LAYOUT_H
#define NB_NBL_LAYOUT_H

#include "formats/nbl.h"

#include <xxhash.h>

/* The storage of a coded tensor; that of a dense one is its nb_dtype. */
enum { NB_NBL_CODED = 3 };

#define NB_NBL_MAGIC "\x89NBL\r\n\x1a\n"
#define NB_SPLIT_MAGIC "\x89NBS\r\n\x1a\n" /* of a part (split.h) */

static inline uint64_t nb_nbl_pad(uint64_t n) { return (n + 63) & ~(uint64_t)63; }
static inline uint64_t nb_nbl_hash(const void *p, size_t n) { return XXH3_64bits(p, n); }

/* The header's checksum of a file whose first data_offset bytes are p. */
static inline void nb_nbl_header_hash(const uint8_t *p, size_t data_offset, uint8_t out[16]) {
  XXH128_canonical_t h;
  XXH128_canonicalFromHash(&h, XXH3_128bits(p + 32, data_offset - 32));
  for (int i = 0; i < 16; i++) out[i] = h.digest[i];
}

/* What a tensor takes, without padding. */
nb_status nb_nbl_stored_bytes(const nb_nbl_tensor *t, uint64_t *bytes, nb_err *err);

#endif
