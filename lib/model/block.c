/* SPDX-License-Identifier: MIT */
/* One layer of the forward pass, as the configuration describes it, and the sections over rows and matrices that it is
 * made of. */
#include "model/session_impl.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

/* ---- rows ---- */

void nb_session_rows(nb_session *s, size_t T, nb_range_fn fn, nb_row_job *j) {
  j->s = s;
  nb_parallel_for(s->threads, T, nb_max(1, nb_min(8, T / (size_t)s->threads)), fn, j);
}

static void quantize_to(const nb_session *s, nb_q8 *q, size_t t, const float *x, size_t K) {
  nb_assert(t < q->T && K == q->K);
  s->k.quantize_q8(x, K, q->Kp, q->q + t * q->Kp, q->scale + t * (q->Kp / NB_QA_GROUP),
                   q->sum + t * (q->Kp / NB_BLOCK));
}

void nb_session_quantize_row(nb_session *s, size_t t, const float *x, size_t K) { quantize_to(s, &s->q8, t, x, K); }

void nb_session_quantize_rows(void *ctx, size_t begin, size_t end, int thread) {
  nb_row_job *j = ctx;
  (void)thread;
  for (size_t t = begin; t < end; t++) nb_session_quantize_row(j->s, t, j->in + t * j->ld, j->K);
}

void nb_session_set_q8(nb_session *s, size_t T, size_t K) {
  nb_assert(T <= s->max_tokens);
  s->q8.T = s->rest8.T = T;
  s->q8.K = s->rest8.K = K;
  s->q8.Kp = s->rest8.Kp = nb_kernels_pad_inputs(K);
}

void nb_session_norm_row(const nb_session *s, const float *x, const float *w, const float *bias, size_t D, float *y) {
  if (s->c.norm == NB_NORM_LAYER) s->k.layernorm(x, w, bias, D, s->c.norm_eps, y);
  else s->k.rmsnorm(x, w, D, s->c.norm_eps, y);
}

void nb_session_norm_rows(void *ctx, size_t begin, size_t end, int thread) {
  nb_row_job *j = ctx;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    float *y = j->y + t * j->K;
    nb_session_norm_row(j->s, j->in + t * j->K, j->weight, j->bias, j->K, y);
    if (j->quantize) nb_session_quantize_row(j->s, t, y, j->K);
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

/* A branch's output: its matrix's bias, its norm, and into the residual stream. */
static void add_rows(void *ctx, size_t begin, size_t end, int thread) {
  nb_row_job *j = ctx;
  const nb_session *s = j->s;
  size_t D = s->c.hidden;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    float *out = s->out + t * D, *x = j->x + t * D;
    if (j->add_bias[0]) s->k.add(out, j->add_bias[0], D);
    if (j->in) { /* the other branch */
      if (j->add_bias[1]) s->k.add(s->out2 + t * D, j->add_bias[1], D);
      s->k.add(out, j->in + t * D, D);
    }
    if (j->weight) nb_session_norm_row(s, out, j->weight, NULL, D, out);
    s->k.add(x, out, D);
    if (!row_finite(x, D)) __atomic_store_n(&j->not_finite, true, __ATOMIC_RELAXED);
  }
}

/* ---- matrices ---- */

/* Rounds again what the rounding of rows [begin, end) left. */
static void quantize_rest(void *ctx, size_t begin, size_t end, int thread) {
  nb_row_job *j = ctx;
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

/* Adds the products of what the rounding of x to int8 left. */
static void add_rest(nb_session *s, const nb_product *p, size_t n, const float *x, size_t ldx, size_t T) {
  enum { MOST = 3 };
  nb_rows in = {x, T, ldx, &s->rest8};
  nb_product part[MOST];
  size_t fine = 0, width = 0;
  for (size_t i = 0; i < n; i++) {
    if (!p[i].w->coded || !p[i].w->fine) continue;
    nb_assert(fine < MOST);
    part[fine++] = (nb_product){p[i].w, s->part + T * width, p[i].w->N};
    width += p[i].w->N;
  }
  if (!fine) return;
  nb_assert(T * width <= s->part_floats);
  nb_row_job j = {.s = s, .in = x, .ld = ldx};
  nb_parallel_for(s->threads, T, 8, quantize_rest, &j);
  nb_linear_run(&s->k, s->threads, part, fine, &in, s->scratch, s->scratch_bytes);
  for (size_t i = 0, f = 0; i < n; i++) {
    if (!p[i].w->coded || !p[i].w->fine) continue;
    for (size_t t = 0; t < T; t++) s->k.add(p[i].y + t * p[i].ldy, part[f].y + t * part[f].ldy, part[f].w->N);
    f++;
  }
}

void nb_session_products(nb_session *s, const nb_product *p, size_t n, const float *x, size_t ldx, size_t T) {
  nb_assert(n > 0 && T <= s->max_tokens);
  nb_rows in = {x, T, ldx, &s->q8};
  nb_linear_run(&s->k, s->threads, p, n, &in, s->scratch, s->scratch_bytes);
  if (s->part) add_rest(s, p, n, x, ldx, T);
}

/* ---- a layer ---- */

static nb_status add_branch(nb_session *s, nb_row_job *j, float *x, size_t layer, const char *what, nb_err *err) {
  nb_assert(!j->in || s->out2);
  j->x = x;
  nb_session_rows(s, s->T, add_rows, j);
  if (!j->not_finite) return NB_OK;
  return nb_fail(err, NB_ERR_NUMERIC, "layer %zu: the states after %s are not finite (NaN or infinity)", layer, what);
}

/* Whether any of the layer's matrices that a site feeds is coded: the site's inputs then have to be quantized. */
static bool any_coded(const nb_config *c, const nb_layer *l, const nb_role *role, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (nb_layer_matrix(c, l, role[i], 0)->coded) return true;
  return false;
}

/* s->xn = the norm before a branch. quantize: as inputs of its matrices. */
static void norm_states(nb_session *s, const nb_layer *l, nb_role norm, nb_role bias, const float *x, bool quantize) {
  size_t D = s->c.hidden;
  nb_session_set_q8(s, s->T, D);
  nb_row_job j = {.weight = l->vec[norm], .bias = l->vec[bias], .in = x, .K = D, .y = s->xn, .quantize = quantize};
  nb_session_rows(s, s->T, nb_session_norm_rows, &j);
}

/* s->out = the attention branch of x, without o's bias; s->xn holds the normed states. */
static void attention_branch(nb_session *s, const nb_layer *l, size_t kv_layer, const float *x, const nb_tap *tap) {
  static const nb_role inputs[] = {NB_Q, NB_K, NB_V};
  const nb_config *c = &s->c;
  size_t D = c->hidden, T = s->T, ld = s->q_dim + 2 * s->kv_dim;
  norm_states(s, l, NB_ATTN_NORM, NB_ATTN_NORM_BIAS, x, any_coded(c, l, inputs, 3));
  nb_tap_see(tap, NB_SITE_ATTN, s->xn, T, D);
  nb_product qkv[3] = {{nb_layer_matrix(c, l, NB_Q, 0), s->qkv, ld},
                       {nb_layer_matrix(c, l, NB_K, 0), s->qkv + s->q_dim, ld},
                       {nb_layer_matrix(c, l, NB_V, 0), s->qkv + s->q_dim + s->kv_dim, ld}};
  nb_session_products(s, qkv, 3, s->xn, D, T);
  nb_session_attend(s, l, kv_layer);
  nb_tap_see(tap, NB_SITE_O, s->attn, T, s->q_dim);
  nb_session_set_q8(s, T, s->q_dim);
  nb_product o = {nb_layer_matrix(c, l, NB_O, 0), s->out, D};
  nb_row_job quant = {.in = s->attn, .ld = s->q_dim, .K = s->q_dim};
  if (o.w->coded) nb_session_rows(s, T, nb_session_quantize_rows, &quant);
  nb_session_products(s, &o, 1, s->attn, s->q_dim, T);
}

static bool ffn_coded(const nb_config *c, const nb_layer *l) {
  static const nb_role dense[] = {NB_UP, NB_GATE}, experts[] = {NB_ROUTER};
  return c->experts ? any_coded(c, l, experts, 1) : any_coded(c, l, dense, c->gated ? 2 : 1);
}

nb_status nb_session_layer(nb_session *s, const nb_layer *l, size_t kv_layer, float *x, const nb_tap *tap,
                           nb_err *err) {
  const nb_config *c = &s->c;
  nb_assert(s->T > 0 && l->number < c->layers);
  attention_branch(s, l, kv_layer, x, tap);
  if (c->block == NB_BLOCK_PARALLEL) {
    nb_session_set_q8(s, s->T, c->hidden);
    nb_row_job again = {.in = s->xn, .ld = c->hidden, .K = c->hidden};
    if (ffn_coded(c, l)) nb_session_rows(s, s->T, nb_session_quantize_rows, &again);
    nb_session_ffn(s, l, s->out2, tap);
    nb_row_job both = {.add_bias = {l->vec[NB_O_BIAS], l->vec[NB_DOWN_BIAS]}, .in = s->out2};
    return add_branch(s, &both, x, l->number, "its two branches", err);
  }
  nb_row_job attention = {.add_bias = {l->vec[NB_O_BIAS]}, .weight = l->vec[NB_POST_ATTN_NORM]};
  NB_TRY(add_branch(s, &attention, x, l->number, "attention", err));
  norm_states(s, l, NB_FFN_NORM, NB_FFN_NORM_BIAS, x, ffn_coded(c, l));
  nb_session_ffn(s, l, s->out, tap);
  nb_row_job ffn = {.add_bias = {l->vec[NB_DOWN_BIAS]}, .weight = l->vec[NB_POST_FFN_NORM]};
  return add_branch(s, &ffn, x, l->number, "the feed-forward block", err);
}
