/* SPDX-License-Identifier: MIT */
#include "fold.h"

#include "mem.h"
#include "parallel.h"

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

/* The channel that makes input k of a site: query heads of a group share their value head's. */
static size_t channel_of(const nb_config *c, int site, size_t k) {
  if (site != NB_TAP_O) return k;
  return k / c->head_dim / (c->heads / c->kv_heads) * c->head_dim + k % c->head_dim;
}

/* The logarithm of each input's root mean square (K), about a mean of 0. Inputs that are all but dead count as small
 * ones. */
static void input_sizes(const nb_config *c, int site, const float *H, size_t K, double *size) {
  double mean = 0, center = 0;
  size_t share = site == NB_TAP_O ? c->heads / c->kv_heads : 1;
  for (size_t k = 0; k < K; k++) mean += H[k * K + k] / (double)K, size[k] = 0;
  for (size_t k = 0; k < K; k++) size[channel_of(c, site, k)] += H[k * K + k] / (double)share;
  for (size_t k = 0; k < K / share; k++) {
    size[k] = mean > 0 ? 0.5 * log(size[k] + 1e-4 * mean) : 0;
    center += size[k] / (double)(K / share);
  }
  for (size_t k = K; k-- > 0;) size[k] = size[channel_of(c, site, k)] - center;
}

/* The sampled rows of one slice with their columns scaled, quantised: the loss over that of no weights. */
static nb_status try_slice(const nb_hess *h, double lambda, const nb_linear *w, const float *s, nb_qfmt fmt,
                           const nb_fold_opts *o, double *loss, nb_err *err) {
  nb_status st;
  size_t n = nb_min(SAMPLE, w->N), K = w->K;
  nb_qmat m;
  nb_qmat_layout l;
  nb_qout out;
  nb_grid g;
  nb_gptq_report rep = {0, 0, 0, 0};
  float *x = NULL;
  void *data = NULL;
  NB_GOTO(nb_qmat_plan(n, K, fmt, &m, &l, err));
  NB_GOTO(nb_new(&x, (n + 1) * K, sizeof *x, "rows on trial", err));
  NB_GOTO(nb_new(&data, l.total, 1, "rows on trial", err));
  for (size_t i = 0; i < n; i++) {
    nb_linear_row(w, i * w->N / n, x + i * K);
    for (size_t k = 0; k < K; k++) x[i * K + k] *= s[k];
  }
  nb_grid_make(fmt, NULL, &g);
  if (o->fit_tables && fmt.table) NB_GOTO(nb_quant_fit_table(&g, x, n, K, h->diag, err));
  NB_GOTO(nb_qout_init(&g, n, K, data, l.total, &out, err));
  NB_GOTO(nb_gptq_solve(h, x, n, &g, &o->gptq, o->threads, "a trial", &out, 0, &rep, err));
  NB_GOTO(nb_qmat_view(n, K, fmt, data, l.total, &m, err));
  float *q = x + n * K;
  for (size_t i = 0; i < n; i++) { /* the solver's loss includes the damping, which would favour some scales */
    nb_qmat_dequant_row(&m, i, q);
    for (size_t k = 0; k < K; k++) rep.solved -= lambda * pow((double)x[i * K + k] - q[k], 2);
  }
  *loss += rep.zero > 0 ? rep.solved / rep.zero : 0;
fail:
  nb_free(x);
  nb_free(data);
  return st;
}

/* The loss of a site's slices with scales s. */
static nb_status try_site(const nb_fold *f, int site, const float *H, const float *s, const nb_qfmt *fmt,
                          const nb_fold_opts *o, double *loss, nb_err *err) {
  size_t K = 0;
  for (int i = 0; i < NB_SLOTS; i++)
    if ((int)site_of[i] == site) K = f->layer.w[i].K;
  nb_hess h = {0};
  float *scaled;
  double mean = 0;
  NB_TRY(nb_new(&scaled, K * K, sizeof *scaled, "statistics", err));
  for (size_t i = 0; i < K; i++)
    for (size_t k = 0; k <= i; k++) scaled[i * K + k] = H[i * K + k] / (s[i] * s[k]);
  for (size_t k = 0; k < K; k++) mean += scaled[k * K + k] / (double)K;
  NB_TRY(nb_hess_prepare(scaled, NULL, 0, K, o->damp, 0, o->threads, "a trial", &h, err));
  *loss = 0;
  nb_status st = NB_OK;
  for (int i = 0; i < NB_SLOTS && st == NB_OK; i++)
    if ((int)site_of[i] == site) st = try_slice(&h, h.damp * mean, &f->layer.w[i], s, fmt[i], o, loss, err);
  nb_hess_free(&h);
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
  for (size_t k = 0; k < K; k++) made[channel_of(c, site, k)] = s[k];
  if (site == NB_TAP_O) divide_rows(&l->w[NB_V], made);
  else if (site == NB_TAP_DOWN) divide_rows(&l->w[NB_UP], made);
  else
    for (size_t k = 0; k < K; k++) norm[k] /= made[k];
}

static nb_status scale_site(const nb_config *c, nb_fold *f, int site, size_t K, const float *H, const nb_qfmt *fmt,
                            const nb_fold_opts *o, nb_err *err) {
  nb_status st;
  double *size = NULL, best = 0;
  float *s = NULL;
  NB_GOTO(nb_new(&size, K, sizeof *size, "scales", err));
  NB_GOTO(nb_new(&s, 2 * K, sizeof *s, "scales", err));
  input_sizes(c, site, H, K, size);
  for (int i = 0; i < POWERS; i++) {
    double power = (double)i / (POWERS - 1), loss;
    for (size_t k = 0; k < K; k++) s[k] = (float)exp(power * size[k]);
    NB_GOTO(try_site(f, site, H, s, fmt, o, &loss, err));
    if (i == 0 || loss < best) best = loss, f->power[site] = power;
  }
  for (size_t k = 0; k < K; k++) s[k] = (float)exp(f->power[site] * size[k]);
  if (f->power[site] > 0) apply(c, f, site, s, s + K);
fail:
  nb_free(size);
  nb_free(s);
  return st;
}

nb_status nb_fold_scale(const nb_config *c, nb_fold *f, float *const H[NB_TAPS], const nb_qfmt *fmt,
                        const nb_fold_opts *o, nb_err *err) {
  for (int i = 0; i < NB_SLOTS; i++)
    if (i == 0 || site_of[i] != site_of[i - 1])
      NB_TRY(scale_site(c, f, (int)site_of[i], f->layer.w[i].K, H[site_of[i]], fmt, o, err));
  return NB_OK;
}
