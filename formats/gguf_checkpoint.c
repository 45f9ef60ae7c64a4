/* SPDX-License-Identifier: MIT */
#include "formats/gguf_checkpoint.h"

#include "base/mem.h"
#include "base/parallel.h"
#include "formats/gguf_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRAIN = 64 /* rows that a thread takes at once */ };

/* What becomes of a tensor. */
typedef struct work {
  const nb_gguf_tensor *from;
  size_t rows, row;  /* rows of so many weights */
  size_t pairs;      /* rotation pairs of a head, whose rows are to be taken apart; 0: rows stay where they are */
  bool minus_one;    /* a norm with 1 added */
  bool floats;       /* the result is F32; else bytes as they are, of matrices also blocks */
  uint8_t *to;       /* NULL: the file's own bytes will do */
  size_t row_bytes;  /* of the result */
  size_t from_bytes; /* of a stored row */
} work;

/* The stored row that belongs in row n: the file has a head's pairs (i, i + pairs) next to each other. */
static size_t stored_row(const work *w, size_t n) {
  if (!w->pairs) return n;
  size_t head = n / (2 * w->pairs), i = n % (2 * w->pairs);
  return head * 2 * w->pairs + 2 * (i % w->pairs) + i / w->pairs;
}

static void convert_rows(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  const work *w = ctx;
  for (size_t n = begin; n < end; n++) {
    const uint8_t *from = w->from->data + stored_row(w, n) * w->from_bytes;
    uint8_t *to = w->to + n * w->row_bytes;
    if (!w->floats) {
      memcpy(to, from, w->row_bytes);
      continue;
    }
    float *x = (float *)(void *)to;
    nb_ggml_read(w->from->type, from, w->row, x);
    for (size_t i = 0; w->minus_one && i < w->row; i++) x[i] -= 1;
  }
}

/* What the tensor needs, and its view. */
static nb_status plan(const nb_gguf *g, const nb_gguf_arch *arch, const nb_gguf_heads *h, const nb_gguf_tensor *t,
                      work *w, nb_st_tensor *out, nb_err *err) {
  static const nb_dtype dtypes[] = {NB_F32, NB_F16, NB_BF16};
  static const uint32_t ids[] = {NB_GGML_F32, NB_GGML_F16, NB_GGML_BF16};
  const char *path = g->shards[t->shard].path;
  bool key, plain = false;
  *w = (work){.from = t, .row = t->shape[t->n_dims - 1]};
  if (!t->type->read)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: tensor \"%s\" is of type %s, which is not read", path, t->name,
                   t->type->name);
  out->view = (nb_tensor){.dtype = NB_F32, .n_dims = t->n_dims};
  memcpy(out->view.shape, t->shape, sizeof t->shape);
  for (size_t i = 0; i < 3; i++)
    if (t->type->id == ids[i]) plain = true, out->view.dtype = dtypes[i];
  if (!plain && t->n_dims == 2) out->view.blocks = t->type;
  w->minus_one = arch->norm_plus_one && nb_gguf_arch_norm(t->name);
  w->floats = (!plain && !out->view.blocks) || w->minus_one;
  if (w->floats) out->view.dtype = NB_F32, out->view.blocks = NULL;
  if (arch->interleaved && nb_gguf_arch_rotated(t->name, &key)) {
    size_t rows = (key ? h->kv_heads : h->heads) * h->head_dim;
    if (t->shape[0] != rows || h->head_dim % 2)
      return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%s\" has %zu rows, not %zu", path, t->name, t->shape[0], rows);
    w->pairs = h->head_dim / 2;
    if (t->n_dims == 1) w->row = 1; /* a bias: its elements are the rows */
  }
  if (w->row % t->type->block)
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%s\": a bias of type %s", path, t->name, t->type->name);
  w->from_bytes = w->row / t->type->block * t->type->bytes;
  w->row_bytes = nb_tensor_bytes(&out->view, w->row);
  w->rows = t->n_bytes / w->from_bytes;
  if (!nb_mul(w->rows, w->row_bytes, &out->view.n_bytes))
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%s\" is too large", path, t->name);
  snprintf(out->dtype, sizeof out->dtype, "%s", t->type->name);
  return NB_OK;
}

static nb_status add(const nb_gguf *g, const nb_gguf_arch *arch, const nb_gguf_heads *h, const nb_gguf_tensor *t,
                     int threads, nb_safetensors *out, nb_err *err) {
  static const char *const tables[] = {"rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"};
  char name[NB_GGUF_ROOM];
  work w;
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (!strcmp(t->name, tables[i])) return NB_OK; /* a part of the configuration */
  if (!nb_gguf_arch_to_hf(arch, t->name, name))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: tensor \"%s\" has no place in a model of the architecture \"%s\"",
                   g->shards[t->shard].path, t->name, arch->name);
  nb_st_tensor *x = &out->tensors[out->n_tensors];
  *x = (nb_st_tensor){.readable = true, .shard = t->shard, .begin = t->offset, .stored_bytes = t->n_bytes};
  NB_TRY(plan(g, arch, h, t, &w, x, err));
  x->name = strdup(name);
  if (!x->name) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", g->shards[0].path);
  out->n_tensors++;
  x->data = t->data;
  x->n_bytes = x->view.n_bytes;
  if (w.floats || w.pairs) {
    NB_TRY(nb_new(&x->owned, x->n_bytes, 1, name, err));
    w.to = x->owned;
    nb_parallel_for(threads, w.rows, GRAIN, convert_rows, &w);
    x->data = x->owned;
  }
  x->view.data = x->data;
  return NB_OK;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const nb_st_tensor *)a)->name, ((const nb_st_tensor *)b)->name);
}

nb_status nb_gguf_checkpoint_make(const nb_gguf *g, int threads, nb_safetensors *out, nb_err *err) {
  const nb_gguf_arch *arch;
  nb_gguf_heads h;
  nb_status st;
  *out = (nb_safetensors){0};
  NB_TRY(nb_gguf_config_arch(g, &arch, err));
  NB_TRY(nb_gguf_config_heads(g, arch, &h, err));
  NB_GOTO(nb_new(&out->shards, g->n_shards, sizeof *out->shards, "a checkpoint", err));
  for (size_t i = 0; i < g->n_shards; i++) {
    const nb_gguf_shard *s = &g->shards[i];
    out->shards[i] =
        (nb_st_shard){.data = s->data, .size = s->size, .header_bytes = s->header_bytes, .path = strdup(s->path)};
    out->n_shards++;
    if (!out->shards[i].path) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", s->path));
  }
  out->tensors = calloc(g->n_tensors + 1, sizeof *out->tensors);
  if (!out->tensors) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", g->shards[0].path));
  for (size_t i = 0; i < g->n_tensors; i++) NB_GOTO(add(g, arch, &h, &g->tensors[i], threads, out, err));
  qsort(out->tensors, out->n_tensors, sizeof *out->tensors, by_name);
  return NB_OK;
fail:
  nb_safetensors_close(out);
  return st;
}
