/* SPDX-License-Identifier: MIT */
#include "formats/nbl.h"

#include "formats/explain.h"
#include "formats/hf_config.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "base/little.h"
#include "base/mem.h"
#include "formats/nbl_layout.h"
#include "base/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nb_nbl {
  nb_mapfile map; /* zeroed when the bytes are borrowed */
  char *name;
  const uint8_t *data;
  size_t size, n, data_offset;
  nb_nbl_tensor *tensor; /* (n) */
  nb_config config;
  nb_parts parts;
  cJSON *meta;
  const uint8_t *tokenizer;
  size_t tokenizer_bytes;
};

void nb_nbl_format_name(const nb_nbl_tensor *t, char out[16]) {
  if (t->coded) nb_qfmt_name(t->fmt, out);
  else snprintf(out, 16, "%s", nb_dtype_name(t->dtype));
}

/* ---- the directory ---- */

nb_status nb_nbl_stored_bytes(const nb_nbl_tensor *t, uint64_t *bytes, nb_err *err) {
  size_t n;
  if (t->coded) {
    nb_qmat m;
    nb_qmat_layout l;
    NB_TRY(nb_qmat_plan(t->part.N, t->part.K, t->fmt, &m, &l, err));
    n = l.total;
  } else if (!nb_mul(t->part.N, t->part.K, &n) || !nb_mul(n, nb_dtype_bytes(t->dtype), &n)) {
    return nb_fail(err, NB_ERR_FORMAT, "a tensor of %zu x %zu is too large", t->part.N, t->part.K);
  }
  *bytes = n;
  return NB_OK;
}

/* Reads record i, which must be what the configuration demands, at `offset`; *end gets the end of its padding. */
static nb_status read_record(const nb_nbl *f, size_t i, uint64_t offset, uint64_t *end, nb_nbl_tensor *t, nb_err *err) {
  const uint8_t *r = f->data + NB_NBL_HEADER + i * NB_NBL_RECORD;
  char what[64];
  *t = (nb_nbl_tensor){.part = f->parts.part[i]};
  const nb_part *p = &t->part;
  nb_part_describe(p, what);
  uint32_t layer = (uint32_t)nb_little_get(r + 8, 4), expert = (uint32_t)nb_little_get(r + 12, 4);
  if (r[0] != p->role || layer != (uint32_t)p->layer || expert != (uint32_t)(p->expert + 1))
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor %zu should be %s, but is %s of layer %ld", f->name, i, what,
                   nb_role_name(r[0]), layer == UINT32_MAX ? -1L : (long)layer);
  if (nb_little_get(r + 16, 8) != p->N || nb_little_get(r + 24, 8) != p->K)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s should be %zu x %zu, but is %llu x %llu", f->name, what, p->N, p->K,
                   (unsigned long long)nb_little_get(r + 16, 8), (unsigned long long)nb_little_get(r + 24, 8));
  if (r[1] > NB_NBL_CODED || (r[1] == NB_NBL_CODED && !p->matrix) || nb_little_get(r + 6, 2) ||
      nb_little_get(r + 56, 8))
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s has an unknown storage type", f->name, what);
  t->coded = r[1] == NB_NBL_CODED;
  t->dtype = t->coded ? NB_F32 : (nb_dtype)r[1];
  t->fmt = (nb_qfmt){r[2], r[3], (uint16_t)nb_little_get(r + 4, 2)};
  if (t->coded ? !nb_qfmt_valid(t->fmt) : t->fmt.bits || t->fmt.table || t->fmt.group)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s has an unknown format (%u bits, table %u, group %u)", f->name, what,
                   t->fmt.bits, t->fmt.table, t->fmt.group);
  uint64_t bytes;
  if (nb_nbl_stored_bytes(t, &bytes, err) != NB_OK) return nb_fail_in(err, NB_ERR_FORMAT, "%s: %s", f->name, what);
  t->offset = nb_little_get(r + 32, 8), t->size = nb_little_get(r + 40, 8), t->hash = nb_little_get(r + 48, 8);
  if (t->offset != offset)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s is at %llu, but the tensor before it ends at %llu", f->name, what,
                   (unsigned long long)t->offset, (unsigned long long)offset);
  if (t->size != bytes)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s has %llu bytes, but its format takes %llu", f->name, what,
                   (unsigned long long)t->size, (unsigned long long)bytes);
  uint64_t padded = nb_nbl_pad(bytes);
  if (padded > f->size - offset)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s ends beyond the end of the file: it is cut short", f->name, what);
  *end = offset + padded;
  return NB_OK;
}

/* ---- opening ---- */

static nb_status read_meta(nb_nbl *f, const uint8_t *p, size_t n, nb_err *err) {
  const cJSON *config;
  NB_TRY(nb_json_parse((const char *)p, n, f->name, &f->meta, err));
  NB_TRY(nb_json_object(f->meta, f->name, "config", &config, err));
  char *text = cJSON_PrintUnformatted(config);
  if (!text) return nb_fail(err, NB_ERR_MEMORY, "out of memory reading %s", f->name);
  nb_status st = nb_hf_config_parse(text, strlen(text), f->name, &f->config, err);
  cJSON_free(text);
  return st;
}

static nb_status read_header(nb_nbl *f, nb_err *err) {
  const uint8_t *p = f->data;
  if (f->size < NB_NBL_HEADER || memcmp(p, NB_NBL_MAGIC, 8))
    return nb_explain_bytes(f->name, f->data, f->size, NB_FILE_NBL,
                            nb_fail(err, NB_ERR_FORMAT, "%s is not a .nbl file", f->name), err);
  uint64_t version = nb_little_get(p + 8, 4);
  if (version > NB_NBL_VERSION)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "%s has version %llu of the format; this nibble reads version %d: get a newer one", f->name,
                   (unsigned long long)version, NB_NBL_VERSION);
  if (version != NB_NBL_VERSION)
    return nb_fail(err, NB_ERR_FORMAT, "%s has version %llu of the format, which does not exist", f->name,
                   (unsigned long long)version);
  uint64_t size = nb_little_get(p + 32, 8);
  if (size != f->size)
    return nb_fail(err, NB_ERR_FORMAT, "%s has %zu bytes, but its header says %llu: copy it again", f->name, f->size,
                   (unsigned long long)size);
  f->n = nb_little_get(p + 12, 4);
  uint64_t meta = nb_little_get(p + 40, 8), tok = nb_little_get(p + 48, 8), data = nb_little_get(p + 56, 8),
           at = NB_NBL_HEADER;
  bool fits = f->n <= (f->size - at) / NB_NBL_RECORD;
  if (fits) at += f->n * NB_NBL_RECORD, fits = meta <= f->size - at;
  if (fits) at += meta, fits = tok <= f->size - at;
  if (fits) at += tok, fits = data == nb_nbl_pad(at) && data <= f->size;
  if (!fits) return nb_fail(err, NB_ERR_FORMAT, "%s: the parts that its header lists do not fit the file", f->name);
  f->data_offset = data;
  uint8_t hash[16];
  nb_nbl_header_hash(p, data, hash);
  if (memcmp(hash, p + 16, 16))
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: the checksum of its header is wrong", f->name);
  for (; at < data; at++)
    if (p[at]) return nb_fail(err, NB_ERR_FORMAT, "%s: the bytes before the first tensor are not zero", f->name);
  size_t meta_at = NB_NBL_HEADER + f->n * NB_NBL_RECORD;
  f->tokenizer = p + meta_at + meta;
  f->tokenizer_bytes = tok;
  return read_meta(f, p + meta_at, meta, err);
}

static nb_status read_all(nb_nbl *f, bool verify, int threads, nb_err *err) {
  NB_TRY(read_header(f, err));
  NB_TRY(nb_parts_create(&f->config, &f->parts, err));
  if (f->n != f->parts.n)
    return nb_fail(err, NB_ERR_FORMAT, "%s has %zu tensors, but its configuration needs %zu", f->name, f->n,
                   f->parts.n);
  NB_TRY(nb_new(&f->tensor, f->n, sizeof *f->tensor, "the directory", err));
  uint64_t at = f->data_offset;
  for (size_t i = 0; i < f->n; i++) NB_TRY(read_record(f, i, at, &at, &f->tensor[i], err));
  if (at != f->size)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %llu bytes follow the last tensor", f->name,
                   (unsigned long long)(f->size - at));
  return verify ? nb_nbl_verify(f, threads, err) : NB_OK;
}

static nb_status new_nbl(const char *name, nb_nbl **out, nb_err *err) {
  *out = NULL;
  nb_nbl *f = calloc(1, sizeof *f);
  char *copy = strdup(name);
  if (!f || !copy) {
    free(f), free(copy);
    return nb_fail(err, NB_ERR_MEMORY, "out of memory opening %s", name);
  }
  f->name = copy;
  *out = f;
  return NB_OK;
}

nb_status nb_nbl_open(const char *path, bool verify, int threads, nb_nbl **out, nb_err *err) {
  NB_TRY(new_nbl(path, out, err));
  nb_nbl *f = *out;
  nb_status st = nb_mapfile_open(path, &f->map, err);
  f->data = f->map.data, f->size = f->map.size;
  if (st == NB_OK) st = read_all(f, verify, threads, err);
  if (st != NB_OK) nb_nbl_close(f), *out = NULL;
  return st;
}

nb_status nb_nbl_open_memory(const void *data, size_t n, const char *name, bool verify, int threads, nb_nbl **out,
                             nb_err *err) {
  NB_TRY(new_nbl(name, out, err));
  (*out)->data = data, (*out)->size = n;
  nb_status st = read_all(*out, verify, threads, err);
  if (st != NB_OK) nb_nbl_close(*out), *out = NULL;
  return st;
}

void nb_nbl_close(nb_nbl *f) {
  if (!f) return;
  cJSON_Delete(f->meta);
  nb_free(f->tensor);
  nb_parts_free(&f->parts);
  nb_mapfile_close(&f->map);
  free(f->name);
  free(f);
}

/* ---- checksums ---- */

typedef struct verify_job {
  const nb_nbl *f;
  uint8_t *bad; /* (n) */
} verify_job;

static void verify_range(void *ctx, size_t begin, size_t end, int thread) {
  (void)thread;
  verify_job *j = ctx;
  for (size_t i = begin; i < end; i++) {
    const nb_nbl_tensor *t = &j->f->tensor[i];
    size_t padded = nb_nbl_pad(t->size);
    const uint8_t *p = j->f->data + t->offset;
    j->bad[i] = nb_nbl_hash(p, padded) != t->hash;
    for (size_t b = t->size; b < padded; b++) j->bad[i] |= p[b] != 0;
  }
}

nb_status nb_nbl_verify(const nb_nbl *f, int threads, nb_err *err) {
  verify_job job = {f, NULL};
  NB_TRY(nb_new(&job.bad, f->n, 1, "the checksums", err));
  nb_parallel_for(threads > 0 ? threads : nb_parallel_cpus(), f->n, 1, verify_range, &job);
  size_t bad = 0;
  while (bad < f->n && !job.bad[bad]) bad++;
  nb_free(job.bad);
  char what[64];
  if (bad < f->n)
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: the checksum of %s is wrong", f->name,
                   nb_part_describe(&f->tensor[bad].part, what));
  return NB_OK;
}

/* ---- what it holds ---- */

const nb_config *nb_nbl_config(const nb_nbl *f) { return &f->config; }
const cJSON *nb_nbl_meta(const nb_nbl *f) { return f->meta; }
const void *nb_nbl_tokenizer(const nb_nbl *f, size_t *n_bytes) {
  *n_bytes = f->tokenizer_bytes;
  return f->tokenizer;
}
uint64_t nb_nbl_file_bytes(const nb_nbl *f) { return f->size; }
uint64_t nb_nbl_data_offset(const nb_nbl *f) { return f->data_offset; }
size_t nb_nbl_count(const nb_nbl *f) { return f->n; }
const nb_nbl_tensor *nb_nbl_at(const nb_nbl *f, size_t i) { return &f->tensor[i]; }
const void *nb_nbl_data(const nb_nbl *f, size_t i) { return f->data + f->tensor[i].offset; }

static nb_tensor dense_view(const nb_nbl *f, const nb_nbl_tensor *t) {
  const nb_part *p = &t->part;
  nb_tensor v = {.dtype = t->dtype,
                 .n_dims = p->matrix ? 2 : 1,
                 .shape = {p->matrix ? p->N : p->K, p->matrix ? p->K : 1, 1, 1},
                 .data = f->data + t->offset,
                 .n_bytes = t->size};
  return v;
}

static nb_status get_matrix(void *ctx, const nb_config *c, const nb_part *p, size_t i, nb_linear *out, nb_err *err) {
  const nb_nbl *f = ctx;
  const nb_nbl_tensor *t = &f->tensor[i];
  (void)c;
  if (!t->coded) {
    nb_tensor dense = dense_view(f, t);
    *out = nb_linear_dense(&dense);
    return NB_OK;
  }
  *out = (nb_linear){.N = p->N, .K = p->K, .coded = true};
  return nb_qmat_view(p->N, p->K, t->fmt, f->data + t->offset, t->size, &out->qmat, err);
}

/* Norms are stored as they are multiplied by, whatever the architecture's checkpoints store. */
static nb_status get_vector(void *ctx, const nb_config *c, const nb_part *p, size_t i, float *out, nb_err *err) {
  const nb_nbl *f = ctx;
  nb_tensor t = dense_view(f, &f->tensor[i]);
  (void)c, (void)err;
  nb_tensor_floats(&t, 0, p->K, out);
  return NB_OK;
}

void nb_nbl_source(const nb_nbl *f, nb_weight_source *src) {
  *src = (nb_weight_source){get_matrix, get_vector, (void *)(uintptr_t)f};
}
