/* SPDX-License-Identifier: MIT */
#include "formats/nbl.h"

#include "formats/hf_config.h"
#include "formats/json.h"
#include "formats/mapfile.h"
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
  cJSON *meta;
  const uint8_t *tokenizer;
  size_t tokenizer_bytes;
};

static const char *const role_names[NB_NBL_ROLES] = {"embed",    "attn_norm", "q",  "k",    "v",    "o",
                                                     "ffn_norm", "gate",      "up", "down", "norm", "head"};
static const nb_slot role_slot[NB_NBL_ROLES] = {
    [NB_NBL_Q] = NB_Q,       [NB_NBL_K] = NB_K,   [NB_NBL_V] = NB_V,      [NB_NBL_O] = NB_O,
    [NB_NBL_GATE] = NB_GATE, [NB_NBL_UP] = NB_UP, [NB_NBL_DOWN] = NB_DOWN};

const char *nb_nbl_role_name(nb_nbl_role r) { return (unsigned)r < NB_NBL_ROLES ? role_names[r] : "unknown"; }

nb_nbl_role nb_nbl_slot_role(nb_slot s) {
  return s < NB_GATE ? (nb_nbl_role)(NB_NBL_Q + s) : (nb_nbl_role)(NB_NBL_GATE + (s - NB_GATE));
}

void nb_nbl_format_name(const nb_nbl_tensor *t, char out[16]) {
  if (t->coded) nb_qfmt_name(t->fmt, out);
  else snprintf(out, 16, "%s", nb_dtype_name(t->dtype));
}

/* ---- the directory ---- */

size_t nb_nbl_expect(const nb_config *c) { return 1 + c->layers * 9 + 1 + !c->tie_embeddings; }

void nb_nbl_expect_at(const nb_config *c, size_t i, nb_nbl_tensor *t) {
  memset(t, 0, sizeof *t);
  t->layer = -1;
  t->N = c->vocab, t->K = c->hidden;
  if (i == 0) t->role = NB_NBL_EMBED;
  else if (i == 1 + c->layers * 9 + 1) t->role = NB_NBL_HEAD;
  else {
    bool final = i == 1 + c->layers * 9;
    t->role = final ? NB_NBL_FINAL_NORM : (nb_nbl_role)(NB_NBL_ATTN_NORM + (i - 1) % 9);
    if (!final) t->layer = (int)((i - 1) / 9);
    if (nb_nbl_is_norm(t->role)) t->N = 1;
    else nb_slot_shape(c, role_slot[t->role], &t->N, &t->K);
  }
}

nb_status nb_nbl_stored_bytes(const nb_nbl_tensor *t, uint64_t *bytes, nb_err *err) {
  size_t n;
  if (t->coded) {
    nb_qmat m;
    nb_qmat_layout l;
    NB_TRY(nb_qmat_plan(t->N, t->K, t->fmt, &m, &l, err));
    n = l.total;
  } else if (!nb_mul(t->N, t->K, &n) || !nb_mul(n, nb_dtype_bytes(t->dtype), &n)) {
    return nb_fail(err, NB_ERR_FORMAT, "a tensor of %zu x %zu is too large", t->N, t->K);
  }
  *bytes = n;
  return NB_OK;
}

static uint64_t get(const uint8_t *p, unsigned n) {
  uint64_t v = 0;
  for (unsigned i = 0; i < n; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}

static const char *describe(const nb_nbl_tensor *t, char out[32]) {
  if (t->layer >= 0) snprintf(out, 32, "layer %d %s", t->layer, nb_nbl_role_name(t->role));
  else snprintf(out, 32, "%s", nb_nbl_role_name(t->role));
  return out;
}

/* Reads record i, which must be what the configuration demands, at `offset`; *end gets the end of its padding. */
static nb_status read_record(const nb_nbl *f, size_t i, uint64_t offset, uint64_t *end, nb_nbl_tensor *t, nb_err *err) {
  const uint8_t *r = f->data + NB_NBL_HEADER + i * NB_NBL_RECORD;
  char what[32];
  nb_nbl_expect_at(&f->config, i, t);
  describe(t, what);
  uint32_t layer = (uint32_t)get(r + 8, 4);
  if (r[0] != t->role || layer != (uint32_t)t->layer)
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor %zu should be %s, but is %s of layer %ld", f->name, i, what,
                   nb_nbl_role_name(r[0]), layer == UINT32_MAX ? -1L : (long)layer);
  if (get(r + 16, 8) != t->N || get(r + 24, 8) != t->K)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s should be %zu x %zu, but is %llu x %llu", f->name, what, t->N, t->K,
                   (unsigned long long)get(r + 16, 8), (unsigned long long)get(r + 24, 8));
  if (r[1] > 3 || (r[1] == 3 && nb_nbl_is_norm(t->role)) || get(r + 6, 2) || get(r + 12, 4) || get(r + 56, 8))
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s has an unknown storage type", f->name, what);
  t->coded = r[1] == 3;
  t->dtype = t->coded ? NB_F32 : (nb_dtype)r[1];
  t->fmt = (nb_qfmt){r[2], r[3], (uint16_t)get(r + 4, 2)};
  if (t->coded ? !nb_qfmt_valid(t->fmt) : t->fmt.bits || t->fmt.table || t->fmt.group)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s has an unknown format (%u bits, table %u, group %u)", f->name, what,
                   t->fmt.bits, t->fmt.table, t->fmt.group);
  uint64_t bytes;
  if (nb_nbl_stored_bytes(t, &bytes, err) != NB_OK) return nb_fail_in(err, NB_ERR_FORMAT, "%s: %s", f->name, what);
  t->offset = get(r + 32, 8), t->size = get(r + 40, 8), t->hash = get(r + 48, 8);
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
    return nb_fail(err, NB_ERR_FORMAT, "%s is not a .nbl file", f->name);
  uint64_t version = get(p + 8, 4);
  if (version > NB_NBL_VERSION)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "%s has version %llu of the format; this nibble reads version %d: get a newer one", f->name,
                   (unsigned long long)version, NB_NBL_VERSION);
  if (version != NB_NBL_VERSION)
    return nb_fail(err, NB_ERR_FORMAT, "%s has version %llu of the format, which does not exist", f->name,
                   (unsigned long long)version);
  uint64_t size = get(p + 32, 8);
  if (size != f->size)
    return nb_fail(err, NB_ERR_FORMAT, "%s has %zu bytes, but its header says %llu: copy it again", f->name, f->size,
                   (unsigned long long)size);
  f->n = get(p + 12, 4);
  uint64_t meta = get(p + 40, 8), tok = get(p + 48, 8), data = get(p + 56, 8), at = NB_NBL_HEADER;
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
  if (f->n != nb_nbl_expect(&f->config))
    return nb_fail(err, NB_ERR_FORMAT, "%s has %zu tensors, but its configuration needs %zu", f->name, f->n,
                   nb_nbl_expect(&f->config));
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
  char what[32];
  if (bad < f->n)
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: the checksum of %s is wrong", f->name,
                   describe(&f->tensor[bad], what));
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

static nb_tensor dense_view(const nb_nbl *f, const nb_nbl_tensor *t, unsigned n_dims) {
  nb_tensor v = {
      t->dtype, n_dims, {n_dims == 1 ? t->K : t->N, n_dims == 1 ? 1 : t->K, 1, 1}, f->data + t->offset, t->size};
  return v;
}

static nb_status matrix(const nb_nbl *f, size_t i, nb_linear *out, nb_err *err) {
  if (i >= f->n) return nb_fail(err, NB_ERR_ARG, "%s has no tensor %zu", f->name, i);
  const nb_nbl_tensor *t = &f->tensor[i];
  memset(out, 0, sizeof *out);
  out->N = t->N, out->K = t->K, out->coded = t->coded;
  if (t->coded) return nb_qmat_view(t->N, t->K, t->fmt, f->data + t->offset, t->size, &out->qmat, err);
  out->dense = dense_view(f, t, 2);
  return NB_OK;
}

static nb_status get_slot(void *ctx, const nb_config *c, size_t layer, nb_slot s, nb_linear *out, nb_err *err) {
  const nb_nbl *f = ctx;
  (void)c;
  if (layer >= f->config.layers) return nb_fail(err, NB_ERR_ARG, "%s has no layer %zu", f->name, layer);
  return matrix(f, 1 + layer * 9 + (nb_nbl_slot_role(s) - NB_NBL_ATTN_NORM), out, err);
}

static nb_status get_vocab(void *ctx, const nb_config *c, bool head, nb_linear *out, nb_err *err) {
  const nb_nbl *f = ctx;
  (void)c;
  return matrix(f, head && !f->config.tie_embeddings ? f->n - 1 : 0, out, err);
}

static nb_status get_norm(void *ctx, const nb_config *c, size_t layer, int which, nb_tensor *out, nb_err *err) {
  const nb_nbl *f = ctx;
  (void)c;
  if (which < 2 && layer >= f->config.layers) return nb_fail(err, NB_ERR_ARG, "%s has no layer %zu", f->name, layer);
  size_t i =
      1 + (which == 2 ? f->config.layers * 9 : layer * 9 + (which == 1 ? NB_NBL_FFN_NORM - NB_NBL_ATTN_NORM : 0));
  *out = dense_view(f, &f->tensor[i], 1);
  return NB_OK;
}

void nb_nbl_source(const nb_nbl *f, nb_weight_source *src) {
  *src = (nb_weight_source){get_slot, get_vocab, get_norm, (void *)(uintptr_t)f};
}
