/* SPDX-License-Identifier: MIT */
#include "quant/walk.h"

#include "base/assert.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { ROWS = 32 }; /* distributions at a time */

nb_status nb_walk_create(const nb_config *c, const nb_weights *w, const nb_walk_opts *o, size_t most, nb_walk *out,
                         nb_err *err) {
  *out = (nb_walk){.c = c, .w = w, .o = o, .T = o->n_seqs * o->seq_len, .most = most};
  nb_session_opts so = {.threads = o->threads, .max_tokens = out->T, .cpu_features = o->cpu_features, .fine = true};
  nb_assert(out->T > 0);
  NB_TRY(nb_session_create(c, &so, &out->s, err));
  NB_TRY(nb_new(&out->seg, o->n_seqs, sizeof *out->seg, "probes", err));
  NB_TRY(nb_new(&out->states, most, sizeof *out->states, "probes", err));
  for (size_t i = 0; i < o->n_seqs; i++) {
    out->seg[i] = (nb_segment){NULL, o->tokens + i * o->seq_len, o->seq_len};
    NB_TRY(nb_kv_create_layers(c, 1, o->seq_len, NB_KV_F32, nb_config_stretch(c, o->seq_len), &out->seg[i].kv, err));
  }
  return nb_session_begin(out->s, out->seg, o->n_seqs, err);
}

void nb_walk_free(nb_walk *p) {
  for (size_t i = 0; p->seg && i < p->o->n_seqs; i++) nb_kv_free(p->seg[i].kv);
  for (size_t i = 0; i < p->n; i++) nb_free(p->states[i]);
  nb_free(p->seg), nb_free(p->states);
  nb_session_free(p->s);
  *p = (nb_walk){.c = NULL};
}

static nb_status add(nb_walk *p, nb_err *err) {
  nb_assert(p->n < p->most);
  NB_TRY(nb_new(&p->states[p->n], p->T * p->c->hidden, sizeof(float), "probes", err));
  p->n++;
  return NB_OK;
}

nb_status nb_walk_embed(nb_walk *p, const nb_linear *embed, nb_err *err) {
  NB_TRY(add(p, err));
  nb_session_embed(p->s, embed, p->states[p->n - 1]);
  return NB_OK;
}

nb_status nb_walk_split(nb_walk *p, size_t from, nb_err *err) {
  NB_TRY(add(p, err));
  memcpy(p->states[p->n - 1], p->states[from], p->T * p->c->hidden * sizeof(float));
  return NB_OK;
}

nb_status nb_walk_layer(nb_walk *p, const nb_layer *layer, size_t set, nb_err *err) {
  NB_TRY(nb_session_layer(p->s, layer, 0, p->states[set], NULL, err));
  return nb_progress_step(p->o->progress, ++p->done, p->total, err);
}

/* ---- distributions ---- */

static void log_probabilities(nb_walk *p, const nb_linear *head, size_t set, size_t t0, size_t n, float *out) {
  const size_t V = p->c->vocab;
  nb_session_head(p->s, p->w, head, p->states[set] + t0 * p->c->hidden, n, out);
  for (size_t t = 0; t < n; t++) {
    float z = (float)nb_session_kernels(p->s)->logsumexp(out + t * V, V);
    for (size_t v = 0; v < V; v++) out[t * V + v] -= z;
  }
}

static double divergence(const float *from, const float *to, size_t n) {
  double sum = 0;
  for (size_t v = 0; v < n; v++)
    if (from[v] > -30) sum += exp((double)from[v]) * ((double)from[v] - to[v]);
  return sum;
}

nb_status nb_walk_compare(nb_walk *p, const nb_linear *head, const nb_walk_end *ends, size_t n, nb_err *err) {
  const size_t V = p->c->vocab, len = p->o->seq_len;
  const uint64_t before = p->done;
  float *reference, *other;
  NB_TRY(nb_new(&reference, 2 * ROWS * V, sizeof *reference, "probes", err));
  other = reference + ROWS * V;
  for (size_t i = 0; i < p->n; i++) nb_session_norm(p->s, p->w, p->states[i], p->states[i]);
  for (size_t i = 0; i < n; i++) memset(ends[i].kl, 0, p->o->n_seqs * sizeof *ends[i].kl);
  nb_status st = NB_OK;
  for (size_t t0 = 0; t0 < p->T && st == NB_OK; t0 += ROWS) {
    const size_t rows = nb_min(ROWS, p->T - t0);
    log_probabilities(p, head, 0, t0, rows, reference);
    for (size_t i = 0; i < n; i++) {
      log_probabilities(p, ends[i].head, ends[i].set, t0, rows, other);
      for (size_t t = 0; t < rows; t++)
        ends[i].kl[(t0 + t) / len] += divergence(reference + t * V, other + t * V, V) / (double)len;
    }
    p->done = before + n * (t0 + rows) / p->T;
    st = nb_progress_step(p->o->progress, p->done, p->total, err);
  }
  nb_free(reference);
  return st;
}
