/* SPDX-License-Identifier: MIT */
#include "quant/calib_impl.h"

#include "base/assert.h"
#include "base/mem.h"
#include "quant/fold.h"
#include "quant/proxy8.h"

#include <stdio.h>
#include <string.h>

enum {
  FEW_TOKENS = 512,   /* an expert that saw fewer is rounded by their weights: solving would learn them by heart */
  EXPERT_BYTES = 1536 /* MiB of experts' statistics at once */
};

static size_t widest_site(const nb_config *c) {
  size_t K = 0;
  for (size_t i = 0; i < NB_SITES; i++) K = nb_max(K, nb_parts_site_inputs(c, i));
  return K;
}

static uint64_t weight_count(const nb_parts *parts) {
  uint64_t n = 0;
  for (size_t i = 0; i < parts->n_matrices; i++) n += nb_calib_weights_of(nb_parts_matrix(parts, i));
  return n;
}

nb_status nb_calib_fast(const nb_weights *w, const nb_qfmt *formats, int effort, const nb_calib_opts *o, nb_err *err) {
  const nb_parts *parts = &w->parts;
  nb_solve solve = {.o = o, .total = weight_count(parts)};
  for (size_t i = 0; i < parts->n_matrices; i++) {
    size_t m = i == 0 ? parts->embed : i <= parts->embed ? i - 1 : i; /* the embedding first, the head last */
    NB_TRY(nb_calib_plain(w, formats, m, effort, o, err));
    NB_TRY(nb_solve_advance(&solve, nb_calib_weights_of(nb_parts_matrix(parts, m)), err));
  }
  return NB_OK;
}

/* ---- solving ---- */

/* Puts what is ready of the layer, in order. */
static nb_status put_ready(nb_calib *r, nb_err *err) {
  for (; r->next < r->parts->per_layer && r->out[r->next].data; r->next++)
    NB_TRY(r->o->put(r->o->ctx, &r->out[r->next], err));
  return NB_OK;
}

/* Whether an expert's statistics are of too few tokens to be solved with. */
static bool too_few(const nb_calib *r, size_t site) { return site >= NB_SITES && r->count[site] < FEW_TOKENS; }

/* Whether gate or up of a layer have trellis codes. */
static bool wants_tiles(const nb_calib *r, size_t layer) {
  const size_t first = nb_parts_first(r->parts, layer);
  for (size_t i = 0; i < r->parts->per_layer && !r->o->blocks; i++) {
    const nb_role role = nb_parts_matrix(r->parts, first + i)->role;
    if ((role == NB_GATE || role == NB_UP) && r->formats[first + i].kind == NB_TRELLIS) return true;
  }
  return false;
}

/* Finds how the rows of a layer's matrices go together. */
static nb_status sum_gradients(nb_calib *r, const nb_layer *full, nb_err *err) {
  const nb_calib_opts *o = r->o;
  if (!nb_curvature_wanted(r->c, o->fisher_tokens)) return NB_OK;
  if (!r->curvature) {
    const nb_curvature_opts co = {.tokens = o->tokens,
                                  .n_seqs = nb_min(o->n_seqs, nb_max(1, o->fisher_tokens / r->T)),
                                  .seq_len = r->T,
                                  .threads = o->threads,
                                  .cpu_features = o->cpu_features,
                                  .progress = o->progress,
                                  .done = r->solve.done,
                                  .total = r->solve.total};
    NB_TRY(nb_matmul_create(nb_session_kernels(r->s), o->threads, &r->mul, err));
    NB_TRY(nb_curvature_create(r->c, r->w, &co, &r->curvature, err));
  }
  return nb_curvature_layer(r->curvature, full, r->states, wants_tiles(r, full->number), r->G, err);
}

/* Solves matrix i of a layer, which is `full` in full precision. h: its statistics, or NULL when a run before has it.
 */
static nb_status solve_one(nb_calib *r, const nb_hess *h, const nb_layer *full, size_t i, nb_err *err) {
  size_t m = nb_parts_first(r->parts, full->number) + i;
  const nb_part *p = nb_parts_matrix(r->parts, m);
  const nb_ggml_type *blocks = r->o->blocks ? r->o->blocks[m] : NULL;
  nb_qfmt fmt = blocks ? (nb_qfmt){0} : r->formats[m];
  nb_coded *c = &r->coded[i];
  nb_quantized *q = &r->out[i];
  bool few = h && too_few(r, p->site);
  char what[64];
  nb_part_describe(p, what);
  r->solve.what = what;
  nb_row_sums_free(&r->solve.G);
  r->solve.G = r->G[i], r->G[i] = (nb_row_sums){NULL, NULL};
  *q = (nb_quantized){.matrix = m, .vec = r->vec, .plain = -1, .loss = -1, .few = few && (blocks || fmt.bits)};
  if (blocks) {
    NB_TRY(nb_solve_blocks(&r->solve, h, &full->w[i], blocks, c, q, err));
  } else if (fmt.bits == 0) {
    NB_TRY(nb_coded_dense(&full->w[i], what, c, err));
    NB_TRY(nb_solve_advance(&r->solve, nb_calib_weights_of(p), err));
  } else if (few) {
    const nb_quant_opts how = {r->count[p->site] ? h->diag : NULL, 1, r->o->threads, what};
    NB_TRY(nb_coded_plain(&full->w[i], fmt, &how, false, c, err));
    NB_TRY(nb_solve_advance(&r->solve, nb_calib_weights_of(p), err));
  } else {
    NB_TRY(nb_coded_room(&full->w[i], fmt, what, c, err));
    const void *earlier = r->o->resume ? r->o->resume(r->o->ctx, m, c->n_bytes) : NULL;
    if (earlier) {
      memcpy(c->own, earlier, c->n_bytes);
      NB_TRY(nb_solve_advance(&r->solve, nb_calib_weights_of(p), err));
    } else {
      NB_TRY(nb_solve_matrix(&r->solve, h, &full->w[i], fmt, c, q, err));
    }
  }
  r->now[i] = c->w;
  q->data = c->data, q->n_bytes = c->n_bytes;
  return put_ready(r, err);
}

static bool all_resumed(nb_calib *r, const nb_layer *full) {
  if (!r->o->resume) return false;
  for (size_t i = 0; i < r->parts->per_layer; i++) {
    size_t m = nb_parts_first(r->parts, full->number) + i;
    nb_qmat q;
    nb_qmat_layout l;
    if (r->formats[m].bits == 0) continue;
    if (nb_qmat_plan(full->w[i].N, full->w[i].K, r->formats[m], &q, &l, NULL) != NB_OK ||
        !r->o->resume(r->o->ctx, m, l.total))
      return false;
  }
  return true;
}

/* "layer 3 q, k, v": the matrices of a site. */
static void describe_site(const nb_calib *r, size_t layer, size_t site, char out[96]) {
  int n = snprintf(out, 96, "layer %zu", layer), expert = nb_parts_site_expert(site);
  if (expert >= 0) n += snprintf(out + n, 96 - (size_t)n, " expert %d", expert);
  bool first = true;
  for (size_t i = 0; i < r->parts->per_layer && n < 80; i++) {
    const nb_part *p = nb_parts_matrix(r->parts, i);
    if (p->site != site) continue;
    n += snprintf(out + n, 96 - (size_t)n, "%s %s", first ? "" : ",", nb_role_name(p->role));
    first = false;
  }
}

static nb_status solve_site(nb_calib *r, size_t site, const nb_layer *full, bool resumed, nb_err *err) {
  nb_hess h = {0};
  nb_status st = NB_OK;
  char what[96];
  if (!resumed) {
    float *H = r->H[site];
    const size_t K = nb_parts_site_inputs(r->c, site);
    const nb_hess_opts how = {r->o->damp, r->o->threads, what};
    const nb_kernels *k = nb_session_kernels(r->s);
    nb_assert(H && r->wanted[site]);
    r->H[site] = NULL;
    describe_site(r, full->number, site, what);
    if (too_few(r, site)) NB_TRY(nb_hess_unfactored(k, H, K, what, &h, err));
    else NB_TRY(nb_hess_prepare(k, H, K, &how, &h, err));
  }
  for (size_t i = 0; i < r->parts->per_layer && st == NB_OK; i++)
    if (nb_parts_matrix(r->parts, i)->site == site) st = solve_one(r, resumed ? NULL : &h, full, i, err);
  nb_hess_free(&h);
  return st;
}

/* Whether a site feeds any matrix. */
static bool site_feeds(const nb_calib *r, size_t site) {
  for (size_t i = 0; i < r->parts->per_layer; i++)
    if (nb_parts_matrix(r->parts, i)->site == site) return true;
  return false;
}

static void want_none(nb_calib *r) { memset(r->wanted, 0, r->n_sites * sizeof *r->wanted); }

/* Marks the sites from `site` on whose statistics are collected in one pass, and returns what follows them: one where
 * inputs come after what precedes them has been quantized, else all of them; of experts as many as fit the memory. */
static size_t want_next(nb_calib *r, size_t site, bool sequential) {
  size_t bytes = 0;
  want_none(r);
  for (size_t i = site; i < r->n_sites; i++) {
    size_t K = nb_parts_site_inputs(r->c, i);
    bytes += K * K * sizeof(float);
    if (i > site && (sequential || (i >= NB_SITES && bytes >> 20 > EXPERT_BYTES))) return i;
    r->wanted[i] = site_feeds(r, i);
  }
  return r->n_sites;
}

/* Solves a layer, which is `full` in full precision. eight: the same at 8 bits, through which the states pass where it
 * is not quantized yet. */
static nb_status solve_with(nb_calib *r, const nb_layer *full, const nb_layer *eight, nb_err *err) {
  nb_layer now;
  size_t D = r->c->hidden;
  bool resumed = all_resumed(r, full);
  nb_layer_copy(r->parts, eight, r->now, &now);
  if (!resumed) NB_TRY(sum_gradients(r, full, err));
  for (size_t site = 0, end; site < r->n_sites; site = end) {
    end = resumed ? r->n_sites : want_next(r, site, r->o->sequential);
    if (!resumed) NB_TRY(nb_calib_collect(r, &now, r->o->n_seqs, err));
    for (size_t i = site; i < end; i++)
      if (site_feeds(r, i)) NB_TRY(solve_site(r, i, full, resumed, err));
  }
  if (full->number + 1 == r->c->layers && (r->c->tie_embeddings || !r->o->calibrate_head)) return NB_OK;
  for (size_t i = 0; i < r->o->n_seqs; i++) {
    NB_TRY(nb_calib_run_sequence(r, &now, i, r->states + i * r->T * D, NULL, err));
    NB_TRY(nb_progress_step(r->o->progress, r->solve.done, r->solve.total, err));
  }
  return NB_OK;
}

static void free_layer(nb_calib *r) {
  for (size_t i = 0; r->coded && r->out && r->G && i < r->parts->per_layer; i++) {
    nb_coded_free(&r->coded[i]);
    nb_row_sums_free(&r->G[i]);
    r->out[i].data = NULL;
  }
  nb_row_sums_free(&r->solve.G);
  r->next = 0;
}

static nb_status solve_layer(nb_calib *r, const nb_layer *full, nb_err *err) {
  nb_proxy8 eight;
  nb_status st = nb_proxy8_layer(r->parts, full, r->o->threads, &eight, err);
  if (st == NB_OK) st = solve_with(r, full, &eight.layer, err);
  nb_proxy8_free(&eight);
  free_layer(r);
  return st;
}

/* Chooses the scales by the inputs of the layer at 8 bits, of which a part is enough. */
static nb_status fold_scales(nb_calib *r, nb_fold *fold, nb_err *err) {
  const nb_calib_opts *o = r->o;
  const size_t first = nb_parts_first(r->parts, fold->layer.number);
  const nb_fold_forms forms = {o->blocks ? NULL : r->formats + first, o->blocks ? o->blocks + first : NULL,
                               nb_curvature_wanted(r->c, o->fisher_tokens)};
  nb_proxy8 eight;
  nb_status st = nb_proxy8_layer(r->parts, &fold->layer, o->threads, &eight, err);
  r->folding = true;
  for (size_t site = 0, end; site < r->n_sites && st == NB_OK; site = end) {
    end = want_next(r, site, false);
    for (size_t i = site; i < end; i++) r->wanted[i] = r->wanted[i] && nb_fold_legal(r->c, i);
    st = nb_calib_collect(r, &eight.layer, nb_calib_fold_seqs(r), err);
    for (size_t i = site; i < end && st == NB_OK; i++) {
      const nb_fold_inputs in = {r->H[i], r->count[i], r->few[i], r->n_few[i]};
      if (!in.H || !in.count) continue;
      r->H[i] = NULL;
      st = nb_fold_scale(fold, nb_session_kernels(r->s), i, &in, &forms, o->threads, err);
    }
    nb_calib_free_sums(r);
  }
  r->folding = false;
  nb_proxy8_free(&eight);
  return st;
}

/* Changes the layer's inner basis first. A resumed run does this again, to go on with the same bits. A layer with a
 * matrix that is left unquantized keeps its basis. */
static nb_status fold_and_solve_layer(nb_calib *r, size_t layer, nb_err *err) {
  const nb_calib_opts *o = r->o;
  const nb_layer *full = &r->w->layer[layer];
  bool coded = true;
  for (size_t i = 0; i < r->parts->per_layer && !o->blocks; i++)
    coded &= r->formats[nb_parts_first(r->parts, layer) + i].bits != 0;
  if (!coded || !o->fold) return solve_layer(r, full, err);
  nb_fold fold = {0};
  nb_status st;
  NB_GOTO(nb_fold_create(r->c, r->parts, full, &fold, err));
  NB_GOTO(fold_scales(r, &fold, err));
  r->vec = fold.layer.vec;
  st = solve_layer(r, &fold.layer, err);
  r->vec = NULL;
fail:
  nb_fold_free(&fold);
  return st;
}

/* ---- the run ---- */

static nb_status run_create(nb_calib *r, nb_err *err) {
  const nb_calib_opts *o = r->o;
  size_t D = r->c->hidden, K = widest_site(r->c), Kp = nb_round_up(K, NB_K_PAD), n = r->parts->per_layer;
  /* Not fine: also layers at 8 bits see int8 inputs, as at run time. */
  nb_session_opts so = {.threads = o->threads, .max_tokens = o->seq_len, .cpu_features = o->cpu_features};
  r->T = o->seq_len;
  r->solve = (nb_solve){.o = o, .total = weight_count(r->parts), .mul = &r->mul};
  r->n_sites = nb_parts_sites(r->c);
  NB_TRY(nb_session_create(r->c, &so, &r->s, err));
  NB_TRY(nb_new(&r->H, r->n_sites, sizeof *r->H, "statistics", err));
  NB_TRY(nb_new(&r->few, r->n_sites, sizeof *r->few, "statistics", err));
  NB_TRY(nb_new(&r->count, r->n_sites, sizeof *r->count, "statistics", err));
  NB_TRY(nb_new(&r->n_few, r->n_sites, sizeof *r->n_few, "statistics", err));
  NB_TRY(nb_new(&r->wanted, r->n_sites, sizeof *r->wanted, "statistics", err));
  NB_TRY(nb_new(&r->now, n, sizeof *r->now, "a layer", err));
  NB_TRY(nb_new(&r->coded, n, sizeof *r->coded, "a layer", err));
  NB_TRY(nb_new(&r->out, n, sizeof *r->out, "a layer", err));
  NB_TRY(nb_new(&r->G, n, sizeof *r->G, "a layer", err));
  NB_TRY(nb_new(&r->states, o->n_seqs * r->T * D, sizeof(float), "the hidden states", err));
  NB_TRY(nb_new(&r->x, r->T * D, sizeof(float), "the hidden states", err));
  NB_TRY(nb_new(&r->fake, r->T * K, sizeof(float), "the inputs", err));
  size_t rows = (size_t)o->threads;
  r->Kp = Kp;
  NB_TRY(nb_rounded_create(r->T, K, &r->in, err));
  NB_TRY(nb_new(&r->q8, rows * Kp, 1, "the inputs", err));
  NB_TRY(nb_new(&r->q8_scale, rows * Kp / NB_QA_GROUP, sizeof(float), "the inputs", err));
  NB_TRY(nb_new(&r->q8_sum, rows * Kp / NB_BLOCK, sizeof(int32_t), "the inputs", err));
  return nb_kv_create_layers(r->c, 1, r->T, NB_KV_F32, nb_config_stretch(r->c, r->T), &r->kv, err);
}

static void run_free(nb_calib *r) {
  nb_calib_free_sums(r);
  free_layer(r);
  nb_free(r->H), nb_free(r->few), nb_free(r->count), nb_free(r->n_few), nb_free(r->wanted);
  nb_free(r->now), nb_free(r->coded), nb_free(r->out), nb_free(r->G);
  nb_curvature_free(r->curvature);
  nb_matmul_free(&r->mul);
  nb_free(r->states), nb_free(r->x), nb_free(r->fake);
  nb_rounded_free(&r->in);
  nb_free(r->q8), nb_free(r->q8_scale), nb_free(r->q8_sum);
  nb_kv_free(r->kv);
  nb_session_free(r->s);
}

nb_status nb_calib_run(const nb_config *c, const nb_weights *w, const nb_qfmt *formats, const nb_calib_opts *o,
                       nb_err *err) {
  nb_calib r = {.c = c, .w = w, .parts = &w->parts, .formats = formats, .o = o};
  nb_status st;
  if (o->n_seqs == 0 || o->seq_len == 0)
    return nb_fail(err, NB_ERR_ARG, "there is no calibration text: give more of it, or a shorter sequence length");
  NB_GOTO(run_create(&r, err));
  NB_GOTO(nb_calib_embedding(&r, err));
  for (size_t l = 0; l < c->layers; l++) NB_GOTO(fold_and_solve_layer(&r, l, err));
  if (!c->tie_embeddings) NB_GOTO(nb_calib_head(&r, err));
fail:
  run_free(&r);
  return st;
}
