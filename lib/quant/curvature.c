/* SPDX-License-Identifier: MIT */
#include "quant/curvature.h"

#include "base/assert.h"
#include "base/f16.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "model/generate.h"
#include "quant/backward.h"
#include "quant/hess.h"
#include "quant/matmul.h"

#include <math.h>
#include <string.h>

enum { BEHIND_LAYER, BEHIND_ATTENTION, PLACES }; /* where gradients are kept: of down's and of o's outputs */

struct nb_curvature {
  const nb_config *c;
  const nb_weights *w;
  nb_curvature_opts o;
  nb_session *s;
  nb_backward *b;
  nb_kv *kv;
  size_t T, D;
  uint16_t *kept; /* (layers, PLACES, n_seqs, T, D) bfloat16 */
  float *d;       /* (T, D) */
  float *packed;  /* (T, widest) gradients of one matrix */
  nb_rounded in;  /* the same, as the sums take them */
  nb_matmul mul;
  size_t layer, seq; /* whose gradients keep_outputs sees */
};

bool nb_curvature_wanted(const nb_config *c, size_t tokens) { return tokens && nb_backward_supports(c, NULL) == NB_OK; }

size_t nb_curvature_tokens(const nb_config *c) {
  enum { LEAST = 4096, MOST = 16384 };
  size_t fit = ((size_t)3 << 29) / (PLACES * c->layers * c->hidden * sizeof(uint16_t));
  return nb_min(MOST, nb_max(LEAST, fit));
}

/* ---- once ---- */

/* What a sequence needs. */
typedef struct passing {
  float *states; /* (layers + 1, T, D) */
  float *logits; /* (T, V), then their gradients */
  double *draw;  /* (T) in [0, 1) */
} passing;

typedef struct label_job {
  const nb_curvature *c;
  passing *p;
} label_job;

/* Each row's logits become the gradient of -log p of the token that is drawn: softmax, less one at that token. */
static void label_rows(void *ctx, size_t begin, size_t end, int thread) {
  const label_job *j = ctx;
  size_t V = j->c->c->vocab;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    float *row = j->p->logits + t * V;
    double z = nb_session_kernels(j->c->s)->logsumexp(row, V), sum = 0;
    size_t drawn = V;
    for (size_t v = 0; v < V; v++) {
      row[v] = (float)exp(row[v] - z);
      sum += row[v];
      if (drawn == V && j->p->draw[t] < sum) drawn = v;
    }
    row[drawn < V ? drawn : nb_generate_largest(row, V)] -= 1;
  }
}

static uint16_t *kept(const nb_curvature *c, size_t layer, size_t place, size_t seq) {
  nb_assert(layer < c->c->layers && seq < c->o.n_seqs);
  return c->kept + ((layer * PLACES + place) * c->o.n_seqs + seq) * c->T * c->D;
}

static void keep_outputs(void *ctx, size_t i, const float *dy, size_t N, size_t ld) {
  const nb_curvature *c = ctx;
  bool down = i == nb_layer_index(c->c, NB_DOWN, 0);
  if (!down && i != nb_layer_index(c->c, NB_O, 0)) return;
  uint16_t *to = kept(c, c->layer, down ? BEHIND_LAYER : BEHIND_ATTENTION, c->seq);
  nb_assert(N == c->D && ld == N);
  for (size_t k = 0; k < c->T * N; k++) to[k] = nb_f32_bf16(dy[k]);
}

static nb_status pass(nb_curvature *c, passing *p, nb_err *err) {
  const nb_linear *head = nb_weights_head(c->w);
  size_t L = c->c->layers, n = c->T * c->D;
  nb_segment seg = {c->kv, c->o.tokens + c->seq * c->T, c->T};
  NB_TRY(nb_session_begin(c->s, &seg, 1, err));
  nb_session_embed(c->s, nb_weights_embed(c->w), p->states);
  for (size_t l = 0; l < L; l++) {
    float *x = p->states + (l + 1) * n;
    memcpy(x, x - n, n * sizeof *x);
    NB_TRY(nb_session_layer(c->s, &c->w->layer[l], 0, x, NULL, err));
  }
  nb_session_norm(c->s, c->w, p->states + L * n, c->d);
  nb_session_linear(c->s, head, c->d, c->T, c->D, p->logits, c->c->vocab);
  label_job j = {c, p};
  nb_parallel_for(c->o.threads, c->T, 1, label_rows, &j);
  const nb_head_grad ends = {c->d, NULL};
  nb_layer_grad within = {.outputs = keep_outputs, .ctx = c};
  NB_TRY(nb_backward_head(c->b, c->w->vec[NB_FINAL_NORM], head, p->states + L * n, p->logits, &ends, err));
  for (c->layer = L; c->layer-- > 0;)
    NB_TRY(nb_backward_layer(c->b, &c->w->layer[c->layer], p->states + c->layer * n, c->d, &within, err));
  return NB_OK;
}

static nb_status pass_all(nb_curvature *c, nb_err *err) {
  passing p = {.states = NULL};
  nb_rng rng = {0};
  nb_status st;
  NB_GOTO(nb_new(&p.states, (c->c->layers + 1) * c->T * c->D, sizeof *p.states, "states", err));
  NB_GOTO(nb_new(&p.logits, c->T * c->c->vocab, sizeof *p.logits, "logits", err));
  NB_GOTO(nb_new(&p.draw, c->T, sizeof *p.draw, "logits", err));
  for (c->seq = 0; c->seq < c->o.n_seqs; c->seq++) {
    for (size_t t = 0; t < c->T; t++) p.draw[t] = nb_rng_unit(&rng);
    NB_GOTO(pass(c, &p, err));
    NB_GOTO(nb_progress_step(c->o.progress, c->o.done, c->o.total, err));
  }
fail:
  nb_free(p.states), nb_free(p.logits), nb_free(p.draw);
  return st;
}

static nb_status create(nb_curvature *c, nb_err *err) {
  const nb_curvature_opts *o = &c->o;
  nb_session_opts so = {.threads = o->threads, .max_tokens = c->T, .cpu_features = o->cpu_features};
  size_t widest = nb_max(c->D, c->c->heads * c->c->head_dim), n = c->T * c->D;
  NB_TRY(nb_session_create(c->c, &so, &c->s, err));
  NB_TRY(nb_backward_create(c->c, c->T, o->threads, o->cpu_features, &c->b, err));
  NB_TRY(nb_kv_create_layers(c->c, 1, c->T, NB_KV_F32, nb_config_stretch(c->c, c->T), &c->kv, err));
  NB_TRY(nb_new(&c->kept, c->c->layers * PLACES * o->n_seqs, n * sizeof *c->kept, "gradients", err));
  NB_TRY(nb_new(&c->d, n, sizeof *c->d, "gradients", err));
  NB_TRY(nb_new(&c->packed, c->T * widest, sizeof *c->packed, "gradients", err));
  NB_TRY(nb_rounded_create(c->T, widest, &c->in, err));
  NB_TRY(nb_matmul_create(nb_session_kernels(c->s), o->threads, &c->mul, err));
  return pass_all(c, err);
}

nb_status nb_curvature_create(const nb_config *c, const nb_weights *w, const nb_curvature_opts *o, nb_curvature **out,
                              nb_err *err) {
  nb_assert(o->n_seqs > 0 && o->seq_len > 0);
  NB_TRY(nb_new(out, 1, sizeof **out, "gradients", err));
  **out = (nb_curvature){.c = c, .w = w, .o = *o, .T = o->seq_len, .D = c->hidden};
  nb_status st = create(*out, err);
  if (st != NB_OK) nb_curvature_free(*out), *out = NULL;
  return st;
}

void nb_curvature_free(nb_curvature *c) {
  if (!c) return;
  nb_session_free(c->s);
  nb_backward_free(c->b);
  nb_kv_free(c->kv);
  nb_free(c->kept), nb_free(c->d), nb_free(c->packed);
  nb_rounded_free(&c->in);
  nb_matmul_free(&c->mul);
  nb_free(c);
}

/* ---- a layer ---- */

/* G (N, N) += g^T g over g (T, N), ld floats from one token to the next. */
static void add_outputs(nb_curvature *c, float *G, const float *g, size_t N, size_t ld) {
  const nb_kernels *k = nb_session_kernels(c->s);
  for (size_t t = 0; t < c->T; t++) memcpy(c->packed + t * N, g + t * ld, N * sizeof *g);
  nb_rounded_take(&c->in, k, c->packed, c->T, N, c->o.threads);
  nb_hess_add(k, G, &c->in, c->o.threads);
}

/* c->d = the gradients that were kept. */
static void load(nb_curvature *c, size_t layer, size_t place, size_t seq) {
  const uint16_t *from = kept(c, layer, place, seq);
  for (size_t i = 0; i < c->T * c->D; i++) c->d[i] = nb_bf16_f32(from[i]);
}

typedef struct tile_job {
  nb_curvature *c;
  float *sums;
  const float *g; /* (T, N) */
  size_t N;
} tile_job;

static void sum_tiles(void *ctx, size_t begin, size_t end, int thread) {
  const tile_job *j = ctx;
  for (size_t i = begin; i < end; i++) {
    const size_t n = nb_min(NB_TILE, j->N - i * NB_TILE);
    const float *g = j->g + i * NB_TILE;
    nb_gemm product = {n, n, j->c->T, g, g, 1, j->N, j->N, 1, j->sums + i * NB_TILE * NB_TILE, NB_TILE, 1, true};
    nb_matmul_one(&j->c->mul, thread, &product);
  }
}

/* The sums of tiles += those of g (T, N). */
static void add_tiles(nb_curvature *c, nb_row_sums *G, const float *g, size_t N) {
  tile_job j = {c, G->tiles, g, N};
  nb_parallel_for(c->o.threads, (N + NB_TILE - 1) / NB_TILE, 4, sum_tiles, &j);
}

/* Adds what gate's and up's outputs mean for the loss. */
static void add_gate_up(nb_curvature *c, const nb_layer *l, const float *x, nb_row_sums *G) {
  const float *gate, *up;
  nb_backward_gate_up(c->b, l, x, c->d, &gate, &up);
  add_tiles(c, &G[nb_layer_index(c->c, NB_GATE, 0)], gate, c->c->ffn);
  add_tiles(c, &G[nb_layer_index(c->c, NB_UP, 0)], up, c->c->ffn);
}

static const nb_role whole[] = {NB_Q, NB_K, NB_V, NB_O, NB_DOWN}, in_tiles[] = {NB_GATE, NB_UP};
enum { N_WHOLE = sizeof whole / sizeof *whole, N_IN_TILES = sizeof in_tiles / sizeof *in_tiles };

static nb_status make_room(const nb_curvature *c, const nb_layer *l, bool tiles, nb_row_sums *G, nb_err *err) {
  for (size_t i = 0; i < N_WHOLE; i++) {
    const size_t at = nb_layer_index(c->c, whole[i], 0), N = l->w[at].N;
    NB_TRY(nb_new(&G[at].all, N * N, sizeof(float), "gradients", err));
  }
  for (size_t i = 0; tiles && i < N_IN_TILES; i++) {
    const size_t at = nb_layer_index(c->c, in_tiles[i], 0), N = l->w[at].N;
    NB_TRY(nb_new(&G[at].tiles, nb_round_up(N, NB_TILE) * NB_TILE, sizeof(float), "gradients", err));
  }
  return NB_OK;
}

nb_status nb_curvature_layer(nb_curvature *c, const nb_layer *l, const float *x, bool tiles, nb_row_sums *G,
                             nb_err *err) {
  size_t at[N_WHOLE], N[N_WHOLE], ld;
  nb_status st;
  for (size_t i = 0; i < N_WHOLE; i++) at[i] = nb_layer_index(c->c, whole[i], 0), N[i] = l->w[at[i]].N;
  memset(G, 0, c->w->parts.per_layer * sizeof *G);
  NB_GOTO(make_room(c, l, tiles, G, err));
  for (size_t seq = 0; seq < c->o.n_seqs; seq++) {
    const float *states = x + seq * c->T * c->D;
    nb_backward_enter(c->b, l, states);
    load(c, l->number, BEHIND_LAYER, seq);
    add_outputs(c, G[at[4]].all, c->d, N[4], c->D);
    if (tiles) add_gate_up(c, l, states, G);
    load(c, l->number, BEHIND_ATTENTION, seq);
    add_outputs(c, G[at[3]].all, c->d, N[3], c->D);
    const float *g = nb_backward_qkv(c->b, l, c->d, &ld);
    for (size_t i = 0; i < 3; g += N[i++]) add_outputs(c, G[at[i]].all, g, N[i], ld);
    NB_GOTO(nb_progress_step(c->o.progress, c->o.done, c->o.total, err));
  }
  for (size_t i = 0; tiles && i < N_IN_TILES; i++) {
    const size_t matrix = nb_layer_index(c->c, in_tiles[i], 0);
    char what[64];
    nb_part_describe(nb_parts_matrix(&c->w->parts, nb_parts_first(&c->w->parts, l->number) + matrix), what);
    NB_GOTO(nb_row_sums_trust_tiles(&G[matrix], c->c->ffn, what, err));
  }
fail:
  for (size_t i = 0; st != NB_OK && i < c->w->parts.per_layer; i++) nb_row_sums_free(&G[i]);
  return st;
}
