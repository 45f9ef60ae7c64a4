/* SPDX-License-Identifier: MIT */
#include "formats/json.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What the strict parser accepts must print and parse again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  cJSON *j, *again;
  if (nb_json_parse((const char *)data, n, "fuzz", &j, &err) != NB_OK) return 0;
  char *text = cJSON_PrintUnformatted(j);
  again = text ? cJSON_Parse(text) : NULL;
  if (text && !again) abort();
  cJSON_Delete(again);
  cJSON_free(text);
  cJSON_Delete(j);
  return 0;
}
