/* SPDX-License-Identifier: MIT */
#include "convert/allocate.h"

#include "quant/bits.h"
#include "quant/curvature.h"
#include "quant/sens.h"
#include "quant/solve.h"
#include "quant/trial.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_SEQ = 64, TRIAL_SEQS = 16, FEWEST_TRIALS = 8 };

/* How sensitivities are read, since each probe is noisy and says what one matrix does alone. The geometric mean over a
 * matrix's layer and `smooth` layers before and behind it, to a power; the rest of the power goes to the number of
 * weights. The first is what is thought to be best, the last a file of one format as far as the bytes go. */
static const struct way {
  int smooth;
  double power;
  const char *what;
} ways[] = {{2, 1, "sensitivities"},
            {8, 1, "sensitivities of many layers together"},
            {2, 0.7, "sensitivities and sizes"},
            {0, 0, "sizes: all weights alike"}};
enum { WAYS = sizeof ways / sizeof *ways };

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
  double *error;          /* (n, NB_BITS_FORMATS) as nb_bits_errors has them, times what is left */
  nb_bits_option *option; /* (n, NB_BITS_FORMATS) */
  uint8_t *pick;          /* (n) */
  nb_qfmt *formats;       /* (WAYS, n_matrices) */
} items;

static void items_free(items *t) {
  nb_free(t->index), nb_free(t->error), nb_free(t->option), nb_free(t->pick), nb_free(t->formats);
}

static double probed(const nb_quantize_choice *ch, size_t i) {
  return ch->probe_error[i] > 0 ? fmax(ch->probe_kl[i], 1e-12) / ch->probe_error[i] : 1e-12;
}

/* KL divergence over relative squared error, as a way reads it. The first and the last two layers differ from all
 * others and stand for themselves. */
static double sensitivity(const nb_quantize_job *j, size_t i, const struct way *y) {
  const nb_parts *parts = &j->model->model.weights.parts;
  const nb_part *p = nb_parts_matrix(parts, i);
  long layer = p->layer, last = (long)j->model->model.config.layers - 1, n = 0;
  double sum = 0;
  for (long l = layer - y->smooth; l <= layer + y->smooth; l++) {
    bool stands_alone = layer < 2 || layer > last - 2;
    if (l != layer && (stands_alone || l < 1 || l > last - 1)) continue;
    sum += log(probed(j->choice, i + (size_t)l * parts->per_layer - (size_t)layer * parts->per_layer)), n++;
  }
  return exp(y->power * sum / (double)n) * pow((double)p->N * (double)p->K, 1 - y->power);
}

static nb_status measure_errors(const nb_quantize_job *j, bool trellis, items *t, nb_err *err) {
  for (size_t k = 0; k < t->n; k++) {
    double *error = t->error + k * NB_BITS_FORMATS, left = solved_part(j, t->index[k]);
    NB_TRY(nb_bits_errors(&j->model->model.weights.w[t->index[k]], trellis, j->calib.threads, error, err));
    for (size_t f = 0; f < NB_BITS_FORMATS; f++) error[f] *= left;
  }
  return NB_OK;
}

/* ---- probes ---- */

static nb_walk_opts walk_opts(const nb_quantize_job *j, const nb_progress *progress) {
  return (nb_walk_opts){.threads = j->calib.threads, .cpu_features = j->calib.cpu_features, .progress = progress};
}

/* The beginnings of the first sequences, which are of one text after another, and of all again where these do not
 * suffice: short ones, so that few tokens are of several kinds. */
static nb_status probe_tokens(const nb_quantize_job *j, size_t want, nb_walk_opts *so, int32_t **own, nb_err *err) {
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
  nb_sens_opts so = {.walk = walk_opts(j, o->progress), .max_layers = o->probe_layers};
  int32_t *tokens = NULL;
  nb_status st = probe_tokens(j, o->probe_tokens, &so.walk, &tokens, err);
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
  NB_TRY(nb_new(&t->error, all * NB_BITS_FORMATS, sizeof *t->error, "the allocation", err));
  NB_TRY(nb_new(&t->formats, all * WAYS, sizeof *t->formats, "the allocation", err));
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

/* ---- trials ---- */

/* The ends of sequences that lie evenly among all of them, none of which a probe has seen. False: they are too few. */
static bool trial_tokens(const nb_quantize_job *j, const nb_allocate_opts *o, int32_t *own, nb_walk_opts *w) {
  const nb_calib_opts *c = &j->calib;
  const size_t pieces = c->seq_len / PROBE_SEQ, probes = o->probe_tokens / PROBE_SEQ;
  w->seq_len = PROBE_SEQ, w->n_seqs = nb_min(TRIAL_SEQS, c->n_seqs), w->tokens = own;
  if (c->n_seqs < FEWEST_TRIALS || pieces < 2 || probes > (pieces - 1) * c->n_seqs) return false;
  for (size_t i = 0; i < w->n_seqs; i++)
    memcpy(own + i * PROBE_SEQ, c->tokens + (i * c->n_seqs / w->n_seqs + 1) * c->seq_len - PROBE_SEQ,
           PROBE_SEQ * sizeof *own);
  return true;
}

/* Which way's formats to take: of those that differ, as nb_trial_best says on tokens of their own. */
static nb_status try_ways(const nb_quantize_job *j, const nb_allocate_opts *o, const nb_qfmt *formats, size_t *best,
                          nb_err *err) {
  const nb_model *m = &j->model->model;
  const size_t n = m->weights.parts.n_matrices;
  int32_t tokens[TRIAL_SEQS * PROBE_SEQ];
  double kl[WAYS * TRIAL_SEQS], *leaves;
  nb_progress cb = {.step = NULL};
  nb_trial_opts to = {.walk = walk_opts(j, &cb), .formats = formats, .n = WAYS};
  bool differ = false;
  *best = 0;
  for (size_t i = 1; i < WAYS; i++) differ |= memcmp(formats, formats + i * n, n * sizeof *formats) != 0;
  if (!differ || !trial_tokens(j, o, tokens, &to.walk)) return NB_OK;
  NB_TRY(nb_new(&leaves, n, sizeof *leaves, "the allocation", err));
  for (size_t i = 0; i < n; i++) leaves[i] = solved_part(j, i);
  to.leaves = leaves;
  cb = nb_reporter_begin(o->reporter, "trying choices of formats", "layer passes");
  nb_status st = nb_trial_run(&m->config, &m->weights, &to, kl, err);
  nb_reporter_end(o->reporter);
  nb_free(leaves);
  if (st == NB_OK) *best = nb_trial_best(kl, WAYS, to.walk.n_seqs);
  if (st == NB_OK) nb_reporter_note(o->reporter, "bits by %s", ways[*best].what);
  return st;
}

/* ---- choosing ---- */

/* What the free matrices get by a way of reading the sensitivities. */
static nb_status choose(const nb_quantize_job *j, const nb_allocate_opts *o, const struct way *y, uint64_t budget,
                        items *t, nb_qfmt *formats, nb_err *err) {
  nb_bits_option total;
  for (size_t k = 0; k < t->n; k++)
    for (size_t f = 0; f < NB_BITS_FORMATS; f++)
      t->option[k * NB_BITS_FORMATS + f] =
          (nb_bits_option){matrix_bytes(j, t->index[k], nb_bits_format(f, o->trellis)),
                           sensitivity(j, t->index[k], y) * t->error[k * NB_BITS_FORMATS + f]};
  NB_TRY(nb_bits_pick(t->option, t->n, NB_BITS_FORMATS, budget, t->pick, &total, err));
  for (size_t k = 0; k < t->n; k++) formats[t->index[k]] = nb_bits_format(t->pick[k], o->trellis);
  return NB_OK;
}

/* What the formats are expected to lose, by the sensitivities themselves. */
static double predict(const nb_quantize_job *j, const items *t, bool trellis) {
  double sum = 0;
  for (size_t k = 0; k < t->n; k++) {
    const nb_qfmt is = j->formats[t->index[k]];
    for (size_t f = 0; f < NB_BITS_FORMATS; f++) {
      const nb_qfmt g = nb_bits_format(f, trellis);
      if (g.bits != is.bits || g.kind != is.kind || g.group != is.group) continue;
      j->choice->predicted[t->index[k]] = sensitivity(j, t->index[k], &ways[0]) * t->error[k * NB_BITS_FORMATS + f];
      sum += j->choice->predicted[t->index[k]];
    }
  }
  return sum;
}

nb_status nb_allocate_formats(nb_quantize_job *j, const nb_allocate_opts *o, double *predicted, nb_err *err) {
  const nb_parts *parts = &j->model->model.weights.parts;
  const size_t n = parts->n_matrices;
  items t = {0};
  nb_status st;
  uint64_t least = 0;
  size_t best;
  NB_GOTO(begin(j, o, &t, &least, err));
  uint64_t budget = o->linear_bpw > 0 ? linear_budget(parts, &t, o->linear_bpw) : o->budget - j->file_bytes + least;
  if (!o->measured) {
    nb_allocate_opts with = *o;
    nb_progress cb = nb_reporter_begin(o->reporter, "measuring sensitivities", "layer passes");
    with.progress = &cb;
    st = nb_allocate_measure(j, &with, err);
    nb_reporter_end(o->reporter);
    if (st != NB_OK) goto fail;
  }
  NB_GOTO(measure_errors(j, o->trellis, &t, err));
  for (size_t i = 0; i < WAYS; i++) {
    memcpy(t.formats + i * n, j->formats, n * sizeof *t.formats);
    NB_GOTO(choose(j, o, &ways[i], budget, &t, t.formats + i * n, err));
  }
  NB_GOTO(try_ways(j, o, t.formats, &best, err));
  memcpy(j->formats, t.formats + best * n, n * sizeof *t.formats);
  for (size_t i = 0; i < n; i++) j->choice->predicted[i] = -1;
  *predicted = predict(j, &t, o->trellis);
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
