/* SPDX-License-Identifier: MIT */
/* tokenizer.json; the same bytes also serve as tokenizer_config.json and as a text. */
#include "tokenizer_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_source s = {(const char *)data, n, "fuzz"}, none = {NULL, 0, NULL};
  nb_tokenizer *t;
  if (nb_tokenizer_from_json(s, n % 2 ? s : none, none, &t, NULL) != NB_OK) return 0;
  nb_text text = {0};
  nb_ids ids = {0};
  if (nb_tokenizer_encode(t, s.bytes, n < 200 ? n : 200, n % 4, &ids, NULL) == NB_OK)
    (void)nb_tokenizer_decode(t, ids.id, ids.n, n % 2, &text, NULL);
  nb_text_clear(&text);
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
