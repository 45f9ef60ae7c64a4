/* SPDX-License-Identifier: MIT */
#include "convert/quantize.h"

#include "formats/hf_config.h"
#include "base/mem.h"
#include "formats/nbl.h"
#include "base/parallel.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* What is decided before any work: the sizes of all parts. */
typedef struct plan {
  nb_nbl_tensor *dir; /* (n) */
  size_t n;
  uint64_t file_bytes;
  nb_text tokenizer;
  char *meta; /* from cJSON */
} plan;

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* ---- metadata ---- */

nb_status nb_quantize_sources(const nb_quantize_job *j, cJSON **out, nb_err *err) {
  const nb_safetensors *st = nb_opened_checkpoint(j->model);
  cJSON *list = cJSON_CreateArray();
  for (size_t i = 0; i < st->n_shards; i++) {
    char hex[33];
    nb_hash hash = {{0}};
    if (j->hash) {
      nb_status s = nb_safetensors_fingerprint(st, i, j->hash, &hash, err);
      if (s != NB_OK) return cJSON_Delete(list), s;
    }
    for (int b = 0; b < 16; b++) snprintf(hex + 2 * b, 3, "%02x", hash.bytes[b]);
    cJSON *s = cJSON_CreateObject();
    cJSON_AddStringToObject(s, "name", base_name(st->shards[i].path));
    cJSON_AddNumberToObject(s, "bytes", (double)st->shards[i].size);
    cJSON_AddStringToObject(s, "xxh3_128", hex);
    cJSON_AddItemToArray(list, s);
  }
  *out = list;
  return NB_OK;
}

/* A number that always takes 11 characters: the metadata's size is planned before its numbers are known. */
static void add_fixed(cJSON *list, double x) {
  char text[32];
  if (!(x >= 0)) snprintf(text, sizeof text, "%.4e", -1.0);
  else snprintf(text, sizeof text, "%.5e", x < 1e-98 ? 0 : x > 1e98 ? 1e98 : x);
  cJSON_AddItemToArray(list, cJSON_CreateRaw(text));
}

typedef double (*number_of)(const nb_quantize_job *j, size_t i);
static double plain_loss(const nb_quantize_job *j, size_t i) { return j->report[i].plain; }
static double final_loss(const nb_quantize_job *j, size_t i) { return j->report[i].loss; }
static double rows_kept(const nb_quantize_job *j, size_t i) { return (double)j->report[i].fell_back; }
static double probe_kl(const nb_quantize_job *j, size_t i) { return fmax(j->choice->probe_kl[i], 0); }
static double probe_error(const nb_quantize_job *j, size_t i) { return j->choice->probe_error[i]; }
static double predicted(const nb_quantize_job *j, size_t i) { return j->choice->predicted[i]; }

/* The numbers of every matrix; placeholders before the work. */
static void add_matrices(const nb_quantize_job *j, bool known, cJSON *prov) {
  static const struct {
    const char *key;
    bool budget;
    number_of number;
  } list[] = {{"plain_loss", false, plain_loss},     {"loss", false, final_loss},
              {"rows_kept_plain", false, rows_kept}, {"probe_kl", true, probe_kl},
              {"probe_error", true, probe_error},    {"predicted_kl", true, predicted}};
  size_t n = j->model->model.weights.parts.n_matrices;
  if (j->fast && !j->choice) return;
  cJSON *m = cJSON_AddObjectToObject(prov, "matrices");
  for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
    if (list[k].budget ? !j->choice : j->fast) continue;
    cJSON *a = cJSON_AddArrayToObject(m, list[k].key);
    for (size_t i = 0; i < n; i++) add_fixed(a, known ? list[k].number(j, i) : 0);
  }
}

/* Steps done, the step kept, KL divergence before and after. Any run is repeated by its number of steps. */
static void add_tuning(const nb_quantize_job *j, bool known, cJSON *prov) {
  const nb_quantize_tune *t = j->tune;
  if (!t) return;
  const double number[] = {(double)t->steps, (double)t->kept, t->before, t->after};
  cJSON *a = cJSON_AddArrayToObject(prov, "tuned");
  for (size_t i = 0; i < sizeof number / sizeof *number; i++) add_fixed(a, known ? number[i] : 0);
}

/* known: the hashes and numbers are; otherwise others of the same length stand for them. */
static nb_status make_meta(const nb_quantize_job *j, bool known, char **out, nb_err *err) {
  char *config;
  size_t n;
  cJSON *sources;
  NB_TRY(nb_quantize_sources(j, &sources, err));
  nb_status st = nb_hf_config_print(&j->model->model.config, &config, &n, err);
  if (st != NB_OK) return cJSON_Delete(sources), st;
  cJSON *meta = cJSON_CreateObject(), *prov = cJSON_CreateObject();
  cJSON_AddItemToObject(meta, "config", cJSON_Parse(config));
  free(config);
  cJSON_AddItemToObject(meta, "provenance", prov);
  cJSON_AddStringToObject(prov, "nibble", NB_VERSION);
  cJSON_AddItemToObject(prov, "sources", sources);
  cJSON_AddItemToObject(prov, "recipe", cJSON_Duplicate(j->recipe, 1));
  if (j->origin) cJSON_AddItemToObject(prov, "calibration", cJSON_Duplicate(j->origin, 1));
  add_matrices(j, known, prov);
  add_tuning(j, known, prov);
  *out = cJSON_PrintUnformatted(meta);
  cJSON_Delete(meta);
  return *out ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory making the metadata");
}

static void hash_range(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  nb_quantize_job *j = ctx;
  for (size_t i = begin; i < end; i++)
    if (!j->hashed[i])
      j->hash[i] = nb_safetensors_hash(&nb_opened_checkpoint(j->model)->tensors[i]), j->hashed[i] = true;
}

static nb_status new_hashes(nb_quantize_job *j, nb_err *err) {
  size_t n = nb_opened_checkpoint(j->model)->n_tensors;
  if (!j->hash) NB_TRY(nb_new(&j->hash, n, sizeof *j->hash, "hashes", err));
  return j->hashed ? NB_OK : nb_new(&j->hashed, n, sizeof *j->hashed, "hashes", err);
}

nb_status nb_quantize_hash(nb_quantize_job *j, nb_err *err) {
  NB_TRY(new_hashes(j, err));
  nb_parallel_for(j->calib.threads, nb_opened_checkpoint(j->model)->n_tensors, 1, hash_range, j);
  return NB_OK;
}

/* Hashes the tensor that `data` lies in, whose pages are in memory now. */
static void hash_around(nb_quantize_job *j, const void *data) {
  const nb_safetensors *st = nb_opened_checkpoint(j->model);
  for (size_t i = 0; i < st->n_tensors; i++) {
    const uint8_t *at = st->tensors[i].data, *p = data;
    if (p >= at && p < at + st->tensors[i].n_bytes) hash_range(j, i, i + 1, 0);
  }
}

/* ---- the plan ---- */

static void plan_free(plan *p) {
  nb_free(p->dir);
  nb_text_free(&p->tokenizer);
  cJSON_free(p->meta);
}

/* How part i, a vector, is stored: as the checkpoint has it, or as floats where it may change (folds, tuning) or is not
 * what the model multiplies by, or does not lie in one piece. *stored: where it lies in the checkpoint. */
static nb_status vector_dtype(const nb_quantize_job *j, const nb_part *p, nb_tensor *stored, nb_dtype *out,
                              nb_err *err) {
  const nb_named_source *named = nb_opened_named(j->model);
  nb_row_map rows;
  NB_TRY(nb_weights_find(named, &j->model->model.config, p, stored, &rows, err));
  bool changes = j->calib.fold || j->tune, less_one = named->arch->norm_plus_one;
  *out = changes || less_one || rows.run != p->K ? NB_F32 : stored->dtype;
  return NB_OK;
}

static nb_nbl_head head_of(const plan *p) {
  return (nb_nbl_head){p->meta, strlen(p->meta), p->tokenizer.s, p->tokenizer.n};
}

static nb_status plan_make(const nb_quantize_job *j, plan *p, nb_err *err) {
  const nb_weights *w = &j->model->model.weights;
  const nb_parts *parts = &w->parts;
  nb_status st;
  nb_nbl_choice *how = NULL;
  memset(p, 0, sizeof *p);
  p->n = parts->n;
  NB_GOTO(nb_new(&p->dir, p->n, sizeof *p->dir, "the directory", err));
  NB_GOTO(nb_new(&how, p->n, sizeof *how, "the formats", err));
  for (size_t m = 0; m < parts->n_matrices; m++)
    how[parts->matrix[m]] =
        (nb_nbl_choice){.coded = j->formats[m].bits != 0, .fmt = j->formats[m], .dtype = w->w[m].dense.dtype};
  for (size_t i = 0; i < parts->n; i++) {
    nb_tensor stored;
    if (!parts->part[i].matrix) NB_GOTO(vector_dtype(j, &parts->part[i], &stored, &how[i].dtype, err));
  }
  NB_GOTO(make_meta(j, false, &p->meta, err));
  NB_GOTO(nb_tokenizer_save(j->model->tokenizer, &p->tokenizer, err));
  const nb_nbl_head head = head_of(p);
  NB_GOTO(nb_nbl_plan(parts, how, &head, p->dir, &p->file_bytes, err));
fail:
  nb_free(how);
  if (st != NB_OK) plan_free(p), memset(p, 0, sizeof *p);
  return st;
}

nb_status nb_quantize_size(nb_quantize_job *j, nb_err *err) {
  plan p;
  NB_TRY(plan_make(j, &p, err));
  j->file_bytes = p.file_bytes;
  plan_free(&p);
  return NB_OK;
}

/* ---- the work ---- */

typedef struct sink {
  nb_quantize_job *j;
  plan *p;
  nb_nbl_writer *w;
  size_t next; /* the part that is written next */
} sink;

/* Writes the vectors before part `end`. vec: by role, those of part `end`'s layer that have changed, or NULL. */
static nb_status put_vectors(sink *s, size_t end, const float *const *vec, nb_err *err) {
  const nb_weights *w = &s->j->model->model.weights;
  for (; s->next < end; s->next++) {
    const nb_part *p = &w->parts.part[s->next];
    nb_tensor stored;
    nb_dtype dtype;
    NB_TRY(vector_dtype(s->j, p, &stored, &dtype, err));
    bool changed = vec && p->layer == w->parts.part[end].layer;
    const float *x = (changed ? vec : p->layer < 0 ? w->vec : w->layer[p->layer].vec)[p->role];
    if (dtype == NB_F32) NB_TRY(nb_nbl_writer_put(s->w, x, p->K * sizeof *x, err));
    else NB_TRY(nb_nbl_writer_put(s->w, stored.data, stored.n_bytes, err));
  }
  return NB_OK;
}

static nb_status put_matrix(void *ctx, const nb_quantized *q, nb_err *err) {
  sink *s = ctx;
  const nb_weights *w = &s->j->model->model.weights;
  nb_quantized *report = &s->j->report[q->matrix];
  NB_TRY(put_vectors(s, w->parts.matrix[q->matrix], q->vec, err));
  hash_around(s->j, w->w[q->matrix].dense.data);
  NB_TRY(nb_nbl_writer_put(s->w, q->data, q->n_bytes, err));
  s->next++;
  *report = *q;
  if (s->j->resume && q->matrix < w->parts.embed) NB_TRY(nb_resume_put(s->j->resume, report, err));
  report->data = NULL, report->vec = NULL;
  return NB_OK;
}

static const void *resumed(void *ctx, size_t matrix, size_t n_bytes) {
  sink *s = ctx;
  return nb_resume_find(s->j->resume, matrix, n_bytes);
}

/* Pages spread over a tensor: some 10 ms for phi-3-mini's, and other weights differ in one of them. */
static void hash_pages(XXH3_state_t *h, const nb_st_tensor *t) {
  enum { PAGES = 16, PAGE = 4096 };
  size_t step = nb_max(PAGE, t->n_bytes / PAGES);
  for (size_t at = 0; at < t->n_bytes; at += step)
    XXH3_128bits_update(h, (const uint8_t *)t->data + at, nb_min(PAGE, t->n_bytes - at));
}

void nb_quantize_signature(const nb_quantize_job *j, uint8_t out[16]) {
  const nb_safetensors *st = nb_opened_checkpoint(j->model);
  XXH3_state_t *h = XXH3_createState();
  char *recipe = cJSON_PrintUnformatted(j->recipe);
  XXH3_128bits_reset(h);
  if (recipe) XXH3_128bits_update(h, recipe, strlen(recipe));
  cJSON_free(recipe);
  XXH3_128bits_update(h, NB_VERSION, strlen(NB_VERSION));
  XXH3_128bits_update(h, &j->calib.seq_len, sizeof j->calib.seq_len);
  XXH3_128bits_update(h, j->calib.tokens, j->calib.n_seqs * j->calib.seq_len * sizeof(int32_t));
  for (size_t i = 0; i < st->n_shards; i++) {
    struct stat s = {0};
    (void)stat(st->shards[i].path, &s);
    int64_t id[2] = {(int64_t)s.st_size, (int64_t)s.st_mtime};
    XXH3_128bits_update(h, id, sizeof id);
    XXH3_128bits_update(h, st->shards[i].data, st->shards[i].header_bytes);
  }
  for (size_t i = 0; i < st->n_tensors; i++) hash_pages(h, &st->tensors[i]);
  XXH128_canonical_t c;
  XXH128_canonicalFromHash(&c, XXH3_128bits_digest(h));
  memcpy(out, c.digest, 16);
  XXH3_freeState(h);
}

nb_status nb_quantize_meta(const nb_quantize_job *j, char **out, nb_err *err) { return make_meta(j, true, out, err); }

nb_status nb_quantize_run(nb_quantize_job *j, nb_err *err) {
  const nb_model *m = &j->model->model;
  plan p;
  sink s = {j, &p, NULL, 0};
  nb_status st;
  char *meta = NULL;
  NB_TRY(plan_make(j, &p, err));
  j->file_bytes = p.file_bytes;
  NB_GOTO(new_hashes(j, err));
  const nb_nbl_head head = head_of(&p);
  NB_GOTO(nb_nbl_writer_open(j->tune ? j->untuned : j->out, p.dir, p.n, &head, &s.w, err));
  j->calib.put = put_matrix, j->calib.ctx = &s;
  j->calib.resume = j->resume ? resumed : NULL;
  if (j->fast) NB_GOTO(nb_calib_fast(&m->weights, j->formats, 0, &j->calib, err));
  else NB_GOTO(nb_calib_run(&m->config, &m->weights, j->formats, &j->calib, err));
  NB_GOTO(put_vectors(&s, p.n, NULL, err));
  NB_GOTO(nb_quantize_hash(j, err));
  NB_GOTO(make_meta(j, true, &meta, err));
  NB_GOTO(nb_nbl_writer_meta(s.w, meta, strlen(meta), err));
  st = nb_nbl_writer_commit(s.w, err);
  s.w = NULL;
fail:
  nb_nbl_writer_abort(s.w);
  cJSON_free(meta);
  plan_free(&p);
  return st;
}

double nb_quantize_linear_bpw(const nb_parts *parts, const nb_qfmt *formats) {
  double bits = 0, weights = 0;
  for (size_t i = 0; i < parts->embed; i++) {
    const nb_part *p = nb_parts_matrix(parts, i);
    double n = (double)p->N * (double)p->K;
    bits += n * (formats[i].bits ? nb_qmat_bpw(p->N, p->K, formats[i]) : 16);
    weights += n;
  }
  return bits / weights;
}
