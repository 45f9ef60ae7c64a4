/* SPDX-License-Identifier: MIT */
#include "quant/calib.h"

#include "quant/proxy8.h"
#include "quant/fold.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <stdio.h>
#include <string.h>

static const nb_tap_site site_of[NB_SLOTS] = {NB_TAP_QKV,     NB_TAP_QKV,     NB_TAP_QKV, NB_TAP_O,
                                              NB_TAP_GATE_UP, NB_TAP_GATE_UP, NB_TAP_DOWN};

typedef struct run {
  const nb_config *c;
  const nb_weights *w;
  const nb_formats *f;
  const nb_calib_opts *o;
  nb_session *s;
  size_t T;             /* tokens of a batch: one sequence */
  float *xq, *xf;       /* (n_seqs * T, D): the two streams; xf may be NULL */
  float *x;             /* (T, D): a working copy */
  float *seen[NB_TAPS]; /* (T, K): the float stream's inputs of one batch */
  float *H[NB_TAPS], *C[NB_TAPS];
  unsigned sites;          /* bit set: statistics wanted */
  bool cross;              /* with the float stream */
  bool keep;               /* the tap fills `seen` instead */
  float *fake;             /* (T, K) int8-rounded inputs, and their distance to the float stream's */
  nb_rounded in, distance; /* the two, as the statistics take them */
  int8_t *q8;              /* a row a thread */
  float *q8_scale;
  int32_t *q8_sum;
  size_t Kp;
  nb_kv *kv[2];          /* for the quantized and the float stream */
  const nb_layer *norms; /* the layer whose norms are stored, or NULL for the checkpoint's */
  void *coded[NB_SLOTS]; /* the layer's quantized slices */
  size_t coded_bytes[NB_SLOTS];
  uint64_t done, total; /* weights */
} run;

static size_t site_inputs(const nb_config *c, int site) {
  return site == NB_TAP_O ? c->heads * c->head_dim : site == NB_TAP_DOWN ? c->ffn : c->hidden;
}

static size_t largest_site(const nb_config *c) {
  size_t K = 0;
  for (int i = 0; i < NB_TAPS; i++) K = nb_max(K, site_inputs(c, i));
  return K;
}

static uint64_t weight_count(const nb_config *c) {
  uint64_t n = (uint64_t)c->vocab * c->hidden * (c->tie_embeddings ? 1 : 2), layer = 0;
  for (int s = 0; s < NB_SLOTS; s++) {
    size_t N, K;
    nb_slot_shape(c, (nb_slot)s, &N, &K);
    layer += (uint64_t)N * K;
  }
  return n + layer * c->layers;
}

static nb_status advance(const nb_calib_opts *o, uint64_t *done, uint64_t n, uint64_t total, nb_err *err) {
  *done += n;
  return nb_progress_step(o->progress, *done, total, err);
}

/* ---- matrices without statistics ---- */

static nb_status plain_matrix(const nb_linear *w, nb_qfmt fmt, const float *h, int effort, const nb_calib_opts *o,
                              const char *what, nb_quantized *q, nb_err *err) {
  nb_qmat m;
  nb_qmat_layout l;
  q->plain = q->loss = -1;
  if (fmt.bits == 0) {
    q->data = w->dense.data, q->n_bytes = w->dense.n_bytes;
    return o->put(o->ctx, q, err);
  }
  NB_TRY(nb_qmat_plan(w->N, w->K, fmt, &m, &l, err));
  void *data;
  NB_TRY(nb_new(&data, l.total, 1, what, err));
  nb_grid g;
  nb_grid_make(fmt, NULL, &g);
  nb_status st = nb_quant_plain(&g, w, h, effort, o->threads, what, data, l.total, NULL, err);
  q->data = data, q->n_bytes = l.total;
  if (st == NB_OK) st = o->put(o->ctx, q, err);
  nb_free(data);
  return st;
}

nb_status nb_calib_fast(const nb_config *c, const nb_weights *w, const nb_formats *f, int effort,
                        const nb_calib_opts *o, nb_err *err) {
  uint64_t done = 0, total = weight_count(c);
  nb_quantized q = {.layer = -1};
  NB_TRY(plain_matrix(&w->embed, f->embed, NULL, effort, o, "the embedding", &q, err));
  NB_TRY(advance(o, &done, (uint64_t)c->vocab * c->hidden, total, err));
  for (size_t l = 0; l < c->layers; l++)
    for (int s = 0; s < NB_SLOTS; s++) {
      char what[40];
      const nb_linear *m = &w->layer[l].w[s];
      snprintf(what, sizeof what, "layer %zu %s", l, nb_slot_name((nb_slot)s));
      q = (nb_quantized){.layer = (int)l, .slot = (nb_slot)s};
      NB_TRY(plain_matrix(m, f->slot[l * NB_SLOTS + s], NULL, effort, o, what, &q, err));
      NB_TRY(advance(o, &done, (uint64_t)m->N * m->K, total, err));
    }
  if (c->tie_embeddings) return NB_OK;
  q = (nb_quantized){.layer = -1, .head = true};
  NB_TRY(plain_matrix(&w->head, f->head, NULL, effort, o, "the head", &q, err));
  return advance(o, &done, (uint64_t)c->vocab * c->hidden, total, err);
}

/* ---- statistics ---- */

enum {
  WIDE = 4096,        /* more inputs than these: see by_outputs */
  FOLD_TOKENS = 4096, /* by which scales are chosen */
  ALL_SITES = (1 << NB_TAPS) - 1
};

typedef struct round_job {
  run *r;
  const float *x;
  size_t K;
  float *out;
} round_job;

static void round_rows(void *ctx, size_t begin, size_t end, int thread) {
  round_job *j = ctx;
  size_t at = (size_t)thread * j->r->Kp;
  for (size_t t = begin; t < end; t++)
    nb_kernels_round_q8(nb_session_kernels(j->r->s), j->x + t * j->K, j->K, j->r->q8 + at,
                        j->r->q8_scale + at / NB_QA_GROUP, j->r->q8_sum + at / NB_BLOCK, j->out + t * j->K);
}

/* x (T, K) as int8 with a scale for each 64, as the kernels will see it, in r->fake, and rounded for the statistics. */
static void round_inputs(run *r, const float *x, size_t T, size_t K) {
  round_job j = {r, x, K, r->fake};
  nb_parallel_for(r->o->threads, T, 16, round_rows, &j);
  nb_rounded_take(&r->in, nb_session_kernels(r->s), r->fake, T, K, r->o->threads);
}

/* C (K, in.K) += d^T inputs, of the inputs that were rounded last and d (T, K). */
static void add_cross(run *r, float *C, const float *d, size_t T, size_t K) {
  const nb_kernels *k = nb_session_kernels(r->s);
  nb_rounded_take(&r->distance, k, d, T, K, r->o->threads);
  nb_hess_add_cross(k, C, &r->distance, &r->in, r->o->threads);
}

/* Whether the asymmetric target of a site is summed as its matrix's outputs: with so many inputs their own K x K sum
 * costs twice as much. */
static bool by_outputs(const run *r, int site) { return site == NB_TAP_DOWN && site_inputs(r->c, site) > WIDE; }

static void see(void *ctx, nb_tap_site site, const float *x, size_t T, size_t K) {
  run *r = ctx;
  if (!(r->sites >> site & 1)) return;
  if (r->keep) {
    memcpy(r->seen[site], x, T * K * sizeof *x);
    return;
  }
  float *d = r->fake + T * K;
  round_inputs(r, x, T, K);
  nb_hess_add(nb_session_kernels(r->s), r->H[site], &r->in, r->o->threads);
  if (!r->cross) return;
  for (size_t i = 0; i < T * K; i++) d[i] = r->seen[site][i] - r->fake[i];
  if (!by_outputs(r, site)) add_cross(r, r->C[site], d, T, K);
}

/* After a batch of the quantized stream: what `see` left of down, the last site, through down's matrix. */
static void add_outputs(run *r, const nb_linear *down) {
  float *d = r->fake + r->T * down->K;
  nb_session_linear(r->s, down, d, r->T, down->K, r->x, down->N);
  add_cross(r, r->C[NB_TAP_DOWN], r->x, r->T, down->N);
}

static nb_status run_sequence(run *r, const nb_layer *l, size_t seq, int stream, float *x, const nb_tap *tap,
                              nb_err *err) {
  nb_segment seg = {r->kv[stream], r->o->tokens + seq * r->T, r->T};
  NB_TRY(nb_session_begin(r->s, &seg, 1, err));
  return nb_session_layer(r->s, l, 0, x, tap, err);
}

/* Collects the statistics of some sites over the first n_seqs sequences with the layer as it is now. The float stream
 * goes through `full`, unless that is NULL, and stays behind it when `move` is set. */
static nb_status collect(run *r, const nb_layer *now, const nb_layer *full, unsigned sites, bool move, size_t n_seqs,
                         nb_err *err) {
  const nb_tap tap = {see, r};
  size_t D = r->c->hidden;
  r->sites = sites, r->cross = full && r->xf;
  for (int i = 0; i < NB_TAPS; i++)
    if (sites >> i & 1) {
      size_t K = site_inputs(r->c, i);
      NB_TRY(nb_new(&r->H[i], K * K, sizeof(float), "statistics", err));
      size_t M = by_outputs(r, i) ? r->c->hidden : K;
      if (r->cross) NB_TRY(nb_new(&r->C[i], M * K, sizeof(float), "statistics", err));
    }
  for (size_t i = 0; i < n_seqs; i++) {
    if (r->cross) {
      r->keep = true;
      float *x = r->xf + i * r->T * D;
      if (!move) memcpy(r->x, x, r->T * D * sizeof *r->x), x = r->x;
      NB_TRY(run_sequence(r, full, i, 1, x, &tap, err));
      r->keep = false;
    }
    memcpy(r->x, r->xq + i * r->T * D, r->T * D * sizeof *r->x);
    NB_TRY(run_sequence(r, now, i, 0, r->x, &tap, err));
    if (r->cross && (sites >> NB_TAP_DOWN & 1) && by_outputs(r, NB_TAP_DOWN)) add_outputs(r, &full->w[NB_DOWN]);
    NB_TRY(nb_progress_step(r->o->progress, r->done, r->total, err));
  }
  return NB_OK;
}

/* ---- solving ---- */

enum { CHUNK = 4096 }; /* rows of floats at a time */

/* Rounds a dense matrix by the statistics into data. */
static nb_status solve_matrix(run *r, const nb_hess *h, const nb_linear *m, nb_qfmt fmt, const char *what, void *data,
                              size_t n_bytes, nb_quantized *q, nb_err *err) {
  nb_status st;
  nb_grid g;
  nb_qout out;
  nb_gptq_report rep = {0, 0, 0, 0};
  const nb_gptq_opts go = {r->o->gptq, r->o->sweeps};
  float *w;
  size_t rows = nb_min(m->N, CHUNK);
  nb_grid_make(fmt, NULL, &g);
  NB_TRY(nb_new(&w, rows * m->K, sizeof *w, "a matrix", err));
  for (size_t row0 = 0; row0 < m->N; row0 += rows) {
    size_t n = nb_min(rows, m->N - row0);
    for (size_t i = 0; i < n; i++) nb_linear_row(m, row0 + i, w + i * m->K);
    NB_GOTO(nb_gptq_target(h, w, row0, n, r->o->threads, err));
    if (row0 == 0) {
      if (r->o->fit_tables && fmt.table) NB_GOTO(nb_gptq_fit_table(&g, w, n, m->K, h->diag, err));
      NB_GOTO(nb_qout_init(&g, m->N, m->K, data, n_bytes, &out, err));
    }
    NB_GOTO(nb_gptq_solve(h, w, n, &g, &go, r->o->threads, what, &out, row0, &rep, err));
    NB_GOTO(advance(r->o, &r->done, (uint64_t)n * m->K, r->total, err));
  }
  q->plain = rep.zero > 0 ? rep.plain / rep.zero : 0;
  q->loss = rep.zero > 0 ? rep.solved / rep.zero : 0;
  q->fell_back = rep.fell_back;
fail:
  nb_free(w);
  return st;
}

/* Solves one slice of a layer and puts its coded form into *now. */
static nb_status solve_slot(run *r, const nb_hess *h, size_t layer, nb_slot s, const nb_linear *full, nb_linear *now,
                            nb_err *err) {
  nb_qfmt fmt = r->f->slot[layer * NB_SLOTS + s];
  nb_quantized q = {.layer = (int)layer, .slot = s, .plain = -1, .loss = -1};
  if (r->norms && s == NB_Q) q.norm = r->norms->attn_norm;
  if (r->norms && s == NB_GATE) q.norm = r->norms->ffn_norm;
  char what[40];
  nb_qmat_layout l;
  snprintf(what, sizeof what, "layer %zu %s", layer, nb_slot_name(s));
  if (fmt.bits == 0) {
    *now = *full;
    q.data = full->dense.data, q.n_bytes = full->dense.n_bytes;
    NB_TRY(advance(r->o, &r->done, (uint64_t)full->N * full->K, r->total, err));
    return r->o->put(r->o->ctx, &q, err);
  }
  NB_TRY(nb_qmat_plan(full->N, full->K, fmt, &now->qmat, &l, err));
  NB_TRY(nb_new(&r->coded[s], l.total, 1, what, err));
  const void *earlier = r->o->resume ? r->o->resume(r->o->ctx, layer, s, l.total) : NULL;
  if (earlier) {
    memcpy(r->coded[s], earlier, l.total);
    NB_TRY(advance(r->o, &r->done, (uint64_t)full->N * full->K, r->total, err));
  } else {
    NB_TRY(solve_matrix(r, h, full, fmt, what, r->coded[s], l.total, &q, err));
  }
  now->coded = true;
  now->fine = false;
  NB_TRY(nb_qmat_view(full->N, full->K, fmt, r->coded[s], l.total, &now->qmat, err));
  q.data = r->coded[s], q.n_bytes = l.total;
  return r->o->put(r->o->ctx, &q, err);
}

static bool all_resumed(run *r, size_t layer, const nb_layer *full) {
  if (!r->o->resume) return false;
  for (int s = 0; s < NB_SLOTS; s++) {
    nb_qmat m;
    nb_qmat_layout l;
    nb_qfmt fmt = r->f->slot[layer * NB_SLOTS + s];
    if (fmt.bits == 0) continue;
    if (nb_qmat_plan(full->w[s].N, full->w[s].K, fmt, &m, &l, NULL) != NB_OK ||
        !r->o->resume(r->o->ctx, layer, (nb_slot)s, l.total))
      return false;
  }
  return true;
}

static nb_status solve_site(run *r, int site, size_t layer, const nb_layer *full, nb_layer *now, bool resumed,
                            nb_err *err) {
  nb_hess h = {0};
  nb_status st = NB_OK;
  char what[40];
  snprintf(what, sizeof what, "layer %zu %s", layer,
           site == NB_TAP_QKV       ? "q, k, v"
           : site == NB_TAP_O       ? "o"
           : site == NB_TAP_GATE_UP ? "gate, up"
                                    : "down");
  if (!resumed) {
    float *H = r->H[site], *C = r->C[site];
    r->H[site] = r->C[site] = NULL;
    size_t outputs = C && by_outputs(r, site) ? r->c->hidden : 0;
    NB_TRY(nb_hess_prepare(nb_session_kernels(r->s), H, C, outputs, site_inputs(r->c, site), r->o->damp, r->o->alpha,
                           r->o->threads, what, &h, err));
  }
  for (int s = 0; s < NB_SLOTS && st == NB_OK; s++)
    if ((int)site_of[s] == site) st = solve_slot(r, &h, layer, (nb_slot)s, &full->w[s], &now->w[s], err);
  nb_hess_free(&h);
  return st;
}

/* Solves a layer, which is `full` in full precision. eight: the same at 8 bits, through which both streams pass where
 * it is not quantized yet. */
static nb_status solve_with(run *r, size_t layer, const nb_layer *full, const nb_layer *eight, nb_err *err) {
  nb_layer now = *eight; /* with int8 inputs, as at run time, instead of fine ones */
  for (int s = 0; s < NB_SLOTS; s++) now.w[s].fine = false;
  size_t D = r->c->hidden;
  bool resumed = all_resumed(r, layer, full);
  for (int s = 0; s < NB_SLOTS; s++) nb_free(r->coded[s]), r->coded[s] = NULL;
  bool moved = !resumed && !r->o->sequential;
  if (moved) NB_TRY(collect(r, &now, eight, ALL_SITES, true, r->o->n_seqs, err));
  for (int site = 0; site < NB_TAPS; site++) {
    if (!resumed && r->o->sequential) NB_TRY(collect(r, &now, eight, 1u << site, false, r->o->n_seqs, err));
    NB_TRY(solve_site(r, site, layer, full, &now, resumed, err));
  }
  if (layer + 1 == r->c->layers && (r->c->tie_embeddings || !r->o->calibrate_head)) return NB_OK;
  for (size_t i = 0; i < r->o->n_seqs; i++) {
    NB_TRY(run_sequence(r, &now, i, 0, r->xq + i * r->T * D, NULL, err));
    if (r->xf && !moved) NB_TRY(run_sequence(r, eight, i, 1, r->xf + i * r->T * D, NULL, err));
    NB_TRY(nb_progress_step(r->o->progress, r->done, r->total, err));
  }
  return NB_OK;
}

static nb_status solve_layer(run *r, size_t layer, const nb_layer *full, nb_err *err) {
  nb_proxy8 eight;
  nb_status st = nb_proxy8_layer(full, layer, r->o->threads, &eight, err);
  if (st == NB_OK) st = solve_with(r, layer, full, &eight.layer, err);
  nb_proxy8_free(&eight);
  return st;
}

/* Chooses the scales by the inputs of the layer at 8 bits, of which a part is enough. */
static nb_status fold_scales(run *r, size_t layer, nb_fold *fold, nb_err *err) {
  const nb_calib_opts *o = r->o;
  const size_t n_seqs = nb_min(o->n_seqs, (FOLD_TOKENS + r->T - 1) / r->T);
  nb_proxy8 eight;
  nb_status st = nb_proxy8_layer(&fold->layer, layer, o->threads, &eight, err);
  for (int s = 0; s < NB_SLOTS; s++) eight.layer.w[s].fine = false;
  if (st == NB_OK) st = collect(r, &eight.layer, NULL, ALL_SITES, false, n_seqs, err);
  if (st == NB_OK)
    st = nb_fold_scale(nb_session_kernels(r->s), r->c, fold, r->H, r->f->slot + layer * NB_SLOTS, o->threads, err);
  for (int i = 0; i < NB_TAPS; i++) nb_free(r->H[i]), r->H[i] = NULL;
  nb_proxy8_free(&eight);
  return st;
}

/* Changes the layer's inner basis first. A resumed run does this again, to go on with the same bits. A layer with a
 * slice that is left unquantized keeps its basis. */
static nb_status fold_and_solve_layer(run *r, size_t layer, nb_err *err) {
  const nb_calib_opts *o = r->o;
  const nb_layer *full = &r->w->layer[layer];
  bool coded = true;
  for (size_t s = 0; s < NB_SLOTS; s++) coded &= r->f->slot[layer * NB_SLOTS + s].bits != 0;
  if (!coded || (!o->fold && !o->rotate)) return solve_layer(r, layer, full, err);
  nb_fold fold = {0};
  nb_status st;
  NB_GOTO(nb_fold_create(r->c, full, &fold, err));
  if (o->rotate) NB_GOTO(nb_fold_rotate(r->c, &fold, err));
  if (o->fold) {
    NB_GOTO(fold_scales(r, layer, &fold, err));
    r->norms = &fold.layer;
  }
  st = solve_layer(r, layer, &fold.layer, err);
  r->norms = NULL;
fail:
  nb_fold_free(&fold);
  return st;
}

/* ---- embedding and head ---- */

static nb_status solve_embedding(run *r, nb_err *err) {
  const nb_linear *full = &r->w->embed;
  nb_qfmt fmt = r->f->embed;
  nb_quantized q = {.layer = -1, .plain = -1, .loss = -1};
  nb_linear now = *full;
  void *data = NULL;
  nb_status st = NB_OK;
  if (fmt.bits == 0) {
    q.data = full->dense.data, q.n_bytes = full->dense.n_bytes;
  } else {
    nb_qmat_layout l;
    nb_grid g;
    nb_grid_make(fmt, NULL, &g);
    NB_TRY(nb_qmat_plan(full->N, full->K, fmt, &now.qmat, &l, err));
    NB_TRY(nb_new(&data, l.total, 1, "the embedding", err));
    nb_quant_loss loss = {0, 0};
    NB_GOTO(nb_quant_plain(&g, full, NULL, 1, r->o->threads, "the embedding", data, l.total, &loss, err));
    NB_GOTO(nb_qmat_view(full->N, full->K, fmt, data, l.total, &now.qmat, err));
    now.coded = true;
    q.data = data, q.n_bytes = l.total;
    q.plain = q.loss = loss.total > 0 ? loss.error / loss.total : 0;
  }
  NB_GOTO(r->o->put(r->o->ctx, &q, err));
  size_t D = r->c->hidden;
  for (size_t i = 0; i < r->o->n_seqs; i++) {
    nb_segment seg = {r->kv[0], r->o->tokens + i * r->T, r->T};
    NB_GOTO(nb_session_begin(r->s, &seg, 1, err));
    nb_session_embed(r->s, &now, r->xq + i * r->T * D);
    if (r->xf) nb_session_embed(r->s, full, r->xf + i * r->T * D);
  }
  NB_GOTO(advance(r->o, &r->done, (uint64_t)full->N * full->K, r->total, err));
fail:
  nb_free(data);
  return st;
}

static nb_status head_statistics(run *r, nb_hess *h, nb_err *err) {
  size_t D = r->c->hidden;
  float *H, *C = NULL;
  NB_TRY(nb_new(&H, D * D, sizeof *H, "statistics", err));
  if (r->xf && nb_new(&C, D * D, sizeof *C, "statistics", err) != NB_OK) {
    nb_free(H);
    return NB_ERR_MEMORY;
  }
  for (size_t i = 0; i < r->o->n_seqs; i++) {
    float *d = r->xf ? r->fake + r->T * D : NULL;
    nb_session_norm(r->s, r->w->norm, r->xq + i * r->T * D, r->x);
    round_inputs(r, r->x, r->T, D);
    if (d) {
      nb_session_norm(r->s, r->w->norm, r->xf + i * r->T * D, r->x);
      for (size_t k = 0; k < r->T * D; k++) d[k] = r->x[k] - r->fake[k];
    }
    nb_hess_add(nb_session_kernels(r->s), H, &r->in, r->o->threads);
    if (d) add_cross(r, C, d, r->T, D);
  }
  return nb_hess_prepare(nb_session_kernels(r->s), H, C, 0, D, r->o->damp, r->o->alpha, r->o->threads, "the head", h,
                         err);
}

static nb_status solve_head(run *r, nb_err *err) {
  const nb_linear *full = &r->w->head;
  nb_qfmt fmt = r->f->head;
  nb_quantized q = {.layer = -1, .head = true};
  if (fmt.bits == 0 || !r->o->calibrate_head) {
    NB_TRY(plain_matrix(full, fmt, NULL, 1, r->o, "the head", &q, err));
    return advance(r->o, &r->done, (uint64_t)full->N * full->K, r->total, err);
  }
  nb_qmat m;
  nb_qmat_layout l;
  nb_hess h = {0};
  void *data = NULL;
  nb_status st;
  NB_GOTO(nb_qmat_plan(full->N, full->K, fmt, &m, &l, err));
  NB_GOTO(nb_new(&data, l.total, 1, "the head", err));
  NB_GOTO(head_statistics(r, &h, err));
  NB_GOTO(solve_matrix(r, &h, full, fmt, "the head", data, l.total, &q, err));
  q.data = data, q.n_bytes = l.total;
  NB_GOTO(r->o->put(r->o->ctx, &q, err));
fail:
  nb_hess_free(&h);
  nb_free(data);
  return st;
}

/* ---- the run ---- */

static nb_status run_create(run *r, nb_err *err) {
  const nb_calib_opts *o = r->o;
  size_t D = r->c->hidden, K = largest_site(r->c), Kp = nb_round_up(K, NB_K_PAD);
  nb_session_opts so = {.threads = o->threads, .max_tokens = o->seq_len, .cpu_features = o->cpu_features, .fine = true};
  bool lng = nb_config_long_rope(r->c, o->seq_len);
  r->T = o->seq_len;
  r->total = weight_count(r->c);
  NB_TRY(nb_session_create(r->c, &so, &r->s, err));
  NB_TRY(nb_new(&r->xq, o->n_seqs * r->T * D, sizeof(float), "the hidden states", err));
  NB_TRY(nb_new(&r->x, r->T * D, sizeof(float), "the hidden states", err));
  NB_TRY(nb_new(&r->fake, 2 * r->T * K, sizeof(float), "the inputs", err));
  size_t rows = (size_t)o->threads;
  r->Kp = Kp;
  NB_TRY(nb_rounded_create(r->T, K, &r->in, err));
  if (o->alpha > 0) NB_TRY(nb_rounded_create(r->T, K, &r->distance, err));
  NB_TRY(nb_new(&r->q8, rows * Kp, 1, "the inputs", err));
  NB_TRY(nb_new(&r->q8_scale, rows * Kp / NB_QA_GROUP, sizeof(float), "the inputs", err));
  NB_TRY(nb_new(&r->q8_sum, rows * Kp / NB_BLOCK, sizeof(int32_t), "the inputs", err));
  NB_TRY(nb_kv_create_layers(r->c, 1, r->T, NB_KV_F32, lng, &r->kv[0], err));
  if (o->alpha > 0) {
    NB_TRY(nb_kv_create_layers(r->c, 1, r->T, NB_KV_F32, lng, &r->kv[1], err));
    NB_TRY(nb_new(&r->xf, o->n_seqs * r->T * D, sizeof(float), "the hidden states", err));
    for (int i = 0; i < NB_TAPS; i++)
      NB_TRY(nb_new(&r->seen[i], r->T * site_inputs(r->c, i), sizeof(float), "the inputs", err));
  }
  return NB_OK;
}

static void run_free(run *r) {
  for (int i = 0; i < NB_TAPS; i++) nb_free(r->seen[i]), nb_free(r->H[i]), nb_free(r->C[i]);
  for (int s = 0; s < NB_SLOTS; s++) nb_free(r->coded[s]);
  nb_free(r->xq), nb_free(r->xf), nb_free(r->x), nb_free(r->fake);
  nb_rounded_free(&r->in), nb_rounded_free(&r->distance);
  nb_free(r->q8), nb_free(r->q8_scale), nb_free(r->q8_sum);
  nb_kv_free(r->kv[0]), nb_kv_free(r->kv[1]);
  nb_session_free(r->s);
}

nb_status nb_calib_run(const nb_config *c, const nb_weights *w, const nb_formats *f, const nb_calib_opts *o,
                       nb_err *err) {
  run r = {.c = c, .w = w, .f = f, .o = o};
  nb_status st;
  if (o->n_seqs == 0 || o->seq_len == 0)
    return nb_fail(err, NB_ERR_ARG, "there is no calibration text: give more of it, or a shorter sequence length");
  NB_GOTO(run_create(&r, err));
  NB_GOTO(solve_embedding(&r, err));
  for (size_t l = 0; l < c->layers; l++) NB_GOTO(fold_and_solve_layer(&r, l, err));
  if (!c->tie_embeddings) NB_GOTO(solve_head(&r, err));
fail:
  run_free(&r);
  return st;
}
