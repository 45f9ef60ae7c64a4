/* SPDX-License-Identifier: MIT */
/* tokenizer.json; the same bytes also serve as tokenizer_config.json and as a text. */
#include "formats/tokenizer_json.h"
#include "tokenizer_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_source s = {(const char *)data, n, "fuzz"}, none = {NULL, 0, NULL};
  nb_tokenizer *t;
  if (nb_tokenizer_from_json(s, n % 2 ? s : none, none, &t, NULL) != NB_OK) return 0;
  tokenizer_use(t, s.bytes, n < 200 ? n : 200, n % 4, n % 2);
  return 0;
}
