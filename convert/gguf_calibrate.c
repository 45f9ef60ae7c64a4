/* SPDX-License-Identifier: MIT */
#include "convert/gguf_calibrate.h"

#include "base/mem.h"
#include "convert/calib_text.h"
#include "convert/recipe.h"
#include "quant/curvature.h"

#include <string.h>

const nb_ggml_type *nb_gguf_type_for(const nb_ggml_type *type, size_t K) {
  if (K % type->block == 0) return type;
  return nb_ggml_find(K % 32 ? NB_GGML_F16 : NB_GGML_Q8_0);
}

typedef struct taking {
  const nb_opened *m;
  nb_gguf_calibrated *c;
  size_t measured; /* matrices */
} taking;

/* Keeps the vectors of a layer (-1: those outside of the layers) as folding left them. */
static void take_vectors(taking *t, int layer, const float *const *from) {
  const nb_weights *w = &t->m->model.weights;
  const float *const *was = layer < 0 ? w->vec : w->layer[layer].vec;
  const float **to = layer < 0 ? t->c->model.weights.vec : t->c->layers[layer].vec;
  for (size_t i = 0; i < w->parts.n; i++) {
    const nb_part *p = &w->parts.part[i];
    if (p->matrix || p->layer != layer) continue;
    float *own = t->c->vectors + (was[p->role] - w->vectors);
    memcpy(own, from[p->role], p->K * sizeof *own);
    to[p->role] = own;
  }
}

static nb_status take(void *ctx, const nb_quantized *q, nb_err *err) {
  taking *t = ctx;
  nb_gguf_calibrated *c = t->c;
  NB_TRY(nb_new(&c->rows[q->matrix], q->n_bytes, 1, "the blocks", err));
  memcpy(c->rows[q->matrix], q->data, q->n_bytes);
  if (q->vec) take_vectors(t, nb_parts_matrix(&t->m->model.weights.parts, q->matrix)->layer, q->vec);
  if (q->loss < 0 || q->matrix >= t->m->model.weights.parts.embed) return NB_OK;
  t->measured++;
  c->plain += (q->plain - c->plain) / (double)t->measured;
  c->loss += (q->loss - c->loss) / (double)t->measured;
  return NB_OK;
}

static nb_status choose_types(const nb_opened *m, const nb_gguf_calibrate_opts *o, nb_gguf_calibrated *c, nb_err *err) {
  const nb_parts *parts = &m->model.weights.parts;
  NB_TRY(nb_new(&c->type, parts->n_matrices, sizeof(void *), "the types", err));
  NB_TRY(nb_new(&c->rows, parts->n_matrices, sizeof(void *), "the types", err));
  for (size_t i = 0; i < parts->n_matrices; i++) {
    const nb_ggml_type *asked = i == parts->head && parts->head != parts->embed ? o->head
                                : i == parts->embed                             ? o->embed
                                                                                : o->type;
    c->type[i] = nb_gguf_type_for(asked, nb_parts_matrix(parts, i)->K);
  }
  return NB_OK;
}

static nb_status copy_vectors(const nb_opened *m, nb_gguf_calibrated *c, nb_err *err) {
  const nb_weights *w = &m->model.weights;
  size_t floats = 0;
  for (size_t i = 0; i < w->parts.n; i++) floats += w->parts.part[i].matrix ? 0 : w->parts.part[i].K;
  c->model = m->model;
  NB_TRY(nb_new(&c->layers, m->model.config.layers, sizeof *c->layers, "the layers", err));
  NB_TRY(nb_new(&c->vectors, floats, sizeof *c->vectors, "the norms and biases", err));
  memcpy(c->layers, w->layer, m->model.config.layers * sizeof *c->layers);
  c->model.weights.layer = c->layers;
  return NB_OK;
}

nb_status nb_gguf_calibrate(const nb_opened *m, const nb_gguf_calibrate_opts *o, nb_gguf_calibrated *c, nb_err *err) {
  const nb_model *model = &m->model;
  nb_calib_text text = {.n_seqs = 0};
  taking t = {m, c, 0};
  nb_status st;
  *c = (nb_gguf_calibrated){.tokens = 0};
  const nb_calib_text_opts to = {.tokens = o->tokens,
                                 .seq = o->seq,
                                 .threads = o->threads,
                                 .cpu_features = o->cpu_features,
                                 .reporter = o->reporter};
  if (!nb_opened_checkpoint(m))
    return nb_fail(err, NB_ERR_ARG, "a .nbl file is rounded already: calibrate from its checkpoint");
  NB_GOTO(choose_types(m, o, c, err));
  NB_GOTO(copy_vectors(m, c, err));
  NB_GOTO(nb_calib_text_read(o->texts, o->n_texts, m, &to, &text, err));
  c->tokens = text.n_seqs * text.seq;
  nb_progress cb = nb_reporter_begin(o->reporter, "calibrating", "weights");
  const nb_calib_opts opts = {.tokens = text.ids.id,
                              .n_seqs = text.n_seqs,
                              .seq_len = text.seq,
                              .damp = nb_recipe_default.damp,
                              .sweeps = nb_recipe_default.sweeps,
                              .fisher_tokens = nb_curvature_tokens(&model->config),
                              .gptq = true,
                              .fold = true,
                              .calibrate_head = true,
                              .threads = o->threads,
                              .cpu_features = o->cpu_features,
                              .progress = &cb,
                              .blocks = c->type,
                              .put = take,
                              .ctx = &t};
  st = nb_calib_run(&model->config, &model->weights, NULL, &opts, err);
  nb_reporter_end(o->reporter);
fail:
  nb_calib_text_free(&text);
  return nb_opened_explain(m, st, err);
}

void nb_gguf_calibrated_free(nb_gguf_calibrated *c) {
  for (size_t i = 0; c->rows && i < c->model.weights.parts.n_matrices; i++) nb_free(c->rows[i]);
  nb_free(c->rows), nb_free((void *)(uintptr_t)c->type);
  nb_free(c->layers), nb_free(c->vectors);
  *c = (nb_gguf_calibrated){.tokens = 0};
}
