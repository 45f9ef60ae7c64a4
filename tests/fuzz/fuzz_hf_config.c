/* SPDX-License-Identifier: MIT */
#include "formats/hf_config.h"
#include "formats/packed.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A configuration, and behind a NUL a generation_config.json. What is accepted must print and read again as the same.
 * How other tools packed its weights is read or refused with a reason. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_config c, again;
  char *text;
  size_t size;
  const char *s = (const char *)data, *nul = memchr(s, 0, n);
  nb_packed_scheme packed;
  *err.msg = 0;
  if (nb_packed_scheme_parse(s, nul ? (size_t)(nul - s) : n, "config.json", &packed, &err) != NB_OK && !*err.msg)
    abort();
  nb_packed_scheme_free(&packed);
  if (nb_hf_config_parse(s, nul ? (size_t)(nul - s) : n, "fuzz", &c, &err) != NB_OK) return 0;
  if (nul && nb_hf_config_parse_generation(nul + 1, n - (size_t)(nul + 1 - s), "fuzz", &c, &err) != NB_OK) return 0;
  if (nb_hf_config_print(&c, &text, &size, &err) != NB_OK) abort();
  if (nb_hf_config_parse(text, size, "printed", &again, &err) != NB_OK || memcmp(&c, &again, sizeof c)) abort();
  free(text);
  return 0;
}
