/* SPDX-License-Identifier: MIT */
/* Inside of a session: its workspace, and the pieces of a forward pass that stand in files of their own. A layer is a
 * sequence of parallel sections over rows (tokens), tiles of output rows, or (sequence, head, queries) items; each item
 * computes its outputs alone, so the split never shows in the bits. */
#ifndef NB_SESSION_IMPL_H
#define NB_SESSION_IMPL_H

#include "base/parallel.h"
#include "model/kv_impl.h"
#include "model/linear.h"
#include "model/model.h"

/* Angles of one kind of layer: 0 those that see everything, 1 those of windowed layers with a theta of their own. */
typedef struct nb_angles {
  float *inv_freq[2]; /* (rotary_dim/2) of short sequences, of stretched ones */
  float *cos, *sin;   /* (max_tokens, rotary_dim/2) of the batch */
} nb_angles;

struct nb_session {
  nb_config c;
  nb_kernels k;
  int threads;
  const atomic_int *interrupt; /* as nb_session_opts has it */
  size_t max_tokens, bytes;
  bool counting;        /* only counts the bytes that it would allocate */
  size_t q_dim, kv_dim; /* heads * head_dim, kv_heads * head_dim */
  nb_angles angles[2];
  size_t n_angles;
  /* (max_tokens, ...) each */
  float *x;        /* (D) the residual stream */
  float *xn;       /* (D) normed states; after nb_session_forward, the hidden states */
  float *wide;     /* the next three: attention is over when the feed-forward block begins */
  float *qkv;      /* (q_dim + 2 kv_dim) */
  float *attn;     /* (q_dim) */
  float *ffn;      /* (2 F) gate, up; (F) without a gate */
  float *out;      /* (D) a branch's output, before it is added */
  float *out2;     /* (D) parallel blocks: the other branch's; experts: one expert's. NULL otherwise */
  float *picked;   /* (D) the inputs of one expert, packed; NULL without experts */
  float *routes;   /* (experts) the router's logits, then each expert's weight, 0 for those not chosen */
  size_t *rows_of; /* the tokens of one expert */
  size_t *seg_of;  /* the segment of a token */
  nb_q8 q8;        /* inputs of the next linear */
  nb_q8 rest8;     /* for fine matrices: what their rounding left, rounded again, */
  float *rest;     /* (K) as floats, */
  float *part;     /* (part_floats) and the products of that */
  size_t part_floats;
  float *logits; /* (NB_SESSION_ROWS, V) */
  float *rows;   /* (NB_SESSION_ROWS, D) gathered rows */
  uint8_t *scratch;
  size_t scratch_bytes; /* a thread */
  /* the batch */
  const nb_segment *seg;
  size_t n_segs, T;
  size_t *seg_start; /* (max_tokens + 1) first row of a segment */
};

/* ---- rows: what a token does alone ---- */

/* A section over rows. */
typedef struct nb_row_job {
  nb_session *s;
  const float *weight, *bias; /* (K) of a norm, or NULL */
  const float *in;            /* (T, ld) */
  size_t ld, K;
  float *x, *y;
  const float *add_bias[2]; /* biases of the matrices whose outputs these are, or NULL */
  bool quantize;            /* the results become inputs of a linear */
  bool not_finite;          /* set when a row has a NaN or an infinity */
} nb_row_job;

/* Runs fn over T rows. */
void nb_session_rows(nb_session *s, size_t T, nb_range_fn fn, nb_row_job *j);
/* Says that T rows of K inputs come next. */
void nb_session_set_q8(nb_session *s, size_t T, size_t K);
/* Row t of the next linear's inputs. */
void nb_session_quantize_row(nb_session *s, size_t t, const float *x, size_t K);
/* One row's norm. bias may be NULL. */
void nb_session_norm_row(const nb_session *s, const float *x, const float *w, const float *bias, size_t D, float *y);
/* Range function: y (T, K) = the norm of in (T, K); inputs of a linear when `quantize` is set. */
void nb_session_norm_rows(void *ctx, size_t begin, size_t end, int thread);
/* Range function: rows of `in` become inputs of a linear. */
void nb_session_quantize_rows(void *ctx, size_t begin, size_t end, int thread);

/* y = x W^T for n <= 3 matrices of the same inputs x (T, ldx), which are quantized already when a matrix is coded. */
void nb_session_products(nb_session *s, const nb_product *p, size_t n, const float *x, size_t ldx, size_t T);

static inline void nb_tap_see(const nb_tap *tap, size_t site, const float *x, size_t T, size_t K) {
  if (tap) tap->see(tap->ctx, site, x, T, K);
}

/* ---- pieces of a layer ---- */

/* attend.c: from the projections in s->qkv (biases not added yet) to s->attn. */
void nb_session_attend(nb_session *s, const nb_layer *l, size_t kv_layer);

/* ffn.c: out (T, D) = the feed-forward block of the normed states s->xn, which are quantized already where its first
 * matrices are coded; without the bias of down. Leaves s->q8 changed. */
void nb_session_ffn(nb_session *s, const nb_layer *l, float *out, const nb_tap *tap);

#endif
