/* SPDX-License-Identifier: MIT */
#include "formats/zstd.h"

#include "base/mem.h"

#ifdef NB_HAVE_ZSTD
#include <zstd.h>

enum { LEVEL = 3 }; /* finds text that repeats; in codes nothing does, and their entropy is all there is */

struct nb_zstd {
  ZSTD_CCtx *pack; /* NULL until something is packed: pages of Parquet files never are */
  ZSTD_DCtx *unpack;
};

nb_status nb_zstd_create(const char *name, nb_zstd **out, nb_err *err) {
  NB_TRY(nb_new(out, 1, sizeof **out, "Zstandard", err));
  (*out)->unpack = ZSTD_createDCtx();
  if ((*out)->unpack) return NB_OK;
  nb_zstd_free(*out);
  *out = NULL;
  return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory for Zstandard", name);
}

void nb_zstd_free(nb_zstd *z) {
  if (!z) return;
  ZSTD_freeCCtx(z->pack);
  ZSTD_freeDCtx(z->unpack);
  nb_free(z);
}

size_t nb_zstd_bound(size_t n) { return ZSTD_compressBound(n); }

nb_status nb_zstd_pack(nb_zstd *z, const void *in, size_t n, void *out, size_t *packed, nb_err *err) {
  if (!z->pack && !(z->pack = ZSTD_createCCtx())) return nb_fail(err, NB_ERR_MEMORY, "out of memory packing");
  *packed = ZSTD_compressCCtx(z->pack, out, nb_zstd_bound(n), in, n, LEVEL);
  if (ZSTD_isError(*packed)) return nb_fail(err, NB_ERR_MEMORY, "packing: %s", ZSTD_getErrorName(*packed));
  return NB_OK;
}

bool nb_zstd_unpack(nb_zstd *z, const void *in, size_t n, void *out, size_t size) {
  return ZSTD_decompressDCtx(z->unpack, out, size, in, n) == size;
}

#else

nb_status nb_zstd_create(const char *name, nb_zstd **out, nb_err *err) {
  *out = NULL;
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "%s needs zstd, and this nibble was built without libzstd (package libzstd-dev)", name);
}
void nb_zstd_free(nb_zstd *z) { (void)z; }
size_t nb_zstd_bound(size_t n) { return n; }
nb_status nb_zstd_pack(nb_zstd *z, const void *in, size_t n, void *out, size_t *packed, nb_err *err) {
  (void)in, (void)n, (void)out, (void)packed;
  return nb_zstd_create("packing", &z, err);
}
bool nb_zstd_unpack(nb_zstd *z, const void *in, size_t n, void *out, size_t size) {
  (void)z, (void)in, (void)n, (void)out, (void)size;
  return false;
}

#endif
