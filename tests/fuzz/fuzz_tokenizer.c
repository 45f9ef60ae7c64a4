/* SPDX-License-Identifier: MIT */
/* The compact form of a tokenizer. */
#include "tokenizer_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_tokenizer *t;
  if (nb_tokenizer_load(data, n, &t, NULL) != NB_OK) return 0;
  size_t tail = n < 64 ? n : 64; /* the input's end doubles as the text */
  tokenizer_use(t, (const char *)data + n - tail, tail, NB_ENCODE_ADD_SPECIAL, false);
  return 0;
}
