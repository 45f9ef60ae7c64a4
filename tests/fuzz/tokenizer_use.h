/* SPDX-License-Identifier: MIT */
/* What both tokenizer targets do with one that loaded: encode, decode, and save to bytes that load again. Frees it. */
#ifndef NB_TOKENIZER_USE_H
#define NB_TOKENIZER_USE_H

#include "text/tokenizer.h"

#include <stdlib.h>

static inline void tokenizer_use(nb_tokenizer *t, const char *s, size_t n, unsigned flags, bool skip_special) {
  nb_text text = {0};
  nb_ids ids = {0};
  nb_tokenizer *u;
  if (nb_tokenizer_encode(t, s, n, flags, &ids, NULL) == NB_OK &&
      nb_tokenizer_decode(t, ids.id, ids.n, skip_special, &text, NULL) != NB_OK)
    abort();
  nb_text_clear(&text);
  if (nb_tokenizer_save(t, &text, NULL) == NB_OK) {
    if (nb_tokenizer_load(text.s, text.n, &u, NULL) != NB_OK) abort();
    nb_tokenizer_free(u);
  }
  nb_ids_free(&ids);
  nb_text_free(&text);
  nb_tokenizer_free(t);
}

#endif
