/* SPDX-License-Identifier: MIT */
/* What a finished tokenizer is made of, for writers of other forms than nb_tokenizer_save's. */
#ifndef NB_TOKENIZER_VIEW_H
#define NB_TOKENIZER_VIEW_H

#include "text/tokenizer_build.h"

/* NB_BPE_*; NB_TOKEN_* of a token (0: no such token); the unknown token or -1. */
unsigned nb_tokenizer_bpe_flags(const nb_tokenizer *t);
unsigned nb_tokenizer_token_flags(const nb_tokenizer *t, int32_t id);
int32_t nb_tokenizer_unk(const nb_tokenizer *t);

/* Merge i of n, in rank order. */
size_t nb_tokenizer_n_merges(const nb_tokenizer *t);
void nb_tokenizer_merge_at(const nb_tokenizer *t, size_t i, int32_t *left, int32_t *right, int32_t *result);

/* Step i of a stage, owned by the tokenizer; NULL past the last one. */
const nb_step *nb_tokenizer_step_at(const nb_tokenizer *t, nb_stage stage, size_t i);

/* The ids that NB_ENCODE_ADD_SPECIAL puts before and after every text. */
const nb_ids *nb_tokenizer_before(const nb_tokenizer *t);
const nb_ids *nb_tokenizer_after(const nb_tokenizer *t);

#endif
