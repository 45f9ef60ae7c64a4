/* SPDX-License-Identifier: MIT */
/* Sensitivities by probing: see sens.h. */
#include "quant/sens.h"

#include "quant/proxy8.h"
#include "quant/quant.h"
#include "quant/walk.h"
#include "base/assert.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

const nb_qfmt nb_sens_probe = {3, 1, 128};

/* A probe is a copy of the hidden states that leaves the reference's path at its matrix; every layer, rounded to 8 bits
 * once, then moves them all. */
typedef struct probe {
  nb_walk walk; /* set 0 is the reference's */
  const nb_parts *parts;
  const nb_sens_opts *o;
  nb_linear *w_probe; /* (per_layer) the matrices of a layer with one rounded */
  size_t *of;         /* (walk.most) the matrix that a set is the probe of */
} probe;

/* Rounds a matrix to the probe's format. *out is the caller's to free. */
static nb_status round_matrix(probe *p, const nb_linear *m, nb_coded *out, double *error, nb_err *err) {
  const nb_quant_opts quick = {.threads = p->o->walk.threads, .what = "a probe"};
  NB_TRY(nb_coded_plain(m, nb_sens_probe, &quick, true, out, err));
  out->w.fine = true;
  *error = out->error;
  return NB_OK;
}

/* ---- layers ---- */

/* Starts the probes of a layer: the reference's states go through the layer with one matrix rounded. */
static nb_status probe_layer(probe *p, const nb_layer *full, const nb_layer *eight, double *error, nb_err *err) {
  const size_t first = nb_parts_first(p->parts, full->number);
  for (size_t i = 0; i < p->parts->per_layer; i++) {
    nb_layer layer;
    nb_coded rounded;
    nb_layer_copy(p->parts, eight, p->w_probe, &layer);
    nb_status st = round_matrix(p, &full->w[i], &rounded, &error[first + i], err);
    layer.w[i] = rounded.w;
    p->of[p->walk.n] = first + i;
    if (st == NB_OK) st = nb_walk_split(&p->walk, 0, err);
    if (st == NB_OK) st = nb_walk_layer(&p->walk, &layer, p->walk.n - 1, err);
    nb_coded_free(&rounded);
    NB_TRY(st);
  }
  return NB_OK;
}

static bool probed(const probe *p, size_t l);

static nb_status run_layer(probe *p, size_t l, double *error, nb_err *err) {
  nb_proxy8 eight;
  const size_t before = p->walk.n;
  const nb_layer *full = &p->walk.w->layer[l];
  nb_status st = nb_proxy8_layer(p->parts, full, p->o->walk.threads, &eight, err);
  if (st == NB_OK && probed(p, l)) st = probe_layer(p, full, &eight.layer, error, err);
  for (size_t i = 0; i < before && st == NB_OK; i++) st = nb_walk_layer(&p->walk, &eight.layer, i, err);
  nb_proxy8_free(&eight);
  return st;
}

/* ---- distributions ---- */

static double mean(const double *x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  return sum / (double)n;
}

/* Ends all probes; the head (or the embedding as the tied head) is one more. */
static nb_status finish(probe *p, const nb_coded *rounded_embed, double *kl, double *error, nb_err *err) {
  const nb_linear *head = nb_weights_head(p->walk.w);
  const size_t embed = p->parts->embed, own = p->parts->head, n = p->walk.n, seqs = p->o->walk.n_seqs;
  nb_coded eight = {.own = NULL}, rounded = {.own = NULL};
  nb_walk_end *end = NULL;
  double *each = NULL;
  nb_status st;
  NB_GOTO(nb_proxy8_matrix(head, p->o->walk.threads, "the head", &eight, err));
  if (own != embed) NB_GOTO(round_matrix(p, head, &rounded, &error[own], err));
  NB_GOTO(nb_new(&end, n, sizeof *end, "probes", err));
  NB_GOTO(nb_new(&each, n * seqs, sizeof *each, "probes", err));
  end[0] = (nb_walk_end){0, own != embed ? &rounded.w : &rounded_embed->w, each};
  for (size_t i = 1; i < n; i++) end[i] = (nb_walk_end){i, &eight.w, each + i * seqs};
  NB_GOTO(nb_walk_compare(&p->walk, &eight.w, end, n, err));
  for (size_t i = 1; i < n; i++) kl[p->of[i]] = mean(end[i].kl, seqs);
  if (own != embed) kl[own] = mean(each, seqs);
  else kl[embed] += mean(each, seqs);
fail:
  nb_free(end), nb_free(each);
  nb_coded_free(&eight), nb_coded_free(&rounded);
  return st;
}

/* Which layers are probed: the first and last two, the others evenly. */
static bool probed(const probe *p, size_t l) {
  size_t L = p->walk.c->layers, most = p->o->max_layers;
  if (most == 0 || most >= L || l < 2 || l + 2 >= L || most < 5) return most == 0 || most >= L || l < 2 || l + 2 >= L;
  size_t inner = most - 4, i = (l - 2) * inner / (L - 4);
  return (l - 2) == (i * (L - 4) + inner - 1) / inner;
}

/* Fills the layers between two probed ones by interpolating the logarithm. */
static void interpolate(const probe *p, double *kl, double *error) {
  size_t a = 0;
  nb_assert(probed(p, 0) && probed(p, p->walk.c->layers - 1)); /* every layer is between two probed ones */
  for (size_t b = 1; b < p->walk.c->layers; b++) {
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

/* The reference's states and those of the rounded embedding. */
static nb_status begin(probe *p, const nb_config *c, const nb_weights *w, nb_coded *rounded, double *error,
                       nb_err *err) {
  const nb_linear *embed = nb_weights_embed(w);
  size_t most = 2;
  uint64_t total = 0;
  p->walk.c = c;
  for (size_t l = 0; l < c->layers; l++) {
    total += most; /* every set of states passes, and a probed layer starts its own */
    if (probed(p, l)) most += p->parts->per_layer, total += p->parts->per_layer;
  }
  NB_TRY(nb_new(&p->w_probe, p->parts->per_layer, sizeof *p->w_probe, "probes", err));
  NB_TRY(nb_new(&p->of, most, sizeof *p->of, "probes", err));
  NB_TRY(nb_walk_create(c, w, &p->o->walk, most, &p->walk, err));
  p->walk.total = total + most;
  p->of[1] = p->parts->embed;
  NB_TRY(round_matrix(p, embed, rounded, &error[p->parts->embed], err));
  NB_TRY(nb_walk_embed(&p->walk, embed, err));
  return nb_walk_embed(&p->walk, &rounded->w, err);
}

nb_status nb_sens_measure(const nb_config *c, const nb_weights *w, const nb_sens_opts *o, double *kl, double *error,
                          nb_err *err) {
  probe p = {.walk = {.o = &o->walk}, .parts = &w->parts, .o = o};
  nb_status st;
  nb_coded rounded = {.own = NULL};
  NB_GOTO(begin(&p, c, w, &rounded, error, err));
  for (size_t l = 0; l < c->layers; l++) NB_GOTO(run_layer(&p, l, error, err));
  NB_GOTO(finish(&p, &rounded, kl, error, err));
  interpolate(&p, kl, error);
fail:
  nb_walk_free(&p.walk);
  nb_free(p.w_probe), nb_free(p.of);
  nb_coded_free(&rounded);
  return st;
}
