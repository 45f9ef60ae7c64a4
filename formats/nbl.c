/* SPDX-License-Identifier: MIT */
#include "formats/nbl.h"

#include "formats/explain.h"
#include "formats/hf_config.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "base/little.h"
#include "base/mem.h"
#include "formats/nbl_layout.h"
#include "formats/split.h"
#include "base/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the file that lie together: all, or what one part holds. */
typedef struct piece {
  const uint8_t *data;
  uint64_t begin, end; /* which bytes of the file */
  const char *name;
} piece;

struct nb_nbl {
  nb_mapfile *map; /* (n_pieces), NULL when the bytes are borrowed */
  piece *piece;    /* (n_pieces) in order */
  size_t n_pieces;
  char *name;          /* of the first */
  const uint8_t *data; /* of the first, in which all lies that precedes the tensors */
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

/* The piece that holds the byte at `at`, below the size. */
static const piece *piece_at(const nb_nbl *f, uint64_t at) {
  const piece *p = f->piece;
  while (at >= p->end) p++;
  return p;
}

const void *nb_nbl_run(const nb_nbl *f, uint64_t at, size_t *n) {
  const piece *p = piece_at(f, at);
  *n = (size_t)(p->end - at);
  return p->data + (at - p->begin);
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
  if (t->coded ? !nb_qfmt_valid(t->fmt) : t->fmt.bits || t->fmt.kind || t->fmt.group)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s has an unknown format (%u bits, table %u, group %u)", f->name, what,
                   t->fmt.bits, t->fmt.kind, t->fmt.group);
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
  const piece *in = piece_at(f, offset);
  if (padded > in->end - offset)
    return nb_fail(err, NB_ERR_FORMAT, "%s ends within %s, which no other part goes on with: split the file again",
                   in->name, what);
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
  const uint64_t first = f->piece[0].end;
  if (first < NB_NBL_HEADER || memcmp(p, NB_NBL_MAGIC, 8))
    return nb_explain_bytes(f->name, f->data, first, NB_FILE_NBL,
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
  bool fits = f->n <= (first - at) / NB_NBL_RECORD;
  if (fits) at += f->n * NB_NBL_RECORD, fits = meta <= first - at;
  if (fits) at += meta, fits = tok <= first - at;
  if (fits) at += tok, fits = data == nb_nbl_pad(at) && data <= first;
  if (!fits) return nb_fail(err, NB_ERR_FORMAT, "%s: the parts that its header lists do not fit the file", f->name);
  f->data_offset = data;
  nb_mapfile_want(p, data); /* all that opening reads, but for the vectors */
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
  for (size_t i = 0; i < f->n; i++) /* norms and biases, which stand between the matrices of their layers */
    if (!f->tensor[i].part.matrix) nb_mapfile_want(nb_nbl_data(f, i), f->tensor[i].size);
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

/* What the parts hold, which must be the parts of one file in their order. */
static nb_status read_parts(nb_nbl *f, const nb_nbl_bytes *bytes, size_t n, nb_err *err) {
  nb_split_head head = {0}, before = {0};
  for (size_t i = 0; i < n; i++) {
    const char *name = bytes[i].name;
    NB_TRY(nb_split_read(bytes[i].data, bytes[i].size, name, &head, err));
    NB_TRY(nb_split_follows(&head, i ? &before : NULL, n, name, f->name, err));
    f->piece[i] = (piece){(const uint8_t *)bytes[i].data + NB_SPLIT_HEAD, head.begin, head.begin + head.size, name};
    before = head;
  }
  f->size = head.whole_bytes;
  if (f->piece[0].end >= NB_NBL_HEADER && memcmp(f->piece[0].data + 16, head.whole, sizeof head.whole))
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: it holds another file than its head says", f->name);
  return NB_OK;
}

static nb_status read_bytes(nb_nbl *f, const nb_nbl_bytes *bytes, size_t n, bool verify, int threads, nb_err *err) {
  for (size_t i = 0; i < n; i++)
    if ((uintptr_t)bytes[i].data % NB_QMAT_ALIGN)
      return nb_fail(err, NB_ERR_ARG, "%s: the model begins at no multiple of %d bytes (zipalign puts it at one)",
                     bytes[i].name, NB_QMAT_ALIGN);
  NB_TRY(nb_new(&f->piece, n, sizeof *f->piece, "the parts", err));
  f->n_pieces = n;
  if (n > 1 || nb_split_is(bytes[0].data, bytes[0].size)) {
    NB_TRY(read_parts(f, bytes, n, err));
  } else {
    f->piece[0] = (piece){bytes[0].data, 0, bytes[0].size, f->name};
    f->size = bytes[0].size;
  }
  f->data = f->piece[0].data;
  return read_all(f, verify, threads, err);
}

nb_status nb_nbl_open_bytes(const nb_nbl_bytes *bytes, size_t n, bool verify, int threads, nb_nbl **out, nb_err *err) {
  NB_TRY(new_nbl(bytes[0].name, out, err));
  nb_status st = read_bytes(*out, bytes, n, verify, threads, err);
  if (st != NB_OK) nb_nbl_close(*out), *out = NULL;
  return st;
}

nb_status nb_nbl_open_memory(const void *data, size_t n, const char *name, bool verify, int threads, nb_nbl **out,
                             nb_err *err) {
  const nb_nbl_bytes whole = {data, n, name};
  return nb_nbl_open_bytes(&whole, 1, verify, threads, out, err);
}

/* Maps what lies in the places; where the first is a file that is the first of several parts, those beside it too. *n
 * gets how many. */
static nb_status map_places(nb_nbl *f, const nb_mapfile_place *place, size_t *n, nb_err *err) {
  nb_mapfile first;
  nb_split_head head;
  NB_TRY(nb_mapfile_open_place(&place[0], &first, err));
  nb_mapfile_want(first.data, nb_min(first.size, NB_NBL_HEADER));
  const bool alone = *n == 1 && place[0].path && !place[0].offset && !place[0].length;
  if (alone && nb_split_is(first.data, first.size) &&
      nb_split_read(first.data, first.size, place[0].path, &head, NULL) == NB_OK && head.number == 1)
    *n = head.count;
  nb_status st = nb_new(&f->map, *n, sizeof *f->map, "the parts", err);
  if (st != NB_OK) return nb_mapfile_close(&first), st;
  f->map[0] = first, f->n_pieces = *n;
  for (size_t i = 1; i < *n; i++) {
    char path[NB_SPLIT_PATH];
    if (alone) NB_TRY(nb_split_beside(place[0].path, (unsigned)i + 1, (unsigned)*n, path, err));
    NB_TRY(alone ? nb_mapfile_open(path, &f->map[i], err) : nb_mapfile_open_place(&place[i], &f->map[i], err));
  }
  return NB_OK;
}

static nb_status open_places(nb_nbl *f, const nb_mapfile_place *place, size_t n, bool verify, int threads,
                             nb_err *err) {
  nb_nbl_bytes *bytes;
  NB_TRY(map_places(f, place, &n, err));
  NB_TRY(nb_new(&bytes, n, sizeof *bytes, "the parts", err));
  for (size_t i = 0; i < n; i++) bytes[i] = (nb_nbl_bytes){f->map[i].data, f->map[i].size, f->map[i].path};
  nb_status st = read_bytes(f, bytes, n, verify, threads, err);
  nb_free(bytes);
  return st;
}

nb_status nb_nbl_open_places(const nb_mapfile_place *place, size_t n, bool verify, int threads, nb_nbl **out,
                             nb_err *err) {
  char name[40];
  *out = NULL;
  if (n < 1 || n > NB_SPLIT_MOST) return nb_fail(err, NB_ERR_ARG, "%zu places: want 1 to %d", n, NB_SPLIT_MOST);
  snprintf(name, sizeof name, "file descriptor %d", place[0].fd);
  NB_TRY(new_nbl(place[0].path ? place[0].path : name, out, err));
  nb_status st = open_places(*out, place, n, verify, threads, err);
  if (st != NB_OK) nb_nbl_close(*out), *out = NULL;
  return st;
}

nb_status nb_nbl_open(const char *path, bool verify, int threads, nb_nbl **out, nb_err *err) {
  const nb_mapfile_place whole = {.path = path};
  return nb_nbl_open_places(&whole, 1, verify, threads, out, err);
}

void nb_nbl_close(nb_nbl *f) {
  if (!f) return;
  cJSON_Delete(f->meta);
  nb_free(f->tensor);
  nb_parts_free(&f->parts);
  for (size_t i = 0; f->map && i < f->n_pieces; i++) nb_mapfile_close(&f->map[i]);
  nb_free(f->map);
  nb_free(f->piece);
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
    const uint8_t *p = nb_nbl_data(j->f, i);
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
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: the checksum of %s is wrong",
                   piece_at(f, f->tensor[bad].offset)->name, nb_part_describe(&f->tensor[bad].part, what));
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
const uint8_t *nb_nbl_hash_of(const nb_nbl *f) { return f->data + 16; }
const void *nb_nbl_data(const nb_nbl *f, size_t i) {
  size_t n;
  return nb_nbl_run(f, f->tensor[i].offset, &n);
}

static nb_tensor dense_view(const nb_nbl *f, size_t i) {
  const nb_nbl_tensor *t = &f->tensor[i];
  const nb_part *p = &t->part;
  nb_tensor v = {.dtype = t->dtype,
                 .n_dims = p->matrix ? 2 : 1,
                 .shape = {p->matrix ? p->N : p->K, p->matrix ? p->K : 1, 1, 1},
                 .data = nb_nbl_data(f, i),
                 .n_bytes = t->size};
  return v;
}

static nb_status get_matrix(void *ctx, const nb_config *c, const nb_part *p, size_t i, nb_linear *out, nb_err *err) {
  const nb_nbl *f = ctx;
  const nb_nbl_tensor *t = &f->tensor[i];
  (void)c;
  if (!t->coded) {
    nb_tensor dense = dense_view(f, i);
    *out = nb_linear_dense(&dense);
    return NB_OK;
  }
  *out = (nb_linear){.N = p->N, .K = p->K, .coded = true};
  return nb_qmat_view(p->N, p->K, t->fmt, nb_nbl_data(f, i), t->size, &out->qmat, err);
}

/* Norms are stored as they are multiplied by, whatever the architecture's checkpoints store. */
static nb_status get_vector(void *ctx, const nb_config *c, const nb_part *p, size_t i, float *out, nb_err *err) {
  const nb_nbl *f = ctx;
  nb_tensor t = dense_view(f, i);
  (void)c, (void)err;
  nb_tensor_floats(&t, 0, p->K, out);
  return NB_OK;
}

void nb_nbl_source(const nb_nbl *f, nb_weight_source *src) {
  *src = (nb_weight_source){get_matrix, get_vector, (void *)(uintptr_t)f};
}
