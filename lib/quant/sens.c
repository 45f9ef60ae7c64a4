/* SPDX-License-Identifier: MIT */
/* Sensitivities by probing: see sens.h. */
#include "quant/sens.h"

#include "quant/proxy8.h"
#include "quant/quant.h"
#include "base/assert.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

const nb_qfmt nb_sens_probe = {3, 1, 128};

enum { ROWS = 32 }; /* distributions at a time */

/* One walk through the layers serves all probes: a probe is a copy of the hidden states that leaves the reference's
 * path at its matrix, and every layer, rounded to 8 bits once, then moves them all. */
typedef struct probe {
  const nb_config *c;
  const nb_weights *w;
  const nb_parts *parts;
  const nb_sens_opts *o;
  nb_session *s;
  nb_segment *seg;
  size_t T;           /* tokens in all */
  float **states;     /* (most) of (T, D): the reference's, then a probe's each */
  nb_linear *w_probe; /* (per_layer) the matrices of a layer with one rounded */
  double **kl;        /* (most) where a probe's divergence goes; NULL for the reference */
  size_t n, most;
  float *row;       /* (ROWS, V) */
  float *reference; /* (T, V) log-probabilities */
  uint64_t done, total;
} probe;

static void log_softmax(const nb_kernels *k, float *x, size_t n) {
  float z = (float)k->logsumexp(x, n);
  for (size_t i = 0; i < n; i++) x[i] -= z;
}

static nb_status count_pass(probe *p, nb_err *err) {
  return nb_progress_step(p->o->progress, ++p->done, p->total, err);
}

/* One more set of states, a copy of `from` when that is given. */
static nb_status new_states(probe *p, const float *from, double *kl, nb_err *err) {
  nb_assert(p->n < p->most);
  size_t TD = p->T * p->c->hidden;
  NB_TRY(nb_new(&p->states[p->n], TD, sizeof(float), "probes", err));
  if (from) memcpy(p->states[p->n], from, TD * sizeof(float));
  p->kl[p->n++] = kl;
  return NB_OK;
}

/* ---- rounding ---- */

/* Rounds a matrix to the probe's format. *out is the caller's to free. */
static nb_status round_matrix(probe *p, const nb_linear *m, nb_coded *out, double *error, nb_err *err) {
  const nb_quant_opts quick = {.threads = p->o->threads, .what = "a probe"};
  NB_TRY(nb_coded_plain(m, nb_sens_probe, &quick, true, out, err));
  out->w.fine = true;
  *error = out->error;
  return NB_OK;
}

/* ---- layers ---- */

/* Starts the probes of a layer: the reference's states go through the layer with one matrix rounded. */
static nb_status probe_layer(probe *p, const nb_layer *full, const nb_layer *eight, double *kl, double *error,
                             nb_err *err) {
  for (size_t i = 0; i < p->parts->per_layer; i++) {
    nb_layer layer;
    nb_coded rounded;
    nb_layer_copy(p->parts, eight, p->w_probe, &layer);
    nb_status st = round_matrix(p, &full->w[i], &rounded, &error[i], err);
    layer.w[i] = rounded.w;
    if (st == NB_OK) st = new_states(p, p->states[0], &kl[i], err);
    if (st == NB_OK) st = nb_session_layer(p->s, &layer, 0, p->states[p->n - 1], NULL, err);
    nb_coded_free(&rounded);
    NB_TRY(st);
    NB_TRY(count_pass(p, err));
  }
  return NB_OK;
}

static bool probed(const probe *p, size_t l);

static nb_status run_layer(probe *p, size_t l, double *kl, double *error, nb_err *err) {
  nb_proxy8 eight;
  size_t before = p->n, first = nb_parts_first(p->parts, l);
  const nb_layer *full = &p->w->layer[l];
  nb_status st = nb_proxy8_layer(p->parts, full, p->o->threads, &eight, err);
  if (st == NB_OK && probed(p, l)) st = probe_layer(p, full, &eight.layer, kl + first, error + first, err);
  for (size_t i = 0; i < before && st == NB_OK; i++) {
    st = nb_session_layer(p->s, &eight.layer, 0, p->states[i], NULL, err);
    if (st == NB_OK) st = count_pass(p, err);
  }
  nb_proxy8_free(&eight);
  return st;
}

/* The reference's states and those of the rounded embedding. */
static nb_status begin(probe *p, nb_coded *rounded, double *kl, double *error, nb_err *err) {
  const nb_linear *embed = nb_weights_embed(p->w);
  NB_TRY(nb_session_begin(p->s, p->seg, p->o->n_seqs, err));
  NB_TRY(round_matrix(p, embed, rounded, error, err));
  NB_TRY(new_states(p, NULL, NULL, err));
  nb_session_embed(p->s, embed, p->states[0]);
  NB_TRY(new_states(p, NULL, kl, err));
  nb_session_embed(p->s, &rounded->w, p->states[1]);
  return NB_OK;
}

/* ---- distributions ---- */

/* The mean KL divergence of the distributions that follow from normed final states x, by `head`. */
static double divergence(probe *p, const float *x, const nb_linear *head) {
  size_t D = p->c->hidden, V = p->c->vocab;
  double sum = 0;
  for (size_t t0 = 0; t0 < p->T; t0 += ROWS) {
    size_t n = nb_min(ROWS, p->T - t0);
    nb_session_head(p->s, p->w, head, x + t0 * D, n, p->row);
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

/* Ends all probes; the head (or the embedding as the tied head) is one more. */
static nb_status finish(probe *p, const nb_coded *rounded_embed, double *kl, double *error, nb_err *err) {
  const nb_linear *head = nb_weights_head(p->w);
  size_t embed = p->parts->embed, own = p->parts->head, V = p->c->vocab;
  nb_coded eight, rounded = {.own = NULL};
  nb_status st = nb_proxy8_matrix(head, p->o->threads, "the head", &eight, err);
  if (st == NB_OK && own != embed) st = round_matrix(p, head, &rounded, &error[own], err);
  for (size_t i = 0; i < p->n && st == NB_OK; i++) {
    float *x = p->states[i];
    nb_session_norm(p->s, p->w, x, x);
    if (p->kl[i]) {
      *p->kl[i] = divergence(p, x, &eight.w);
    } else {
      nb_session_head(p->s, p->w, &eight.w, x, p->T, p->reference);
      for (size_t t = 0; t < p->T; t++) log_softmax(nb_session_kernels(p->s), p->reference + t * V, V);
    }
    st = count_pass(p, err);
  }
  if (st == NB_OK) {
    double loss = divergence(p, p->states[0], own != embed ? &rounded.w : &rounded_embed->w);
    if (own != embed) kl[own] = loss;
    else kl[embed] += loss;
  }
  nb_coded_free(&eight), nb_coded_free(&rounded);
  return st;
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
  nb_assert(probed(p, 0) && probed(p, p->c->layers - 1)); /* every layer is between two probed ones */
  for (size_t b = 1; b < p->c->layers; b++) {
    if (!probed(p, b)) continue;
    for (size_t l = a + 1; l < b; l++)
      for (size_t i = 0; i < p->parts->per_layer; i++) {
        double u = (double)(l - a) / (double)(b - a);
        size_t at = nb_parts_first(p->parts, l) + i, at_a = nb_parts_first(p->parts, a) + i;
        size_t at_b = nb_parts_first(p->parts, b) + i;
        kl[at] = exp((1 - u) * log(fmax(kl[at_a], 1e-12)) + u * log(fmax(kl[at_b], 1e-12)));
        error[at] = (1 - u) * error[at_a] + u * error[at_b];
      }
    a = b;
  }
}

static nb_status probe_create(probe *p, nb_err *err) {
  size_t V = p->c->vocab, L = p->c->layers;
  p->T = p->o->n_seqs * p->o->seq_len;
  nb_session_opts so = {.threads = p->o->threads, .max_tokens = p->T, .cpu_features = p->o->cpu_features, .fine = true};
  p->most = 2;
  for (size_t l = 0; l < L; l++) {
    p->total += p->most; /* every set of states passes, and a probed layer starts its own */
    if (probed(p, l)) p->most += p->parts->per_layer, p->total += p->parts->per_layer;
  }
  p->total += p->most;
  NB_TRY(nb_session_create(p->c, &so, &p->s, err));
  NB_TRY(nb_new(&p->w_probe, p->parts->per_layer, sizeof *p->w_probe, "probes", err));
  NB_TRY(nb_new(&p->seg, p->o->n_seqs, sizeof *p->seg, "probes", err));
  NB_TRY(nb_new(&p->states, p->most, sizeof *p->states, "probes", err));
  NB_TRY(nb_new(&p->kl, p->most, sizeof *p->kl, "probes", err));
  NB_TRY(nb_new(&p->row, ROWS * V, sizeof(float), "probes", err));
  NB_TRY(nb_new(&p->reference, p->T * V, sizeof(float), "probes", err));
  for (size_t i = 0; i < p->o->n_seqs; i++) {
    p->seg[i] = (nb_segment){NULL, p->o->tokens + i * p->o->seq_len, p->o->seq_len};
    NB_TRY(nb_kv_create_layers(p->c, 1, p->o->seq_len, NB_KV_F32, nb_config_stretch(p->c, p->o->seq_len), &p->seg[i].kv,
                               err));
  }
  return NB_OK;
}

nb_status nb_sens_measure(const nb_config *c, const nb_weights *w, const nb_sens_opts *o, double *kl, double *error,
                          nb_err *err) {
  probe p = {.c = c, .w = w, .parts = &w->parts, .o = o};
  nb_status st;
  nb_coded rounded = {.own = NULL};
  size_t embed = p.parts->embed;
  NB_GOTO(probe_create(&p, err));
  NB_GOTO(begin(&p, &rounded, &kl[embed], &error[embed], err));
  for (size_t l = 0; l < c->layers; l++) NB_GOTO(run_layer(&p, l, kl, error, err));
  NB_GOTO(finish(&p, &rounded, kl, error, err));
  interpolate(&p, kl, error);
fail:
  for (size_t i = 0; p.seg && i < o->n_seqs; i++) nb_kv_free(p.seg[i].kv);
  for (size_t i = 0; i < p.n; i++) nb_free(p.states[i]);
  nb_free(p.seg), nb_free(p.states), nb_free(p.kl), nb_free(p.row), nb_free(p.reference), nb_free(p.w_probe);
  nb_coded_free(&rounded);
  nb_session_free(p.s);
  return st;
}
