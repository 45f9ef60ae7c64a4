/* SPDX-License-Identifier: MIT */
/* The decoder: one forward pass for dense checkpoints and coded files, for any mix of sequences in a batch.
 *
 * The same tokens after the same cache give the same bits however they are split into calls, batched with other
 * sequences, or spread over threads. Nothing is allocated during a forward pass. */
#ifndef NB_MODEL_H
#define NB_MODEL_H

#include "model/config.h"
#include "model/kv.h"
#include "kernels/kernels.h"
#include "base/status.h"
#include "model/weights.h"

#include <stdatomic.h>

/* A model borrows its weights' file. Zero-cost to share between sessions: it is never written. */
typedef struct nb_model {
  nb_config config;
  nb_weights weights;
} nb_model;

/* ---- session ---- */

typedef struct nb_session nb_session;

typedef struct nb_session_opts {
  int threads;                 /* 0: all processors */
  size_t max_tokens;           /* tokens of the largest batch; 0: 512, or fewer where the model is wide */
  unsigned cpu_features;       /* from cpu.h */
  bool fine;                   /* matrices marked fine see inputs of some 15 bits: what the rounding to int8 leaves is
                                * rounded and multiplied as well, at twice the time */
  const atomic_int *interrupt; /* NULL, or what another thread or a signal handler makes 1: then forward passes end
                                * before their next layer */
} nb_session_opts;

/* Workspace for forward passes over models with this configuration. One thread may use it at a time. */
nb_status nb_session_create(const nb_config *c, const nb_session_opts *o, nb_session **out, nb_err *err);
/* The bytes that this would allocate, without allocating any. NB_ERR_ARG as there. */
nb_status nb_session_need(const nb_config *c, const nb_session_opts *o, size_t *bytes, nb_err *err);
void nb_session_free(nb_session *s);
size_t nb_session_max_tokens(const nb_session *s);
size_t nb_session_bytes(const nb_session *s); /* what it allocated */
const nb_kernels *nb_session_kernels(const nb_session *s);
int nb_session_threads(const nb_session *s);
bool nb_session_interrupted(const nb_session *s); /* its interrupt says so */

/* A run of tokens that continues a cache. */
typedef struct nb_segment {
  nb_kv *kv;
  const int32_t *tokens; /* (n), each 0 <= id < V */
  size_t n;
} nb_segment;

/* Runs the segments' tokens (together at most max_tokens; a cache at most once) and appends them to their caches.
 * Afterwards nb_session_hidden holds the normed final states, (T, D), segment after segment.
 * NB_ERR_ARG: an id or a length out of range; NB_ERR_NUMERIC: a state is not finite (the message names the layer);
 * NB_ERR_INTERRUPTED: the session's interrupt says so, and the caches hold what they held before. */
nb_status nb_session_forward(nb_session *s, const nb_model *m, const nb_segment *seg, size_t n_segs, nb_err *err);
const float *nb_session_hidden(const nb_session *s);

/* Appends any number of tokens to one cache, in batches of max_tokens; hidden holds the last batch. */
nb_status nb_session_prefill(nb_session *s, const nb_model *m, nb_kv *kv, const int32_t *tokens, size_t n, nb_err *err);

/* Logits of some rows of hidden: out (n, V). */
void nb_session_logits(nb_session *s, const nb_model *m, const size_t *rows, size_t n, float *out);

enum { NB_SESSION_ROWS = 32 }; /* rows of logits that a session has room for */
/* That room, (NB_SESSION_ROWS, V), for who works a few rows off at once. nb_session_score writes over it. */
float *nb_session_room(nb_session *s);

/* Tokens that follow rows of hidden. */
typedef struct nb_targets {
  const size_t *row; /* (n) */
  const int32_t *id; /* (n) the token after that row */
  size_t n;
} nb_targets;

/* The natural-log probability (n) of each target; greedy (n) or NULL: whether the target has the largest logit (the
 * lowest id wins ties). Works in small batches of rows: no (n, V) buffer. */
nb_status nb_session_score(nb_session *s, const nb_model *m, const nb_targets *t, double *logprob, bool *greedy,
                           nb_err *err);

/* ---- a layer at a time, for calibration ---- */

/* Sees the float inputs x (T, K) of a site (parts.h), before they are quantized. The inputs of an expert are those of
 * the tokens that were sent to it. */
typedef struct nb_tap {
  void (*see)(void *ctx, size_t site, const float *x, size_t T, size_t K);
  void *ctx;
} nb_tap;

/* Sets the session up for these segments (as nb_session_forward; checks the same) without running anything. */
nb_status nb_session_begin(nb_session *s, const nb_segment *seg, size_t n_segs, nb_err *err);
/* x (T, D) = the embeddings of the segments' tokens. */
void nb_session_embed(nb_session *s, const nb_linear *embed, float *x);
/* Runs one layer on x (T, D), in place; keys and values go to layer `kv_layer` of the segments' caches. tap may be
 * NULL. The caches' lengths do not change: every layer sees the same positions. */
nb_status nb_session_layer(nb_session *s, const nb_layer *l, size_t kv_layer, float *x, const nb_tap *tap, nb_err *err);
/* y (T, D) = the final norm of x; y may be x. */
void nb_session_norm(nb_session *s, const nb_weights *w, const float *x, float *y);
/* y (T, N) = x W^T for any T floats rows (in batches of max_tokens), with the model's arithmetic: coded
 * matrices see x as int8. ldx, ldy: floats from one row to the next. */
void nb_session_linear(nb_session *s, const nb_linear *w, const float *x, size_t T, size_t ldx, float *y, size_t ldy);
/* y (T, V): the logits that follow from normed states x (T, D) by some form of the head, with the model's bias, scale,
 * cap and masked ids. */
void nb_session_head(nb_session *s, const nb_weights *w, const nb_linear *head, const float *x, size_t T, float *y);
/* Appends the segments' tokens to their caches. */
void nb_session_end(nb_session *s);

#endif
