/* SPDX-License-Identifier: MIT */
#include "formats/open.h"

#include "base/assert.h"
#include "formats/explain.h"
#include "formats/gguf_checkpoint.h"
#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"
#include "formats/hf_config.h"
#include "base/mem.h"
#include "formats/nbl.h"
#include "formats/packed.h"
#include "formats/safetensors.h"
#include "formats/tokenizer_dir.h"
#include "formats/unused.h"
#include "formats/unused_rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct nb_opened_files {
  nb_nbl *nbl;
  nb_gguf gguf;
  nb_safetensors checkpoint;
  nb_tensor_source tensors;
  nb_named_source named;
  bool is_checkpoint;
  void *embedding; /* owned: a copy, where rows that no token uses were cleared */
};

static bool is_directory(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* path: for messages. */
static nb_status open_nbl(const char *path, const nb_mapfile_place *place, size_t n, unsigned flags, int threads,
                          nb_opened *o, nb_err *err) {
  NB_TRY(nb_nbl_open_places(place, n, flags & NB_OPEN_VERIFY, threads, &o->files->nbl, err));
  const nb_nbl *f = o->files->nbl;
  o->coded = true;
  o->kv = NB_KV_Q8;
  o->model.config = *nb_nbl_config(f);
  o->file_bytes = nb_nbl_file_bytes(f);
  o->weight_bytes = o->file_bytes - nb_nbl_data_offset(f);
  if (!(flags & NB_OPEN_NO_TOKENIZER)) {
    size_t length;
    const void *bytes = nb_nbl_tokenizer(f, &length);
    nb_status st = nb_tokenizer_load(bytes, length, &o->tokenizer, err);
    if (st != NB_OK) return nb_fail_in(err, st, "%s", path);
  }
  nb_weight_source src;
  nb_nbl_source(f, &src);
  nb_status st = nb_weights_bind(&o->model.config, &src, &o->model.weights, err);
  return st == NB_OK ? st : nb_fail_in(err, st, "%s", path);
}

/* Whether a checkpoint that says its head is the embedding stores another one. Both are read whole for it. */
static nb_status settle_ties(const struct nb_opened_files *f, nb_opened *o, nb_err *err) {
  nb_config *c = &o->model.config;
  const nb_part embed = {.role = NB_EMBED, .layer = -1, .expert = -1, .matrix = true, .N = c->vocab, .K = c->hidden};
  nb_part head = embed;
  char name[128];
  nb_rows_of of;
  nb_row_map rows;
  nb_tensor e, h;
  head.role = NB_HEAD;
  if (!c->tie_embeddings || !nb_arch_tensor_name(f->named.arch, &head, 0, name, &of)) return NB_OK;
  if (!f->tensors.has(f->tensors.ctx, name)) return NB_OK;
  NB_TRY(nb_weights_find(&f->named, c, &head, &h, &rows, err));
  char embed_name[128];
  nb_arch_tensor_name(f->named.arch, &embed, 0, embed_name, &of);
  if (!f->tensors.has(f->tensors.ctx, embed_name)) return NB_OK; /* the head alone is stored: see find_tied */
  NB_TRY(nb_weights_find(&f->named, c, &embed, &e, &rows, err));
  if (e.dtype == h.dtype && e.blocks == h.blocks && e.n_bytes == h.n_bytes && !memcmp(e.data, h.data, e.n_bytes))
    return NB_OK;
  c->tie_embeddings = false;
  char note[256];
  snprintf(note, sizeof note, "config.json ties the head to the embedding, but %s differs from it: both are used\n",
           name);
  return nb_text_append_str(&o->notes, note, err);
}

/* Finds a checkpoint's tensors by name; the embedding by the head's name when that alone is stored, which is how some
 * programs save tied ones. */
static nb_status find_tied(void *ctx, const char *name, nb_tensor *out, nb_err *err) {
  const nb_safetensors *st = ctx;
  nb_tensor_source plain;
  nb_safetensors_source(st, &plain);
  bool tied = !strcmp(name, "model.embed_tokens.weight") && !plain.has(plain.ctx, name);
  return plain.find(plain.ctx, tied && plain.has(plain.ctx, "lm_head.weight") ? "lm_head.weight" : name, out, err);
}

static bool known(const void *opened, const char *name) {
  const nb_opened *o = opened;
  return nb_arch_knows(o->files->named.arch, &o->model.config, &o->model.weights.parts, name);
}

/* Binds the weights of a checkpoint whose configuration is read and whose tensors are open. */
static nb_status bind_checkpoint(const char *path, nb_opened *o, nb_err *err) {
  struct nb_opened_files *f = o->files;
  o->kv = NB_KV_F32;
  f->is_checkpoint = true;
  for (size_t i = 0; i < f->checkpoint.n_shards; i++) o->file_bytes += f->checkpoint.shards[i].size;
  for (size_t i = 0; i < f->checkpoint.n_tensors; i++) o->weight_bytes += f->checkpoint.tensors[i].n_bytes;
  nb_safetensors_source(&f->checkpoint, &f->tensors);
  f->named = (nb_named_source){nb_arch_find(o->model.config.architecture), &f->tensors};
  NB_TRY(settle_ties(f, o, err));
  if (o->model.config.tie_embeddings) f->tensors.find = find_tied;
  nb_weight_source src;
  nb_weights_named(&f->named, &src);
  nb_status st = nb_weights_bind(&o->model.config, &src, &o->model.weights, err);
  if (st == NB_ERR_NUMERIC) return nb_fail_in(err, st, "%s", path);
  NB_TRY(nb_explain_names(&f->checkpoint, st, err));
  char model[128];
  snprintf(model, sizeof model, "the %s that config.json describes (%zu layers)", o->model.config.architecture,
           o->model.config.layers);
  return nb_unused_check(&f->checkpoint, known, o, model, &o->notes, err);
}

static nb_status open_checkpoint(const char *path, unsigned flags, int threads, nb_opened *o, nb_err *err) {
  NB_TRY(nb_hf_config_read(path, &o->model.config, err));
  NB_TRY(nb_safetensors_open(path, &o->files->checkpoint, err));
  NB_TRY(nb_packed_open(path, threads, &o->files->checkpoint, &o->notes, err));
  if (!(flags & NB_OPEN_NO_TOKENIZER)) NB_TRY(nb_tokenizer_read_dir(path, &o->tokenizer, err));
  return bind_checkpoint(path, o, err);
}

/* Says when matrices are rounded already, so far that another conversion would lose twice. */
static nb_status note_rounded(const nb_gguf *g, nb_opened *o, nb_err *err) {
  char note[128];
  for (size_t i = 0; i < g->n_tensors; i++) {
    const nb_ggml_type *t = g->tensors[i].type;
    if (t->block == 1 || t->id == NB_GGML_Q8_0) continue;
    snprintf(note, sizeof note, "the file holds matrices rounded to %s: what is made of it loses a second time\n",
             t->name);
    return nb_text_append_str(&o->notes, note, err);
  }
  return NB_OK;
}

static nb_status open_gguf(const char *path, unsigned flags, int threads, nb_opened *o, nb_err *err) {
  struct nb_opened_files *f = o->files;
  NB_TRY(nb_gguf_open(path, &f->gguf, err));
  NB_TRY(nb_gguf_config_read(&f->gguf, &o->model.config, err));
  if (!(flags & NB_OPEN_NO_TOKENIZER)) NB_TRY(nb_gguf_tokenizer_read(&f->gguf, &o->tokenizer, err));
  NB_TRY(nb_gguf_checkpoint_make(&f->gguf, threads, &f->checkpoint, err));
  NB_TRY(note_rounded(&f->gguf, o, err));
  return bind_checkpoint(path, o, err);
}

/* Which rows no token uses is known by the tokenizer, also when the model is opened without: then by the one that lies
 * there, if it can be read. */
static nb_status clear_unused_rows(const char *path, nb_opened *o, nb_err *err) {
  nb_tokenizer *own = NULL;
  nb_err ignored;
  if (!o->tokenizer && nb_open_tokenizer(path, &own, &ignored) != NB_OK) return NB_OK;
  nb_status st =
      nb_unused_rows_clear(own ? own : o->tokenizer, &o->model.weights, &o->files->embedding, &o->notes, err);
  nb_tokenizer_free(own);
  return st;
}

static nb_status check_tokenizer(const char *path, nb_status st, const nb_opened *out, nb_err *err) {
  if (st == NB_OK && out->tokenizer && nb_tokenizer_n_model(out->tokenizer) > out->model.config.vocab)
    st = nb_fail(err, NB_ERR_FORMAT, "%s: the tokenizer has ids up to %zu, but the model's vocabulary is %zu", path,
                 nb_tokenizer_n_model(out->tokenizer) - 1, out->model.config.vocab);
  return st;
}

nb_status nb_open(const char *path, unsigned flags, int threads, nb_opened *out, nb_err *err) {
  const nb_mapfile_place whole = {.path = path};
  memset(out, 0, sizeof *out);
  NB_TRY(nb_new(&out->files, 1, sizeof *out->files, "a model", err));
  nb_status st = is_directory(path) ? open_checkpoint(path, flags, threads, out, err)
                 : nb_gguf_is(path) ? open_gguf(path, flags, threads, out, err)
                                    : open_nbl(path, &whole, 1, flags, threads, out, err);
  st = check_tokenizer(path, nb_explain_model(path, st, err), out, err);
  if (st == NB_OK && out->files->is_checkpoint) st = clear_unused_rows(path, out, err);
  if (st != NB_OK) nb_opened_free(out);
  return st;
}

nb_status nb_open_places(const nb_mapfile_place *place, size_t n, unsigned flags, int threads, nb_opened *out,
                         nb_err *err) {
  const char *name = n && place[0].path ? place[0].path : "the model";
  memset(out, 0, sizeof *out);
  NB_TRY(nb_new(&out->files, 1, sizeof *out->files, "a model", err));
  nb_status st = check_tokenizer(name, open_nbl(name, place, n, flags, threads, out, err), out, err);
  if (st != NB_OK) nb_opened_free(out);
  return st;
}

void nb_opened_free(nb_opened *o) {
  nb_weights_free(&o->model.weights);
  nb_tokenizer_free(o->tokenizer);
  nb_text_free(&o->notes);
  if (o->files) {
    nb_nbl_close(o->files->nbl);
    nb_safetensors_close(&o->files->checkpoint);
    nb_gguf_close(&o->files->gguf);
    nb_free(o->files->embedding);
    nb_free(o->files);
  }
  memset(o, 0, sizeof *o);
}

/* Whether all elements of a tensor are finite; else *at is the first that is not. */
static bool all_finite(const nb_tensor *t, size_t *at) {
  enum { PIECE = 1024 };
  size_t n = 1;
  float x[PIECE];
  for (unsigned i = 0; i < t->n_dims; i++) n *= t->shape[i];
  for (size_t i = 0; i < n; i += PIECE) {
    size_t k = nb_min(PIECE, n - i);
    nb_tensor_floats(t, i, k, x);
    for (*at = i; *at < i + k; ++*at)
      if (!isfinite(x[*at - i])) return false;
  }
  return true;
}

nb_status nb_opened_explain(const nb_opened *o, nb_status st, nb_err *err) {
  const nb_safetensors *ck = nb_opened_checkpoint(o);
  for (size_t i = 0; ck && st == NB_ERR_NUMERIC && i < ck->n_tensors; i++) {
    const nb_st_tensor *t = &ck->tensors[i];
    size_t at;
    if (t->readable && !all_finite(&t->view, &at))
      return nb_fail_in(err, st, "%s: %s is NaN or infinite at element %zu", ck->shards[t->shard].path, t->name, at);
  }
  return st;
}

nb_status nb_open_tokenizer(const char *path, nb_tokenizer **out, nb_err *err) {
  if (is_directory(path)) return nb_explain_model(path, nb_tokenizer_read_dir(path, out, err), err);
  if (nb_gguf_is(path)) return nb_gguf_tokenizer_open(path, out, err);
  nb_nbl *f = NULL;
  *out = NULL;
  NB_TRY(nb_explain_model(path, nb_nbl_open(path, false, 1, &f, err), err));
  size_t n;
  const void *bytes = nb_nbl_tokenizer(f, &n);
  nb_status st = nb_tokenizer_load(bytes, n, out, err);
  nb_nbl_close(f);
  return st == NB_OK ? st : nb_fail_in(err, st, "%s", path);
}

nb_status nb_opened_take_tokenizer(nb_opened *o, const char *path, const char *from, nb_err *err) {
  nb_assert(!o->tokenizer);
  NB_TRY(nb_open_tokenizer(from, &o->tokenizer, err));
  return check_tokenizer(path, NB_OK, o, err);
}

const nb_nbl *nb_opened_nbl(const nb_opened *o) { return o->files ? o->files->nbl : NULL; }
const nb_safetensors *nb_opened_checkpoint(const nb_opened *o) {
  return o->files && o->files->is_checkpoint ? &o->files->checkpoint : NULL;
}

const nb_named_source *nb_opened_named(const nb_opened *o) { return nb_opened_checkpoint(o) ? &o->files->named : NULL; }
