/* SPDX-License-Identifier: MIT */
/* The feed-forward block of a layer: one, or several experts of which a router picks some for each token. Tokens are
 * then grouped by expert, so that each expert that is needed is read once, and the others not at all. */
#include "model/session_impl.h"

#include "base/assert.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* ---- one block ---- */

/* The inner states of rows [begin, end): biases, the activation, and as inputs of down. add_bias: of gate, of up. */
static void activate_rows(void *ctx, size_t begin, size_t end, int thread) {
  nb_row_job *j = ctx;
  nb_session *s = j->s;
  size_t F = s->c.ffn, ld = s->c.gated ? 2 * F : F;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    float *gate = s->ffn + t * ld, *up = s->c.gated ? gate + F : gate;
    if (s->c.gated && j->add_bias[0]) s->k.add(gate, j->add_bias[0], F);
    if (j->add_bias[1]) s->k.add(up, j->add_bias[1], F);
    s->k.activate(s->c.activation, gate, s->c.gated ? up : NULL, F, gate);
    if (j->quantize) nb_session_quantize_row(s, t, gate, F);
  }
}

/* What the activation leaves at the start of every 2F row, packed to (T, F): only for a tap. */
static void pack(nb_session *s, size_t T, size_t ld) {
  size_t F = s->c.ffn;
  nb_assert(ld >= F);
  for (size_t t = 1; t < T && ld != F; t++) memmove(s->ffn + t * F, s->ffn + t * ld, F * sizeof(float));
}

/* out (T, D) from x (T, D), quantized already where gate or up is coded. expert: -1 for the only one. */
static void run_block(nb_session *s, const nb_layer *l, int expert, const float *x, size_t T, float *out,
                      const nb_tap *tap) {
  const nb_config *c = &s->c;
  size_t D = c->hidden, F = c->ffn, ld = c->gated ? 2 * F : F, e = expert < 0 ? 0 : (size_t)expert, n = 0;
  nb_assert(T >= 1 && T <= s->max_tokens && (c->experts ? e < c->experts : expert < 0));
  nb_product in[2];
  if (c->gated) in[n++] = (nb_product){nb_layer_matrix(c, l, NB_GATE, e), s->ffn, ld};
  in[n] = (nb_product){nb_layer_matrix(c, l, NB_UP, e), s->ffn + n * F, ld}, n++;
  nb_session_products(s, in, n, x, D, T);

  nb_product down = {nb_layer_matrix(c, l, NB_DOWN, e), out, D};
  nb_session_set_q8(s, T, F);
  nb_row_job act = {.add_bias = {l->vec[NB_GATE_BIAS], l->vec[NB_UP_BIAS]}, .quantize = down.w->coded};
  nb_session_rows(s, T, activate_rows, &act);
  if (tap) {
    pack(s, T, ld);
    ld = F;
    nb_tap_see(tap, expert < 0 ? NB_SITE_DOWN : NB_SITES + 2 * e + 1, s->ffn, T, F);
  }
  nb_session_products(s, &down, 1, s->ffn, ld, T);
}

/* ---- experts ---- */

/* The place of the largest logit that is not -infinity; the first of equal ones. */
static size_t largest(const float *x, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

/* The logits (experts) of one token become the experts' weights. */
static void route_softmax(const nb_session *s, float *x) {
  nb_assert(s->c.experts_per_token >= 1 && s->c.experts_per_token <= s->c.experts);
  size_t n = s->c.experts, chosen[NB_MAX_EXPERTS];
  float e[NB_MAX_EXPERTS], sum = 0, top = 0;
  for (size_t i = 0; i < s->c.experts_per_token; i++) {
    chosen[i] = largest(x, n);
    if (i == 0) top = x[chosen[0]];
    e[i] = x[chosen[i]] - top;
    x[chosen[i]] = -INFINITY;
  }
  s->k.exp(e, s->c.experts_per_token);
  for (size_t i = 0; i < s->c.experts_per_token; i++) sum += e[i];
  memset(x, 0, n * sizeof *x);
  for (size_t i = 0; i < s->c.experts_per_token; i++) x[chosen[i]] = e[i] / sum;
}

/* SparseMixer at inference: of the logits x those further below the largest, at `best`, than the jitter allows
 * (relative to the larger of the two sizes) are left out, and best's weight is its softmax over the rest. */
static float sparse_weight(const nb_session *s, const float *x, size_t best) {
  float near[NB_MAX_EXPERTS], sum = 0;
  size_t n = 0;
  for (size_t i = 0; i < s->c.experts; i++) {
    if (x[i] == -INFINITY) continue; /* chosen before */
    float far = (x[best] - x[i]) / fmaxf(fabsf(x[i]), x[best]);
    if (!(far > 2 * s->c.router_jitter)) near[n++] = x[i] - x[best];
  }
  s->k.exp(near, n);
  for (size_t i = 0; i < n; i++) sum += near[i];
  return 1 / sum;
}

static void route_sparsemix(const nb_session *s, float *x) {
  nb_assert(s->c.experts_per_token == 2 && s->c.experts >= 2);
  size_t n = s->c.experts, first = largest(x, n);
  float a = sparse_weight(s, x, first);
  x[first] = -INFINITY;
  size_t second = largest(x, n);
  float b = sparse_weight(s, x, second);
  memset(x, 0, n * sizeof *x);
  x[first] = a, x[second] = b;
}

static void route_rows(void *ctx, size_t begin, size_t end, int thread) {
  nb_row_job *j = ctx;
  nb_session *s = j->s;
  (void)thread;
  for (size_t t = begin; t < end; t++) {
    float *x = s->routes + t * s->c.experts;
    if (s->c.routing == NB_ROUTE_SOFTMAX) route_softmax(s, x);
    else route_sparsemix(s, x);
  }
}

/* The inputs of one expert, quantized when its gate or up is coded. */
static void pick_rows(void *ctx, size_t begin, size_t end, int thread) {
  nb_row_job *j = ctx;
  nb_session *s = j->s;
  size_t D = s->c.hidden;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    float *to = s->picked + i * D;
    memcpy(to, s->xn + s->rows_of[i] * D, D * sizeof *to);
    if (j->quantize) nb_session_quantize_row(s, i, to, D);
  }
}

/* y (T, D) += weight * out2, for the tokens of one expert. ld: the expert's place among the weights. */
static void give_rows(void *ctx, size_t begin, size_t end, int thread) {
  nb_row_job *j = ctx;
  nb_session *s = j->s;
  size_t D = s->c.hidden;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    size_t t = s->rows_of[i];
    nb_assert(t < s->T && (i == 0 || t > s->rows_of[i - 1]));
    float w = s->routes[t * s->c.experts + j->ld], *y = j->y + t * D;
    const float *x = s->out2 + i * D;
    for (size_t d = 0; d < D; d++) y[d] += w * x[d];
  }
}

static void run_experts(nb_session *s, const nb_layer *l, float *out, const nb_tap *tap) {
  const nb_config *c = &s->c;
  size_t D = c->hidden, E = c->experts, T = s->T;
  nb_assert(s->picked && s->routes && s->out2 && out != s->out2);
  nb_tap_see(tap, NB_SITE_FFN, s->xn, T, D);
  nb_product router = {nb_layer_matrix(c, l, NB_ROUTER, 0), s->routes, E};
  nb_session_products(s, &router, 1, s->xn, D, T);
  nb_row_job route = {.s = s};
  nb_session_rows(s, T, route_rows, &route);
  memset(out, 0, T * D * sizeof *out);
  for (size_t e = 0; e < E; e++) {
    size_t n = 0;
    for (size_t t = 0; t < T; t++)
      if (s->routes[t * E + e] != 0) s->rows_of[n++] = t;
    if (n == 0) continue;
    nb_session_set_q8(s, n, D);
    nb_row_job pick = {.quantize = nb_layer_matrix(c, l, NB_GATE, e)->coded || nb_layer_matrix(c, l, NB_UP, e)->coded};
    nb_session_rows(s, n, pick_rows, &pick);
    nb_tap_see(tap, NB_SITES + 2 * e, s->picked, n, D);
    run_block(s, l, (int)e, s->picked, n, s->out2, tap);
    nb_row_job give = {.y = out, .ld = e};
    nb_session_rows(s, n, give_rows, &give);
  }
}

void nb_session_ffn(nb_session *s, const nb_layer *l, float *out, const nb_tap *tap) {
  if (s->c.experts) {
    run_experts(s, l, out, tap);
    return;
  }
  if (s->c.block != NB_BLOCK_PARALLEL) nb_tap_see(tap, NB_SITE_FFN, s->xn, s->T, s->c.hidden);
  run_block(s, l, -1, s->xn, s->T, out, tap);
}
