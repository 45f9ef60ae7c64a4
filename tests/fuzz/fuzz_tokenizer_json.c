/* SPDX-License-Identifier: MIT */
/* tokenizer.json; the same bytes also serve as tokenizer_config.json, as special_tokens_map.json and as a text. */
#include "formats/tokenizer_dir.h"
#include "tokenizer_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_source s = {(const char *)data, n, "fuzz"};
  nb_tokenizer_files f = {.json = s};
  nb_tokenizer *t;
  if (n % 2) f.config = s;
  if (n % 3 == 0) f.map = s;
  if (nb_tokenizer_from_files(&f, &t, NULL) != NB_OK) return 0;
  tokenizer_use(t, s.bytes, n < 200 ? n : 200, n % 4, n % 2);
  return 0;
}
