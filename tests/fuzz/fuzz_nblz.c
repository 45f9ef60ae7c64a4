/* SPDX-License-Identifier: MIT */
/* Packed files: whatever they hold, what they expand to has the size that they say, or they are refused. */
#include "formats/nblz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static nb_status count(void *ctx, const void *data, size_t n, nb_err *err) {
  (void)data, (void)err;
  *(uint64_t *)ctx += n;
  return NB_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nb_err err;
  nb_nblz z;
  uint64_t n = 0;
  if (nb_nblz_open_memory(data, size, "fuzz", &z, &err) != NB_OK || z.file_bytes > 64 << 20) return 0;
  if (nb_nblz_expand(&z, count, &n, &err) == NB_OK && n != z.file_bytes) abort();
  return 0;
}
