/* SPDX-License-Identifier: MIT */
#include "quant/fold.h"

#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE = 64, POWERS = 6 }; /* rows that are tried; powers 0, 0.2, ... 1 */

static const nb_tap_site site_of[NB_SLOTS] = {NB_TAP_QKV,     NB_TAP_QKV,     NB_TAP_QKV, NB_TAP_O,
                                              NB_TAP_GATE_UP, NB_TAP_GATE_UP, NB_TAP_DOWN};

static float *floats_of(const nb_linear *w) { return (float *)(uintptr_t)w->dense.data; }

/* ---- the copy ---- */

nb_status nb_fold_create(const nb_config *c, const nb_layer *layer, nb_fold *out, nb_err *err) {
  size_t n = 2 * c->hidden;
  memset(out, 0, sizeof *out);
  for (int s = 0; s < NB_SLOTS; s++) n += layer->w[s].N * layer->w[s].K;
  NB_TRY(nb_new(&out->own, n, sizeof(float), "a layer", err));
  float *p = out->own;
  out->layer.number = layer->number;
  out->layer.attn_norm = p, out->layer.ffn_norm = p + c->hidden;
  memcpy(p, layer->attn_norm, c->hidden * sizeof *p);
  memcpy(p + c->hidden, layer->ffn_norm, c->hidden * sizeof *p);
  p += 2 * c->hidden;
  for (int s = 0; s < NB_SLOTS; s++) {
    const nb_linear *w = &layer->w[s];
    nb_tensor t = {NB_F32, 2, {w->N, w->K, 1, 1}, p, w->N * w->K * sizeof *p};
    out->layer.w[s] = nb_linear_dense(&t);
    for (size_t i = 0; i < w->N; i++, p += w->K) nb_linear_row(w, i, p);
  }
  return NB_OK;
}

void nb_fold_free(nb_fold *f) {
  nb_free(f->own);
  memset(f, 0, sizeof *f);
}

/* ---- rotation ---- */

void nb_fold_orthogonal(size_t n, double *out) {
  size_t two = n & (~n + 1), odd = n / two;
  const double pi = 3.14159265358979323846;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < n; k++) {
      size_t a = i / two, b = k / two, bits = (i % two) & (k % two);
      double sign = 1, cosine = a ? sqrt(2) * cos(pi * (double)a * ((double)b + 0.5) / (double)odd) : 1;
      for (; bits; bits &= bits - 1) sign = -sign;
      out[i * n + k] = sign * cosine / sqrt((double)n);
    }
}

/* x (n, stride apart) becomes R x. */
static void rotate(const double *R, size_t n, float *x, size_t stride, double *old) {
  for (size_t k = 0; k < n; k++) old[k] = x[k * stride];
  for (size_t i = 0; i < n; i++) {
    double sum = 0;
    for (size_t k = 0; k < n; k++) sum += R[i * n + k] * old[k];
    x[i * stride] = (float)sum;
  }
}

nb_status nb_fold_rotate(const nb_config *c, nb_fold *f, nb_err *err) {
  const nb_linear *v = &f->layer.w[NB_V], *o = &f->layer.w[NB_O];
  size_t n = c->head_dim;
  double *R;
  NB_TRY(nb_new(&R, n * n + n, sizeof *R, "a rotation", err));
  nb_fold_orthogonal(n, R);
  for (size_t h = 0; h < c->kv_heads; h++)
    for (size_t k = 0; k < v->K; k++) rotate(R, n, floats_of(v) + h * n * v->K + k, v->K, R + n * n);
  for (size_t i = 0; i < o->N; i++)
    for (size_t h = 0; h < c->heads; h++) rotate(R, n, floats_of(o) + i * o->K + h * n, 1, R + n * n);
  nb_free(R);
  return NB_OK;
}

/* ---- scales ---- */

size_t nb_fold_channel(const nb_config *c, int site, size_t k) {
  if (site != NB_TAP_O) return k;
  return k / c->head_dim / (c->heads / c->kv_heads) * c->head_dim + k % c->head_dim;
}

/* The logarithm of each input's root mean square (K), about a mean of 0. Inputs that are all but dead count as small
 * ones. */
static void input_sizes(const nb_config *c, int site, const float *H, size_t K, double *size) {
  double mean = 0, center = 0;
  size_t share = site == NB_TAP_O ? c->heads / c->kv_heads : 1;
  for (size_t k = 0; k < K; k++) mean += H[k * K + k] / (double)K, size[k] = 0;
  for (size_t k = 0; k < K; k++) size[nb_fold_channel(c, site, k)] += H[k * K + k] / (double)share;
  for (size_t k = 0; k < K / share; k++) {
    size[k] = mean > 0 ? 0.5 * log(size[k] + 1e-4 * mean) : 0;
    center += size[k] / (double)(K / share);
  }
  for (size_t k = K; k-- > 0;) size[k] = size[nb_fold_channel(c, site, k)] - center;
}

/* A site's trials: its statistics in the basis scaled by s, from power to power. */
typedef struct trials {
  nb_hess h;
  const float *s, *step; /* (K) the scales now, and from the last power to this */
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

/* The sampled rows of one slice with their columns scaled, plainly quantized: the loss over that of no weights. */
static nb_status try_slice(const trials *t, const nb_linear *w, nb_qfmt fmt, int threads, double *loss, nb_err *err) {
  nb_status st;
  size_t n = nb_min(SAMPLE, w->N), K = w->K;
  const nb_gptq_opts plain = {false, 0};
  nb_qmat m;
  nb_qmat_layout l;
  nb_qout out;
  nb_grid g;
  nb_gptq_report rep = {0, 0, 0, 0};
  float *x = NULL;
  void *data = NULL;
  NB_GOTO(nb_qmat_plan(n, K, fmt, &m, &l, err));
  NB_GOTO(nb_new(&x, n * K, sizeof *x, "rows on trial", err));
  NB_GOTO(nb_new(&data, l.total, 1, "rows on trial", err));
  for (size_t i = 0; i < n; i++) {
    nb_linear_row(w, i * w->N / n, x + i * K);
    for (size_t k = 0; k < K; k++) x[i * K + k] *= t->s[k];
  }
  nb_grid_make(fmt, NULL, &g);
  NB_GOTO(nb_qout_init(&g, n, K, data, l.total, &out, err));
  NB_GOTO(nb_gptq_solve(&t->h, x, n, &g, &plain, threads, "a trial", &out, 0, &rep, err));
  *loss += rep.zero > 0 ? rep.solved / rep.zero : 0;
fail:
  nb_free(x);
  nb_free(data);
  return st;
}

/* Multiplies column k of w by s[k]. */
static void scale_columns(const nb_linear *w, const float *s) {
  float *x = floats_of(w);
  for (size_t i = 0; i < w->N; i++)
    for (size_t k = 0; k < w->K; k++) x[i * w->K + k] *= s[k];
}

static void divide_rows(const nb_linear *w, const float *s) {
  float *x = floats_of(w);
  for (size_t i = 0; i < w->N; i++)
    for (size_t k = 0; k < w->K; k++) x[i * w->K + k] /= s[i];
}

/* s (K) by input, made (channels) by channel, which the inputs' maker is divided by. */
static void apply(const nb_config *c, nb_fold *f, int site, const float *s, float *made) {
  nb_layer *l = &f->layer;
  float *norm = site == NB_TAP_QKV ? l->attn_norm : l->ffn_norm;
  size_t K = 0;
  for (int i = 0; i < NB_SLOTS; i++)
    if ((int)site_of[i] == site) scale_columns(&l->w[i], s), K = l->w[i].K;
  for (size_t k = 0; k < K; k++) made[nb_fold_channel(c, site, k)] = s[k];
  if (site == NB_TAP_O) divide_rows(&l->w[NB_V], made);
  else if (site == NB_TAP_DOWN) divide_rows(&l->w[NB_UP], made);
  else
    for (size_t k = 0; k < K; k++) norm[k] /= made[k];
}

/* Takes over H. */
static nb_status scale_site(const nb_kernels *kernels, const nb_config *c, nb_fold *f, int site, size_t K, float *H,
                            const nb_qfmt *fmt, int threads, nb_err *err) {
  nb_status st;
  double *size = NULL, best = 0;
  float *s = NULL;
  trials t = {.h = {.H = H}};
  NB_GOTO(nb_new(&size, K, sizeof *size, "scales", err));
  NB_GOTO(nb_new(&s, 2 * K, sizeof *s, "scales", err));
  input_sizes(c, site, H, K, size);
  NB_GOTO(nb_hess_unfactored(kernels, H, K, "a trial", &t.h, err));
  t.s = s, t.step = s + K;
  for (size_t k = 0; k < K; k++) s[K + k] = (float)exp(size[k] / (POWERS - 1));
  for (int i = 0; i < POWERS; i++) {
    double power = (double)i / (POWERS - 1), loss = 0;
    for (size_t k = 0; k < K; k++) s[k] = (float)exp(power * size[k]);
    if (i > 0) nb_parallel_for(threads, K, 64, rescale_rows, &t);
    for (int n = 0; n < NB_SLOTS; n++)
      if ((int)site_of[n] == site) NB_GOTO(try_slice(&t, &f->layer.w[n], fmt[n], threads, &loss, err));
    if (i == 0 || loss < best) best = loss, f->power[site] = power;
  }
  for (size_t k = 0; k < K; k++) s[k] = (float)exp(f->power[site] * size[k]);
  if (f->power[site] > 0) apply(c, f, site, s, s + K);
fail:
  nb_hess_free(&t.h);
  nb_free(size);
  nb_free(s);
  return st;
}

nb_status nb_fold_scale(const nb_kernels *kernels, const nb_config *c, nb_fold *f, float *H[NB_TAPS],
                        const nb_qfmt *fmt, int threads, nb_err *err) {
  for (int i = 0; i < NB_SLOTS; i++)
    if (i == 0 || site_of[i] != site_of[i - 1]) {
      float *own = H[site_of[i]];
      H[site_of[i]] = NULL;
      NB_TRY(scale_site(kernels, c, f, (int)site_of[i], f->layer.w[i].K, own, fmt, threads, err));
    }
  return NB_OK;
}
