/* SPDX-License-Identifier: MIT */
/* Sensitivities by probing: see sens.h. */
#include "quant/sens.h"

#include "quant/proxy8.h"
#include "quant/quant.h"
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
  const nb_sens_opts *o;
  nb_session *s;
  nb_segment *seg;
  size_t T;       /* tokens in all */
  float **states; /* (most) of (T, D): the reference's, then a probe's each */
  double **kl;    /* (most) where a probe's divergence goes; NULL for the reference */
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
  size_t TD = p->T * p->c->hidden;
  NB_TRY(nb_new(&p->states[p->n], TD, sizeof(float), "probes", err));
  if (from) memcpy(p->states[p->n], from, TD * sizeof(float));
  p->kl[p->n++] = kl;
  return NB_OK;
}

/* ---- rounding ---- */

/* Rounds a matrix to the probe's format. *data is the caller's. */
static nb_status round_matrix(probe *p, const nb_linear *m, nb_linear *out, void **data, double *error, nb_err *err) {
  nb_qmat q;
  nb_qmat_layout l;
  nb_grid g;
  nb_quant_loss loss;
  nb_grid_make(nb_sens_probe, NULL, &g);
  *out = *m;
  *data = NULL;
  NB_TRY(nb_qmat_plan(m->N, m->K, nb_sens_probe, &q, &l, err));
  NB_TRY(nb_new(data, l.total, 1, "a probe", err));
  NB_TRY(nb_quant_plain(&g, m, NULL, 0, p->o->threads, "a probe", *data, l.total, &loss, err));
  out->coded = out->fine = true;
  *error = loss.total > 0 ? loss.error / loss.total : 0;
  return nb_qmat_view(m->N, m->K, nb_sens_probe, *data, l.total, &out->qmat, err);
}

/* ---- layers ---- */

/* Starts the probes of a layer: the reference's states go through the layer with one slice rounded. */
static nb_status probe_layer(probe *p, size_t l, const nb_layer *eight, double *kl, double *error, nb_err *err) {
  for (int s = 0; s < NB_SLOTS; s++) {
    nb_layer layer = *eight;
    void *data;
    nb_status st = round_matrix(p, &p->w->layer[l].w[s], &layer.w[s], &data, &error[s], err);
    if (st == NB_OK) st = new_states(p, p->states[0], &kl[s], err);
    if (st == NB_OK) st = nb_session_layer(p->s, &layer, 0, p->states[p->n - 1], NULL, err);
    nb_free(data);
    NB_TRY(st);
    NB_TRY(count_pass(p, err));
  }
  return NB_OK;
}

static bool probed(const probe *p, size_t l);

static nb_status run_layer(probe *p, size_t l, double *kl, double *error, nb_err *err) {
  nb_proxy8 eight;
  size_t before = p->n;
  nb_status st = nb_proxy8_layer(&p->w->layer[l], l, p->o->threads, &eight, err);
  if (st == NB_OK && probed(p, l)) st = probe_layer(p, l, &eight.layer, kl + l * NB_SLOTS, error + l * NB_SLOTS, err);
  for (size_t i = 0; i < before && st == NB_OK; i++) {
    st = nb_session_layer(p->s, &eight.layer, 0, p->states[i], NULL, err);
    if (st == NB_OK) st = count_pass(p, err);
  }
  nb_proxy8_free(&eight);
  return st;
}

/* The reference's states and those of the rounded embedding. */
static nb_status begin(probe *p, nb_linear *rounded, void **data, double *kl, double *error, nb_err *err) {
  NB_TRY(nb_session_begin(p->s, p->seg, p->o->n_seqs, err));
  NB_TRY(round_matrix(p, &p->w->embed, rounded, data, error, err));
  NB_TRY(new_states(p, NULL, NULL, err));
  nb_session_embed(p->s, &p->w->embed, p->states[0]);
  NB_TRY(new_states(p, NULL, kl, err));
  nb_session_embed(p->s, rounded, p->states[1]);
  return NB_OK;
}

/* ---- distributions ---- */

/* The mean KL divergence of the distributions that follow from normed final states x, by `head`. */
static double divergence(probe *p, const float *x, const nb_linear *head) {
  size_t D = p->c->hidden, V = p->c->vocab;
  double sum = 0;
  for (size_t t0 = 0; t0 < p->T; t0 += ROWS) {
    size_t n = nb_min(ROWS, p->T - t0);
    nb_session_linear(p->s, head, x + t0 * D, n, D, p->row, V);
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
static nb_status finish(probe *p, const nb_linear *rounded_embed, double *kl, double *error, nb_err *err) {
  nb_linear eight, rounded = *rounded_embed;
  void *data[2] = {NULL, NULL};
  nb_status st = nb_proxy8_matrix(&p->w->head, p->o->threads, "the head", &eight, &data[0], err);
  if (st == NB_OK && !p->c->tie_embeddings) st = round_matrix(p, &p->w->head, &rounded, &data[1], &error[1], err);
  for (size_t i = 0; i < p->n && st == NB_OK; i++) {
    float *x = p->states[i];
    nb_session_norm(p->s, p->w->norm, x, x);
    if (p->kl[i]) {
      *p->kl[i] = divergence(p, x, &eight);
    } else {
      nb_session_linear(p->s, &eight, x, p->T, p->c->hidden, p->reference, p->c->vocab);
      for (size_t t = 0; t < p->T; t++)
        log_softmax(nb_session_kernels(p->s), p->reference + t * p->c->vocab, p->c->vocab);
    }
    st = count_pass(p, err);
  }
  if (st == NB_OK) {
    double loss = divergence(p, p->states[0], &rounded);
    kl[1] = p->c->tie_embeddings ? 0 : loss;
    if (p->c->tie_embeddings) kl[0] += loss;
  }
  nb_free(data[0]), nb_free(data[1]);
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
  size_t V = p->c->vocab, L = p->c->layers;
  p->T = p->o->n_seqs * p->o->seq_len;
  nb_session_opts so = {.threads = p->o->threads, .max_tokens = p->T, .cpu_features = p->o->cpu_features, .fine = true};
  p->most = 2;
  for (size_t l = 0; l < L; l++) {
    p->total += p->most; /* every set of states passes, and a probed layer starts its own */
    if (probed(p, l)) p->most += NB_SLOTS, p->total += NB_SLOTS;
  }
  p->total += p->most;
  NB_TRY(nb_session_create(p->c, &so, &p->s, err));
  NB_TRY(nb_new(&p->seg, p->o->n_seqs, sizeof *p->seg, "probes", err));
  NB_TRY(nb_new(&p->states, p->most, sizeof *p->states, "probes", err));
  NB_TRY(nb_new(&p->kl, p->most, sizeof *p->kl, "probes", err));
  NB_TRY(nb_new(&p->row, ROWS * V, sizeof(float), "probes", err));
  NB_TRY(nb_new(&p->reference, p->T * V, sizeof(float), "probes", err));
  for (size_t i = 0; i < p->o->n_seqs; i++) {
    p->seg[i] = (nb_segment){NULL, p->o->tokens + i * p->o->seq_len, p->o->seq_len};
    NB_TRY(nb_kv_create_layers(p->c, 1, p->o->seq_len, NB_KV_F32, nb_config_long_rope(p->c, p->o->seq_len),
                               &p->seg[i].kv, err));
  }
  return NB_OK;
}

nb_status nb_sens_measure(const nb_config *c, const nb_weights *w, const nb_sens_opts *o, double *kl, double *error,
                          nb_err *err) {
  probe p = {.c = c, .w = w, .o = o};
  nb_status st;
  nb_linear rounded;
  void *data = NULL;
  double *kl_ends = kl + c->layers * NB_SLOTS, *error_ends = error + c->layers * NB_SLOTS;
  kl_ends[1] = error_ends[1] = 0;
  NB_GOTO(probe_create(&p, err));
  NB_GOTO(begin(&p, &rounded, &data, kl_ends, error_ends, err));
  for (size_t l = 0; l < c->layers; l++) NB_GOTO(run_layer(&p, l, kl, error, err));
  NB_GOTO(finish(&p, &rounded, kl_ends, error_ends, err));
  interpolate(&p, kl, error);
fail:
  for (size_t i = 0; p.seg && i < o->n_seqs; i++) nb_kv_free(p.seg[i].kv);
  for (size_t i = 0; i < p.n; i++) nb_free(p.states[i]);
  nb_free(p.seg), nb_free(p.states), nb_free(p.kl), nb_free(p.row), nb_free(p.reference), nb_free(data);
  nb_session_free(p.s);
  return st;
}
