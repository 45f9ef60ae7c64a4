/* SPDX-License-Identifier: MIT */
#include "quant/tune.h"

#include "quant/backward.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/f16.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

enum { ROWS = 32, PATIENCE = 4 }; /* rows of logits at a time; judgements without progress before it ends */

typedef struct tuner {
  const nb_model *full, *coded;
  const nb_config *c;
  const nb_tune_opts *o;
  nb_tuned *out; /* what the parameters make of the norms and scales */
  nb_session *s;
  nb_backward *b;
  nb_kv *kv;
  size_t T, D, V, P;                  /* P: parameters */
  size_t per_layer;                   /* matrices of a layer */
  nb_linear *w;                       /* (layers, per_layer) the coded matrices with out's scales */
  nb_weights ends;                    /* its vec holds out's final norm */
  nb_layer *layer;                    /* the coded layers, with out's norms and scales */
  float *theta, *best, *grad, *m, *v; /* (P): relative changes, the best ones, their gradient, Adam's averages */
  float *teacher;                     /* (n_seqs, T, D): the full model's last states */
  float *states;                      /* (layers + 1, T, D): the coded model's */
  float *hidden, *dx;                 /* (T, D) */
  float *logits;                      /* (T, V): the coded model's, then the gradient */
  float *target;                      /* (ROWS, V) */
  double *kl;                         /* (T) */
} tuner;

void nb_tuned_free(nb_tuned *t) {
  nb_free(t->vectors);
  nb_free(t->row_scale);
  nb_free(t->row_at);
  memset(t, 0, sizeof *t);
}

/* ---- parameters: for each layer attn_norm, ffn_norm, the rows of its slices; then the final norm ---- */

static float changed(float base, float theta) { return base * (1 + theta); }

/* The norms and scales for the parameters as they are. */
static void apply(tuner *t) {
  const float *p = t->theta, *base = t->coded->weights.vectors;
  float *norm = t->out->vectors;
  for (size_t l = 0; l <= t->c->layers; l++) {
    for (size_t i = 0; i < (l < t->c->layers ? 2 : 1) * t->D; i++) *norm++ = changed(*base++, *p++);
    for (size_t i = 0; i < t->per_layer && l < t->c->layers; i++) {
      const nb_qmat *m = &t->coded->weights.layer[l].w[i].qmat;
      uint16_t *row = t->out->row_scale + t->out->row_at[l * t->per_layer + i];
      for (size_t n = 0; n < m->N; n++) row[n] = nb_f32_bf16(changed(nb_bf16_f32(m->row_scale[n]), *p++));
    }
  }
}

/* Points to a layer's part of a vector of parameters; returns what follows it. */
static float *layer_part(const tuner *t, float *p, nb_layer_grad *g) {
  g->attn_norm = p, g->ffn_norm = p + t->D;
  p += 2 * t->D;
  for (size_t i = 0; i < t->per_layer; i++) g->row[i] = p, p += t->coded->weights.layer[0].w[i].N;
  return p;
}

/* From gradients by gains and by factors to gradients by relative changes. */
static void by_change(tuner *t) {
  const float *base = t->coded->weights.vectors;
  float *g = t->grad, *p = t->theta;
  for (size_t l = 0; l <= t->c->layers; l++) {
    size_t rows = 0;
    for (size_t i = 0; i < (l < t->c->layers ? 2 : 1) * t->D; i++, p++) *g++ *= *base++;
    for (size_t i = 0; i < t->per_layer && l < t->c->layers; i++) rows += t->coded->weights.layer[l].w[i].N;
    for (size_t i = 0; i < rows; i++, p++) *g++ /= 1 + *p;
  }
}

static void adam(tuner *t, size_t step) {
  nb_assert(step >= 1); /* the averages are divided by 1 - b^step */
  const float b1 = 0.9f, b2 = 0.99f, rate = (float)t->o->rate;
  float c1 = 1 - (float)pow(b1, (double)step), c2 = 1 - (float)pow(b2, (double)step);
  for (size_t i = 0; i < t->P; i++) {
    float g = t->grad[i];
    t->m[i] = b1 * t->m[i] + (1 - b1) * g;
    t->v[i] = b2 * t->v[i] + (1 - b2) * g * g;
    float change = rate * (t->m[i] / c1) / (sqrtf(t->v[i] / c2) + 1e-12f);
    t->theta[i] = fminf(0.5f, fmaxf(-0.5f, t->theta[i] - change));
  }
}

/* ---- forward ---- */

static nb_status begin(tuner *t, size_t seq, nb_segment *seg, nb_err *err) {
  *seg = (nb_segment){t->kv, t->o->tokens + seq * t->T, t->T};
  return nb_session_begin(t->s, seg, 1, err);
}

static nb_status run_teacher(tuner *t, size_t seq, nb_err *err) {
  nb_segment seg;
  float *x = t->teacher + seq * t->T * t->D;
  const nb_weights *w = &t->full->weights;
  NB_TRY(begin(t, seq, &seg, err));
  nb_session_embed(t->s, nb_weights_embed(w), x);
  for (size_t l = 0; l < t->c->layers; l++) NB_TRY(nb_session_layer(t->s, &w->layer[l], 0, x, NULL, err));
  nb_session_norm(t->s, w, x, x);
  return NB_OK;
}

typedef struct kl_job {
  tuner *t;
  size_t first; /* the row of logits that meets row 0 of target */
  float weight; /* of a row's gradient */
} kl_job;

/* Each row's divergence; its logits become its gradient. */
static void kl_rows(void *ctx, size_t begin_row, size_t end_row, int thread) {
  kl_job *j = ctx;
  tuner *t = j->t;
  const nb_kernels *k = nb_session_kernels(t->s);
  (void)thread;
  for (size_t r = begin_row; r < end_row; r++) {
    const float *p = t->target + r * t->V;
    float *q = t->logits + (j->first + r) * t->V;
    double lp = k->logsumexp(p, t->V), lq = k->logsumexp(q, t->V), sum = 0;
    for (size_t v = 0; v < t->V; v++) {
      float a = (float)(p[v] - lp), b = (float)(q[v] - lq), e = (float)exp(a);
      sum += (double)e * (a - b);
      q[v] = j->weight * ((float)exp(b) - e);
    }
    t->kl[j->first + r] = sum;
  }
}

/* The coded model's states and the gradient of its logits; *kl: the mean divergence. */
static nb_status run_student(tuner *t, size_t seq, double *kl, nb_err *err) {
  nb_segment seg;
  size_t n = t->T * t->D;
  const nb_weights *w = &t->coded->weights;
  NB_TRY(begin(t, seq, &seg, err));
  nb_session_embed(t->s, nb_weights_embed(w), t->states);
  for (size_t l = 0; l < t->c->layers; l++) {
    float *x = t->states + (l + 1) * n;
    nb_assert(x + n <= t->states + (t->c->layers + 1) * n);
    memcpy(x, x - n, n * sizeof *x);
    NB_TRY(nb_session_layer(t->s, &t->layer[l], 0, x, NULL, err));
  }
  nb_session_norm(t->s, &t->ends, t->states + t->c->layers * n, t->hidden);
  nb_session_linear(t->s, nb_weights_head(w), t->hidden, t->T, t->D, t->logits, t->V);
  for (size_t i = 0; i < t->T; i += ROWS) {
    kl_job j = {t, i, 1.0f / (float)(t->T * t->o->batch)};
    size_t rows = nb_min(ROWS, t->T - i);
    nb_session_linear(t->s, nb_weights_head(&t->full->weights), t->teacher + seq * n + i * t->D, rows, t->D, t->target,
                      t->V);
    nb_parallel_for(t->o->threads, rows, 1, kl_rows, &j);
  }
  *kl = 0;
  for (size_t i = 0; i < t->T; i++) *kl += t->kl[i] / (double)t->T;
  return isfinite(*kl) ? NB_OK : nb_fail(err, NB_ERR_NUMERIC, "the divergence is not finite");
}

static nb_status judge(tuner *t, double *kl, nb_err *err) {
  size_t first = t->o->n_seqs - t->o->n_check;
  *kl = 0;
  apply(t);
  for (size_t i = 0; i < t->o->n_check; i++) {
    double x;
    NB_TRY(run_student(t, first + i, &x, err));
    *kl += x / (double)t->o->n_check;
  }
  return NB_OK;
}

/* ---- steps ---- */

static nb_status add_gradient(tuner *t, size_t seq, nb_err *err) {
  double kl;
  size_t n = t->T * t->D, L = t->c->layers;
  float *norm = t->out->vectors + 2 * L * t->D, *p = t->grad;
  nb_layer_grad *g = NULL;
  float **row = NULL;
  nb_status st;
  NB_GOTO(nb_new(&g, L, sizeof *g, "gradients", err));
  NB_GOTO(nb_new(&row, L * t->per_layer, sizeof *row, "gradients", err));
  for (size_t l = 0; l < L; l++) {
    g[l].row = row + l * t->per_layer;
    p = layer_part(t, p, &g[l]);
    nb_assert(p <= t->grad + t->P - t->D); /* the final norm is last */
  }
  st = run_student(t, seq, &kl, err);
  const nb_head_grad head = {t->dx, p};
  if (st == NB_OK)
    st = nb_backward_head(t->b, norm, nb_weights_head(&t->coded->weights), t->states + L * n, t->logits, &head, err);
  for (size_t l = L; l-- > 0 && st == NB_OK;)
    st = nb_backward_layer(t->b, &t->layer[l], t->states + l * n, t->dx, &g[l], err);
fail:
  nb_free(g), nb_free(row);
  return st;
}

static nb_status step(tuner *t, size_t number, nb_err *err) {
  nb_assert(t->o->n_check < t->o->n_seqs);
  size_t fit = t->o->n_seqs - t->o->n_check;
  memset(t->grad, 0, t->P * sizeof *t->grad);
  apply(t);
  for (size_t i = 0; i < t->o->batch; i++) NB_TRY(add_gradient(t, (number * t->o->batch + i) % fit, err));
  by_change(t);
  adam(t, number + 1);
  return NB_OK;
}

static nb_status report(const tuner *t, double began, nb_err *err) {
  if (t->o->max_steps) return nb_progress_step(t->o->progress, t->out->steps, t->o->max_steps, err);
  return nb_progress_step(t->o->progress, (uint64_t)(nb_clock() - began), (uint64_t)t->o->max_seconds, err);
}

/* Steps, judged once a pass over the text and at the end. */
static nb_status descend(tuner *t, nb_err *err) {
  const nb_tune_opts *o = t->o;
  size_t pass = nb_max(1, (o->n_seqs - o->n_check) / o->batch), idle = 0;
  double began = nb_clock(), kl;
  NB_TRY(judge(t, &t->out->before, err));
  t->out->after = t->out->before;
  for (bool more = true; more && idle < PATIENCE;) {
    NB_TRY(step(t, t->out->steps, err));
    t->out->steps++;
    NB_TRY(report(t, began, err));
    more = (!o->max_steps || t->out->steps < o->max_steps) &&
           (!(o->max_seconds > 0) || nb_clock() - began < o->max_seconds);
    if (more && t->out->steps % pass) continue;
    NB_TRY(judge(t, &kl, err));
    idle++;
    if (kl < t->out->after) {
      t->out->after = kl, t->out->kept = t->out->steps, idle = 0;
      memcpy(t->best, t->theta, t->P * sizeof *t->best);
    }
  }
  memcpy(t->theta, t->best, t->P * sizeof *t->best);
  apply(t);
  return NB_OK;
}

/* ---- the run ---- */

/* Room for the scales of the matrices' rows, padding included, and layers that use them. */
static nb_status own_scales(tuner *t, nb_err *err) {
  const nb_parts *parts = &t->coded->weights.parts;
  size_t L = t->c->layers, n = parts->embed, total = 0;
  nb_tuned *out = t->out;
  NB_TRY(nb_new(&out->vectors, (2 * L + 1) * t->D, sizeof(float), "norms", err));
  NB_TRY(nb_new(&out->row_at, n, sizeof(size_t), "scales", err));
  NB_TRY(nb_new(&t->layer, L, sizeof *t->layer, "layers", err));
  NB_TRY(nb_new(&t->w, n, sizeof *t->w, "layers", err));
  t->P = (2 * L + 1) * t->D;
  for (size_t i = 0; i < n; i++) {
    const nb_linear *w = &t->coded->weights.w[i];
    char what[64];
    if (!w->coded)
      return nb_fail(err, NB_ERR_ARG, "%s is not quantized, which tuning does not allow",
                     nb_part_describe(nb_parts_matrix(parts, i), what));
    out->row_at[i] = total;
    total += nb_round_up(w->qmat.n_tiles * NB_TILE, NB_ALIGN);
    t->P += w->N;
  }
  NB_TRY(nb_new(&out->row_scale, total, sizeof(uint16_t), "scales", err));
  for (size_t l = 0; l < L; l++) {
    nb_layer_copy(parts, &t->coded->weights.layer[l], t->w + l * t->per_layer, &t->layer[l]);
    t->layer[l].vec[NB_ATTN_NORM] = out->vectors + 2 * l * t->D;
    t->layer[l].vec[NB_FFN_NORM] = out->vectors + (2 * l + 1) * t->D;
  }
  for (size_t i = 0; i < n; i++) t->w[i].qmat.row_scale = out->row_scale + out->row_at[i];
  t->ends.vec[NB_FINAL_NORM] = out->vectors + 2 * L * t->D;
  return NB_OK;
}

static nb_status create(tuner *t, nb_err *err) {
  const nb_tune_opts *o = t->o;
  nb_session_opts so = {.threads = o->threads, .max_tokens = o->seq_len, .cpu_features = o->cpu_features};
  size_t n = t->T * t->D;
  if (o->n_check == 0 || o->n_check >= o->n_seqs || o->batch == 0)
    return nb_fail(err, NB_ERR_ARG, "tuning needs at least 2 sequences of calibration text: give more of it");
  NB_TRY(own_scales(t, err));
  NB_TRY(nb_backward_create(t->c, t->T, o->threads, o->cpu_features, &t->b, err));
  NB_TRY(nb_session_create(t->c, &so, &t->s, err));
  NB_TRY(nb_kv_create_layers(t->c, 1, t->T, NB_KV_F32, nb_config_stretch(t->c, t->T), &t->kv, err));
  float **vector[] = {&t->theta, &t->best, &t->grad, &t->m, &t->v};
  for (size_t i = 0; i < sizeof vector / sizeof *vector; i++)
    NB_TRY(nb_new(vector[i], t->P, sizeof(float), "parameters", err));
  NB_TRY(nb_new(&t->teacher, o->n_seqs * n, sizeof(float), "states", err));
  NB_TRY(nb_new(&t->states, (t->c->layers + 1) * n, sizeof(float), "states", err));
  NB_TRY(nb_new(&t->hidden, n, sizeof(float), "states", err));
  NB_TRY(nb_new(&t->dx, n, sizeof(float), "states", err));
  NB_TRY(nb_new(&t->logits, t->T * t->V, sizeof(float), "logits", err));
  NB_TRY(nb_new(&t->target, ROWS * t->V, sizeof(float), "logits", err));
  return nb_new(&t->kl, t->T, sizeof(double), "logits", err);
}

nb_status nb_tune(const nb_model *full, const nb_model *coded, const nb_tune_opts *o, nb_tuned *out, nb_err *err) {
  memset(out, 0, sizeof *out);
  tuner t = {.full = full, .coded = coded, .c = &coded->config, .o = o, .out = out};
  nb_status st;
  t.T = o->seq_len, t.D = t.c->hidden, t.V = t.c->vocab, t.per_layer = coded->weights.parts.per_layer;
  NB_GOTO(nb_backward_supports(t.c, err));
  NB_GOTO(create(&t, err));
  for (size_t i = 0; i < o->n_seqs; i++) NB_GOTO(run_teacher(&t, i, err));
  NB_GOTO(descend(&t, err));
fail:
  nb_backward_free(t.b);
  nb_session_free(t.s);
  nb_kv_free(t.kv);
  float *all[] = {t.theta, t.best, t.grad, t.m, t.v, t.teacher, t.states, t.hidden, t.dx, t.logits, t.target};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) nb_free(all[i]);
  nb_free(t.layer), nb_free(t.w);
  nb_free(t.kl);
  if (st != NB_OK) nb_tuned_free(out);
  return st;
}
