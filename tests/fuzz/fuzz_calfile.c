/* SPDX-License-Identifier: MIT */
/* Hostile files of `nibble calibrate`. The checksum is made right first, since no fuzzer would guess it. */
#include "formats/calfile.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 8 || size > 1 << 20) return 0;
  uint8_t *p = malloc(size);
  nb_calfile f;
  if (!p) return 0;
  memcpy(p, data, size);
  uint64_t hash = XXH3_64bits(p, size - 8);
  memcpy(p + size - 8, &hash, 8);
  if (nb_calfile_parse(p, size, "fuzz", &f, NULL) == NB_OK) nb_calfile_free(&f);
  free(p);
  return 0;
}
