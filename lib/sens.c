/* SPDX-License-Identifier: MIT */
/* Sensitivities by probing: see alloc.h. */
#include "alloc.h"

#include "mem.h"

#include <math.h>
#include <string.h>

const nb_qfmt nb_sens_probe = {3, 1, 128};

enum { ROWS = 32 }; /* distributions at a time */

typedef struct probe {
  const nb_config *c;
  const nb_weights *w;
  const nb_sens_opts *o;
  nb_session *s;
  nb_segment *seg;
  size_t T;         /* tokens in all */
  float *states;    /* (layers + 1, T, D): what enters each layer */
  float *x, *row;   /* (T, D); (ROWS, V) */
  float *reference; /* (T, V) log-probabilities */
  float *rounded;   /* a matrix, rounded and back */
  uint64_t done, total;
} probe;

static void log_softmax(const nb_kernels *k, float *x, size_t n) {
  float z = (float)k->logsumexp(x, n);
  for (size_t i = 0; i < n; i++) x[i] -= z;
}

/* The mean KL divergence of the distributions that follow from the final states x, by `head`. */
static double divergence(probe *p, const nb_linear *head) {
  size_t D = p->c->hidden, V = p->c->vocab;
  double sum = 0;
  nb_session_norm(p->s, p->w->norm, p->x, p->x);
  for (size_t t0 = 0; t0 < p->T; t0 += ROWS) {
    size_t n = nb_min(ROWS, p->T - t0);
    nb_session_linear(p->s, head, p->x + t0 * D, n, D, p->row, V);
    for (size_t t = 0; t < n; t++) {
      const float *ref = p->reference + (t0 + t) * V;
      float *row = p->row + t * V;
      log_softmax(nb_session_kernels(p->s), row, V);
      for (size_t v = 0; v < V; v++)
        if (ref[v] > -30) sum += exp((double)ref[v]) * ((double)ref[v] - row[v]);
    }
  }
  return sum / (double)p->T;
}

/* Rounds a matrix to the probe's format and back to floats. */
static nb_status round_matrix(probe *p, const nb_linear *m, nb_linear *out, double *error, nb_err *err) {
  nb_qmat q;
  nb_qmat_layout l;
  nb_grid g;
  nb_quant_loss loss;
  void *data;
  nb_grid_make(nb_sens_probe, NULL, &g);
  NB_TRY(nb_qmat_plan(m->N, m->K, nb_sens_probe, &q, &l, err));
  NB_TRY(nb_new(&data, l.total, 1, "a probe", err));
  nb_status st = nb_quant_plain(&g, m, NULL, 0, p->o->threads, "a probe", data, l.total, &loss, err);
  if (st == NB_OK) st = nb_qmat_view(m->N, m->K, nb_sens_probe, data, l.total, &q, err);
  nb_free(p->rounded), p->rounded = NULL;
  if (st == NB_OK) st = nb_new(&p->rounded, m->N * m->K, sizeof(float), "a probe", err);
  if (st == NB_OK) {
    for (size_t n = 0; n < m->N; n++) nb_qmat_dequant_row(&q, n, p->rounded + n * m->K);
    nb_tensor t = {NB_F32, 2, {m->N, m->K, 1, 1}, p->rounded, m->N * m->K * sizeof(float)};
    *out = nb_linear_dense(&t);
    *error = loss.total > 0 ? loss.error / loss.total : 0;
  }
  nb_free(data);
  return st;
}

/* Runs the layers from `from` on, the first of them as given. */
static nb_status run_from(probe *p, size_t from, const nb_layer *first, nb_err *err) {
  for (size_t l = from; l < p->c->layers; l++)
    NB_TRY(nb_session_layer(p->s, l == from && first ? first : &p->w->layer[l], 0, p->x, NULL, err));
  return NB_OK;
}

static nb_status reference_run(probe *p, nb_err *err) {
  size_t TD = p->T * p->c->hidden, V = p->c->vocab;
  NB_TRY(nb_session_begin(p->s, p->seg, p->o->n_seqs, err));
  nb_session_embed(p->s, &p->w->embed, p->x);
  for (size_t l = 0; l < p->c->layers; l++) {
    memcpy(p->states + l * TD, p->x, TD * sizeof *p->x);
    NB_TRY(nb_session_layer(p->s, &p->w->layer[l], 0, p->x, NULL, err));
  }
  memcpy(p->states + p->c->layers * TD, p->x, TD * sizeof *p->x);
  nb_session_norm(p->s, p->w->norm, p->x, p->x);
  nb_session_linear(p->s, &p->w->head, p->x, p->T, p->c->hidden, p->reference, V);
  for (size_t t = 0; t < p->T; t++) log_softmax(nb_session_kernels(p->s), p->reference + t * V, V);
  return NB_OK;
}

static nb_status count_probe(probe *p, nb_err *err) {
  return nb_progress_step(p->o->progress, ++p->done, p->total, err);
}

static nb_status probe_layer(probe *p, size_t l, double *kl, double *error, nb_err *err) {
  size_t TD = p->T * p->c->hidden;
  for (int s = 0; s < NB_SLOTS; s++) {
    nb_layer layer = p->w->layer[l];
    NB_TRY(round_matrix(p, &p->w->layer[l].w[s], &layer.w[s], &error[s], err));
    memcpy(p->x, p->states + l * TD, TD * sizeof *p->x);
    NB_TRY(run_from(p, l, &layer, err));
    kl[s] = divergence(p, &p->w->head);
    NB_TRY(count_probe(p, err));
  }
  return NB_OK;
}

static nb_status probe_ends(probe *p, double *kl, double *error, nb_err *err) {
  size_t TD = p->T * p->c->hidden;
  nb_linear rounded;
  NB_TRY(round_matrix(p, &p->w->embed, &rounded, &error[0], err));
  nb_session_embed(p->s, &rounded, p->x);
  NB_TRY(run_from(p, 0, NULL, err));
  kl[0] = divergence(p, &p->w->head);
  NB_TRY(count_probe(p, err));
  kl[1] = error[1] = 0;
  if (p->c->tie_embeddings) {
    memcpy(p->x, p->states + p->c->layers * TD, TD * sizeof *p->x);
    kl[0] += divergence(p, &rounded);
    return NB_OK;
  }
  NB_TRY(round_matrix(p, &p->w->head, &rounded, &error[1], err));
  memcpy(p->x, p->states + p->c->layers * TD, TD * sizeof *p->x);
  kl[1] = divergence(p, &rounded);
  return count_probe(p, err);
}

/* Which layers are probed: the first and last two, the others evenly. */
static bool probed(const probe *p, size_t l) {
  size_t L = p->c->layers, most = p->o->max_layers;
  if (most == 0 || most >= L || l < 2 || l + 2 >= L || most < 5) return most == 0 || most >= L || l < 2 || l + 2 >= L;
  size_t inner = most - 4, i = (l - 2) * inner / (L - 4);
  return (l - 2) == (i * (L - 4) + inner - 1) / inner;
}

/* Fills the layers between two probed ones by interpolating the logarithm. */
static void interpolate(const probe *p, double *kl, double *error) {
  size_t a = 0;
  for (size_t b = 1; b < p->c->layers; b++) {
    if (!probed(p, b)) continue;
    for (size_t l = a + 1; l < b; l++)
      for (int s = 0; s < NB_SLOTS; s++) {
        double u = (double)(l - a) / (double)(b - a);
        double x = kl[a * NB_SLOTS + s], y = kl[b * NB_SLOTS + s];
        kl[l * NB_SLOTS + s] = exp((1 - u) * log(fmax(x, 1e-12)) + u * log(fmax(y, 1e-12)));
        error[l * NB_SLOTS + s] = (1 - u) * error[a * NB_SLOTS + s] + u * error[b * NB_SLOTS + s];
      }
    a = b;
  }
}

static nb_status probe_create(probe *p, nb_err *err) {
  size_t D = p->c->hidden, V = p->c->vocab;
  p->T = p->o->n_seqs * p->o->seq_len;
  nb_session_opts so = {.threads = p->o->threads, .max_tokens = p->T, .cpu_features = p->o->cpu_features};
  NB_TRY(nb_session_create(p->c, &so, &p->s, err));
  NB_TRY(nb_new(&p->seg, p->o->n_seqs, sizeof *p->seg, "probes", err));
  NB_TRY(nb_new(&p->states, (p->c->layers + 1) * p->T * D, sizeof(float), "probes", err));
  NB_TRY(nb_new(&p->x, p->T * D, sizeof(float), "probes", err));
  NB_TRY(nb_new(&p->row, ROWS * V, sizeof(float), "probes", err));
  NB_TRY(nb_new(&p->reference, p->T * V, sizeof(float), "probes", err));
  for (size_t i = 0; i < p->o->n_seqs; i++) {
    p->seg[i] = (nb_segment){NULL, p->o->tokens + i * p->o->seq_len, p->o->seq_len};
    NB_TRY(nb_kv_create_layers(p->c, 1, p->o->seq_len, NB_KV_F32, nb_config_long_rope(p->c, p->o->seq_len),
                               &p->seg[i].kv, err));
  }
  for (size_t l = 0; l < p->c->layers; l++) p->total += probed(p, l) ? NB_SLOTS : 0;
  p->total += p->c->tie_embeddings ? 1 : 2;
  return NB_OK;
}

nb_status nb_sens_measure(const nb_config *c, const nb_weights *w, const nb_sens_opts *o, double *kl, double *error,
                          nb_err *err) {
  probe p = {.c = c, .w = w, .o = o};
  nb_status st;
  NB_GOTO(probe_create(&p, err));
  NB_GOTO(reference_run(&p, err));
  for (size_t l = 0; l < c->layers; l++)
    if (probed(&p, l)) NB_GOTO(probe_layer(&p, l, kl + l * NB_SLOTS, error + l * NB_SLOTS, err));
  NB_GOTO(probe_ends(&p, kl + c->layers * NB_SLOTS, error + c->layers * NB_SLOTS, err));
  interpolate(&p, kl, error);
fail:
  for (size_t i = 0; p.seg && i < o->n_seqs; i++) nb_kv_free(p.seg[i].kv);
  nb_free(p.seg), nb_free(p.states), nb_free(p.x), nb_free(p.row), nb_free(p.reference), nb_free(p.rounded);
  nb_session_free(p.s);
  return st;
}
