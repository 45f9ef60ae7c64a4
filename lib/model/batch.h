/* SPDX-License-Identifier: MIT */
/* Continuing many texts at once over one model.
 *
 * Reading the weights costs as much for one token as for hundreds, so every step runs the next token of all the
 * sequences at hand and fills the rest of the batch with prompts (continuous batching: Yu et al. 2022, "Orca"). A
 * sequence leaves in the step that ends it and a waiting one takes its place as soon as its cache fits the memory that
 * was given. When caches outgrow that memory, the sequence that came last gives its own back and is run again later.
 * What several prompts have in common at their beginning is run once and shared; caches of texts that are over may be
 * kept, and a prompt that begins as one of them (the next turn of a conversation) goes on from there.
 *
 * A batch with a capacity has one cache, of a size that is set once: each text takes it over from the one before, and
 * nothing is ever copied or held twice (context.h).
 *
 * A sequence that runs alone tries guesses of its next tokens, taken from its own text (draft.h): the batch has room.
 *
 * A sequence's tokens and log-probs depend on its prompt, its sampling and the model alone: not on what else is in the
 * batch, when it was submitted, whether it shared a beginning, gave way or tried guesses.
 *
 * One thread calls all of this. Requests may be submitted and cancelled between steps and from callbacks, so a server
 * feeds its queue in as it fills:
 *     while (server_open) { take_new_requests(b); nb_batch_step(b, &busy, err); if (!busy) wait_for_requests(); } */
#ifndef NB_BATCH_H
#define NB_BATCH_H

#include "model/draft.h"
#include "model/generate.h"
#include "model/model.h"

typedef struct nb_batch nb_batch;

typedef struct nb_batch_opts {
  nb_kv_type kv;
  size_t kv_bytes;     /* memory for caches; 0: no bound. One sequence runs even when it needs more */
  size_t most;         /* sequences that run at a time; 0: 256. At most the session's max_tokens */
  bool share_never;    /* run every prompt whole: for tests and measurements */
  nb_draft_mode draft; /* when a text that runs alone tries guesses of what comes next; they change no text */
  size_t keep;         /* caches of texts that are over which are kept, the last used ones, as kv_bytes allows */
  size_t capacity;     /* 0: a cache for each text, as large as it asks for. Otherwise one text runs at a time, in the
                        * one cache of so many tokens; most, keep and kv_bytes are not looked at */
} nb_batch_opts;

enum { NB_BATCH_TOP = 20 }; /* likeliest tokens that a request may ask for */

/* A token and its natural-log probability where it stands (of the model's distribution, whatever the sampling). */
typedef struct nb_batch_logprob {
  int32_t id;
  double logprob;
} nb_batch_logprob;

/* Why a sequence ended. */
typedef enum nb_batch_end {
  NB_BATCH_EOS,      /* by an end token of the model, which is not passed on */
  NB_BATCH_STOPPED,  /* its token callback said so */
  NB_BATCH_LENGTH,   /* after max_new tokens */
  NB_BATCH_CANCELLED /* by nb_batch_cancel */
} nb_batch_end;

typedef struct nb_batch_request {
  const int32_t *prompt; /* (n_prompt > 0) copied */
  size_t n_prompt;
  size_t max_new; /* tokens at most, > 0; with score_prompt also 0 */
  nb_sampling sampling;
  bool ignore_eos;
  const int32_t *given; /* NULL, or (max_new), borrowed until `ended`: the tokens that are taken instead of those
                         * picked, to measure how fast a known text is written */
  size_t top;           /* likeliest tokens that `scored` is told of, at most NB_BATCH_TOP and the vocabulary */
  bool score_prompt;    /* tell the log-probs of the prompt's tokens, too: it is then run whole */
  /* The log-prob of the prompt's tokens from the second on (score_prompt), in their order, and of each new one, an
   * end token too, before `token` is called with it; top: (r.top) falling, the lowest id first of equal ones. May be
   * NULL. */
  void (*scored)(void *ctx, nb_batch_logprob of, const nb_batch_logprob *top);
  bool (*token)(void *ctx, int32_t id);       /* each new token; false ends the text. May be NULL */
  void (*ended)(void *ctx, nb_batch_end why); /* the last call about this request. May be NULL */
  void *ctx;
} nb_batch_request;

typedef struct nb_batch_stats {
  size_t steps;
  size_t prompt_tokens;  /* of prompts, run through the model, */
  size_t shared_tokens;  /* taken from another's cache instead, */
  size_t again_tokens;   /* and run a second time, by sequences that gave way or passed the LongRoPE switch */
  size_t new_tokens;     /* sampled */
  size_t drafted_tokens; /* guessed by a text that ran alone and run through the model, */
  size_t taken_tokens;   /* and what of them was right */
  size_t gave_way;       /* times that a sequence lost its cache */
  size_t most_running;   /* sequences in one step */
  size_t most_kv_bytes;  /* that caches held at a time */
  double seconds;        /* in nb_batch_step */
  double decode_seconds; /* in steps without tokens of prompts, */
  size_t decode_tokens;  /* and what those sampled */
} nb_batch_stats;

/* The session and the model must outlive it. nb_batch_free releases (without calling back). */
nb_status nb_batch_create(nb_session *s, const nb_model *m, const nb_batch_opts *o, nb_batch **out, nb_err *err);
void nb_batch_free(nb_batch *b);

/* Puts a request at the end of the queue; *ticket (may be NULL) names it for nb_batch_cancel. NB_ERR_ARG: prompt and
 * max_new do not fit the model's positions or the capacity, an id or `top` is out of range. */
nb_status nb_batch_submit(nb_batch *b, const nb_batch_request *r, uint64_t *ticket, nb_err *err);

/* The request ends at the next step's beginning; one that is over already, or never was, is no error. */
void nb_batch_cancel(nb_batch *b, uint64_t ticket);

/* Runs one batch and calls back for its new tokens. *busy: whether requests are left. After an error (NB_ERR_NUMERIC:
 * a state or a logit is not finite; NB_ERR_MEMORY; NB_ERR_INTERRUPTED, by the session's interrupt) the requests at hand
 * can only be cancelled; what was run of them may be kept. */
nb_status nb_batch_step(nb_batch *b, bool *busy, nb_err *err);

/* Requests that are not over: those that run and those that wait. */
size_t nb_batch_unfinished(const nb_batch *b);
size_t nb_batch_waiting(const nb_batch *b);
size_t nb_batch_kv_bytes(const nb_batch *b); /* that caches hold now, the kept ones included */
const nb_batch_stats *nb_batch_stats_of(const nb_batch *b);

#endif
