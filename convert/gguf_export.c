/* SPDX-License-Identifier: MIT */
#include "convert/gguf_export.h"

#include "base/mem.h"
#include "base/parallel.h"
#include "convert/gguf_calibrate.h"
#include "formats/gguf_arch.h"
#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"
#include "text/tokenizer_view.h"

#include <string.h>

enum { CHUNK = 128 /* rows that are read, rounded and written at a time */ };

/* llama.cpp's numbers for what most of a file's matrices are (general.file_type). */
static uint32_t file_type(const nb_ggml_type *t) {
  switch (t->id) {
  case NB_GGML_F32: return 0;
  case NB_GGML_F16: return 1;
  case NB_GGML_Q4_0: return 2;
  case NB_GGML_Q4_1: return 3;
  case NB_GGML_Q8_0: return 7;
  case NB_GGML_Q4_K: return 14;
  case NB_GGML_IQ4_NL: return 25;
  default: return 32; /* BF16 */
  }
}

/* The type that holds a matrix best: dense ones are carried over, so are blocks of a type that can be written (others
 * become floats), codes of up to 4 bits become 4.5, others 8. */
static const nb_ggml_type *natural_type(const nb_linear *w) {
  static const uint32_t dense[] = {[NB_F32] = NB_GGML_F32, [NB_F16] = NB_GGML_F16, [NB_BF16] = NB_GGML_BF16};
  if (!w->coded && w->dense.blocks && w->dense.blocks->write) return w->dense.blocks;
  if (!w->coded) return nb_ggml_find(dense[w->dense.dtype]);
  if (w->qmat.fmt.bits > 4) return nb_ggml_find(NB_GGML_Q8_0);
  return nb_ggml_find(w->K % 256 ? NB_GGML_IQ4_NL : NB_GGML_Q4_K);
}

/* One tensor on its way. */
typedef struct item {
  const char *hf;
  char name[NB_GGUF_ROOM];
  size_t index, N, K; /* N: rows, 1 of a vector */
  const nb_ggml_type *type;
  size_t pairs;  /* rows go pair by pair for the rotation; 0: as they are */
  bool plus_one; /* a norm that gets 1 added */
} item;

static nb_status plan_item(nb_gguf_export *x, const nb_gguf_arch *arch, size_t i, item *out, nb_err *err) {
  const nb_linear *w = NULL;
  bool key;
  *out = (item){.index = i};
  x->tensors->describe(x->tensors->ctx, i, &out->hf, &out->N, &out->K, &w);
  if (!nb_gguf_arch_from_hf(arch, out->hf, out->name))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "tensor \"%s\" has no name in GGUF files of the architecture \"%s\"",
                   out->hf, arch->name);
  bool vector = !out->N;
  const nb_ggml_type *type = !strcmp(out->name, "token_embd.weight") ? x->embed
                             : !strcmp(out->name, "output.weight")   ? x->head
                                                                     : NULL;
  if (!type) type = x->type;
  if (vector) out->N = 1;
  type = vector ? nb_ggml_find(NB_GGML_F32) : type ? type : natural_type(w);
  out->type = nb_gguf_type_for(type, out->K);
  x->n_fallback += out->type != type;
  if (arch->interleaved && nb_gguf_arch_rotated(out->name, &key)) out->pairs = x->config->head_dim / 2;
  out->plus_one = arch->norm_plus_one && nb_gguf_arch_norm(out->name);
  return NB_OK;
}

/* ---- rounding ---- */

typedef struct chunk {
  const nb_gguf_source *src;
  const item *it;
  size_t first; /* row */
  float *x, *y; /* (CHUNK, K): the rows, and the same read back */
  uint8_t *bytes;
  double error[CHUNK], size[CHUNK]; /* sums of squares, row by row */
} chunk;

/* The model's row that is stored as row n: pairs (i, i + pairs) of a head come to stand next to each other. */
static size_t source_row(const item *it, size_t n) {
  if (!it->pairs) return n;
  size_t head = n / (2 * it->pairs), i = n % (2 * it->pairs);
  return head * 2 * it->pairs + i % 2 * it->pairs + i / 2;
}

static void round_rows(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  chunk *c = ctx;
  const item *it = c->it;
  size_t K = it->K, row_bytes = K / it->type->block * it->type->bytes;
  for (size_t r = begin; r < end; r++) {
    float *x = c->x + r * K, *y = c->y + r * K;
    if (it->pairs && it->N == 1) { /* a bias: its elements are the rows */
      c->src->row(c->src->ctx, it->index, 0, y);
      for (size_t k = 0; k < K; k++) x[k] = y[source_row(it, k)];
    } else {
      c->src->row(c->src->ctx, it->index, source_row(it, c->first + r), x);
    }
    c->error[r] = c->size[r] = 0;
    const uint8_t *blocks =
        c->src->blocks ? c->src->blocks(c->src->ctx, it->index, source_row(it, c->first + r), it->type) : NULL;
    if (blocks) {
      memcpy(c->bytes + r * row_bytes, blocks, row_bytes);
      continue;
    }
    for (size_t k = 0; it->plus_one && k < K; k++) x[k] += 1;
    nb_ggml_write(it->type, x, NULL, K, c->bytes + r * row_bytes);
    nb_ggml_read(it->type, c->bytes + r * row_bytes, K, y);
    for (size_t k = 0; k < K; k++) {
      double e = (double)x[k] - (double)y[k];
      c->error[r] += e * e, c->size[r] += (double)x[k] * (double)x[k];
    }
  }
}

static nb_status write_item(nb_gguf_export *x, const item *it, nb_gguf_writer *w, double *error, double *size,
                            uint64_t *done, nb_err *err) {
  chunk *c = NULL;
  nb_status st;
  size_t row_bytes = it->K / it->type->block * it->type->bytes;
  NB_TRY(nb_new(&c, 1, sizeof *c, "a tensor", err));
  c->src = x->tensors, c->it = it;
  NB_GOTO(nb_new(&c->x, CHUNK * it->K, sizeof *c->x, it->hf, err));
  NB_GOTO(nb_new(&c->y, CHUNK * it->K, sizeof *c->y, it->hf, err));
  NB_GOTO(nb_new(&c->bytes, CHUNK, row_bytes, it->hf, err));
  for (c->first = 0; c->first < it->N; c->first += CHUNK) {
    size_t n = nb_min(CHUNK, it->N - c->first);
    nb_parallel_for(x->threads, n, 1, round_rows, c);
    NB_GOTO(nb_gguf_writer_data(w, c->bytes, n * row_bytes, err));
    for (size_t r = 0; r < n && it->N > 1; r++) *error += c->error[r], *size += c->size[r];
    *done += n * row_bytes;
    NB_GOTO(nb_progress_step(x->progress, *done, x->bytes, err));
  }
fail:
  nb_free(c->x);
  nb_free(c->y);
  nb_free(c->bytes);
  nb_free(c);
  return st;
}

/* ---- the file ---- */

/* llama.cpp lets the special tokens of models of this name take the white space behind them, as Phi-3's do. */
static const char *model_name(const nb_tokenizer *t) {
  for (size_t i = 0; i < nb_tokenizer_n_vocab(t); i++)
    if (nb_tokenizer_token_flags(t, (int32_t)i) & NB_TOKEN_RSTRIP) return "phi3";
  return "model";
}

static nb_status put_head(nb_gguf_export *x, const nb_gguf_arch *arch, const item *items, nb_gguf_writer *w,
                          nb_gguf_table tables[2], size_t *n_tables, nb_err *err) {
  const nb_ggml_type *most = x->type;
  for (size_t i = 0; i < x->tensors->n && !most; i++)
    if (items[i].N > 1 && strstr(items[i].name, "ffn")) most = items[i].type;
  const char *name = model_name(x->tokenizer);
  NB_TRY(nb_gguf_put_string(w, "general.architecture", arch->name, strlen(arch->name), err));
  NB_TRY(nb_gguf_put_string(w, "general.type", "model", 5, err));
  NB_TRY(nb_gguf_put_string(w, "general.name", name, strlen(name), err));
  NB_TRY(nb_gguf_put_u32(w, "general.file_type", most ? file_type(most) : 0, err));
  NB_TRY(nb_gguf_put_u32(w, "general.quantization_version", 2, err));
  NB_TRY(nb_gguf_config_write(x->config, arch, w, tables, n_tables, err));
  NB_TRY(nb_gguf_tokenizer_write(x->tokenizer, x->config->vocab, w, err));
  for (size_t i = 0; i < *n_tables; i++)
    NB_TRY(nb_gguf_put_tensor(w, tables[i].name, nb_ggml_find(NB_GGML_F32), &tables[i].n, 1, err));
  for (size_t i = 0; i < x->tensors->n; i++) {
    const item *it = &items[i];
    size_t shape[2] = {it->N, it->K};
    bool vector = it->N == 1;
    NB_TRY(nb_gguf_put_tensor(w, it->name, it->type, vector ? shape + 1 : shape, vector ? 1 : 2, err));
  }
  return nb_gguf_writer_head(w, &x->bytes, err);
}

nb_status nb_gguf_export_run(nb_gguf_export *x, const char *path, nb_err *err) {
  const nb_gguf_arch *arch = nb_gguf_arch_of(x->config->architecture);
  nb_outfile out = {.fd = -1};
  nb_gguf_writer *w = NULL;
  nb_gguf_table *tables = NULL;
  item *items = NULL;
  nb_status st;
  size_t n_tables = 0;
  uint64_t done = 0;
  double error = 0, size = 0;
  if (!arch) {
    char known[256];
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s has no place among GGUF's architectures here: %s",
                   x->config->architecture, nb_gguf_arch_list(known, sizeof known));
  }
  x->n_fallback = 0;
  NB_GOTO(nb_new(&items, x->tensors->n, sizeof *items, "the plan", err));
  NB_GOTO(nb_new(&tables, 2, sizeof *tables, "the plan", err));
  for (size_t i = 0; i < x->tensors->n; i++) NB_GOTO(plan_item(x, arch, i, &items[i], err));
  NB_GOTO(nb_outfile_create(path, &out, err));
  NB_GOTO(nb_gguf_writer_new(&out, &w, err));
  NB_GOTO(put_head(x, arch, items, w, tables, &n_tables, err));
  for (size_t i = 0; i < n_tables; i++)
    NB_GOTO(nb_gguf_writer_data(w, tables[i].factor, tables[i].n * sizeof(float), err));
  for (size_t i = 0; i < x->tensors->n; i++) NB_GOTO(write_item(x, &items[i], w, &error, &size, &done, err));
  NB_GOTO(nb_gguf_writer_end(w, err));
  NB_GOTO(nb_outfile_commit(&out, err));
  x->error = size > 0 ? error / size : 0;
fail:
  nb_outfile_abort(&out);
  nb_gguf_writer_free(w);
  nb_free(tables);
  nb_free(items);
  return st;
}
