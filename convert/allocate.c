/* SPDX-License-Identifier: MIT */
#include "convert/allocate.h"

#include "quant/bits.h"
#include "quant/sens.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What GPTQ leaves of the loss of plain rounding; the embedding is rounded plainly. */
static const double solved_part = 0.4;

static void item_shape(const nb_config *c, size_t i, size_t *N, size_t *K) {
  if (i < c->layers * NB_SLOTS) nb_slot_shape(c, (nb_slot)(i % NB_SLOTS), N, K);
  else *N = c->vocab, *K = c->hidden;
}

static uint64_t item_bytes(const nb_config *c, size_t i, nb_qfmt f) {
  size_t N, K;
  nb_qmat m;
  nb_qmat_layout l;
  item_shape(c, i, &N, &K);
  if (f.bits == 0) return nb_round_up(N * K * nb_dtype_bytes(c->dtype), 64);
  return nb_qmat_plan(N, K, f, &m, &l, NULL) == NB_OK ? l.total : 0;
}

static nb_qfmt *item_format(nb_formats *f, const nb_config *c, size_t i) {
  return i < c->layers * NB_SLOTS ? &f->slot[i] : i == c->layers * NB_SLOTS ? &f->embed : &f->head;
}

static const nb_linear *item_matrix(const nb_weights *w, const nb_config *c, size_t i) {
  if (i < c->layers * NB_SLOTS) return &w->layer[i / NB_SLOTS].w[i % NB_SLOTS];
  return i == c->layers * NB_SLOTS ? &w->embed : &w->head;
}

typedef struct items {
  size_t n, *index;       /* (n) the items that are free */
  nb_bits_option *option; /* (n, NB_BITS_FORMATS) */
  uint8_t *pick;          /* (n) */
} items;

static void items_free(items *t) { nb_free(t->index), nb_free(t->option), nb_free(t->pick); }

static nb_status fill_options(const nb_quantize_job *j, items *t, size_t k, nb_err *err) {
  const nb_config *c = &j->model->model.config;
  size_t i = t->index[k];
  const nb_quantize_choice *ch = j->choice;
  double error[NB_BITS_FORMATS];
  double sensitivity = ch->probe_error[i] > 0 ? fmax(ch->probe_kl[i], 1e-12) / ch->probe_error[i] : 1e-12;
  NB_TRY(nb_bits_errors(item_matrix(&j->model->model.weights, c, i), j->calib.threads, error, err));
  bool plain = j->fast || i == c->layers * NB_SLOTS || (i > c->layers * NB_SLOTS && !j->calib.calibrate_head);
  for (size_t f = 0; f < NB_BITS_FORMATS; f++)
    t->option[k * NB_BITS_FORMATS + f] =
        (nb_bits_option){item_bytes(c, i, nb_bits_formats[f]), sensitivity * error[f] * (plain ? 1 : solved_part)};
  return NB_OK;
}

nb_status nb_allocate_measure(nb_quantize_job *j, const nb_allocate_opts *o, nb_err *err) {
  nb_sens_opts so = {.tokens = j->calib.tokens,
                     .max_layers = o->probe_layers,
                     .threads = j->calib.threads,
                     .cpu_features = j->calib.cpu_features,
                     .progress = o->progress};
  size_t have = j->calib.n_seqs * j->calib.seq_len, want = nb_min(have, o->probe_tokens);
  so.seq_len = nb_min(want, 128);
  so.n_seqs = so.seq_len ? want / so.seq_len : 0;
  if (so.n_seqs == 0) return nb_fail(err, NB_ERR_ARG, "a budget needs calibration text: give it with --calib");
  return nb_sens_measure(&j->model->model.config, &j->model->model.weights, &so, j->choice->probe_kl,
                         j->choice->probe_error, err);
}

/* Bytes for the free slices at a number of bits a weight. */
static uint64_t linear_budget(const nb_config *c, const items *t, double bpw) {
  double weights = 0;
  for (size_t k = 0; k < t->n; k++) {
    size_t N, K;
    item_shape(c, t->index[k], &N, &K);
    weights += (double)N * (double)K;
  }
  return (uint64_t)(weights * bpw / 8);
}

/* Lists the free items and gives them the smallest format, `least` bytes in all. Refused when the file is too large
 * even so. */
static nb_status begin(nb_quantize_job *j, const nb_allocate_opts *o, items *t, uint64_t *least, nb_err *err) {
  const nb_config *c = &j->model->model.config;
  size_t slots = c->layers * NB_SLOTS, all = slots + 1 + !c->tie_embeddings;
  NB_TRY(nb_new(&t->index, all, sizeof *t->index, "the allocation", err));
  NB_TRY(nb_new(&t->option, all * NB_BITS_FORMATS, sizeof *t->option, "the allocation", err));
  NB_TRY(nb_new(&t->pick, all, 1, "the allocation", err));
  for (size_t i = 0; i < all; i++) {
    if (i < slots ? o->fixed_slot[i] : i == slots ? o->fixed_embed : o->fixed_head) continue;
    t->index[t->n++] = i;
    *item_format(&j->formats, c, i) = nb_bits_formats[0];
    *least += item_bytes(c, i, nb_bits_formats[0]);
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
  const nb_config *c = &j->model->model.config;
  items t = {0};
  nb_status st;
  uint64_t free_bytes = 0, least = 0;
  NB_GOTO(begin(j, o, &t, &least, err));
  uint64_t budget = o->linear_bpw > 0 ? linear_budget(c, &t, o->linear_bpw) : o->budget - j->file_bytes + least;
  if (!o->measured) NB_GOTO(nb_allocate_measure(j, o, err));
  for (size_t i = 0; i < c->layers * NB_SLOTS + 2; i++) j->choice->predicted[i] = -1;
  for (size_t k = 0; k < t.n; k++) NB_GOTO(fill_options(j, &t, k, err));
  NB_GOTO(nb_bits_pick(t.option, t.n, NB_BITS_FORMATS, budget, t.pick, &free_bytes, predicted, err));
  for (size_t k = 0; k < t.n; k++) {
    *item_format(&j->formats, c, t.index[k]) = nb_bits_formats[t.pick[k]];
    j->choice->predicted[t.index[k]] = t.option[k * NB_BITS_FORMATS + t.pick[k]].loss;
  }
  st = nb_quantize_size(j, err);
fail:
  items_free(&t);
  return st;
}

nb_status nb_allocate_parse(const char *text, const nb_config *c, uint64_t *bytes, nb_err *err) {
  char *end;
  double bpw = strtod(text, &end);
  if (end != text && !strcmp(end, "bpw") && bpw > 0 && bpw < 64) {
    double weights = (double)c->vocab * (double)c->hidden * (c->tie_embeddings ? 1 : 2);
    for (int s = 0; s < NB_SLOTS; s++) {
      size_t N, K;
      nb_slot_shape(c, (nb_slot)s, &N, &K);
      weights += (double)N * (double)K * (double)c->layers;
    }
    *bytes = (uint64_t)(weights * bpw / 8);
    return NB_OK;
  }
  if (nb_bytes_parse(text, bytes)) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "'%s' is not a size: write 1.8GiB, 1800MB, a number of bytes, or 4.05bpw", text);
}
