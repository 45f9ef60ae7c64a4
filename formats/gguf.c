/* SPDX-License-Identifier: MIT */
#include "formats/gguf.h"

#include "base/f16.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  MAX_KEY = 65535,       /* bytes; the format's own limit */
  MAX_NAME = 255,        /* of a tensor; the format says 64 */
  MIN_KEY_BYTES = 14,    /* that a key takes at least: length, one letter, type, one byte */
  MIN_TENSOR_BYTES = 33, /* that a tensor takes at least before the data */
  MAX_SHARDS = 1024,
  MAX_ALIGNMENT = 1 << 20,
  ALIGNMENT = 32 /* when the file says nothing */
};

static const size_t kind_bytes[NB_GGUF_KINDS] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static nb_status out_of_memory(const char *path, nb_err *err) {
  return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path);
}

static nb_status truncated(const char *path, const char *what, nb_err *err) {
  return nb_fail(err, NB_ERR_FORMAT, "%s: it ends within %s: it is truncated, download it again", path, what);
}

/* ---- keys ---- */

/* A length and its bytes; at most `max` of them, without NULs where they become a name. */
static const uint8_t *read_text(nb_cursor *c, size_t max, size_t *n) {
  uint64_t len = nb_cursor_u64(c);
  if (c->failed || len > max || len > c->size - c->pos) {
    c->failed = true;
    return NULL;
  }
  *n = (size_t)len;
  return nb_cursor_bytes(c, *n);
}

/* A copy with a NUL behind it, of a name that is not empty and has no NUL. */
static nb_status read_name(nb_cursor *c, size_t max, const char *path, const char *what, char **out, nb_err *err) {
  size_t n = 0;
  const uint8_t *p = read_text(c, max, &n);
  if (!p)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %s is longer than %zu bytes or than the rest of the file", path, what, max);
  if (!n || memchr(p, 0, n)) return nb_fail(err, NB_ERR_FORMAT, "%s: %s is empty or has a zero byte", path, what);
  *out = malloc(n + 1);
  if (!*out) return out_of_memory(path, err);
  memcpy(*out, p, n);
  (*out)[n] = 0;
  return NB_OK;
}

/* Passes over the elements of v, checking that they are there. */
static bool skip_elements(nb_cursor *c, nb_gguf_value *v) {
  v->data = c->data + c->pos;
  if (v->kind == NB_GGUF_STRING) {
    size_t n;
    for (size_t i = 0; i < v->n && !c->failed; i++) read_text(c, c->size, &n);
    return !c->failed;
  }
  size_t bytes;
  return nb_mul(v->n, kind_bytes[v->kind], &bytes) && (!bytes || nb_cursor_bytes(c, bytes));
}

static nb_status read_value(nb_cursor *c, const char *path, nb_gguf_value *v, nb_err *err) {
  NB_TRY(read_name(c, MAX_KEY, path, "a key", &v->key, err));
  uint32_t kind = nb_cursor_u32(c);
  uint64_t n = 1;
  v->array = kind == NB_GGUF_ARRAY;
  if (v->array) kind = nb_cursor_u32(c), n = nb_cursor_u64(c);
  if (c->failed) return truncated(path, "a key's type", err);
  if (kind == NB_GGUF_ARRAY)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: key \"%.100s\" is an array of arrays", path, v->key);
  if (kind >= NB_GGUF_KINDS)
    return nb_fail(err, NB_ERR_FORMAT, "%s: key \"%.100s\" has the unknown type %u", path, v->key, kind);
  v->kind = (nb_gguf_kind)kind;
  /* every element takes a byte at least, so that this also bounds the loops over them */
  if (n > c->size - c->pos)
    return nb_fail(err, NB_ERR_FORMAT, "%s: key \"%.100s\" has %llu elements, more than the file has bytes", path,
                   v->key, (unsigned long long)n);
  v->n = (size_t)n;
  if (!skip_elements(c, v))
    return nb_fail(err, NB_ERR_FORMAT, "%s: the value of key \"%.100s\" is longer than the rest of the file", path,
                   v->key);
  if (v->kind != NB_GGUF_BOOL) return NB_OK;
  for (size_t i = 0; i < v->n; i++)
    if (v->data[i] > 1)
      return nb_fail(err, NB_ERR_FORMAT, "%s: key \"%.100s\": a truth value is %d", path, v->key, v->data[i]);
  return NB_OK;
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const nb_gguf_value *)a)->key, ((const nb_gguf_value *)b)->key);
}

static nb_status read_values(nb_cursor *c, const char *path, size_t n, nb_gguf *g, nb_err *err) {
  NB_TRY(nb_new(&g->values, n + 1, sizeof *g->values, path, err));
  for (size_t i = 0; i < n; i++) {
    nb_status st = read_value(c, path, &g->values[i], err);
    if (g->values[i].key) g->n_values++;
    NB_TRY(st);
  }
  qsort(g->values, n, sizeof *g->values, by_key);
  for (size_t i = 1; i < n; i++)
    if (!by_key(&g->values[i - 1], &g->values[i]))
      return nb_fail(err, NB_ERR_FORMAT, "%s: key \"%.100s\" is there twice", path, g->values[i].key);
  return NB_OK;
}

static nb_status read_alignment(const nb_gguf *g, const char *path, size_t *out, nb_err *err) {
  static const char key[] = "general.alignment";
  const nb_gguf_value *v = nb_gguf_get(g, key);
  *out = ALIGNMENT;
  if (!v) return NB_OK;
  if (v->kind != NB_GGUF_U32 || v->array)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is not a 32-bit number", path, key);
  double a = nb_gguf_number(v, 0);
  *out = (size_t)a;
  if (!*out || *out & (*out - 1) || *out > MAX_ALIGNMENT)
    return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is %.0f, not a power of two up to %d", path, key, a, MAX_ALIGNMENT);
  return NB_OK;
}

/* ---- tensors ---- */

static nb_status read_shape(nb_cursor *c, const char *path, nb_gguf_tensor *t, nb_err *err) {
  uint32_t rank = nb_cursor_u32(c);
  size_t elements = 1;
  if (!c->failed && (rank < 1 || rank > NB_MAX_DIMS))
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\" has %u dimensions, not 1 to %d", path, t->name, rank,
                   NB_MAX_DIMS);
  t->n_dims = c->failed ? 1 : rank;
  for (unsigned i = 0; i < NB_MAX_DIMS; i++) t->shape[i] = 1;
  for (unsigned i = t->n_dims; i-- > 0;) {
    uint64_t d = nb_cursor_u64(c);
    t->shape[i] = (size_t)d;
    if (!c->failed &&
        (d < 1 || d > (uint64_t)INT64_MAX || t->shape[i] != d || !nb_mul(elements, t->shape[i], &elements)))
      return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\": the product of its shape is 0 or overflows", path,
                     t->name);
  }
  uint32_t type = nb_cursor_u32(c);
  if (c->failed) return truncated(path, "a tensor's shape", err);
  t->type = nb_ggml_find(type);
  if (!t->type)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: tensor \"%.100s\" is of type %u, which is not known", path, t->name,
                   type);
  size_t row = t->shape[t->n_dims - 1];
  if (row % t->type->block)
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\": rows of %zu are no whole blocks of %s (%u)", path,
                   t->name, row, t->type->name, t->type->block);
  if (!nb_mul(elements / t->type->block, t->type->bytes, &t->n_bytes))
    return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\": the product of its shape is 0 or overflows", path,
                   t->name);
  return NB_OK;
}

static nb_status read_tensor(nb_cursor *c, const char *path, size_t shard, nb_gguf_tensor *t, nb_err *err) {
  NB_TRY(read_name(c, MAX_NAME, path, "a tensor's name", &t->name, err));
  t->shard = shard;
  NB_TRY(read_shape(c, path, t, err));
  uint64_t offset = nb_cursor_u64(c);
  if (c->failed) return truncated(path, "a tensor's offset", err);
  t->offset = (size_t)offset;
  if (t->offset != offset) return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\": its offset", path, t->name);
  return NB_OK;
}

static int by_offset(const void *a, const void *b) {
  const nb_gguf_tensor *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return strcmp(x->name, y->name);
}

/* Places the n tensors of a shard: each begins where the one before it ends, rounded up to the alignment. */
static nb_status place(const nb_gguf_shard *s, nb_gguf_tensor *t, size_t n, size_t alignment, nb_err *err) {
  size_t room = s->size > s->header_bytes ? s->size - s->header_bytes : 0, at = 0;
  qsort(t, n, sizeof *t, by_offset);
  for (size_t i = 0; i < n; i++) {
    if (t[i].offset < at)
      return nb_fail(err, NB_ERR_FORMAT, "%s: the tensors \"%.100s\" and \"%.100s\" overlap", s->path,
                     t[i ? i - 1 : 0].name, t[i].name);
    if (t[i].offset != nb_round_up(at, alignment))
      return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\" begins at byte %zu of the data, not at %zu", s->path,
                     t[i].name, t[i].offset, nb_round_up(at, alignment));
    if (t[i].offset > room || t[i].n_bytes > room - t[i].offset)
      return nb_fail(err, NB_ERR_FORMAT,
                     "%s: tensor \"%.100s\" ends after the file's last byte: it is truncated, download it again",
                     s->path, t[i].name);
    t[i].data = s->data + s->header_bytes + t[i].offset;
    at = t[i].offset + t[i].n_bytes; /* at most room, so that rounding up cannot overflow */
  }
  return NB_OK;
}

/* ---- a file ---- */

static nb_status read_version(nb_cursor *c, const char *path, nb_err *err) {
  const uint8_t *magic = nb_cursor_bytes(c, 4);
  if (!magic || memcmp(magic, "GGUF", 4)) return nb_fail(err, NB_ERR_FORMAT, "%s: not a GGUF file", path);
  uint32_t version = nb_cursor_u32(c);
  if (c->failed) return truncated(path, "its head", err);
  if (version && !(version & 0xffff))
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: a big-endian GGUF file; convert it with gguf-convert-endian", path);
  if (version != 2 && version != 3)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: GGUF version %u; supported: 2 and 3", path, version);
  return NB_OK;
}

/* Reads the shard's head. The values of all but the first go to *more, whose caller closes it. */
static nb_status read_shard(nb_gguf *g, size_t shard, nb_gguf *more, nb_err *err) {
  nb_gguf_shard *s = &g->shards[shard];
  nb_gguf *values = shard ? more : g;
  nb_cursor c = {.data = s->data, .size = s->size};
  NB_TRY(read_version(&c, s->path, err));
  uint64_t n_tensors = nb_cursor_u64(&c), n_values = nb_cursor_u64(&c);
  if (c.failed) return truncated(s->path, "its head", err);
  size_t left = c.size - c.pos;
  if (n_values > left / MIN_KEY_BYTES || n_tensors > left / MIN_TENSOR_BYTES)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %llu keys and %llu tensors do not fit in %zu bytes", s->path,
                   (unsigned long long)n_values, (unsigned long long)n_tensors, left);
  NB_TRY(read_values(&c, s->path, (size_t)n_values, values, err));
  size_t alignment, first = g->n_tensors, n = (size_t)n_tensors;
  NB_TRY(read_alignment(values, s->path, &alignment, err));
  nb_gguf_tensor *all = realloc(g->tensors, (first + n + 1) * sizeof *all);
  if (!all) return out_of_memory(s->path, err);
  g->tensors = all;
  memset(all + first, 0, n * sizeof *all);
  for (size_t i = 0; i < n; i++) {
    nb_status st = read_tensor(&c, s->path, shard, &all[first + i], err);
    if (all[first + i].name) g->n_tensors++;
    NB_TRY(st);
  }
  s->header_bytes = nb_min(nb_round_up(c.pos, alignment), s->size);
  return place(s, all + first, n, alignment, err);
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const nb_gguf_tensor *)a)->name, ((const nb_gguf_tensor *)b)->name);
}

static nb_status sort_tensors(nb_gguf *g, nb_err *err) {
  if (!g->n_tensors) return NB_OK; /* a vocabulary alone */
  qsort(g->tensors, g->n_tensors, sizeof *g->tensors, by_name);
  for (size_t i = 1; i < g->n_tensors; i++)
    if (!by_name(&g->tensors[i - 1], &g->tensors[i]))
      return nb_fail(err, NB_ERR_FORMAT, "%s: tensor \"%.100s\" is there twice", g->shards[0].path, g->tensors[i].name);
  return NB_OK;
}

/* ---- splits ---- */

/* Takes ownership of path. */
static nb_status add_shard(nb_gguf *g, char *path, nb_gguf *more, nb_err *err) {
  nb_gguf_shard *s = &g->shards[g->n_shards];
  if (!path) return nb_fail(err, NB_ERR_MEMORY, "out of memory");
  s->path = path;
  g->n_shards++;
  NB_TRY(nb_mapfile_open(path, &s->map, err));
  s->data = s->map.data, s->size = s->map.size;
  return read_shard(g, g->n_shards - 1, more, err);
}

/* "NAME-00002-of-00003.gguf" from the first one's path; NULL when memory is out. */
static char *split_path(const char *first, size_t stem, size_t i, size_t n) {
  size_t room = stem + 64;
  char *p = malloc(room);
  if (p) snprintf(p, room, "%.*s-%05zu-of-%05zu.gguf", (int)stem, first, i + 1, n);
  return p;
}

/* Opens the others of a split model whose first file is open. */
static nb_status open_splits(nb_gguf *g, const char *path, nb_err *err) {
  size_t count = 1, number = 0, stem = strlen(path), want = 0;
  char tail[64];
  NB_TRY(nb_gguf_size(g, "split.count", NB_GGUF_OPTIONAL, 0, MAX_SHARDS, &count, err));
  if (count <= 1) return NB_OK;
  NB_TRY(nb_gguf_size(g, "split.no", NB_GGUF_REQUIRED, 0, MAX_SHARDS - 1, &number, err));
  if (number)
    return nb_fail(err, NB_ERR_ARG, "%s is part %zu of %zu: give the first part, the others are found beside it", path,
                   number + 1, count);
  snprintf(tail, sizeof tail, "-%05d-of-%05zu.gguf", 1, count);
  if (stem < strlen(tail) || strcmp(path + stem - strlen(tail), tail))
    return nb_fail(err, NB_ERR_FORMAT, "%s is the first of %zu parts, but its name does not end in %s", path, count,
                   tail);
  stem -= strlen(tail);
  for (size_t i = 1; i < count; i++) {
    nb_gguf more = {.shards = &g->shards[i]};
    size_t no = 0, of = 0;
    nb_status st = add_shard(g, split_path(path, stem, i, count), &more, err);
    more.n_shards = 1;
    if (st == NB_OK) st = nb_gguf_size(&more, "split.no", NB_GGUF_REQUIRED, 0, MAX_SHARDS, &no, err);
    if (st == NB_OK) st = nb_gguf_size(&more, "split.count", NB_GGUF_REQUIRED, 0, MAX_SHARDS, &of, err);
    if (st == NB_OK && (no != i || of != count))
      st = nb_fail(err, NB_ERR_FORMAT, "%s says that it is part %zu of %zu", g->shards[i].path, no + 1, of);
    more.shards = NULL, more.n_shards = 0;
    nb_gguf_close(&more);
    NB_TRY(st);
  }
  NB_TRY(nb_gguf_size(g, "split.tensors.count", NB_GGUF_OPTIONAL, 0, SIZE_MAX / 2, &want, err));
  if (want && want != g->n_tensors)
    return nb_fail(err, NB_ERR_FORMAT, "%s: its parts hold %zu tensors, not %zu", path, g->n_tensors, want);
  return NB_OK;
}

nb_status nb_gguf_open(const char *path, nb_gguf *out, nb_err *err) {
  *out = (nb_gguf){0};
  nb_status st;
  NB_GOTO(nb_new(&out->shards, MAX_SHARDS, sizeof *out->shards, path, err));
  NB_GOTO(add_shard(out, strdup(path), NULL, err));
  NB_GOTO(open_splits(out, path, err));
  NB_GOTO(sort_tensors(out, err));
  return NB_OK;
fail:
  nb_gguf_close(out);
  return st;
}

nb_status nb_gguf_open_memory(const void *data, size_t n, const char *name, nb_gguf *out, nb_err *err) {
  *out = (nb_gguf){0};
  nb_status st;
  NB_GOTO(nb_new(&out->shards, 1, sizeof *out->shards, name, err));
  out->shards[0] = (nb_gguf_shard){.data = data, .size = n, .path = strdup(name)};
  out->n_shards = 1;
  if (!out->shards[0].path) NB_GOTO(out_of_memory(name, err));
  NB_GOTO(read_shard(out, 0, NULL, err));
  NB_GOTO(sort_tensors(out, err));
  return NB_OK;
fail:
  nb_gguf_close(out);
  return st;
}

void nb_gguf_close(nb_gguf *g) {
  for (size_t i = 0; i < g->n_values; i++) free(g->values[i].key);
  for (size_t i = 0; i < g->n_tensors; i++) free(g->tensors[i].name);
  for (size_t i = 0; i < g->n_shards; i++) {
    nb_mapfile_close(&g->shards[i].map);
    free(g->shards[i].path);
  }
  nb_free(g->values);
  free(g->tensors);
  nb_free(g->shards);
  *g = (nb_gguf){0};
}

bool nb_gguf_is(const char *path) {
  char magic[4];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  bool is = read(fd, magic, sizeof magic) == sizeof magic && !memcmp(magic, "GGUF", sizeof magic);
  close(fd);
  return is;
}
