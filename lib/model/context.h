/* SPDX-License-Identifier: MIT */
/* One sequence that goes on over several turns: its tokens and their cache, of a size that is set once. What is asked
 * of it is always the whole text so far; of that only the tokens are run that the cache does not begin with.
 *
 * It is a batch (batch.h) of one text with one cache: nothing is copied from turn to turn, so that memory never holds
 * two caches. */
#ifndef NB_CONTEXT_H
#define NB_CONTEXT_H

#include "model/draft.h"
#include "model/generate.h"
#include "model/model.h"

typedef struct nb_context nb_context;

typedef struct nb_context_opts {
  size_t capacity;     /* tokens, prompt and answer: 2 to the model's positions. Memory is touched as they come */
  nb_kv_type kv;       /* the cache's type */
  nb_draft_mode draft; /* when guesses of what comes next are tried; they change no text */
} nb_context_opts;

/* What a turn is asked for. */
typedef struct nb_generation {
  nb_sampling sampling;
  size_t max_new; /* tokens to make at most */
  bool ignore_eos;
  bool (*token)(void *ctx, int32_t id); /* every new token (an end token is not passed); false ends the text. May be
                                         * NULL */
  bool (*stop)(void *ctx);              /* asked before every pass; true ends the text where it is. May be NULL */
  void *ctx;
} nb_generation;

/* What a turn took. */
typedef struct nb_generation_stats {
  size_t prompt_tokens, new_tokens;
  size_t reused;          /* tokens of the prompt that the cache had already */
  double prompt_s, new_s; /* seconds in the prompt, and in the new tokens */
  bool ended;             /* by an end token */
  size_t kv_bytes;        /* that the cache holds */
  size_t drafted, taken;  /* guessed tokens that were tried, and those of them that were right */
} nb_generation_stats;

/* The session and the model must outlive it. NB_ERR_ARG: a capacity out of range. nb_context_free releases. */
nb_status nb_context_create(nb_session *s, const nb_model *m, const nb_context_opts *o, nb_context **out, nb_err *err);
void nb_context_free(nb_context *c);

size_t nb_context_capacity(const nb_context *c);
/* The tokens that the cache holds, borrowed until the next call: *n of them. */
const int32_t *nb_context_ids(const nb_context *c, size_t *n);

/* Continues the n ids; *stats also after a failure. After NB_ERR_INTERRUPTED (the session's interrupt), or a callback
 * that ends the text, the cache holds what was run, and the next turn goes on from it. A LongRoPE model's cache is made
 * again when the text passes the switch, as in the reference. NB_ERR_ARG: ids out of range, or more tokens than the
 * capacity; NB_ERR_NUMERIC: a state or a logit is not finite. */
nb_status nb_context_generate(nb_context *c, const int32_t *ids, size_t n, const nb_generation *g,
                              nb_generation_stats *stats, nb_err *err);

/* Forgets everything and gives the memory back. */
void nb_context_clear(nb_context *c);

/* Room for at least so many tokens from now on, by a larger cache, into which the old one is copied: for this moment
 * memory holds both. NB_ERR_ARG: beyond the model's positions. After a failure everything is as it was. */
nb_status nb_context_grow(nb_context *c, size_t capacity, nb_err *err);

/* The cache, to be saved; NULL: nothing was run. And one in its place that was restored, with its tokens (copied), of
 * which the cache is taken over also after a failure. NB_ERR_ARG: its capacity is not this context's. */
const nb_kv *nb_context_cache(const nb_context *c);
nb_status nb_context_replace(nb_context *c, nb_kv *kv, const int32_t *ids, nb_err *err);

#endif
