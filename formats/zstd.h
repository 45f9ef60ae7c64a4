/* SPDX-License-Identifier: MIT */
/* Zstandard, where nibble was built with it: Parquet pages (parquet_codec.c) and packed files (nblz.c). Without the
 * library nb_zstd_create says so and the others are never reached. */
#ifndef NB_ZSTD_H
#define NB_ZSTD_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct nb_zstd nb_zstd;

/* One for packing or unpacking any number of pieces, one after another. NB_ERR_UNSUPPORTED, naming `name`, the file
 * that needs it: this build has no Zstandard. Released with nb_zstd_free. */
nb_status nb_zstd_create(const char *name, nb_zstd **out, nb_err *err);
void nb_zstd_free(nb_zstd *z); /* NULL is allowed */

/* What n bytes become at worst. */
size_t nb_zstd_bound(size_t n);

/* Packs in (n) into out, which has room for nb_zstd_bound(n). packed: the bytes that it takes. */
nb_status nb_zstd_pack(nb_zstd *z, const void *in, size_t n, void *out, size_t *packed, nb_err *err);

/* Whether in (n) unpacks to exactly `size` bytes, which then are in out. */
bool nb_zstd_unpack(nb_zstd *z, const void *in, size_t n, void *out, size_t size);

#endif
