/* SPDX-License-Identifier: MIT */
/* Packed files: whatever they hold, what they expand to has the size that they say, or they are refused. A model in
 * one is packed again and comes out as it was. */
#include "formats/nblz.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static nb_status count(void *ctx, const void *data, size_t n, nb_err *err) {
  (void)data, (void)err;
  *(uint64_t *)ctx += n;
  return NB_OK;
}

static void read_all(const char *path, char *out, size_t n) {
  FILE *f = fopen(path, "rb");
  if (!f || fread(out, 1, n, f) != n || fgetc(f) != EOF) abort();
  fclose(f);
}

static void pack_again(const uint8_t *data, size_t size, size_t n) {
  nb_err err;
  uint64_t bytes;
  const char *packed = scratch_write("x.nblz", data, size), *first = scratch("1.nbl"), *again = scratch("2.nbl");
  if (nb_nblz_unpack(packed, first, NULL, &bytes, &err) != NB_OK || bytes != n) abort();
  if (nb_nblz_pack(first, packed, 1, NULL, &bytes, &err) != NB_OK) return; /* not a model */
  char *a = malloc(n + 1), *b = malloc(n + 1);
  if (!a || !b || nb_nblz_unpack(packed, again, NULL, &bytes, &err) != NB_OK || bytes != n) abort();
  read_all(first, a, n), read_all(again, b, n);
  if (memcmp(a, b, n)) abort();
  free(a), free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nb_err err;
  nb_nblz z;
  uint64_t n = 0;
  if (nb_nblz_open_memory(data, size, "fuzz", &z, &err) != NB_OK || z.file_bytes > 64 << 20) return 0;
  if (nb_nblz_expand(&z, count, &n, &err) != NB_OK) return 0;
  if (n != z.file_bytes) abort();
  pack_again(data, size, (size_t)n);
  return 0;
}
