/* SPDX-License-Identifier: MIT */
/* The keys and values of sequences: made, shared between sequences that begin alike, cut back. */
#ifndef NB_KV_H
#define NB_KV_H

#include "base/status.h"
#include "kernels/kv_layout.h"
#include "model/config.h"

/* The keys and values of one sequence. Memory is touched as positions are filled. */
typedef struct nb_kv nb_kv;

/* A cache for at most `capacity` tokens of a model with this configuration. long_factors: which LongRoPE factors the
 * sequence uses: see nb_config_long_rope. Ends with nb_kv_free. */
nb_status nb_kv_create(const nb_config *c, size_t capacity, nb_kv_type type, bool long_factors, nb_kv **out,
                       nb_err *err);

/* A new sequence that goes on from the first `length` tokens of `parent`, for at most `capacity` tokens in all. The
 * parent is shared, read only, and must stay unchanged and outlive the fork; forks of forks are refused. */
nb_status nb_kv_fork(const nb_kv *parent, size_t length, size_t capacity, nb_kv **out, nb_err *err);
void nb_kv_free(nb_kv *kv);

size_t nb_kv_length(const nb_kv *kv); /* tokens held */
size_t nb_kv_capacity(const nb_kv *kv);
/* Forgets the tokens from `length` on (not below what is shared). */
void nb_kv_truncate(nb_kv *kv, size_t length);
/* Forgets all tokens (of its own) and writes zeros everywhere: the system has then given the memory. */
void nb_kv_clear(nb_kv *kv);
/* Bytes that the tokens held take (without what is shared). */
size_t nb_kv_bytes(const nb_kv *kv);

/* Whether a sequence that reaches `length` tokens uses the long factors: Hugging Face chooses them by the whole
 * sequence's length, for all of its positions. A cache made with the short ones must be made again past the switch. */
bool nb_config_long_rope(const nb_config *c, size_t length);

/* As nb_kv_create, with room for `layers` layers only (1 for layer-at-a-time work). */
nb_status nb_kv_create_layers(const nb_config *c, size_t layers, size_t capacity, nb_kv_type type, bool long_factors,
                              nb_kv **out, nb_err *err);

#endif
