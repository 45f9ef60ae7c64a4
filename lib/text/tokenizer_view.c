/* SPDX-License-Identifier: MIT */
#include "text/tokenizer_view.h"

#include "text/tokenizer_impl.h"

unsigned nb_tokenizer_bpe_flags(const nb_tokenizer *t) { return t->bpe; }
int32_t nb_tokenizer_unk(const nb_tokenizer *t) { return t->unk; }
size_t nb_tokenizer_n_merges(const nb_tokenizer *t) { return t->n_merges; }
const nb_ids *nb_tokenizer_before(const nb_tokenizer *t) { return &t->before; }
const nb_ids *nb_tokenizer_after(const nb_tokenizer *t) { return &t->after; }

unsigned nb_tokenizer_token_flags(const nb_tokenizer *t, int32_t id) {
  return id >= 0 && (size_t)id < t->n_ids ? t->token[id].flags : 0;
}

void nb_tokenizer_merge_at(const nb_tokenizer *t, size_t i, int32_t *left, int32_t *right, int32_t *result) {
  const listed_merge *m = &t->merge_list[i];
  *left = m->left, *right = m->right, *result = m->result;
}

const nb_step *nb_tokenizer_step_at(const nb_tokenizer *t, nb_stage stage, size_t i) {
  return i < t->n_step[stage] ? &t->step[stage][i].s : NULL;
}
