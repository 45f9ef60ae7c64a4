/* SPDX-License-Identifier: MIT */
/* One sequence that goes on over several turns: its tokens and their cache, of a size that is set once. What is asked
 * of it is always the whole text so far; of that only the tokens are run that the cache does not begin with. The tokens
 * that come are those of nb_generate. A batch (batch.h) does the same for many sequences, with a cache that grows; here
 * nothing is copied from turn to turn, so that memory never holds two caches. */
#ifndef NB_CONTEXT_H
#define NB_CONTEXT_H

#include "model/generate.h"

typedef struct nb_context nb_context;

/* Room for `capacity` tokens, the model's positions at most. Memory is touched as tokens come. The model must outlive
 * it. NB_ERR_ARG: a capacity out of range. nb_context_free releases. */
nb_status nb_context_create(const nb_model *m, size_t capacity, nb_kv_type type, nb_context **out, nb_err *err);
void nb_context_free(nb_context *c);

size_t nb_context_capacity(const nb_context *c);
/* The tokens that the cache holds, borrowed: *n of them. */
const int32_t *nb_context_ids(const nb_context *c, size_t *n);
/* Forgets all of them but the first n; the memory stays. */
void nb_context_truncate(nb_context *c, size_t n);

/* Continues the n ids; stats->reused: how many of them the cache had. After NB_ERR_INTERRUPTED, or a callback that ends
 * the text, the cache holds what was run, and the next turn goes on from it. g->kv_type is not looked at. NB_ERR_ARG:
 * ids out of range, or more tokens than the capacity. */
nb_status nb_context_generate(nb_context *c, nb_session *s, const int32_t *ids, size_t n, const nb_generation *g,
                              nb_generation_stats *stats, nb_err *err);

/* Forgets everything and gives the memory back. */
void nb_context_clear(nb_context *c);

/* The cache, to be saved; NULL: nothing was run. And one in its place that was restored, with its tokens (copied), of
 * which the cache is taken over also after a failure. NB_ERR_ARG: its capacity is not this context's. */
const nb_kv *nb_context_cache(const nb_context *c);
nb_status nb_context_replace(nb_context *c, nb_kv *kv, const int32_t *ids, nb_err *err);

#endif
