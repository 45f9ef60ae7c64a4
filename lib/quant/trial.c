/* SPDX-License-Identifier: MIT */
#include "quant/trial.h"

#include "quant/proxy8.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

typedef struct trial {
  nb_walk walk; /* set 0 is the reference's, 1 + i that of choice i */
  const nb_parts *parts;
  const nb_trial_opts *o;
  nb_linear *w; /* (per_layer) the matrices of a layer as a choice has them */
} trial;

static nb_qfmt format(const trial *t, size_t choice, size_t matrix) {
  return t->o->formats[choice * t->parts->n_matrices + matrix];
}

/* The first choice that codes a matrix as this one does. */
static size_t same_as(const trial *t, size_t choice, size_t matrix) {
  const nb_qfmt f = format(t, choice, matrix);
  size_t i = 0;
  for (; i < choice; i++) {
    const nb_qfmt g = format(t, i, matrix);
    if (f.bits == g.bits && f.kind == g.kind && (f.group == g.group || !f.bits)) break;
  }
  return i;
}

/* A matrix with a part of its rounding errors, at 8 bits. */
static nb_status code(const trial *t, const nb_linear *full, size_t choice, size_t matrix, nb_coded *out, nb_err *err) {
  const nb_quant_opts quick = {.threads = t->o->walk.threads, .what = "a choice of formats"};
  const float part = (float)sqrt(t->o->leaves[matrix]);
  nb_coded rounded;
  float *x = NULL, *row = NULL;
  nb_status st = nb_coded_plain(full, format(t, choice, matrix), &quick, false, &rounded, err);
  *out = (nb_coded){.own = NULL};
  if (st == NB_OK && (part == 1 || !rounded.w.coded || full->coded)) {
    *out = rounded;
    out->w.fine = out->w.coded;
    return NB_OK;
  }
  if (st == NB_OK) st = nb_new(&x, full->N * full->K, sizeof *x, quick.what, err);
  if (st == NB_OK) st = nb_new(&row, full->K, sizeof *row, quick.what, err);
  for (size_t n = 0; n < full->N && st == NB_OK; n++) {
    float *to = x + n * full->K;
    nb_linear_row(full, n, to), nb_linear_row(&rounded.w, n, row);
    for (size_t k = 0; k < full->K; k++) to[k] += part * (row[k] - to[k]);
  }
  nb_coded_free(&rounded);
  const nb_tensor tensor = {NB_F32, 2, {full->N, full->K, 1, 1}, x, full->N * full->K * sizeof *x, NULL};
  const nb_linear dense = nb_linear_dense(&tensor);
  if (st == NB_OK) st = nb_proxy8_matrix(&dense, t->o->walk.threads, quick.what, out, err);
  nb_free(x), nb_free(row);
  return st;
}

/* All choices of one matrix, coded (n), those that are the same once. */
static nb_status code_all(const trial *t, const nb_linear *full, size_t matrix, nb_coded *coded, nb_err *err) {
  for (size_t i = 0; i < t->o->n; i++)
    if (same_as(t, i, matrix) == i) NB_TRY(code(t, full, i, matrix, &coded[i], err));
  return NB_OK;
}

static void free_all(nb_coded *coded, size_t n) {
  for (size_t i = 0; coded && i < n; i++) nb_coded_free(&coded[i]);
  nb_free(coded);
}

static nb_status run_layer(trial *t, size_t l, nb_err *err) {
  const size_t first = nb_parts_first(t->parts, l), most = t->parts->per_layer, n = t->o->n;
  const nb_layer *full = &t->walk.w->layer[l];
  nb_coded *coded = NULL; /* (per_layer, n) */
  nb_proxy8 eight = {.n = 0};
  nb_status st;
  NB_GOTO(nb_new(&coded, most * n, sizeof *coded, "a layer", err));
  NB_GOTO(nb_proxy8_layer(t->parts, full, t->o->walk.threads, &eight, err));
  NB_GOTO(nb_walk_layer(&t->walk, &eight.layer, 0, err));
  for (size_t i = 0; i < most; i++) NB_GOTO(code_all(t, &full->w[i], first + i, coded + i * n, err));
  for (size_t choice = 0; choice < n; choice++) {
    nb_layer layer;
    nb_layer_copy(t->parts, full, t->w, &layer);
    for (size_t i = 0; i < most; i++) layer.w[i] = coded[i * n + same_as(t, choice, first + i)].w;
    NB_GOTO(nb_walk_layer(&t->walk, &layer, 1 + choice, err));
  }
fail:
  nb_proxy8_free(&eight);
  free_all(coded, most * n);
  return st;
}

/* The sets of states, by each choice's embedding. */
static nb_status begin(trial *t, nb_coded *embed, nb_err *err) {
  const nb_linear *full = nb_weights_embed(t->walk.w);
  NB_TRY(code_all(t, full, t->parts->embed, embed, err));
  NB_TRY(nb_walk_embed(&t->walk, full, err));
  for (size_t i = 0; i < t->o->n; i++) NB_TRY(nb_walk_embed(&t->walk, &embed[same_as(t, i, t->parts->embed)].w, err));
  return NB_OK;
}

/* The distributions, by each choice's head: the embedding, where they are tied. */
static nb_status finish(trial *t, const nb_coded *embed, double *kl, nb_err *err) {
  const nb_linear *full = nb_weights_head(t->walk.w);
  const size_t n = t->o->n, number = t->parts->head;
  const bool tied = number == t->parts->embed;
  nb_coded eight = {.own = NULL}, *own = NULL;
  nb_walk_end *end = NULL;
  nb_status st;
  NB_GOTO(nb_proxy8_matrix(full, t->o->walk.threads, "the head", &eight, err));
  NB_GOTO(nb_new(&own, n, sizeof *own, "the head", err));
  NB_GOTO(nb_new(&end, n, sizeof *end, "the head", err));
  if (!tied) NB_GOTO(code_all(t, full, number, own, err));
  for (size_t i = 0; i < n; i++)
    end[i] = (nb_walk_end){1 + i, &(tied ? embed : own)[same_as(t, i, number)].w, kl + i * t->o->walk.n_seqs};
  NB_GOTO(nb_walk_compare(&t->walk, &eight.w, end, n, err));
fail:
  nb_coded_free(&eight);
  free_all(own, n);
  nb_free(end);
  return st;
}

nb_status nb_trial_run(const nb_config *c, const nb_weights *w, const nb_trial_opts *o, double *kl, nb_err *err) {
  trial t = {.walk = {.o = &o->walk}, .parts = &w->parts, .o = o};
  nb_coded *embed = NULL;
  nb_status st;
  NB_GOTO(nb_new(&embed, o->n, sizeof *embed, "the embedding", err));
  NB_GOTO(nb_new(&t.w, t.parts->per_layer, sizeof *t.w, "a layer", err));
  NB_GOTO(nb_walk_create(c, w, &o->walk, 1 + o->n, &t.walk, err));
  t.walk.total = (1 + o->n) * c->layers + o->n;
  NB_GOTO(begin(&t, embed, err));
  for (size_t l = 0; l < c->layers; l++) NB_GOTO(run_layer(&t, l, err));
  st = finish(&t, embed, kl, err);
fail:
  nb_walk_free(&t.walk);
  nb_free(t.w);
  free_all(embed, o->n);
  return st;
}

size_t nb_trial_best(const double *kl, size_t n, size_t n_seqs) {
  size_t best = 0;
  double least = 0;
  for (size_t i = 1; i < n && n_seqs > 1; i++) {
    double sum = 0, squares = 0;
    for (size_t s = 0; s < n_seqs; s++) {
      double d = log(fmax(kl[i * n_seqs + s], 1e-12) / fmax(kl[s], 1e-12));
      sum += d, squares += d * d;
    }
    const double mean = sum / (double)n_seqs, spread = fmax(0, squares / (double)n_seqs - mean * mean);
    if (mean + 2 * sqrt(spread / (double)(n_seqs - 1)) < 0 && mean < least) least = mean, best = i;
  }
  return best;
}
