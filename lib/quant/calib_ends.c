/* SPDX-License-Identifier: MIT */
/* The ends of a calibrated run, outside of the layers: embedding and head. */
#include "quant/calib_impl.h"

#include "base/mem.h"
#include "quant/embedding.h"
#include "quant/fold.h"

nb_status nb_calib_plain(const nb_weights *w, const nb_qfmt *formats, size_t matrix, int effort, const nb_calib_opts *o,
                         nb_err *err) {
  char what[64];
  nb_coded coded;
  nb_part_describe(nb_parts_matrix(&w->parts, matrix), what);
  const nb_quant_opts how = {.effort = effort, .threads = o->threads, .what = what};
  nb_status st = o->blocks ? nb_coded_blocks(&w->w[matrix], o->blocks[matrix], &how, &coded, err)
                           : nb_coded_plain(&w->w[matrix], formats[matrix], &how, false, &coded, err);
  const nb_quantized q = {.matrix = matrix, .data = coded.data, .n_bytes = coded.n_bytes, .plain = -1, .loss = -1};
  if (st == NB_OK) st = o->put(o->ctx, &q, err);
  nb_coded_free(&coded);
  return st;
}

nb_status nb_calib_embedding(nb_calib *r, nb_err *err) {
  const nb_linear *full = nb_weights_embed(r->w);
  size_t m = r->parts->embed, D = r->c->hidden;
  nb_coded now = {.own = NULL};
  nb_status st;
  float *importance = NULL;
  if (!r->c->tie_embeddings) { /* a tied one is the head, too, which reads its rows otherwise */
    NB_GOTO(nb_new(&importance, D, sizeof *importance, "the embedding", err));
    NB_GOTO(nb_embedding_importance(r->c, r->w, importance, err));
  }
  const nb_quant_opts how = {importance, 1, r->o->threads, "the embedding"};
  if (r->o->blocks) NB_GOTO(nb_coded_blocks(full, r->o->blocks[m], &how, &now, err));
  else NB_GOTO(nb_coded_plain(full, r->formats[m], &how, true, &now, err));
  const nb_quantized q = {.matrix = m, .data = now.data, .n_bytes = now.n_bytes, .plain = now.error, .loss = now.error};
  NB_GOTO(r->o->put(r->o->ctx, &q, err));
  for (size_t i = 0; i < r->o->n_seqs; i++) {
    nb_segment seg = {r->kv, r->o->tokens + i * r->T, r->T};
    NB_GOTO(nb_session_begin(r->s, &seg, 1, err));
    nb_session_embed(r->s, &now.w, r->states + i * r->T * D);
  }
  NB_GOTO(nb_solve_advance(&r->solve, (uint64_t)full->N * full->K, err));
fail:
  nb_coded_free(&now);
  nb_free(importance);
  return st;
}

/* Adds the head's inputs for a sequence, rounded, to H; r->x (T, D): not rounded. */
static void add_head_inputs(nb_calib *r, const nb_weights *w, size_t seq, float *H) {
  size_t D = r->c->hidden;
  nb_session_norm(r->s, w, r->states + seq * r->T * D, r->x);
  nb_calib_round_inputs(r, r->x, r->T, D);
  nb_calib_add_inputs(r, H, r->T, D);
}

static nb_status head_statistics(nb_calib *r, const nb_weights *w, nb_hess *h, nb_err *err) {
  size_t D = r->c->hidden;
  float *H;
  NB_TRY(nb_new(&H, D * D, sizeof *H, "statistics", err));
  for (size_t i = 0; i < r->o->n_seqs; i++) add_head_inputs(r, w, i, H);
  const nb_hess_opts how = {r->o->damp, r->o->threads, "the head"};
  return nb_hess_prepare(nb_session_kernels(r->s), H, D, &how, h, err);
}

/* Chooses the scales s (D) of the head's inputs; norm (2 D) becomes the final norm and its bias, divided by them. */
static nb_status fold_head(nb_calib *r, float *s, float *norm, nb_err *err) {
  const nb_calib_opts *o = r->o;
  size_t D = r->c->hidden, m = r->parts->head, n_seqs = nb_calib_fold_seqs(r);
  const nb_fold_forms forms = {o->blocks ? NULL : &r->formats[m], o->blocks ? &o->blocks[m] : NULL, false};
  nb_fold_inputs in = {.count = n_seqs * r->T};
  nb_status st;
  float *few;
  NB_TRY(nb_new(&few, nb_calib_few_most(r), D * sizeof *few, "inputs", err));
  NB_GOTO(nb_new(&in.H, D * D, sizeof *in.H, "statistics", err));
  for (size_t i = 0; i < n_seqs; i++) {
    add_head_inputs(r, r->w, i, in.H);
    nb_calib_keep_few(r->x, r->T, D, few, &in.n);
  }
  in.x = few;
  NB_GOTO(nb_fold_head(nb_session_kernels(r->s), &in, nb_weights_head(r->w), &forms, o->threads, s, err));
  const float *g = r->w->vec[NB_FINAL_NORM], *b = r->w->vec[NB_FINAL_NORM_BIAS];
  for (size_t k = 0; k < D; k++) norm[k] = g[k] / s[k], norm[D + k] = b ? b[k] / s[k] : 0;
fail:
  nb_free(few);
  return st;
}

static nb_status code_head(nb_calib *r, const nb_weights *w, nb_err *err) {
  const nb_linear *full = nb_weights_head(w);
  size_t m = r->parts->head;
  const nb_ggml_type *blocks = r->o->blocks ? r->o->blocks[m] : NULL;
  nb_quantized q = {.matrix = m, .vec = w->vec};
  nb_hess h = {0};
  nb_coded coded = {.own = NULL};
  nb_status st;
  r->solve.what = "the head";
  NB_GOTO(head_statistics(r, w, &h, err));
  if (blocks) {
    NB_GOTO(nb_solve_blocks(&r->solve, &h, full, blocks, &coded, &q, err));
  } else {
    NB_GOTO(nb_coded_room(full, r->formats[m], "the head", &coded, err));
    NB_GOTO(nb_solve_matrix(&r->solve, &h, full, r->formats[m], &coded, &q, err));
  }
  q.data = coded.data, q.n_bytes = coded.n_bytes;
  NB_GOTO(r->o->put(r->o->ctx, &q, err));
fail:
  nb_hess_free(&h);
  nb_coded_free(&coded);
  return st;
}

nb_status nb_calib_head(nb_calib *r, nb_err *err) {
  const nb_calib_opts *o = r->o;
  const nb_linear *full = nb_weights_head(r->w);
  size_t m = r->parts->head, D = r->c->hidden;
  nb_weights w = *r->w;
  float *s;
  nb_status st;
  if (!(o->blocks || r->formats[m].bits) || !o->calibrate_head) {
    NB_TRY(nb_calib_plain(r->w, r->formats, m, 1, o, err));
    return nb_solve_advance(&r->solve, (uint64_t)full->N * full->K, err);
  }
  nb_blocks known;
  bool solved = !o->blocks || nb_blocks_make(o->blocks[m], &known); /* others are rounded weight by weight */
  if (!o->fold || !solved) return code_head(r, &w, err);
  NB_TRY(nb_new(&s, 3 * D, sizeof *s, "scales", err));
  st = fold_head(r, s, s + D, err);
  w.vec[NB_FINAL_NORM] = s + D;
  if (w.vec[NB_FINAL_NORM_BIAS]) w.vec[NB_FINAL_NORM_BIAS] = s + 2 * D;
  r->solve.columns = s;
  if (st == NB_OK) st = code_head(r, &w, err);
  r->solve.columns = NULL;
  nb_free(s);
  return st;
}
