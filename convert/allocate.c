/* SPDX-License-Identifier: MIT */
#include "convert/allocate.h"

#include "quant/bits.h"
#include "quant/curvature.h"
#include "quant/sens.h"
#include "quant/solve.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_SEQ = 64, SMOOTH = 2 };

/* What will be left of the loss of plain rounding. The embedding is rounded plainly. */
static double solved_part(const nb_quantize_job *j, size_t i) {
  const nb_model *m = &j->model->model;
  const nb_parts *parts = &m->weights.parts;
  if (j->fast || i == parts->embed || (i == parts->head && !j->calib.calibrate_head)) return 1;
  return nb_solve_leaves(nb_parts_matrix(parts, i)->role, nb_curvature_wanted(&m->config, j->calib.fisher_tokens));
}

static uint64_t matrix_bytes(const nb_quantize_job *j, size_t i, nb_qfmt f) {
  const nb_part *p = nb_parts_matrix(&j->model->model.weights.parts, i);
  nb_qmat m;
  nb_qmat_layout l;
  if (f.bits == 0) return nb_round_up(p->N * p->K * nb_dtype_bytes(j->model->model.config.dtype), 64);
  return nb_qmat_plan(p->N, p->K, f, &m, &l, NULL) == NB_OK ? l.total : 0;
}

typedef struct items {
  size_t n, *index;       /* (n) the matrices that are free */
  nb_bits_option *option; /* (n, NB_BITS_FORMATS) */
  uint8_t *pick;          /* (n) */
} items;

static void items_free(items *t) { nb_free(t->index), nb_free(t->option), nb_free(t->pick); }

static double probed(const nb_quantize_choice *ch, size_t i) {
  return ch->probe_error[i] > 0 ? fmax(ch->probe_kl[i], 1e-12) / ch->probe_error[i] : 1e-12;
}

/* KL divergence over relative squared error: the geometric mean over a matrix's layer and those around it, since what
 * a probe says of one is noisy. The first and the last two layers differ from all others and stand for themselves. */
static double sensitivity(const nb_quantize_job *j, size_t i) {
  const nb_parts *parts = &j->model->model.weights.parts;
  long layer = nb_parts_matrix(parts, i)->layer, last = (long)j->model->model.config.layers - 1, n = 0;
  double sum = 0;
  if (layer < SMOOTH || layer > last - SMOOTH) return probed(j->choice, i);
  for (long l = layer - SMOOTH; l <= layer + SMOOTH; l++) {
    if (l < 1 || l > last - 1) continue;
    sum += log(probed(j->choice, i + (size_t)l * parts->per_layer - (size_t)layer * parts->per_layer)), n++;
  }
  return exp(sum / (double)n);
}

static nb_status fill_options(const nb_quantize_job *j, bool trellis, items *t, size_t k, nb_err *err) {
  size_t i = t->index[k];
  double error[NB_BITS_FORMATS], factor = sensitivity(j, i) * solved_part(j, i);
  NB_TRY(nb_bits_errors(&j->model->model.weights.w[i], trellis, j->calib.threads, error, err));
  for (size_t f = 0; f < NB_BITS_FORMATS; f++)
    t->option[k * NB_BITS_FORMATS + f] =
        (nb_bits_option){matrix_bytes(j, i, nb_bits_format(f, trellis)), factor * error[f]};
  return NB_OK;
}

/* The beginnings of the first sequences, which are of one text after another, and of all again where these do not
 * suffice: short ones, so that few tokens are of several kinds. */
static nb_status probe_tokens(const nb_quantize_job *j, size_t want, nb_sens_opts *so, int32_t **own, nb_err *err) {
  const nb_calib_opts *c = &j->calib;
  so->seq_len = nb_min(nb_min(want, PROBE_SEQ), c->seq_len);
  if (!so->seq_len || !c->n_seqs) return nb_fail(err, NB_ERR_ARG, "a budget needs calibration text");
  size_t pieces = c->seq_len / so->seq_len;
  so->n_seqs = nb_min(want / so->seq_len, pieces * c->n_seqs);
  NB_TRY(nb_new(own, so->n_seqs * so->seq_len, sizeof **own, "the probes' tokens", err));
  for (size_t i = 0; i < so->n_seqs; i++) {
    const int32_t *from = c->tokens + i % c->n_seqs * c->seq_len + i / c->n_seqs * so->seq_len;
    memcpy(*own + i * so->seq_len, from, so->seq_len * sizeof **own);
  }
  so->tokens = *own;
  return NB_OK;
}

nb_status nb_allocate_measure(nb_quantize_job *j, const nb_allocate_opts *o, nb_err *err) {
  nb_sens_opts so = {.max_layers = o->probe_layers,
                     .threads = j->calib.threads,
                     .cpu_features = j->calib.cpu_features,
                     .progress = o->progress};
  int32_t *tokens = NULL;
  nb_status st = probe_tokens(j, o->probe_tokens, &so, &tokens, err);
  if (st == NB_OK)
    st = nb_sens_measure(&j->model->model.config, &j->model->model.weights, &so, j->choice->probe_kl,
                         j->choice->probe_error, err);
  nb_free(tokens);
  return st;
}

/* Bytes for the free matrices at a number of bits a weight. */
static uint64_t linear_budget(const nb_parts *parts, const items *t, double bpw) {
  double weights = 0;
  for (size_t k = 0; k < t->n; k++) {
    const nb_part *p = nb_parts_matrix(parts, t->index[k]);
    weights += (double)p->N * (double)p->K;
  }
  return (uint64_t)(weights * bpw / 8);
}

/* Lists the free matrices and gives them the smallest format, `least` bytes in all. Refused when the file is too large
 * even so. */
static nb_status begin(nb_quantize_job *j, const nb_allocate_opts *o, items *t, uint64_t *least, nb_err *err) {
  size_t all = j->model->model.weights.parts.n_matrices;
  NB_TRY(nb_new(&t->index, all, sizeof *t->index, "the allocation", err));
  NB_TRY(nb_new(&t->option, all * NB_BITS_FORMATS, sizeof *t->option, "the allocation", err));
  NB_TRY(nb_new(&t->pick, all, 1, "the allocation", err));
  for (size_t i = 0; i < all; i++) {
    if (o->fixed[i]) continue;
    t->index[t->n++] = i;
    j->formats[i] = nb_bits_format(0, o->trellis);
    *least += matrix_bytes(j, i, j->formats[i]);
  }
  NB_TRY(nb_quantize_size(j, err));
  if (o->linear_bpw > 0 || j->file_bytes <= o->budget) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "%s cannot have %llu bytes: the smallest possible is %llu", j->out,
                 (unsigned long long)o->budget, (unsigned long long)j->file_bytes);
}

nb_status nb_allocate_check(nb_quantize_job *j, const nb_allocate_opts *o, nb_err *err) {
  items t = {0};
  uint64_t least = 0;
  nb_status st = begin(j, o, &t, &least, err);
  items_free(&t);
  return st;
}

nb_status nb_allocate_formats(nb_quantize_job *j, const nb_allocate_opts *o, double *predicted, nb_err *err) {
  const nb_parts *parts = &j->model->model.weights.parts;
  items t = {0};
  nb_status st;
  nb_bits_option total = {0, 0};
  uint64_t least = 0;
  NB_GOTO(begin(j, o, &t, &least, err));
  uint64_t budget = o->linear_bpw > 0 ? linear_budget(parts, &t, o->linear_bpw) : o->budget - j->file_bytes + least;
  if (!o->measured) NB_GOTO(nb_allocate_measure(j, o, err));
  for (size_t i = 0; i < parts->n_matrices; i++) j->choice->predicted[i] = -1;
  for (size_t k = 0; k < t.n; k++) NB_GOTO(fill_options(j, o->trellis, &t, k, err));
  NB_GOTO(nb_bits_pick(t.option, t.n, NB_BITS_FORMATS, budget, t.pick, &total, err));
  for (size_t k = 0; k < t.n; k++) {
    j->formats[t.index[k]] = nb_bits_format(t.pick[k], o->trellis);
    j->choice->predicted[t.index[k]] = t.option[k * NB_BITS_FORMATS + t.pick[k]].loss;
  }
  *predicted = total.loss;
  st = nb_quantize_size(j, err);
fail:
  items_free(&t);
  return st;
}

nb_status nb_allocate_parse(const char *text, const nb_parts *parts, uint64_t *bytes, nb_err *err) {
  char *end;
  double bpw = strtod(text, &end), weights = 0;
  if (end != text && !strcmp(end, "bpw") && bpw > 0 && bpw < 64) {
    for (size_t i = 0; i < parts->n_matrices; i++) {
      const nb_part *p = nb_parts_matrix(parts, i);
      weights += (double)p->N * (double)p->K;
    }
    *bytes = (uint64_t)(weights * bpw / 8);
    return NB_OK;
  }
  if (nb_bytes_parse(text, bytes)) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "'%s' is not a size: write 1.8GiB, 1800MB, a number of bytes, or 4.05bpw", text);
}
