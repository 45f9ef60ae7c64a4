/* SPDX-License-Identifier: MIT */
/* All products are the kernels' gemm, and exponentials are rounded from double precision, so that gradients do not
 * depend on the instruction set, the number of threads or a library. */
#include "quant/backward.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "quant/matmul.h"

#include <math.h>
#include <string.h>

nb_status nb_backward_supports(const nb_config *c, nb_err *err) {
  bool plain = c->norm == NB_NORM_RMS && c->block == NB_BLOCK_SEQUENTIAL && c->gated && c->activation == NB_ACT_SILU;
  bool biases = c->qkv_bias || c->o_bias || c->ffn_bias || c->head_bias,
       caps = c->attn_softcap != 0 || c->logit_softcap != 0;
  for (size_t l = 0; l < c->layers; l++) plain = plain && c->attend[l] != NB_ATTEND_SPARSE;
  if (plain && !biases && !caps && !c->qk_norm && !c->experts && !c->n_masked && c->logit_scale == 1) return NB_OK;
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "--tune does not know the gradients of %s (biases, norms of q and k, experts, soft caps or a block of "
                 "another kind): leave it out",
                 c->architecture);
}

enum { HEAD_ROWS = 4096 };

struct nb_backward {
  nb_config c;
  nb_kernels k;
  nb_matmul mul;
  int threads;
  size_t T, q_dim, kv_dim, ld;  /* ld: of q, k, v together */
  size_t window;                /* of the layer at hand; 0: none */
  float *cos, *sin, *minus_sin; /* (T, rotary_dim / 2) */
  float *w;                     /* the weights of a matrix: (N, K), or HEAD_ROWS rows of the head */
  /* (T, ...): states of the layer, and their gradients */
  float *n1, *qkv, *turned, *attn, *o, *x2, *n2, *gate, *up, *h, *down;
  float *dn, *dqkv, *dattn, *dx2, *dgate, *dup, *dh;
  float *inv1, *inv2; /* (T) 1 / root mean square */
  float *p;           /* (threads, 2 T T) */
  int8_t *q8;         /* a row a thread */
  float *q8_scale;
  int32_t *q8_sum;
  size_t Kp;
};

static size_t largest(const nb_config *c) {
  size_t n = c->hidden * nb_max(c->ffn, c->heads * c->head_dim); /* every matrix has the width on one side */
  return nb_max(n, nb_min(HEAD_ROWS, c->vocab) * c->hidden);
}

static void fill_rope(nb_backward *b) {
  size_t half = b->c.rotary_dim / 2;
  float inv[NB_MAX_ROPE_FACTORS];
  size_t stretch = nb_config_stretch(&b->c, b->T);
  float scale = stretch ? b->c.rope_scale_long : b->c.rope_scale;
  nb_config_inv_freq(&b->c, stretch, false, inv);
  for (size_t t = 0; t < b->T; t++) nb_config_rope(&b->c, inv, scale, t, b->cos + t * half, b->sin + t * half);
  for (size_t i = 0; i < b->T * half; i++) b->minus_sin[i] = -b->sin[i];
}

nb_status nb_backward_create(const nb_config *c, size_t T, int threads, unsigned cpu_features, nb_backward **out,
                             nb_err *err) {
  nb_status st;
  nb_backward *b;
  NB_TRY(nb_new(&b, 1, sizeof *b, "gradients", err));
  *out = b;
  *b = (nb_backward){.c = *c, .k = nb_kernels_select(cpu_features), .threads = threads, .T = T};
  b->q_dim = c->heads * c->head_dim, b->kv_dim = c->kv_heads * c->head_dim;
  b->ld = b->q_dim + 2 * b->kv_dim;
  size_t D = c->hidden, F = c->ffn, half = c->rotary_dim / 2;
  b->Kp = nb_round_up(nb_max(nb_max(D, F), b->q_dim), NB_K_PAD);
  struct {
    float **p;
    size_t n;
  } of[] = {{&b->cos, T * half},
            {&b->sin, T * half},
            {&b->minus_sin, T * half},
            {&b->w, largest(c)},
            {&b->n1, T * D},
            {&b->n2, T * D},
            {&b->qkv, T * b->ld},
            {&b->turned, T * b->ld},
            {&b->o, T * D},
            {&b->x2, T * D},
            {&b->attn, T * b->q_dim},
            {&b->dattn, T * b->q_dim},
            {&b->gate, T * F},
            {&b->up, T * F},
            {&b->h, T * F},
            {&b->down, T * D},
            {&b->dn, T * D},
            {&b->dx2, T * D},
            {&b->dqkv, T * b->ld},
            {&b->dgate, T * F},
            {&b->dup, T * F},
            {&b->dh, T * F},
            {&b->inv1, T},
            {&b->inv2, T},
            {&b->p, (size_t)threads * 2 * T * T}};
  for (size_t i = 0; i < sizeof of / sizeof *of; i++)
    NB_GOTO(nb_new(of[i].p, of[i].n, sizeof(float), "gradients", err));
  NB_GOTO(nb_new(&b->q8, (size_t)threads * b->Kp, 1, "gradients", err));
  NB_GOTO(nb_new(&b->q8_scale, (size_t)threads * b->Kp / NB_QA_GROUP, sizeof(float), "gradients", err));
  NB_GOTO(nb_new(&b->q8_sum, (size_t)threads * b->Kp / NB_BLOCK, sizeof(int32_t), "gradients", err));
  NB_GOTO(nb_matmul_create(&b->k, threads, &b->mul, err));
  fill_rope(b);
  return NB_OK;
fail:
  nb_backward_free(b);
  *out = NULL;
  return st;
}

void nb_backward_free(nb_backward *b) {
  if (!b) return;
  void *all[] = {b->cos,  b->sin,   b->minus_sin, b->w,    b->n1, b->n2,   b->qkv,      b->turned, b->o,    b->x2,
                 b->attn, b->dattn, b->gate,      b->up,   b->h,  b->down, b->dn,       b->dx2,    b->dqkv, b->dgate,
                 b->dup,  b->dh,    b->inv1,      b->inv2, b->p,  b->q8,   b->q8_scale, b->q8_sum};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) nb_free(all[i]);
  nb_matmul_free(&b->mul);
  nb_free(b);
}

/* ---- pieces ---- */

typedef struct rows_job {
  nb_backward *b;
  const nb_linear *m;
  size_t row0;
  const float *x, *g, *d;
  float *y, *inv;
  size_t K, ldx, ldy;
  bool add;
} rows_job;

static void weight_rows(void *ctx, size_t begin, size_t end, int thread) {
  rows_job *j = ctx;
  (void)thread;
  for (size_t i = begin; i < end; i++) nb_linear_row(j->m, j->row0 + i, j->b->w + i * j->m->K);
}

/* b->w = rows [row0, row0 + n) of m. */
static void load(nb_backward *b, const nb_linear *m, size_t row0, size_t n) {
  nb_assert(row0 + n <= m->N && n * m->K <= largest(&b->c));
  rows_job j = {.b = b, .m = m, .row0 = row0};
  nb_parallel_for(b->threads, n, 32, weight_rows, &j);
}

/* y (T, N) = x (T, K) m^T */
static void forward(nb_backward *b, const nb_linear *m, const float *x, float *y, size_t ldy) {
  nb_gemm g = {b->T, m->N, m->K, x, b->w, m->K, 1, 1, m->K, y, ldy, 1, false};
  load(b, m, 0, m->N);
  nb_matmul_all(&b->mul, &g);
}

/* What a matrix gave, and the gradient there. */
typedef struct outputs {
  const float *y, *dy; /* (T, N), ld floats from one token to the next */
  size_t ld;
} outputs;

/* dx (T, K) = [dx +] dy m of matrix i of layer l, whose gradients go where g says. */
static void back(nb_backward *b, const nb_layer *l, nb_role role, outputs o, float *dx, bool add,
                 const nb_layer_grad *to) {
  size_t i = nb_layer_index(&b->c, role, 0);
  const nb_linear *m = &l->w[i];
  nb_gemm g = {b->T, m->K, m->N, o.dy, b->w, o.ld, 1, m->K, 1, dx, m->K, 1, add};
  for (size_t t = 0; t < b->T && to->row; t++)
    for (size_t n = 0; n < m->N; n++) to->row[i][n] += o.y[t * o.ld + n] * o.dy[t * o.ld + n];
  if (to->outputs) to->outputs(to->ctx, i, o.dy, m->N, o.ld);
  load(b, m, 0, m->N);
  nb_matmul_all(&b->mul, &g);
}

static void norm_rows(void *ctx, size_t begin, size_t end, int thread) {
  rows_job *j = ctx;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    double sum = 0;
    const float *x = j->x + t * j->K;
    for (size_t i = 0; i < j->K; i++) sum += (double)x[i] * x[i];
    j->inv[t] = (float)(1 / sqrt(sum / (double)j->K + j->b->c.norm_eps));
    for (size_t i = 0; i < j->K; i++) j->y[t * j->K + i] = x[i] * j->inv[t] * j->g[i];
  }
}

static void norm_back_rows(void *ctx, size_t begin, size_t end, int thread) {
  rows_job *j = ctx;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    const float *x = j->x + t * j->K, *d = j->d + t * j->K;
    double dot = 0;
    float inv = j->inv[t], *y = j->y + t * j->K;
    for (size_t i = 0; i < j->K; i++) dot += (double)d[i] * j->g[i] * x[i];
    float common = (float)(dot * inv * inv / (double)j->K);
    for (size_t i = 0; i < j->K; i++) y[i] = (j->add ? y[i] : 0) + inv * (d[i] * j->g[i] - x[i] * common);
  }
}

/* y = the norm of x with gains g; inv (T) is kept for the way back. */
static void norm(nb_backward *b, const float *x, const float *g, float *y, float *inv) {
  rows_job j = {.b = b, .x = x, .g = g, .y = y, .inv = inv, .K = b->c.hidden};
  nb_parallel_for(b->threads, b->T, 8, norm_rows, &j);
}

/* dx = [dx +] what b->dn, the gradient at the norm's output, means for x; adds the gradient of the gains. */
static void norm_back(nb_backward *b, const float *x, const float *g, float *inv, float *dx, bool add, float *dg) {
  const float *dn = b->dn;
  nb_assert(dn != dx);
  size_t D = b->c.hidden;
  rows_job j = {.b = b, .x = x, .g = g, .d = dn, .y = dx, .inv = inv, .K = D, .add = add};
  for (size_t t = 0; t < b->T && dg; t++)
    for (size_t i = 0; i < D; i++) dg[i] += dn[t * D + i] * x[t * D + i] * inv[t];
  nb_parallel_for(b->threads, b->T, 8, norm_back_rows, &j);
}

static void round_rows(void *ctx, size_t begin, size_t end, int thread) {
  rows_job *j = ctx;
  nb_backward *b = j->b;
  size_t at = (size_t)thread * b->Kp;
  for (size_t t = begin; t < end; t++) {
    float *y = j->y + t * j->K;
    nb_kernels_round_q8(&b->k, y, j->K, b->q8 + at, b->q8_scale + at / NB_QA_GROUP, b->q8_sum + at / NB_BLOCK, y);
  }
}

/* x (T, K) as the kernels of coded matrices see it. */
static void round_inputs(nb_backward *b, const nb_linear *m, float *x) {
  nb_assert(nb_round_up(m->K, NB_K_PAD) <= b->Kp);
  rows_job j = {.b = b, .y = x, .K = m->K};
  if (m->coded) nb_parallel_for(b->threads, b->T, 8, round_rows, &j);
}

/* ---- attention ---- */

/* Turns the queries and keys of qkv (T, ld) by the positions' angles, or the other way. */
static void turn(nb_backward *b, float *qkv, const float *sines) {
  size_t half = b->c.rotary_dim / 2;
  for (size_t t = 0; t < b->T; t++)
    for (size_t h = 0; h < b->c.heads + b->c.kv_heads; h++)
      b->k.rope(qkv + t * b->ld + h * b->c.head_dim, b->cos + t * half, sines + t * half, half);
}

/* p (T, T) = the weights of one head. */
static void attention_weights(nb_backward *b, int thread, const float *q, const float *k, float *p) {
  size_t T = b->T, n = b->c.head_dim;
  nb_gemm g = {T, T, n, q, k, b->ld, 1, 1, b->ld, p, T, b->c.attn_scale, false};
  nb_matmul_one(&b->mul, thread, &g);
  for (size_t t = 0; t < b->T; t++) {
    float *row = p + t * b->T, top = -INFINITY;
    size_t first = b->window && t >= b->window ? t + 1 - b->window : 0;
    double sum = 0;
    for (size_t i = first; i <= t; i++) top = fmaxf(top, row[i]);
    for (size_t i = 0; i < b->T; i++) {
      row[i] = i < first || i > t ? 0 : (float)exp(row[i] - top);
      sum += row[i];
    }
    for (size_t i = first; i <= t; i++) row[i] *= (float)(1 / sum);
  }
}

/* For key and value heads [begin, end): b->attn from b->turned. */
static void attend(void *ctx, size_t begin, size_t end, int thread) {
  nb_backward *b = ctx;
  size_t T = b->T, n = b->c.head_dim, ld = b->ld;
  size_t group = b->c.heads / b->c.kv_heads;
  float *p = b->p + (size_t)thread * 2 * b->T * b->T;
  for (size_t h = begin * group; h < end * group; h++) {
    const float *q = b->turned + h * b->c.head_dim, *k = b->turned + b->q_dim + h / group * b->c.head_dim;
    attention_weights(b, thread, q, k, p);
    nb_gemm g = {T, n, T, p, k + b->kv_dim, T, 1, ld, 1, b->attn + h * n, b->q_dim, 1, false};
    nb_matmul_one(&b->mul, thread, &g);
  }
}

/* The way back: b->dqkv (turned) from b->dattn. */
static void attend_back(void *ctx, size_t begin, size_t end, int thread) {
  nb_backward *b = ctx;
  size_t T = b->T, n = b->c.head_dim, ld = b->ld, ldq = b->q_dim;
  size_t group = b->c.heads / b->c.kv_heads;
  float *p = b->p + (size_t)thread * 2 * b->T * b->T, *dp = p + b->T * b->T, scale = b->c.attn_scale;
  for (size_t h = begin * group; h < end * group; h++) {
    size_t q_at = h * b->c.head_dim, k_at = b->q_dim + h / group * b->c.head_dim, v_at = k_at + b->kv_dim;
    bool more = h % group != 0;
    const float *q = b->turned + q_at, *k = b->turned + k_at, *v = b->turned + v_at, *da = b->dattn + q_at;
    attention_weights(b, thread, q, k, p);
    nb_gemm to_p = {T, T, n, da, v, ldq, 1, 1, ld, dp, T, 1, false};
    nb_gemm to_v = {T, n, T, p, da, 1, T, ldq, 1, b->dqkv + v_at, ld, 1, more};
    nb_matmul_one(&b->mul, thread, &to_p);
    nb_matmul_one(&b->mul, thread, &to_v);
    for (size_t t = 0; t < b->T; t++) {
      double dot = 0;
      for (size_t i = 0; i <= t; i++) dot += (double)p[t * b->T + i] * dp[t * b->T + i];
      for (size_t i = 0; i < b->T; i++) dp[t * b->T + i] = p[t * b->T + i] * (dp[t * b->T + i] - (float)dot);
    }
    nb_gemm to_q = {T, n, T, dp, k, T, 1, ld, 1, b->dqkv + q_at, ld, scale, false};
    nb_gemm to_k = {T, n, T, dp, q, 1, T, ld, 1, b->dqkv + k_at, ld, scale, more};
    nb_matmul_one(&b->mul, thread, &to_q);
    nb_matmul_one(&b->mul, thread, &to_k);
  }
}

/* ---- a layer ---- */

static const nb_linear *matrix(const nb_backward *b, const nb_layer *l, nb_role role) {
  return nb_layer_matrix(&b->c, l, role, 0);
}

static float silu(float x) { return x / (1 + (float)exp(-x)); }

/* The inner states of the layer from x up to the heads' outputs. */
void nb_backward_enter(nb_backward *b, const nb_layer *l, const float *x) {
  nb_assert(l->number < b->c.layers);
  b->window = b->c.attend[l->number] == NB_ATTEND_WINDOW ? b->c.sliding_window : 0;
  norm(b, x, l->vec[NB_ATTN_NORM], b->n1, b->inv1);
  round_inputs(b, matrix(b, l, NB_Q), b->n1);
  forward(b, matrix(b, l, NB_Q), b->n1, b->qkv, b->ld);
  forward(b, matrix(b, l, NB_K), b->n1, b->qkv + b->q_dim, b->ld);
  forward(b, matrix(b, l, NB_V), b->n1, b->qkv + b->q_dim + b->kv_dim, b->ld);
  memcpy(b->turned, b->qkv, b->T * b->ld * sizeof *b->qkv);
  turn(b, b->turned, b->sin);
  nb_parallel_for(b->threads, b->c.kv_heads, 1, attend, b);
}

/* And those behind them. */
static void recompute_rest(nb_backward *b, const nb_layer *l, const float *x) {
  size_t D = b->c.hidden, F = b->c.ffn, T = b->T;
  round_inputs(b, matrix(b, l, NB_O), b->attn);
  forward(b, matrix(b, l, NB_O), b->attn, b->o, D);
  for (size_t i = 0; i < T * D; i++) b->x2[i] = x[i] + b->o[i];
  norm(b, b->x2, l->vec[NB_FFN_NORM], b->n2, b->inv2);
  round_inputs(b, matrix(b, l, NB_GATE), b->n2);
  forward(b, matrix(b, l, NB_GATE), b->n2, b->gate, F);
  forward(b, matrix(b, l, NB_UP), b->n2, b->up, F);
}

/* down's outputs, which only a factor on its rows asks for. */
static void recompute_down(nb_backward *b, const nb_layer *l) {
  for (size_t i = 0; i < b->T * b->c.ffn; i++) b->h[i] = silu(b->gate[i]) * b->up[i];
  round_inputs(b, matrix(b, l, NB_DOWN), b->h);
  forward(b, matrix(b, l, NB_DOWN), b->h, b->down, b->c.hidden);
}

/* From dy behind the layer to the gradients at the outputs of gate and up. */
static void gate_up_back(nb_backward *b, const nb_layer *l, const float *dy, const nb_layer_grad *g) {
  size_t D = b->c.hidden, F = b->c.ffn;
  back(b, l, NB_DOWN, (outputs){b->down, dy, D}, b->dh, false, g);
  for (size_t i = 0; i < b->T * F; i++) {
    float z = b->gate[i], s = 1 / (1 + (float)exp(-z));
    b->dup[i] = b->dh[i] * z * s;
    b->dgate[i] = b->dh[i] * b->up[i] * s * (1 + z * (1 - s));
  }
}

/* From there to dy behind the attention. */
static void feed_forward_back(nb_backward *b, const nb_layer *l, float *dy, const nb_layer_grad *g) {
  const size_t F = b->c.ffn;
  gate_up_back(b, l, dy, g);
  back(b, l, NB_GATE, (outputs){b->gate, b->dgate, F}, b->dn, false, g);
  back(b, l, NB_UP, (outputs){b->up, b->dup, F}, b->dn, true, g);
  norm_back(b, b->x2, l->vec[NB_FFN_NORM], b->inv2, dy, true, g->ffn_norm);
}

/* From there to the gradients at the outputs of q, k and v. */
static void heads_back(nb_backward *b, const nb_layer *l, const float *dy, const nb_layer_grad *g) {
  back(b, l, NB_O, (outputs){b->o, dy, b->c.hidden}, b->dattn, false, g);
  nb_parallel_for(b->threads, b->c.kv_heads, 1, attend_back, b);
  turn(b, b->dqkv, b->minus_sin);
}

nb_status nb_backward_layer(nb_backward *b, const nb_layer *l, const float *x, float *dy, nb_layer_grad *g,
                            nb_err *err) {
  nb_assert(x != dy);
  nb_backward_enter(b, l, x);
  recompute_rest(b, l, x);
  if (g->row) recompute_down(b, l);
  feed_forward_back(b, l, dy, g);
  heads_back(b, l, dy, g);
  size_t at[] = {0, b->q_dim, b->q_dim + b->kv_dim};
  static const nb_role role[] = {NB_Q, NB_K, NB_V};
  for (int i = 0; i < 3; i++) back(b, l, role[i], (outputs){b->qkv + at[i], b->dqkv + at[i], b->ld}, b->dn, i > 0, g);
  norm_back(b, x, l->vec[NB_ATTN_NORM], b->inv1, dy, true, g->attn_norm);
  for (size_t i = 0; i < b->T * b->c.hidden; i++)
    if (!isfinite(dy[i])) return nb_fail(err, NB_ERR_NUMERIC, "the gradients are not finite");
  return NB_OK;
}

const float *nb_backward_qkv(nb_backward *b, const nb_layer *l, const float *dy, size_t *ld) {
  static const nb_layer_grad none = {.outputs = NULL};
  heads_back(b, l, dy, &none);
  *ld = b->ld;
  return b->dqkv;
}

void nb_backward_gate_up(nb_backward *b, const nb_layer *l, const float *x, const float *dy, const float **gate,
                         const float **up) {
  static const nb_layer_grad none = {.outputs = NULL};
  recompute_rest(b, l, x);
  gate_up_back(b, l, dy, &none);
  *gate = b->dgate, *up = b->dup;
}

nb_status nb_backward_head(nb_backward *b, const float *gain, const nb_linear *head, const float *x,
                           const float *dlogits, const nb_head_grad *g, nb_err *err) {
  nb_assert(head->N == b->c.vocab && head->K == b->c.hidden);
  size_t V = b->c.vocab, D = b->c.hidden;
  norm(b, x, gain, b->n1, b->inv1);
  for (size_t v = 0; v < V; v += HEAD_ROWS) {
    size_t n = nb_min(HEAD_ROWS, V - v);
    nb_gemm product = {b->T, D, n, dlogits + v, b->w, V, 1, D, 1, b->dn, D, 1, v > 0};
    load(b, head, v, n);
    nb_matmul_all(&b->mul, &product);
  }
  norm_back(b, x, gain, b->inv1, g->x, false, g->norm);
  for (size_t i = 0; i < b->T * D; i++)
    if (!isfinite(g->x[i])) return nb_fail(err, NB_ERR_NUMERIC, "the gradients at the head are not finite");
  return NB_OK;
}
