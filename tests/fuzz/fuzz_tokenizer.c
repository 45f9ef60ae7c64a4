/* SPDX-License-Identifier: MIT */
/* The compact form of a tokenizer: what loads must save to the same bytes, encode and decode. */
#include "tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_tokenizer *t;
  if (nb_tokenizer_load(data, n, &t, NULL) != NB_OK) return 0;
  nb_text text = {0};
  nb_ids ids = {0};
  size_t tail = n < 64 ? n : 64; /* the input's end doubles as the text */
  if (nb_tokenizer_encode(t, (const char *)data + n - tail, tail, NB_ENCODE_ADD_SPECIAL, &ids, NULL) ==
      NB_OK) {
    if (nb_tokenizer_decode(t, ids.id, ids.n, false, &text, NULL) != NB_OK) abort();
    nb_text_clear(&text);
  }
  if (nb_tokenizer_save(t, &text, NULL) == NB_OK) {
    nb_tokenizer *u;
    if (nb_tokenizer_load(text.s, text.n, &u, NULL) != NB_OK) abort();
    nb_tokenizer_free(u);
  }
  nb_ids_free(&ids);
  nb_text_free(&text);
  nb_tokenizer_free(t);
  return 0;
}
