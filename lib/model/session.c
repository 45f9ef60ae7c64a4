/* SPDX-License-Identifier: MIT */
/* Sessions: the workspace, batches, and what goes in and out: embeddings, the final norm, logits. Layers are in
 * block.c. */
#include "model/session_impl.h"

#include "base/assert.h"
#include "base/cpu.h"
#include "base/mem.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { DEFAULT_TOKENS = 512, MAX_TOKENS = 1 << 16, DEFAULT_BYTES = 110 << 20 };

/* ---- workspace ---- */

static nb_status take(nb_session *s, void *out, size_t count, size_t size, nb_err *err) {
  size_t n;
  if (s->counting && (!nb_mul(count, size, &n) || !nb_add(s->bytes, n, &s->bytes)))
    return nb_fail(err, NB_ERR_ARG, "the workspace of a session is too large");
  if (s->counting) return NB_OK;
  s->bytes += count * size; /* nb_new refuses an overflow */
  return nb_new(out, count, size, "the workspace of a session", err);
}

static nb_status take_floats(nb_session *s, float **out, size_t count, nb_err *err) {
  return take(s, out, count, sizeof(float), err);
}

static nb_status take_q8(nb_session *s, nb_q8 *q, size_t T, size_t K, nb_err *err) {
  nb_assert(K % NB_K_PAD == 0);
  NB_TRY(take(s, &q->q, T * K, 1, err));
  NB_TRY(take_floats(s, &q->scale, T * (K / NB_QA_GROUP), err));
  return take(s, &q->sum, T * (K / NB_BLOCK), sizeof(int32_t), err);
}

static nb_status take_angles(nb_session *s, nb_err *err) {
  const nb_config *c = &s->c;
  size_t half = c->rotary_dim / 2;
  s->n_angles = c->rope_local_theta != 0 ? 2 : 1;
  for (size_t i = 0; i < s->n_angles; i++) {
    nb_angles *a = &s->angles[i];
    for (int stretched = 0; stretched < 2; stretched++) {
      NB_TRY(take_floats(s, &a->inv_freq[stretched], half, err));
      if (!s->counting)
        nb_config_inv_freq(c, stretched ? nb_config_stretch(c, SIZE_MAX) : 0, i == 1, a->inv_freq[stretched]);
    }
    NB_TRY(take_floats(s, &a->cos, s->max_tokens * half, err));
    NB_TRY(take_floats(s, &a->sin, s->max_tokens * half, err));
  }
  return NB_OK;
}

/* Widest inputs of any linear, padded. */
static size_t widest(const nb_session *s) {
  return nb_kernels_pad_inputs(nb_max(nb_max(s->c.hidden, s->c.ffn), s->q_dim));
}

/* Tokens of a batch by default: so many that a weight that was read serves often, but of a wide model fewer, so that
 * their states stay a small part of a phone's memory. */
static size_t default_tokens(const nb_session *s) {
  size_t floats = 3 * s->c.hidden + nb_max(2 * (s->q_dim + s->kv_dim), 2 * s->c.ffn);
  size_t fit = DEFAULT_BYTES / (floats * sizeof(float) + widest(s)) / 64 * 64;
  return nb_max(64, nb_min(DEFAULT_TOKENS, fit));
}

static nb_status take_states(nb_session *s, bool fine, nb_err *err) {
  const nb_config *c = &s->c;
  size_t T = s->max_tokens, D = c->hidden, F = c->ffn, K = widest(s);
  NB_TRY(take_floats(s, &s->x, T * D, err));
  NB_TRY(take_floats(s, &s->xn, T * D, err));
  NB_TRY(take_floats(s, &s->out, T * D, err));
  if (c->block == NB_BLOCK_PARALLEL || c->experts) NB_TRY(take_floats(s, &s->out2, T * D, err));
  const size_t wide = T * nb_max(2 * (s->q_dim + s->kv_dim), 2 * F);
  NB_TRY(take_floats(s, &s->wide, wide, err));
  s->qkv = s->ffn = s->wide;
  s->attn = s->wide + T * (s->q_dim + 2 * s->kv_dim);
  nb_assert(s->attn + T * s->q_dim <= s->wide + wide);
  if (c->experts) {
    NB_TRY(take_floats(s, &s->picked, T * D, err));
    NB_TRY(take_floats(s, &s->routes, T * c->experts, err));
    NB_TRY(take(s, &s->rows_of, T, sizeof(size_t), err));
  }
  NB_TRY(take(s, &s->seg_of, T, sizeof(size_t), err));
  NB_TRY(take(s, &s->seg_start, T + 1, sizeof(size_t), err));
  NB_TRY(take_q8(s, &s->q8, T, K, err));
  if (fine) {
    s->part_floats = nb_max(T * nb_max(nb_max(s->q_dim + 2 * s->kv_dim, 2 * F), D), 32 * c->vocab);
    NB_TRY(take_q8(s, &s->rest8, T, K, err));
    NB_TRY(take_floats(s, &s->rest, T * K, err));
    NB_TRY(take_floats(s, &s->part, s->part_floats, err));
  }
  NB_TRY(take_floats(s, &s->logits, NB_SESSION_ROWS * c->vocab, err));
  return take_floats(s, &s->rows, NB_SESSION_ROWS * D, err);
}

/* Fills a zeroed session; one that is counting gets its sizes only. */
static nb_status set_up(nb_session *s, const nb_config *c, const nb_session_opts *o, nb_err *err) {
  NB_TRY(nb_config_check(c, err));
  if (o->threads < 0 || o->threads > NB_MAX_THREADS)
    return nb_fail(err, NB_ERR_ARG, "%d threads is out of range (1 to %d)", o->threads, NB_MAX_THREADS);
  if (o->max_tokens > MAX_TOKENS)
    return nb_fail(err, NB_ERR_ARG, "a batch of %zu tokens is out of range (1 to %d)", o->max_tokens, MAX_TOKENS);
  s->c = *c, s->interrupt = o->interrupt;
  s->k = nb_kernels_select(o->cpu_features);
  s->threads = o->threads ? o->threads : nb_parallel_cpus();
  s->q_dim = c->heads * c->head_dim;
  s->kv_dim = c->kv_heads * c->head_dim;
  s->max_tokens = o->max_tokens ? o->max_tokens : default_tokens(s);
  NB_TRY(take_angles(s, err));
  NB_TRY(take_states(s, o->fine, err));
  s->scratch_bytes =
      nb_round_up(nb_max(nb_kernels_linear_scratch(widest(s)), nb_attn_scratch_bytes(c->head_dim)), 4096);
  return take(s, &s->scratch, (size_t)s->threads * s->scratch_bytes, 1, err);
}

nb_status nb_session_create(const nb_config *c, const nb_session_opts *o, nb_session **out, nb_err *err) {
  nb_session *s;
  *out = NULL;
  NB_TRY(nb_new(&s, 1, sizeof *s, "a session", err));
  nb_status st = set_up(s, c, o, err);
  if (st == NB_OK) *out = s;
  else nb_session_free(s);
  return st;
}

nb_status nb_session_need(const nb_config *c, const nb_session_opts *o, size_t *bytes, nb_err *err) {
  nb_session *s;
  NB_TRY(nb_new(&s, 1, sizeof *s, "a session", err));
  s->counting = true;
  nb_status st = set_up(s, c, o, err);
  *bytes = s->bytes + sizeof *s;
  nb_session_free(s);
  return st;
}

void nb_session_free(nb_session *s) {
  if (!s) return;
  void *all[] = {s->x,           s->xn,        s->wide,      s->out,  s->out2,     s->picked, s->routes,
                 s->rows_of,     s->seg_of,    s->seg_start, s->q8.q, s->q8.scale, s->q8.sum, s->rest8.q,
                 s->rest8.scale, s->rest8.sum, s->rest,      s->part, s->logits,   s->rows,   s->scratch};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) nb_free(all[i]);
  for (size_t i = 0; i < 2; i++) {
    nb_free(s->angles[i].inv_freq[0]), nb_free(s->angles[i].inv_freq[1]);
    nb_free(s->angles[i].cos), nb_free(s->angles[i].sin);
  }
  nb_free(s);
}

size_t nb_session_max_tokens(const nb_session *s) { return s->max_tokens; }
size_t nb_session_bytes(const nb_session *s) { return s->bytes; }
const nb_kernels *nb_session_kernels(const nb_session *s) { return &s->k; }
int nb_session_threads(const nb_session *s) { return s->threads; }
const float *nb_session_hidden(const nb_session *s) { return s->xn; }
float *nb_session_room(nb_session *s) { return s->logits; }
bool nb_session_interrupted(const nb_session *s) {
  return s->interrupt && atomic_load_explicit(s->interrupt, memory_order_relaxed);
}

/* ---- batches ---- */

/* The angles of a segment's tokens, rows T and on of the batch. */
static void turn_segment(nb_session *s, const nb_segment *seg, size_t T) {
  const nb_config *c = &s->c;
  size_t half = c->rotary_dim / 2, stretch = seg->kv->stretch;
  nb_assert(T + seg->n <= s->max_tokens);
  for (size_t i = 0; i < s->n_angles; i++) {
    nb_angles *a = &s->angles[i];
    if (stretch && c->rope_kind == NB_ROPE_DYNAMIC) nb_config_inv_freq(c, stretch, i == 1, a->inv_freq[1]);
    float scale = i == 1 ? 1 : stretch ? c->rope_scale_long : c->rope_scale;
    for (size_t t = 0; t < seg->n; t++)
      nb_config_rope(c, a->inv_freq[stretch != 0], scale, seg->kv->length + t, a->cos + (T + t) * half,
                     a->sin + (T + t) * half);
  }
}

nb_status nb_session_begin(nb_session *s, const nb_segment *seg, size_t n_segs, nb_err *err) {
  const nb_config *c = &s->c;
  size_t T = 0;
  for (size_t g = 0; g < n_segs; g++) {
    const nb_kv *kv = seg[g].kv;
    nb_assert(kv->kv_heads == c->kv_heads && kv->head_dim == c->head_dim);
    nb_assert(!kv->parent || kv->parent->length >= kv->fork_length); /* what a fork shares stays */
    size_t end;
    if (seg[g].n == 0 || seg[g].n > s->max_tokens - T)
      return nb_fail(err, NB_ERR_ARG, "a batch takes 1 to %zu tokens", s->max_tokens);
    if (!nb_add(kv->length, seg[g].n, &end) || end > kv->capacity)
      return nb_fail(err, NB_ERR_ARG, "%zu tokens after %zu do not fit a cache of %zu", seg[g].n, kv->length,
                     kv->capacity);
    if (nb_config_stretch(c, end) > kv->stretch)
      return nb_fail(err, NB_ERR_ARG,
                     "position %zu needs the rope factors of a longer sequence than the cache was made for", end);
    NB_TRY(nb_config_check_ids(c, seg[g].tokens, seg[g].n, err));
    for (size_t i = 0; i < seg[g].n; i++) s->seg_of[T + i] = g;
    turn_segment(s, &seg[g], T);
    s->seg_start[g] = T;
    T += seg[g].n;
  }
  nb_assert(T <= s->max_tokens && n_segs <= T);
  s->seg = seg, s->n_segs = n_segs, s->T = T;
  return NB_OK;
}

typedef struct embed_job {
  nb_session *s;
  const nb_linear *embed;
  float *x;
} embed_job;

static void embed_rows(void *ctx, size_t begin, size_t end, int thread) {
  embed_job *j = ctx;
  const nb_session *s = j->s;
  size_t D = s->c.hidden;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    size_t g = s->seg_of[t];
    nb_assert(g < s->n_segs && t - s->seg_start[g] < s->seg[g].n);
    float *x = j->x + t * D;
    nb_linear_row(j->embed, (size_t)s->seg[g].tokens[t - s->seg_start[g]], x);
    if (s->c.embed_scale != 1)
      for (size_t i = 0; i < D; i++) x[i] *= s->c.embed_scale;
  }
}

void nb_session_embed(nb_session *s, const nb_linear *embed, float *x) {
  embed_job j = {s, embed, x};
  nb_assert(embed->N == s->c.vocab && embed->K == s->c.hidden);
  nb_parallel_for(s->threads, s->T, 8, embed_rows, &j);
}

void nb_session_norm(nb_session *s, const nb_weights *w, const float *x, float *y) {
  nb_row_job j = {
      .weight = w->vec[NB_FINAL_NORM], .bias = w->vec[NB_FINAL_NORM_BIAS], .in = x, .K = s->c.hidden, .y = y};
  nb_session_rows(s, s->T, nb_session_norm_rows, &j);
}

void nb_session_end(nb_session *s) {
  for (size_t g = 0; g < s->n_segs; g++) {
    s->seg[g].kv->length += s->seg[g].n;
    nb_assert(s->seg[g].kv->length <= s->seg[g].kv->capacity); /* nb_session_begin saw to it, of each cache once */
  }
}

nb_status nb_session_forward(nb_session *s, const nb_model *m, const nb_segment *seg, size_t n_segs, nb_err *err) {
  NB_TRY(nb_session_begin(s, seg, n_segs, err));
  nb_session_embed(s, nb_weights_embed(&m->weights), s->x);
  for (size_t l = 0; l < s->c.layers; l++) {
    if (nb_session_interrupted(s)) return nb_fail(err, NB_ERR_INTERRUPTED, "interrupted");
    NB_TRY(nb_session_layer(s, &m->weights.layer[l], l, s->x, NULL, err));
  }
  nb_session_norm(s, &m->weights, s->x, s->xn);
  nb_session_end(s);
  return NB_OK;
}

nb_status nb_session_prefill(nb_session *s, const nb_model *m, nb_kv *kv, const int32_t *tokens, size_t n,
                             nb_err *err) {
  for (size_t i = 0; i < n; i += s->max_tokens) {
    nb_segment seg = {kv, tokens + i, nb_min(s->max_tokens, n - i)};
    NB_TRY(nb_session_forward(s, m, &seg, 1, err));
  }
  return NB_OK;
}

/* ---- outputs ---- */

void nb_session_linear(nb_session *s, const nb_linear *w, const float *x, size_t T, size_t ldx, float *y, size_t ldy) {
  size_t most = s->part && w->fine ? nb_max(1, nb_min(s->max_tokens, s->part_floats / w->N)) : s->max_tokens;
  nb_assert(!s->part || !w->fine || most * w->N <= s->part_floats);
  nb_assert(nb_kernels_pad_inputs(w->K) <= widest(s) && (T <= 1 || (ldx >= w->K && ldy >= w->N)));
  for (size_t t = 0; t < T; t += most) {
    size_t n = nb_min(most, T - t);
    nb_session_set_q8(s, n, w->K);
    if (w->coded)
      for (size_t i = 0; i < n; i++) nb_session_quantize_row(s, i, x + (t + i) * ldx, w->K);
    nb_product p = {w, y + t * ldy, ldy};
    nb_session_products(s, &p, 1, x + t * ldx, ldx, n);
  }
}

/* What a model does to the head's outputs. */
static void finish_logits(const nb_session *s, const float *bias, float *y) {
  const nb_config *c = &s->c;
  size_t V = c->vocab;
  if (bias) s->k.add(y, bias, V);
  if (c->logit_scale != 1)
    for (size_t v = 0; v < V; v++) y[v] *= c->logit_scale;
  if (c->logit_softcap != 0) s->k.softcap(y, V, c->logit_softcap);
  for (size_t i = 0; i < c->n_masked; i++)
    for (size_t v = (size_t)c->masked[i][0]; v <= (size_t)c->masked[i][1]; v++) y[v] = -FLT_MAX;
}

void nb_session_head(nb_session *s, const nb_weights *w, const nb_linear *head, const float *x, size_t T, float *y) {
  nb_assert(head->N == s->c.vocab && head->K == s->c.hidden);
  size_t V = s->c.vocab;
  nb_session_linear(s, head, x, T, s->c.hidden, y, V);
  for (size_t t = 0; t < T; t++) finish_logits(s, w->vec[NB_HEAD_BIAS], y + t * V);
}

void nb_session_logits(nb_session *s, const nb_model *m, const size_t *rows, size_t n, float *out) {
  size_t D = s->c.hidden;
  for (size_t i = 0; i < n; i += NB_SESSION_ROWS) {
    size_t count = nb_min(NB_SESSION_ROWS, n - i);
    for (size_t r = 0; r < count; r++) {
      nb_assert(rows[i + r] < s->T);
      memcpy(s->rows + r * D, s->xn + rows[i + r] * D, D * sizeof(float));
    }
    nb_session_head(s, &m->weights, nb_weights_head(&m->weights), s->rows, count, out + i * s->c.vocab);
  }
}

nb_status nb_session_score(nb_session *s, const nb_model *m, const nb_targets *t, double *logprob, bool *greedy,
                           nb_err *err) {
  size_t V = s->c.vocab;
  for (size_t i = 0; i < t->n; i += NB_SESSION_ROWS) {
    size_t count = nb_min(NB_SESSION_ROWS, t->n - i);
    nb_session_logits(s, m, t->row + i, count, s->logits);
    for (size_t r = 0; r < count; r++) {
      const float *l = s->logits + r * V;
      size_t id = (size_t)t->id[i + r];
      nb_assert(id < V);
      logprob[i + r] = (double)l[id] - s->k.logsumexp(l, V);
      if (!isfinite(logprob[i + r]))
        return nb_fail(err, NB_ERR_NUMERIC, "the head's logits are not finite (NaN or infinity)");
      if (!greedy) continue;
      bool best = true;
      for (size_t v = 0; v < V && best; v++) best = v < id ? l[v] < l[id] : l[v] <= l[id];
      greedy[i + r] = best;
    }
  }
  return NB_OK;
}
