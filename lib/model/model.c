/* SPDX-License-Identifier: MIT */
/* Sessions and the forward pass. A layer is a sequence of parallel sections over rows (tokens), tiles of output rows,
 * or (sequence, head, queries) items; each item computes its outputs alone, so the split never shows in the bits. */
#include "model/model.h"

#include "base/cpu.h"
#include "model/kv_impl.h"
#include "model/linear.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

enum {
  DEFAULT_TOKENS = 512,
  MAX_TOKENS = 1 << 16,
  SCORE_ROWS = 32, /* rows of logits held at once */
  QUERY_CHUNK = 64 /* queries of an attention item */
};

struct nb_session {
  nb_config c;
  nb_kernels k;
  int threads;
  size_t max_tokens, bytes;
  size_t q_dim, kv_dim; /* heads * head_dim, kv_heads * head_dim */
  float *inv_freq[2];   /* (rotary_dim/2) short, long */
  /* (max_tokens, ...) each */
  float *x;         /* (D) the residual stream */
  float *xn;        /* (D) normed states; after nb_session_forward, the hidden states */
  float *wide;      /* the next three: attention is over when the feed-forward block begins */
  float *qkv;       /* (q_dim + 2 kv_dim) */
  float *attn;      /* (q_dim) */
  float *ffn;       /* (2 F) gate, up */
  float *out;       /* (D) a branch's output, before it is added */
  float *cos, *sin; /* (rotary_dim/2) */
  size_t *seg_of;   /* the segment of a token */
  nb_q8 q8;         /* inputs of the next linear */
  nb_q8 rest8;      /* for fine matrices: what their rounding left, rounded again, */
  float *rest;      /* (K) as floats, */
  float *part;      /* (part_floats) and the products of that */
  size_t part_floats;
  float *logits; /* (SCORE_ROWS, V) */
  float *rows;   /* (SCORE_ROWS, D) gathered rows */
  uint8_t *scratch;
  size_t scratch_bytes; /* a thread */
  /* the batch */
  const nb_segment *seg;
  size_t n_segs, T;
  size_t *seg_start; /* (max_tokens + 1) first row of a segment */
};

bool nb_config_long_rope(const nb_config *c, size_t length) {
  return c->rope_kind == NB_ROPE_LONGROPE && length > c->original_max_position;
}

/* ---- session ---- */

static nb_status take(nb_session *s, void *out, size_t count, size_t size, nb_err *err) {
  s->bytes += count * size; /* nb_new refuses an overflow */
  return nb_new(out, count, size, "the workspace of a session", err);
}

static nb_status take_q8(nb_session *s, nb_q8 *q, size_t T, size_t K, nb_err *err) {
  NB_TRY(take(s, &q->q, T * K, 1, err));
  NB_TRY(take(s, &q->scale, T * (K / NB_QA_GROUP), sizeof(float), err));
  return take(s, &q->sum, T * (K / NB_BLOCK), sizeof(int32_t), err);
}

nb_status nb_session_create(const nb_config *c, const nb_session_opts *o, nb_session **out, nb_err *err) {
  nb_status st;
  nb_session *s = NULL;
  *out = NULL;
  NB_TRY(nb_config_check(c, err));
  if (o->threads < 0 || o->threads > NB_MAX_THREADS)
    return nb_fail(err, NB_ERR_ARG, "%d threads is out of range (1 to %d)", o->threads, NB_MAX_THREADS);
  if (o->max_tokens > MAX_TOKENS)
    return nb_fail(err, NB_ERR_ARG, "a batch of %zu tokens is out of range (1 to %d)", o->max_tokens, MAX_TOKENS);
  NB_GOTO(nb_new(&s, 1, sizeof *s, "a session", err));
  s->c = *c;
  s->k = nb_kernels_select(o->cpu_features);
  s->threads = o->threads ? o->threads : nb_parallel_cpus();
  s->max_tokens = o->max_tokens ? o->max_tokens : DEFAULT_TOKENS;
  s->q_dim = c->heads * c->head_dim;
  s->kv_dim = c->kv_heads * c->head_dim;
  size_t T = s->max_tokens, half = c->rotary_dim / 2;
  size_t K = nb_round_up(nb_max(nb_max(c->hidden, c->ffn), s->q_dim), NB_K_PAD);
  s->scratch_bytes = nb_round_up(nb_max(nb_kernels_linear_scratch(K), nb_attn_scratch_bytes(c->head_dim)), 4096);
  NB_GOTO(take(s, &s->inv_freq[0], half, sizeof(float), err));
  NB_GOTO(take(s, &s->inv_freq[1], half, sizeof(float), err));
  nb_config_inv_freq(c, false, s->inv_freq[0]);
  nb_config_inv_freq(c, true, s->inv_freq[1]);
  NB_GOTO(take(s, &s->x, T * c->hidden, sizeof(float), err));
  NB_GOTO(take(s, &s->xn, T * c->hidden, sizeof(float), err));
  NB_GOTO(take(s, &s->out, T * c->hidden, sizeof(float), err));
  NB_GOTO(take(s, &s->wide, T * nb_max(2 * (s->q_dim + s->kv_dim), 2 * c->ffn), sizeof(float), err));
  s->qkv = s->ffn = s->wide;
  s->attn = s->wide + T * (s->q_dim + 2 * s->kv_dim);
  NB_GOTO(take(s, &s->cos, T * half, sizeof(float), err));
  NB_GOTO(take(s, &s->sin, T * half, sizeof(float), err));
  NB_GOTO(take(s, &s->seg_of, T, sizeof(size_t), err));
  NB_GOTO(take(s, &s->seg_start, T + 1, sizeof(size_t), err));
  NB_GOTO(take_q8(s, &s->q8, T, K, err));
  if (o->fine) {
    s->part_floats = nb_max(T * nb_max(nb_max(s->q_dim + 2 * s->kv_dim, 2 * c->ffn), c->hidden), 32 * c->vocab);
    NB_GOTO(take_q8(s, &s->rest8, T, K, err));
    NB_GOTO(take(s, &s->rest, T * K, sizeof(float), err));
    NB_GOTO(take(s, &s->part, s->part_floats, sizeof(float), err));
  }
  NB_GOTO(take(s, &s->logits, SCORE_ROWS * c->vocab, sizeof(float), err));
  NB_GOTO(take(s, &s->rows, SCORE_ROWS * c->hidden, sizeof(float), err));
  NB_GOTO(take(s, &s->scratch, (size_t)s->threads * s->scratch_bytes, 1, err));
  *out = s;
  return NB_OK;
fail:
  nb_session_free(s);
  return st;
}

void nb_session_free(nb_session *s) {
  if (!s) return;
  void *all[] = {s->inv_freq[0], s->inv_freq[1], s->x,         s->xn,   s->out,      s->wide,   s->cos,
                 s->sin,         s->seg_of,      s->seg_start, s->q8.q, s->q8.scale, s->q8.sum, s->rest8.q,
                 s->rest8.scale, s->rest8.sum,   s->rest,      s->part, s->logits,   s->rows,   s->scratch};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) nb_free(all[i]);
  nb_free(s);
}

size_t nb_session_max_tokens(const nb_session *s) { return s->max_tokens; }
size_t nb_session_bytes(const nb_session *s) { return s->bytes; }
const nb_kernels *nb_session_kernels(const nb_session *s) { return &s->k; }
int nb_session_threads(const nb_session *s) { return s->threads; }
const float *nb_session_hidden(const nb_session *s) { return s->xn; }

/* ---- rows: what a token does alone ---- */

typedef struct row_job {
  nb_session *s;
  const float *norm; /* (D) or NULL */
  const float *in;   /* (T, ld) */
  size_t ld, K;
  float *x, *y;
  bool quantize;
  bool not_finite; /* set when a row has a NaN or an infinity */
} row_job;

static void quantize_to(const nb_session *s, nb_q8 *q, size_t t, const float *x, size_t K) {
  s->k.quantize_q8(x, K, q->Kp, q->q + t * q->Kp, q->scale + t * (q->Kp / NB_QA_GROUP),
                   q->sum + t * (q->Kp / NB_BLOCK));
}

static void quantize_row(nb_session *s, size_t t, const float *x, size_t K) { quantize_to(s, &s->q8, t, x, K); }

/* Rounds again what the rounding of rows [begin, end) left. */
static void quantize_rest(void *ctx, size_t begin, size_t end, int thread) {
  row_job *j = ctx;
  nb_session *s = j->s;
  const nb_q8 *q = &s->q8;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    const float *x = j->in + t * j->ld, *scale = q->scale + t * (q->Kp / NB_QA_GROUP);
    float *rest = s->rest + t * q->K;
    for (size_t i = 0; i < q->K; i++) rest[i] = x[i] - scale[i / NB_QA_GROUP] * q->q[t * q->Kp + i];
    quantize_to(s, &s->rest8, t, rest, q->K);
  }
}

static void quantize_rows(void *ctx, size_t begin, size_t end, int thread) {
  row_job *j = ctx;
  (void)thread;
  for (size_t t = begin; t < end; t++) quantize_row(j->s, t, j->in + t * j->ld, j->K);
}

static void set_q8(nb_session *s, size_t T, size_t K) {
  s->q8.T = s->rest8.T = T;
  s->q8.K = s->rest8.K = K;
  s->q8.Kp = s->rest8.Kp = nb_round_up(K, NB_K_PAD);
}

static void norm_rows(void *ctx, size_t begin, size_t end, int thread) {
  row_job *j = ctx;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    float *y = j->y + t * j->K;
    j->s->k.rmsnorm(j->in + t * j->K, j->norm, j->K, j->s->c.rms_eps, y);
    if (j->quantize) quantize_row(j->s, t, y, j->K);
  }
}

static void silu_rows(void *ctx, size_t begin, size_t end, int thread) {
  row_job *j = ctx;
  (void)thread;
  size_t F = j->s->c.ffn;
  for (size_t t = begin; t < end; t++) {
    float *gate = j->s->ffn + t * 2 * F;
    j->s->k.silu_mul(gate, gate + F, F, gate);
    if (j->quantize) quantize_row(j->s, t, gate, F);
  }
}

/* A float is NaN or infinite when its exponent is all ones. */
static bool row_finite(const float *x, size_t n) {
  uint32_t bad = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t u;
    memcpy(&u, x + i, sizeof u);
    bad |= (u & 0x7f800000u) == 0x7f800000u;
  }
  return !bad;
}

static void add_rows(void *ctx, size_t begin, size_t end, int thread) {
  row_job *j = ctx;
  (void)thread;
  size_t D = j->s->c.hidden;
  for (size_t t = begin; t < end; t++) {
    j->s->k.add(j->x + t * D, j->s->out + t * D, D);
    if (!row_finite(j->x + t * D, D)) __atomic_store_n(&j->not_finite, true, __ATOMIC_RELAXED);
  }
}

static void over_rows(nb_session *s, nb_range_fn fn, row_job *j) {
  j->s = s;
  nb_parallel_for(s->threads, s->T, nb_max(1, nb_min(8, s->T / (size_t)s->threads)), fn, j);
}

/* ---- attention ---- */

typedef struct attn_job {
  nb_session *s;
  size_t kv_layer;
  size_t items; /* per key/value head: chunks of all segments */
} attn_job;

/* Turns queries and keys, and stores keys and values, of tokens [begin, end). */
static void rope_rows(void *ctx, size_t begin, size_t end, int thread) {
  attn_job *j = ctx;
  nb_session *s = j->s;
  const nb_config *c = &s->c;
  size_t half = c->rotary_dim / 2, ld = s->q_dim + 2 * s->kv_dim;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    float *q = s->qkv + t * ld, *k = q + s->q_dim, *v = k + s->kv_dim;
    const nb_segment *g = &s->seg[s->seg_of[t]];
    size_t pos = g->kv->length + (t - s->seg_start[s->seg_of[t]]);
    for (size_t h = 0; h < c->heads + c->kv_heads; h++)
      s->k.rope(q + h * c->head_dim, s->cos + t * half, s->sin + t * half, half);
    for (size_t h = 0; h < c->kv_heads; h++)
      s->k.kv_store(nb_kv_block(g->kv, j->kv_layer, h, pos), g->kv->type, c->head_dim, pos % NB_KV_BLOCK,
                    k + h * c->head_dim, v + h * c->head_dim);
  }
}

static void attend(const attn_job *j, const nb_segment *g, size_t row0, size_t first, size_t n, size_t head,
                   void *scratch) {
  nb_session *s = j->s;
  const nb_config *c = &s->c;
  size_t group = c->heads / c->kv_heads, ld = s->q_dim + 2 * s->kv_dim;
  nb_attn a = {.q = s->qkv + (row0 + first) * ld + head * group * c->head_dim,
               .out = s->attn + (row0 + first) * s->q_dim + head * group * c->head_dim,
               .ldq = ld,
               .ldo = s->q_dim,
               .n_q = n,
               .group = group,
               .head_dim = c->head_dim,
               .pos0 = g->kv->length + first,
               .window = c->sliding_window,
               .scale = 1.0f / sqrtf((float)c->head_dim),
               .type = g->kv->type,
               .n_shared = g->kv->n_shared,
               .own = nb_kv_own(g->kv, j->kv_layer, head)};
  if (g->kv->parent) a.shared = nb_kv_own(g->kv->parent, j->kv_layer, head);
  s->k.attention(&a, scratch);
}

/* Items run head by head, whose keys and values then stay in the cache nearest to the core, and from the last chunk to
 * the first, since later queries see more keys: the long ones start first. */
static void attend_items(void *ctx, size_t begin, size_t end, int thread) {
  const attn_job *j = ctx;
  nb_session *s = j->s;
  void *scratch = s->scratch + (size_t)thread * s->scratch_bytes;
  for (size_t i = begin; i < end; i++) {
    size_t chunk = j->items - 1 - i % j->items, head = i / j->items;
    for (size_t g = 0; g < s->n_segs; g++) {
      size_t chunks = (s->seg[g].n + QUERY_CHUNK - 1) / QUERY_CHUNK;
      if (chunk < chunks) {
        size_t first = chunk * QUERY_CHUNK;
        attend(j, &s->seg[g], s->seg_start[g], first, nb_min(QUERY_CHUNK, s->seg[g].n - first), head, scratch);
        break;
      }
      chunk -= chunks;
    }
  }
}

static void attention(nb_session *s, size_t kv_layer) {
  attn_job j = {s, kv_layer, 0};
  for (size_t g = 0; g < s->n_segs; g++) j.items += (s->seg[g].n + QUERY_CHUNK - 1) / QUERY_CHUNK;
  nb_parallel_for(s->threads, s->T, nb_max(1, nb_min(8, s->T / (size_t)s->threads)), rope_rows, &j);
  nb_parallel_for(s->threads, j.items * s->c.kv_heads, 1, attend_items, &j);
}

/* ---- a layer ---- */

/* Adds the products of what the rounding of x to int8 left. */
static void add_rest(nb_session *s, const nb_product *p, size_t n, const float *x, size_t ldx, size_t T) {
  enum { MOST = 3 };
  nb_rows in = {x, T, ldx, &s->rest8};
  nb_product part[MOST];
  size_t fine = 0, width = 0;
  for (size_t i = 0; i < n; i++) {
    if (!p[i].w->coded || !p[i].w->fine) continue;
    part[fine++] = (nb_product){p[i].w, s->part + T * width, p[i].w->N};
    width += p[i].w->N;
  }
  if (!fine) return;
  row_job j = {.s = s, .in = x, .ld = ldx};
  nb_parallel_for(s->threads, T, 8, quantize_rest, &j);
  nb_linear_run(&s->k, s->threads, part, fine, &in, s->scratch, s->scratch_bytes);
  for (size_t i = 0, f = 0; i < n; i++) {
    if (!p[i].w->coded || !p[i].w->fine) continue;
    for (size_t t = 0; t < T; t++) s->k.add(p[i].y + t * p[i].ldy, part[f].y + t * part[f].ldy, part[f].w->N);
    f++;
  }
}

static void products(nb_session *s, const nb_product *p, size_t n, const float *x, size_t ldx, size_t T) {
  nb_rows in = {x, T, ldx, &s->q8};
  nb_linear_run(&s->k, s->threads, p, n, &in, s->scratch, s->scratch_bytes);
  if (s->part) add_rest(s, p, n, x, ldx, T);
}

static void see(const nb_tap *tap, nb_tap_site site, const float *x, size_t T, size_t K) {
  if (tap) tap->see(tap->ctx, site, x, T, K);
}

/* What the silu leaves at the start of every 2F row, packed to (T, F): only for a tap. */
static void pack_ffn(nb_session *s) {
  for (size_t t = 1; t < s->T; t++) memmove(s->ffn + t * s->c.ffn, s->ffn + t * 2 * s->c.ffn, s->c.ffn * sizeof(float));
}

static nb_status add_branch(nb_session *s, float *x, size_t layer, const char *what, nb_err *err) {
  row_job j = {.x = x};
  over_rows(s, add_rows, &j);
  if (!j.not_finite) return NB_OK;
  return nb_fail(err, NB_ERR_NUMERIC, "layer %zu: the states after %s are not finite (NaN or infinity)", layer, what);
}

nb_status nb_session_layer(nb_session *s, const nb_layer *l, size_t kv_layer, float *x, const nb_tap *tap,
                           nb_err *err) {
  size_t D = s->c.hidden, F = s->c.ffn, T = s->T, ld = s->q_dim + 2 * s->kv_dim;

  set_q8(s, T, D);
  row_job norm = {.norm = l->attn_norm,
                  .in = x,
                  .K = D,
                  .y = s->xn,
                  .quantize = l->w[NB_Q].coded || l->w[NB_K].coded || l->w[NB_V].coded};
  over_rows(s, norm_rows, &norm);
  see(tap, NB_TAP_QKV, s->xn, T, D);
  nb_product qkv[3] = {{&l->w[NB_Q], s->qkv, ld},
                       {&l->w[NB_K], s->qkv + s->q_dim, ld},
                       {&l->w[NB_V], s->qkv + s->q_dim + s->kv_dim, ld}};
  products(s, qkv, 3, s->xn, D, T);
  attention(s, kv_layer);
  see(tap, NB_TAP_O, s->attn, T, s->q_dim);

  set_q8(s, T, s->q_dim);
  row_job quant = {.in = s->attn, .ld = s->q_dim, .K = s->q_dim};
  if (l->w[NB_O].coded) over_rows(s, quantize_rows, &quant);
  nb_product o = {&l->w[NB_O], s->out, D};
  products(s, &o, 1, s->attn, s->q_dim, T);
  NB_TRY(add_branch(s, x, l->number, "attention", err));

  set_q8(s, T, D);
  norm.norm = l->ffn_norm;
  norm.quantize = l->w[NB_GATE].coded || l->w[NB_UP].coded;
  over_rows(s, norm_rows, &norm);
  see(tap, NB_TAP_GATE_UP, s->xn, T, D);
  nb_product gate_up[2] = {{&l->w[NB_GATE], s->ffn, 2 * F}, {&l->w[NB_UP], s->ffn + F, 2 * F}};
  products(s, gate_up, 2, s->xn, D, T);

  set_q8(s, T, F);
  row_job silu = {.quantize = l->w[NB_DOWN].coded};
  over_rows(s, silu_rows, &silu);
  size_t ld_down = 2 * F;
  if (tap) {
    pack_ffn(s);
    see(tap, NB_TAP_DOWN, s->ffn, T, F);
    ld_down = F;
  }
  nb_product down = {&l->w[NB_DOWN], s->out, D};
  products(s, &down, 1, s->ffn, ld_down, T);
  return add_branch(s, x, l->number, "the feed-forward block", err);
}

/* ---- batches ---- */

nb_status nb_session_begin(nb_session *s, const nb_segment *seg, size_t n_segs, nb_err *err) {
  const nb_config *c = &s->c;
  size_t T = 0, half = c->rotary_dim / 2;
  for (size_t g = 0; g < n_segs; g++) {
    const nb_kv *kv = seg[g].kv;
    size_t end;
    if (seg[g].n == 0 || seg[g].n > s->max_tokens - T)
      return nb_fail(err, NB_ERR_ARG, "a batch takes 1 to %zu tokens", s->max_tokens);
    if (!nb_add(kv->length, seg[g].n, &end) || end > kv->capacity)
      return nb_fail(err, NB_ERR_ARG, "%zu tokens after %zu do not fit a cache of %zu", seg[g].n, kv->length,
                     kv->capacity);
    if (!kv->long_factors && nb_config_long_rope(c, end))
      return nb_fail(err, NB_ERR_ARG,
                     "position %zu needs the long rope factors, but the cache was made with the short ones", end);
    for (size_t i = 0; i < seg[g].n; i++) {
      if (seg[g].tokens[i] < 0 || (size_t)seg[g].tokens[i] >= c->vocab)
        return nb_fail(err, NB_ERR_ARG, "token id %d is out of range (0 to %zu)", seg[g].tokens[i], c->vocab - 1);
      nb_config_rope(c, s->inv_freq[kv->long_factors], kv->length + i, s->cos + (T + i) * half,
                     s->sin + (T + i) * half);
      s->seg_of[T + i] = g;
    }
    s->seg_start[g] = T;
    T += seg[g].n;
  }
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
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    size_t g = s->seg_of[t];
    nb_linear_row(j->embed, (size_t)s->seg[g].tokens[t - s->seg_start[g]], j->x + t * s->c.hidden);
  }
}

void nb_session_embed(nb_session *s, const nb_linear *embed, float *x) {
  embed_job j = {s, embed, x};
  nb_parallel_for(s->threads, s->T, 8, embed_rows, &j);
}

void nb_session_norm(nb_session *s, const float *norm, const float *x, float *y) {
  row_job j = {.norm = norm, .in = x, .K = s->c.hidden, .y = y};
  over_rows(s, norm_rows, &j);
}

void nb_session_end(nb_session *s) {
  for (size_t g = 0; g < s->n_segs; g++) s->seg[g].kv->length += s->seg[g].n;
}

nb_status nb_session_forward(nb_session *s, const nb_model *m, const nb_segment *seg, size_t n_segs, nb_err *err) {
  NB_TRY(nb_session_begin(s, seg, n_segs, err));
  nb_session_embed(s, &m->weights.embed, s->x);
  for (size_t l = 0; l < s->c.layers; l++) NB_TRY(nb_session_layer(s, &m->weights.layer[l], l, s->x, NULL, err));
  nb_session_norm(s, m->weights.norm, s->x, s->xn);
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
  for (size_t t = 0; t < T; t += most) {
    size_t n = nb_min(most, T - t);
    set_q8(s, n, w->K);
    if (w->coded)
      for (size_t i = 0; i < n; i++) quantize_row(s, i, x + (t + i) * ldx, w->K);
    nb_product p = {w, y + t * ldy, ldy};
    products(s, &p, 1, x + t * ldx, ldx, n);
  }
}

void nb_session_logits(nb_session *s, const nb_model *m, const size_t *rows, size_t n, float *out) {
  size_t D = s->c.hidden;
  for (size_t i = 0; i < n; i += SCORE_ROWS) {
    size_t count = nb_min(SCORE_ROWS, n - i);
    for (size_t r = 0; r < count; r++) memcpy(s->rows + r * D, s->xn + rows[i + r] * D, D * sizeof(float));
    nb_session_linear(s, &m->weights.head, s->rows, count, D, out + i * s->c.vocab, s->c.vocab);
  }
}

nb_status nb_session_score(nb_session *s, const nb_model *m, const size_t *rows, const int32_t *target, size_t n,
                           double *logprob, bool *greedy, nb_err *err) {
  size_t V = s->c.vocab;
  for (size_t i = 0; i < n; i += SCORE_ROWS) {
    size_t count = nb_min(SCORE_ROWS, n - i);
    nb_session_logits(s, m, rows + i, count, s->logits);
    for (size_t r = 0; r < count; r++) {
      const float *l = s->logits + r * V;
      size_t t = (size_t)target[i + r];
      logprob[i + r] = (double)l[t] - s->k.logsumexp(l, V);
      if (!isfinite(logprob[i + r]))
        return nb_fail(err, NB_ERR_NUMERIC, "the head's logits are not finite (NaN or infinity)");
      if (!greedy) continue;
      bool best = true;
      for (size_t v = 0; v < V && best; v++) best = v < t ? l[v] < l[t] : l[v] <= l[t];
      greedy[i + r] = best;
    }
  }
  return NB_OK;
}
