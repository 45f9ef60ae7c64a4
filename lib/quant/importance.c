/* SPDX-License-Identifier: MIT */
#include "quant/importance.h"

#include "quant/proxy8.h"
#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>

enum { GRAIN = 64 }; /* inputs that a thread takes at a time */

typedef struct run {
  const nb_config *c;
  const nb_weights *w;
  const nb_importance_opts *o;
  nb_session *s;
  nb_kv *kv;
  float *x;      /* (n_seqs, seq_len, D) the hidden states */
  float *normed; /* (seq_len, D) */
  double *sum;   /* (nb_importance_count) */
  size_t layer;
} run;

/* Where a site begins among its layer's inputs. */
static size_t site_offset(const nb_config *c, size_t site) {
  size_t n = 0;
  for (size_t i = 0; i < site; i++) n += nb_parts_site_inputs(c, i);
  return n;
}

static size_t layer_inputs(const nb_config *c) { return site_offset(c, nb_parts_sites(c)); }

size_t nb_importance_count(const nb_config *c) { return c->layers * layer_inputs(c) + c->hidden; }

size_t nb_importance_of(const nb_config *c, const nb_part *p) {
  nb_assert(p->matrix && p->layer < (int)c->layers);
  if (p->layer < 0) return c->layers * layer_inputs(c);
  return (size_t)p->layer * layer_inputs(c) + site_offset(c, p->site);
}

typedef struct add_job {
  const float *x;
  double *sum;
  size_t T, K;
} add_job;

static void add_squares(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  const add_job *j = ctx;
  for (size_t t = 0; t < j->T; t++)
    for (size_t k = begin; k < end; k++) j->sum[k] += (double)j->x[t * j->K + k] * j->x[t * j->K + k];
}

static void see(void *ctx, size_t site, const float *x, size_t T, size_t K) {
  run *r = ctx;
  nb_assert(K == nb_parts_site_inputs(r->c, site) || r->layer == r->c->layers);
  nb_assert(r->layer * layer_inputs(r->c) + site_offset(r->c, site) + K <= nb_importance_count(r->c));
  add_job j = {x, r->sum + r->layer * layer_inputs(r->c) + site_offset(r->c, site), T, K};
  nb_parallel_for(r->o->threads, K, GRAIN, add_squares, &j);
}

static nb_status create(run *r, nb_err *err) {
  const nb_importance_opts *o = r->o;
  size_t D = r->c->hidden;
  nb_session_opts so = {.threads = o->threads, .max_tokens = o->seq_len, .cpu_features = o->cpu_features, .fine = true};
  NB_TRY(nb_session_create(r->c, &so, &r->s, err));
  NB_TRY(nb_kv_create_layers(r->c, 1, o->seq_len, NB_KV_F32, nb_config_stretch(r->c, o->seq_len), &r->kv, err));
  NB_TRY(nb_new(&r->x, o->n_seqs * o->seq_len * D, sizeof *r->x, "the hidden states", err));
  NB_TRY(nb_new(&r->normed, o->seq_len * D, sizeof *r->normed, "the hidden states", err));
  return nb_new(&r->sum, nb_importance_count(r->c), sizeof *r->sum, "importances", err);
}

/* Every sequence through one layer, or into the head when there is none. */
static nb_status pass(run *r, size_t number, const nb_layer *layer, nb_err *err) {
  const nb_importance_opts *o = r->o;
  const nb_tap tap = {see, r};
  size_t D = r->c->hidden, TD = o->seq_len * D;
  r->layer = number;
  for (size_t i = 0; i < o->n_seqs; i++) {
    nb_segment seg = {r->kv, o->tokens + i * o->seq_len, o->seq_len};
    float *x = r->x + i * TD;
    NB_TRY(nb_session_begin(r->s, &seg, 1, err));
    if (number == 0) nb_session_embed(r->s, nb_weights_embed(r->w), x);
    if (layer) {
      NB_TRY(nb_session_layer(r->s, layer, 0, x, &tap, err));
    } else {
      nb_session_norm(r->s, r->w, x, r->normed);
      see(r, NB_SITE_ATTN, r->normed, o->seq_len, D);
    }
    NB_TRY(nb_progress_step(o->progress, number * o->n_seqs + i + 1, (r->c->layers + 1) * o->n_seqs, err));
  }
  return NB_OK;
}

static nb_status pass_layer(run *r, size_t l, nb_err *err) {
  nb_proxy8 eight;
  nb_status st = nb_proxy8_layer(&r->w->parts, &r->w->layer[l], r->o->threads, &eight, err);
  if (st == NB_OK) st = pass(r, l, &eight.layer, err);
  nb_proxy8_free(&eight);
  return st;
}

nb_status nb_importance_measure(const nb_config *c, const nb_weights *w, const nb_importance_opts *o, float *out,
                                nb_err *err) {
  run r = {.c = c, .w = w, .o = o};
  nb_status st;
  double tokens = (double)(o->n_seqs * o->seq_len);
  NB_GOTO(create(&r, err));
  for (size_t l = 0; l < c->layers; l++) NB_GOTO(pass_layer(&r, l, err));
  NB_GOTO(pass(&r, c->layers, NULL, err));
  for (size_t k = 0; k < nb_importance_count(c); k++) {
    out[k] = (float)(r.sum[k] / tokens);
    if (!isfinite(out[k]))
      NB_GOTO(nb_fail(err, NB_ERR_NUMERIC, "layer %zu: an input of its matrices is too large", k / layer_inputs(c)));
  }
fail:
  nb_free(r.x), nb_free(r.normed), nb_free(r.sum);
  nb_kv_free(r.kv);
  nb_session_free(r.s);
  return st;
}
