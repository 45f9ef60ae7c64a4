/* SPDX-License-Identifier: MIT */
#include "formats/csv.h"
#include "formats/jsonl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The same bytes as CSV and as JSON lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_csv c;
  bool more = true;
  size_t sum = 0;
  if (nb_csv_open((const char *)data, n, "fuzz", &c, &err) != NB_OK) return 0;
  while (more && nb_csv_next(&c, &more, &err) == NB_OK) {
    for (size_t i = 0; i < c.n_fields; i++) sum += strlen(c.fields[i]);
  }
  if (sum > n) abort();
  nb_csv_close(&c);
  nb_jsonl it;
  const cJSON *record = NULL;
  nb_status st = nb_jsonl_open((const char *)data, n, "fuzz", &it, &err);
  while (st == NB_OK && (st = nb_jsonl_next(&it, &record, &err)) == NB_OK && record) sum++;
  nb_jsonl_close(&it);
  return 0;
}
