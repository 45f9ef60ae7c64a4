/* SPDX-License-Identifier: MIT */
#include "formats/hf_config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A configuration that is accepted must print and read again as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_config c, again;
  char *text;
  size_t size;
  if (nb_hf_config_parse((const char *)data, n, "fuzz", &c, &err) != NB_OK) return 0;
  if (nb_hf_config_print(&c, &text, &size, &err) != NB_OK) abort();
  if (nb_hf_config_parse(text, size, "printed", &again, &err) != NB_OK || memcmp(&c, &again, sizeof c)) abort();
  free(text);
  return 0;
}
