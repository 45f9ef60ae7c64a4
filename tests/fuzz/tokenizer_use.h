/* SPDX-License-Identifier: MIT */
/* What both tokenizer targets do with one that loaded: encode, decode, and save to bytes that load again. Frees it. */
#ifndef NB_TOKENIZER_USE_H
#define NB_TOKENIZER_USE_H

#include "text/tokenizer.h"

#include <stdlib.h>

/* Piece by piece, as it is shown while it is written. */
static inline void decode_stepwise(const nb_tokenizer *t, const nb_ids *ids, bool skip_special) {
  nb_decoder *d;
  nb_text text = {0};
  nb_status st = nb_decoder_new(t, skip_special, &d, NULL);
  for (size_t i = 0; i < ids->n && i < 64 && st == NB_OK; i++) st = nb_decoder_step(d, ids->id[i], &text, NULL);
  if (st == NB_OK) st = nb_decoder_finish(d, &text, NULL);
  if (st != NB_OK) abort();
  nb_decoder_free(d);
  nb_text_free(&text);
}

static inline void tokenizer_use(nb_tokenizer *t, const char *s, size_t n, unsigned flags, bool skip_special) {
  nb_text text = {0};
  nb_ids ids = {0};
  nb_tokenizer *u;
  if (nb_tokenizer_encode(t, s, n, flags, &ids, NULL) == NB_OK &&
      nb_tokenizer_decode(t, ids.id, ids.n, skip_special, &text, NULL) != NB_OK)
    abort();
  decode_stepwise(t, &ids, skip_special);
  for (size_t i = 0; i < ids.n; i++)
    if ((size_t)ids.id[i] >= nb_tokenizer_n_vocab(t)) abort();
    else (void)nb_tokenizer_is_special(t, ids.id[i]);
  (void)nb_tokenizer_begun(t, s, n);
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
