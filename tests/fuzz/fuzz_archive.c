/* SPDX-License-Identifier: MIT */
#include "formats/archive.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_archive *a;
  if (nb_archive_open_memory(data, n, "fuzz.gz", &a, &err) != NB_OK) return 0;
  for (size_t i = 0; i < nb_archive_count(a); i++) {
    char *out;
    size_t size;
    const char *name = nb_archive_name(a, i);
    if (!strncmp(name, "../", 3) || strstr(name, "/../")) abort();
    if (nb_archive_read(a, i, &out, &size, &err) != NB_OK) continue;
    if (out[size] != 0) abort();
    free(out);
  }
  nb_archive_close(a);
  return 0;
}
