/* SPDX-License-Identifier: MIT */
#include "formats/parquet.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* All rows of whatever the bytes are. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_parquet *p;
  if (nb_parquet_open(data, n, "fuzz", &p, &err) != NB_OK) return 0;
  for (cJSON *row = NULL; nb_parquet_next(p, &row, &err) == NB_OK && row;) cJSON_Delete(row);
  nb_parquet_close(p);
  return 0;
}
