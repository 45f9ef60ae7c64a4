/* SPDX-License-Identifier: MIT */
#include "quant/fold.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "quant/solve.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE = 64, POWERS = 6 }; /* rows that are tried; powers 0, 0.2, ... 1 */

static float *floats_of(const nb_linear *w) { return (float *)(uintptr_t)w->dense.data; }

/* ---- the copy ---- */

nb_status nb_fold_create(const nb_config *c, const nb_parts *parts, const nb_layer *layer, nb_fold *out, nb_err *err) {
  nb_assert(layer->number < c->layers);
  nb_status st;
  size_t n = 0;
  *out = (nb_fold){.c = c, .parts = parts};
  for (size_t i = 0; i < parts->n; i++)
    if (parts->part[i].layer == (int)layer->number) n += parts->part[i].N * parts->part[i].K;
  NB_GOTO(nb_new(&out->own, n, sizeof(float), "a layer", err));
  NB_GOTO(nb_new(&out->w, parts->per_layer, sizeof *out->w, "a layer", err));
  NB_GOTO(nb_new(&out->power, nb_parts_sites(c), sizeof *out->power, "a layer", err));
  nb_layer_copy(parts, layer, out->w, &out->layer);
  float *p = out->own;
  size_t m = 0;
  for (size_t i = 0; i < parts->n; i++) {
    const nb_part *x = &parts->part[i];
    if (x->layer != (int)layer->number) continue;
    if (x->matrix) {
      nb_tensor t = {NB_F32, 2, {x->N, x->K, 1, 1}, p, x->N * x->K * sizeof *p, NULL};
      for (size_t r = 0; r < x->N; r++) nb_linear_row(&layer->w[m], r, p + r * x->K);
      out->w[m++] = nb_linear_dense(&t);
    } else {
      memcpy(p, layer->vec[x->role], x->K * sizeof *p);
      out->layer.vec[x->role] = p;
    }
    p += x->N * x->K;
  }
  return NB_OK;
fail:
  nb_fold_free(out);
  return st;
}

void nb_fold_free(nb_fold *f) {
  nb_free(f->own);
  nb_free(f->w);
  nb_free(f->power);
  memset(f, 0, sizeof *f);
}

/* A vector of the copy, or NULL. */
static float *own_vector(const nb_fold *f, nb_role role) { return (float *)(uintptr_t)f->layer.vec[role]; }

/* ---- scales ---- */

static bool is_down(size_t site) { return site == NB_SITE_DOWN || (site >= NB_SITES && (site - NB_SITES) % 2 == 1); }

bool nb_fold_legal(const nb_config *c, size_t site) {
  if (site == NB_SITE_ATTN || site == NB_SITE_O) return true;
  if (site == NB_SITE_FFN) return c->block != NB_BLOCK_PARALLEL;
  return is_down(site) && c->gated && c->activation != NB_ACT_GEGELU; /* the others' inputs are those of NB_SITE_FFN */
}

size_t nb_fold_channel(const nb_config *c, size_t site, size_t k) {
  nb_assert(k < nb_parts_site_inputs(c, site));
  if (site != NB_SITE_O) return k;
  return k / c->head_dim / (c->heads / c->kv_heads) * c->head_dim + k % c->head_dim;
}

/* Whether a site's scales meet the columns of a matrix: of those that it feeds, and of all experts' that get what the
 * router gets. */
static bool meets(const nb_part *p, size_t site) {
  return p->site == site || (site == NB_SITE_FFN && p->site >= NB_SITES && !is_down(p->site));
}

/* The logarithm of each input's root mean square (K), about a mean of 0; of inputs that one channel makes, of all of
 * them. Inputs that are all but dead count as small ones. */
static void input_sizes(const size_t *channel, size_t channels, const float *H, size_t K, double *size) {
  double mean = 0, center = 0, share = (double)(K / channels);
  for (size_t k = 0; k < K; k++) mean += H[k * K + k] / (double)K, size[k] = 0;
  for (size_t k = 0; k < K; k++) size[channel[k]] += H[k * K + k] / share;
  for (size_t k = 0; k < channels; k++) {
    size[k] = mean > 0 ? 0.5 * log(size[k] + 1e-4 * mean) : 0;
    center += size[k] / (double)channels;
  }
  for (size_t k = K; k-- > 0;) size[k] = size[channel[k]] - center;
}

/* A matrix that a site's inputs meet, how it will be coded, and what part of the loss of plain rounding will be left.
 */
typedef struct met {
  const nb_linear *w;
  nb_qfmt fmt;
  const nb_ggml_type *blocks; /* or NULL */
  double left;
} met;

/* A site's trials: its statistics in the basis scaled by s, from power to power. */
typedef struct trials {
  nb_hess h;
  const nb_fold_inputs *in;
  const float *s, *step; /* (K) the scales now, and from the last power to this */
  double *noise;         /* (K) the sum over the inputs of the square of what int8 leaves of them now */
  nb_gptq_opts plain;    /* rounding alone */
} trials;

/* Rows of H from the last power's basis to this one's. */
static void rescale_rows(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  trials *t = ctx;
  for (size_t i = begin; i < end; i++) {
    float *H = t->h.H + i * t->h.K, inv = 1 / t->step[i];
    for (size_t k = 0; k < t->h.K; k++) H[k] *= inv / t->step[k];
    t->h.diag[i] *= inv * inv;
  }
}

/* Rounds the inputs that are there to int8 in this basis. */
static nb_status find_noise(const trials *t, nb_err *err) {
  size_t K = t->h.K, Kp = nb_round_up(K, NB_K_PAD);
  double each = t->in->n ? (double)t->in->count / (double)t->in->n : 0;
  float *x, *scale = NULL;
  int32_t *sum = NULL;
  int8_t *q = NULL;
  nb_status st;
  memset(t->noise, 0, K * sizeof *t->noise);
  NB_TRY(nb_new(&x, 2 * K, sizeof *x, "scales", err));
  NB_GOTO(nb_new(&q, Kp, 1, "scales", err));
  NB_GOTO(nb_new(&scale, Kp / NB_QA_GROUP, sizeof *scale, "scales", err));
  NB_GOTO(nb_new(&sum, Kp / NB_BLOCK, sizeof *sum, "scales", err));
  for (size_t i = 0; i < t->in->n; i++) {
    for (size_t k = 0; k < K; k++) x[k] = t->in->x[i * K + k] / t->s[k];
    nb_kernels_round_q8(&t->h.k, x, K, q, scale, sum, x + K);
    for (size_t k = 0; k < K; k++) t->noise[k] += each * pow((double)x[k] - x[K + k], 2);
  }
fail:
  nb_free(x), nb_free(q), nb_free(scale), nb_free(sum);
  return st;
}

/* Rows, plainly rounded to a format. */
static nb_status try_format(const trials *t, const nb_gptq_rows *rows, nb_qfmt fmt, nb_gptq_report *rep, nb_err *err) {
  nb_status st;
  nb_qmat m;
  nb_qmat_layout l;
  nb_qout out;
  nb_grid g;
  void *data = NULL;
  nb_grid_make(fmt, NULL, &g);
  NB_TRY(nb_qmat_plan(rows->N, t->h.K, fmt, &m, &l, err));
  NB_TRY(nb_new(&data, l.total, 1, "rows on trial", err));
  NB_GOTO(nb_qout_init(&g, rows->N, t->h.K, data, l.total, &out, err));
  NB_GOTO(nb_gptq_solve(&t->h, rows, &g, &t->plain, &out, rep, err));
fail:
  nb_free(data);
  return st;
}

/* To blocks. Types that the solver does not know lose too little to count. */
static nb_status try_blocks(const trials *t, const nb_gptq_rows *rows, const nb_ggml_type *type, nb_gptq_report *rep,
                            nb_err *err) {
  nb_blocks b;
  uint8_t *data = NULL;
  if (!nb_blocks_make(type, &b)) return NB_OK;
  NB_TRY(nb_new(&data, rows->N, nb_blocks_row_bytes(&b, t->h.K), "rows on trial", err));
  nb_status st = nb_gptq_solve_blocks(&t->h, rows, &b, &t->plain, data, rep, err);
  nb_free(data);
  return st;
}

/* The sampled rows of a matrix with their columns scaled: what will be lost by their rounding and by that of their
 * inputs, over the loss of no weights. */
static nb_status try_matrix(const trials *t, const met *m, double *loss, nb_err *err) {
  nb_status st;
  const nb_linear *w = m->w;
  size_t n = nb_min(SAMPLE, w->N), K = w->K;
  nb_gptq_report rep = {0, 0, 0, 0};
  double noise = 0;
  float *x = NULL;
  NB_GOTO(nb_new(&x, n * K, sizeof *x, "rows on trial", err));
  for (size_t r = 0; r < n; r++) {
    nb_linear_row(w, r * w->N / n, x + r * K);
    for (size_t k = 0; k < K; k++) {
      x[r * K + k] *= t->s[k];
      noise += t->noise[k] * x[r * K + k] * x[r * K + k];
    }
  }
  const nb_gptq_rows rows = {.w = x, .N = n};
  NB_GOTO(m->blocks ? try_blocks(t, &rows, m->blocks, &rep, err) : try_format(t, &rows, m->fmt, &rep, err));
  *loss += rep.zero > 0 ? (m->left * rep.solved + noise) / rep.zero : 0;
fail:
  nb_free(x);
  return st;
}

/* What the trials of a site are made with. */
typedef struct site_trials {
  const nb_fold_inputs *in;
  const met *m; /* (n) */
  size_t n;
  const size_t *channel; /* (K) what makes each input, one of `channels` */
  size_t channels;
} site_trials;

/* s (K) = the scales of the power that loses least, which *power becomes. */
static nb_status choose(const nb_kernels *kernels, const site_trials *of, int threads, float *s, double *power,
                        nb_err *err) {
  nb_status st;
  const size_t K = of->m->w->K;
  float *H = of->in->H;
  double *size = NULL, best = 0;
  float *step = NULL;
  trials t = {.h = {.H = H}, .in = of->in, .s = s, .plain = {.threads = threads, .what = "a trial"}};
  NB_GOTO(nb_new(&size, 2 * K, sizeof *size, "scales", err));
  NB_GOTO(nb_new(&step, K, sizeof *step, "scales", err));
  input_sizes(of->channel, of->channels, H, K, size);
  NB_GOTO(nb_hess_unfactored(kernels, H, K, "a trial", &t.h, err));
  t.step = step, t.noise = size + K;
  for (size_t k = 0; k < K; k++) step[k] = (float)exp(size[k] / (POWERS - 1));
  for (int i = 0; i < POWERS; i++) {
    double tried = (double)i / (POWERS - 1), loss = 0;
    for (size_t k = 0; k < K; k++) s[k] = (float)exp(tried * size[k]);
    if (i > 0) nb_parallel_for(threads, K, 64, rescale_rows, &t);
    NB_GOTO(find_noise(&t, err));
    for (size_t n = 0; n < of->n; n++) NB_GOTO(try_matrix(&t, &of->m[n], &loss, err));
    if (i == 0 || loss < best) best = loss, *power = tried;
  }
  for (size_t k = 0; k < K; k++) s[k] = (float)exp(*power * size[k]);
fail:
  nb_hess_free(&t.h);
  nb_free(size), nb_free(step);
  return st;
}

/* Multiplies column k of w by s[k]. */
static void scale_columns(const nb_linear *w, const float *s) {
  nb_assert(!w->coded && w->dense.dtype == NB_F32);
  float *x = floats_of(w);
  for (size_t i = 0; i < w->N; i++)
    for (size_t k = 0; k < w->K; k++) x[i * w->K + k] *= s[k];
}

/* Row i of w, and element i of its bias, by s[i]. */
static void divide_rows(const nb_linear *w, float *bias, const float *s) {
  nb_assert(!w->coded && w->dense.dtype == NB_F32);
  float *x = floats_of(w);
  for (size_t i = 0; i < w->N; i++) {
    for (size_t k = 0; k < w->K; k++) x[i * w->K + k] /= s[i];
    if (bias) bias[i] /= s[i];
  }
}

static void divide(float *x, const float *s, size_t n) {
  for (size_t k = 0; x && k < n; k++) x[k] /= s[k];
}

/* s (K) by input, made (channels) by channel, which the inputs' maker is divided by. */
static void apply(nb_fold *f, size_t site, size_t K, const float *s, float *made) {
  const nb_config *c = f->c;
  const nb_parts *parts = f->parts;
  const nb_layer *l = &f->layer;
  int expert = nb_parts_site_expert(site);
  for (size_t i = 0; i < parts->per_layer; i++)
    if (meets(nb_parts_matrix(parts, i), site)) scale_columns(&l->w[i], s);
  for (size_t k = 0; k < K; k++) made[nb_fold_channel(c, site, k)] = s[k];
  if (site == NB_SITE_O) divide_rows(nb_layer_matrix(c, l, NB_V, 0), own_vector(f, NB_V_BIAS), made);
  else if (is_down(site))
    divide_rows(nb_layer_matrix(c, l, NB_UP, expert < 0 ? 0 : (size_t)expert), own_vector(f, NB_UP_BIAS), made);
  else {
    bool attn = site == NB_SITE_ATTN;
    divide(own_vector(f, attn ? NB_ATTN_NORM : NB_FFN_NORM), made, K);
    divide(own_vector(f, attn ? NB_ATTN_NORM_BIAS : NB_FFN_NORM_BIAS), made, K);
  }
}

nb_status nb_fold_scale(nb_fold *f, const nb_kernels *kernels, size_t site, const nb_fold_inputs *in,
                        const nb_fold_forms *forms, int threads, nb_err *err) {
  const nb_config *c = f->c;
  const nb_parts *parts = f->parts;
  nb_assert(nb_fold_legal(c, site));
  nb_status st;
  bool taken = false;
  met *m = NULL;
  size_t *channel = NULL, n = 0, K = nb_parts_site_inputs(c, site);
  float *s = NULL;
  NB_GOTO(nb_new(&m, parts->per_layer, sizeof *m, "scales", err));
  NB_GOTO(nb_new(&channel, K, sizeof *channel, "scales", err));
  NB_GOTO(nb_new(&s, 2 * K, sizeof *s, "scales", err));
  for (size_t k = 0; k < K; k++) channel[k] = nb_fold_channel(c, site, k);
  for (size_t i = 0; i < parts->per_layer; i++) {
    const nb_part *p = nb_parts_matrix(parts, i);
    if (!meets(p, site)) continue;
    m[n++] = (met){&f->layer.w[i], forms->blocks ? (nb_qfmt){0} : forms->fmt[i],
                   forms->blocks ? forms->blocks[i] : NULL, nb_solve_leaves(p->role, forms->coupled)};
  }
  taken = true;
  NB_GOTO(choose(kernels, &(site_trials){in, m, n, channel, channel[K - 1] + 1}, threads, s, &f->power[site], err));
  if (f->power[site] > 0) apply(f, site, K, s, s + K);
fail:
  if (!taken) nb_free(in->H);
  nb_free(m), nb_free(channel), nb_free(s);
  return st;
}

nb_status nb_fold_head(const nb_kernels *kernels, const nb_fold_inputs *in, const nb_linear *head,
                       const nb_fold_forms *forms, int threads, float *s, nb_err *err) {
  const met m = {head, forms->blocks ? (nb_qfmt){0} : *forms->fmt, forms->blocks ? *forms->blocks : NULL,
                 nb_solve_leaves(NB_HEAD, false)};
  size_t *channel;
  double power;
  nb_status st = nb_new(&channel, head->K, sizeof *channel, "scales", err);
  if (st != NB_OK) {
    nb_free(in->H);
    return st;
  }
  for (size_t k = 0; k < head->K; k++) channel[k] = k;
  st = choose(kernels, &(site_trials){in, &m, 1, channel, head->K}, threads, s, &power, err);
  nb_free(channel);
  return st;
}
