/* SPDX-License-Identifier: MIT */
#include "formats/safetensors.h"

#include "formats/json.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { MAX_HEADER = 100 << 20, MAX_INDEX = 100 << 20, MAX_SHARDS = 4096, MAX_RANK = 32 };

/* --- the header of one file --- */

typedef struct type_info {
  const char *name;
  size_t bits; /* of an element */
} type_info;

/* Those of the format; only the first three can be read. */
static const type_info types[] = {
    {"F32", 32},        {"F16", 16},        {"BF16", 16},   {"F64", 64},    {"I64", 64}, {"U64", 64},
    {"I32", 32},        {"U32", 32},        {"I16", 16},    {"U16", 16},    {"I8", 8},   {"U8", 8},
    {"BOOL", 8},        {"F8_E4M3", 8},     {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"C64", 64}, {"F4", 4},
    {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6},
};
static const nb_dtype dtype_of[] = {NB_F32, NB_F16, NB_BF16};

static const type_info *find_type(const char *name) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (!strcmp(types[i].name, name)) return &types[i];
  }
  return NULL;
}

/* Reads "shape" into the view, its product into *elements. */
static nb_status read_shape(const cJSON *entry, const char *where, nb_st_tensor *t, size_t *elements, nb_err *err) {
  const cJSON *list;
  size_t rank = 0;
  bool overflow = false;
  *elements = 1;
  for (int i = 0; i < NB_MAX_DIMS; i++) t->view.shape[i] = 1;
  NB_TRY(nb_json_array(entry, where, "shape", &list, err));
  for (const cJSON *item = list->child; item; item = item->next, rank++) {
    size_t d;
    NB_TRY(nb_json_as_size(item, where, "shape", 0, SIZE_MAX, &d, err));
    if (rank < NB_MAX_DIMS) t->view.shape[rank] = d;
    if (!nb_mul(*elements, d, elements)) overflow = true;
  }
  if (overflow) return nb_fail(err, NB_ERR_FORMAT, "%s: the product of its shape overflows", where);
  if (rank > MAX_RANK) return nb_fail(err, NB_ERR_FORMAT, "%s: %zu dimensions", where, rank);
  t->view.n_dims = rank ? (unsigned)nb_min(rank, NB_MAX_DIMS) : 1;
  t->readable = rank <= NB_MAX_DIMS;
  return NB_OK;
}

/* Reads "data_offsets" and checks them against the file and against the shape. */
static nb_status read_extent(const cJSON *entry, const char *where, const nb_st_shard *shard, nb_st_tensor *t,
                             nb_err *err) {
  const cJSON *list;
  size_t room = shard->size - shard->header_bytes, at[2] = {0, 0}, n = 0;
  NB_TRY(nb_json_array(entry, where, "data_offsets", &list, err));
  for (const cJSON *item = list->child; item; item = item->next, n++) {
    if (n < 2) NB_TRY(nb_json_as_size(item, where, "data_offsets", 0, SIZE_MAX, &at[n], err));
  }
  if (n != 2) return nb_fail(err, NB_ERR_FORMAT, "%s: \"data_offsets\" has %zu numbers, not 2", where, n);
  if (at[0] > at[1])
    return nb_fail(err, NB_ERR_FORMAT, "%s: it ends at byte %zu, before its begin %zu", where, at[1], at[0]);
  if (at[1] > room)
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s: it ends at byte %zu of the data, but the file has only %zu: it is truncated, download it again",
                   where, at[1], room);
  t->begin = at[0];
  t->data = shard->data + shard->header_bytes + at[0];
  t->n_bytes = t->stored_bytes = at[1] - at[0];
  return NB_OK;
}

static nb_status read_entry(const cJSON *entry, const nb_st_shard *shard, nb_st_tensor *t, nb_err *err) {
  char where[384];
  const char *dtype;
  size_t elements, bits;
  snprintf(where, sizeof where, "%.200s: tensor \"%.120s\"", shard->path, entry->string);
  NB_TRY(nb_json_string(entry, where, "dtype", &dtype, err));
  snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
  NB_TRY(read_shape(entry, where, t, &elements, err));
  NB_TRY(read_extent(entry, where, shard, t, err));
  const type_info *type = find_type(dtype);
  if (!type) t->readable = false; /* its size is the file's word; refused when it is asked for */
  else if (!nb_mul(elements, type->bits, &bits))
    return nb_fail(err, NB_ERR_FORMAT, "%s: the product of its shape overflows", where);
  else if (bits % 8 || bits / 8 != t->n_bytes)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu elements of %s are not the %zu bytes of its data_offsets", where,
                   elements, type->name, t->n_bytes);
  if (!type || type - types > 2) t->readable = false;
  else t->view.dtype = dtype_of[type - types];
  t->view.data = t->data;
  t->view.n_bytes = t->n_bytes;
  t->name = strdup(entry->string);
  return t->name ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", shard->path);
}

static int by_position(const void *a, const void *b) {
  const nb_st_tensor *x = *(const nb_st_tensor *const *)a, *y = *(const nb_st_tensor *const *)b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  if (x->n_bytes != y->n_bytes) return x->n_bytes < y->n_bytes ? -1 : 1;
  return strcmp(x->name, y->name);
}

/* The n tensors of a shard in the order of their bytes. The caller frees *out with free. */
static nb_status in_file_order(const nb_safetensors *st, size_t shard, nb_st_tensor ***out, size_t *n, nb_err *err) {
  *n = 0;
  *out = malloc((st->n_tensors + 1) * sizeof **out);
  if (!*out) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", st->shards[shard].path);
  for (size_t i = 0; i < st->n_tensors; i++) {
    if (st->tensors[i].shard == shard) (*out)[(*n)++] = &st->tensors[i];
  }
  qsort(*out, *n, sizeof **out, by_position);
  return NB_OK;
}

/* The tensors must cover the data exactly once. */
static nb_status check_cover(const nb_safetensors *st, size_t s, nb_err *err) {
  const nb_st_shard *shard = &st->shards[s];
  const uint8_t *begin = shard->data + shard->header_bytes, *at = begin;
  nb_st_tensor **order;
  size_t n;
  nb_status ret = NB_OK;
  NB_TRY(in_file_order(st, s, &order, &n, err));
  for (size_t i = 0; i < n && ret == NB_OK; i++) {
    const uint8_t *data = order[i]->data;
    if (data < at)
      ret = nb_fail(err, NB_ERR_FORMAT, "%s: the tensors \"%.100s\" and \"%.100s\" overlap", shard->path,
                    order[i - 1]->name, order[i]->name);
    else if (data > at)
      ret = nb_fail(err, NB_ERR_FORMAT, "%s: bytes %zu to %zu of the data belong to no tensor", shard->path,
                    (size_t)(at - begin), (size_t)(data - begin));
    at = data + order[i]->n_bytes;
  }
  free(order);
  size_t rest = (size_t)(shard->data + shard->size - at);
  if (ret == NB_OK && rest)
    return nb_fail(err, NB_ERR_FORMAT, "%s: the last %zu bytes belong to no tensor", shard->path, rest);
  return ret;
}

static nb_status read_header(nb_safetensors *st, size_t s, nb_err *err) {
  nb_st_shard *shard = &st->shards[s];
  nb_cursor c = {.data = shard->data, .size = shard->size};
  uint64_t n = nb_cursor_u64(&c);
  if (c.failed)
    return nb_fail(err, NB_ERR_FORMAT, "%s: %zu bytes are too few for a safetensors file", shard->path, shard->size);
  if (n > shard->size - 8 || n > MAX_HEADER)
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s: a header of %llu bytes does not fit: the file is truncated or not in safetensors format",
                   shard->path, (unsigned long long)n);
  shard->header_bytes = 8 + (size_t)n;
  cJSON *j;
  NB_TRY(nb_json_parse((const char *)shard->data + 8, (size_t)n, shard->path, &j, err));
  nb_status ret =
      cJSON_IsObject(j) ? NB_OK : nb_fail(err, NB_ERR_FORMAT, "%s: the header is not a JSON object", shard->path);
  for (const cJSON *entry = ret == NB_OK ? j->child : NULL; entry && ret == NB_OK; entry = entry->next) {
    if (!strcmp(entry->string, "__metadata__")) continue;
    ret = nb_grow(&st->tensors, &st->cap_tensors, st->n_tensors + 1, sizeof *st->tensors, err);
    if (ret != NB_OK) break;
    nb_st_tensor *t = &st->tensors[st->n_tensors];
    *t = (nb_st_tensor){.shard = s};
    ret = read_entry(entry, shard, t, err);
    if (t->name) st->n_tensors++;
  }
  cJSON_Delete(j);
  return ret == NB_OK ? check_cover(st, s, err) : ret;
}

/* --- opening --- */

static int by_name(const void *a, const void *b) {
  const nb_st_tensor *x = a, *y = b;
  return strcmp(x->name, y->name);
}

static nb_status sort_by_name(nb_safetensors *st, nb_err *err) {
  if (!st->n_tensors) return nb_fail(err, NB_ERR_FORMAT, "%s: no tensors", st->shards[0].path);
  qsort(st->tensors, st->n_tensors, sizeof *st->tensors, by_name);
  for (size_t i = 1; i < st->n_tensors; i++) {
    const nb_st_tensor *a = &st->tensors[i - 1], *b = &st->tensors[i];
    if (strcmp(a->name, b->name)) continue;
    return nb_fail(err, NB_ERR_FORMAT, "tensor \"%.100s\" is in both %s and %s", a->name, st->shards[a->shard].path,
                   st->shards[b->shard].path);
  }
  return NB_OK;
}

/* Takes ownership of path. */
static nb_status add_shard(nb_safetensors *st, char *path, nb_err *err) {
  nb_st_shard *shard = &st->shards[st->n_shards];
  *shard = (nb_st_shard){.path = path};
  if (!path) return nb_fail(err, NB_ERR_MEMORY, "out of memory");
  st->n_shards++;
  NB_TRY(nb_mapfile_open(path, &shard->map, err));
  shard->data = shard->map.data, shard->size = shard->map.size;
  return read_header(st, st->n_shards - 1, err);
}

/* "DIR/name", DIR being the first dir_bytes of path. NULL when memory is out. */
static char *join(const char *path, size_t dir_bytes, const char *name) {
  size_t n = dir_bytes + strlen(name) + 2;
  char *p = malloc(n);
  if (p) snprintf(p, n, "%.*s%s%s", (int)dir_bytes, path, dir_bytes && path[dir_bytes - 1] != '/' ? "/" : "", name);
  return p;
}

static nb_status open_file(const char *path, nb_safetensors *st, nb_err *err) {
  NB_TRY(nb_new(&st->shards, 1, sizeof *st->shards, path, err));
  NB_TRY(add_shard(st, strdup(path), err));
  return sort_by_name(st, err);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Whether a path is of a file in this folder or one in it. */
static bool stays_inside(const char *path) {
  if (strchr(path, '\\')) return false;
  for (;;) {
    size_t n = strcspn(path, "/");
    if (n == 0 || (path[0] == '.' && (n == 1 || (n == 2 && path[1] == '.')))) return false;
    if (!path[n]) return true;
    path += n + 1;
  }
}

/* The different file names among the values of weight_map, sorted; they belong to the JSON. */
static nb_status shard_names(const cJSON *map, const char *index, char ***out, size_t *n, nb_err *err) {
  size_t cap = 0, unique = 0;
  *out = NULL, *n = 0;
  for (const cJSON *item = map->child; item; item = item->next) {
    const char *name = cJSON_GetStringValue(item);
    if (!name || !stays_inside(name))
      return nb_fail(err, NB_ERR_FORMAT, "%s: weight_map gives no file of its folder for \"%.100s\"", index,
                     item->string);
    NB_TRY(nb_grow(out, &cap, *n + 1, sizeof **out, err));
    (*out)[(*n)++] = item->valuestring;
  }
  if (!*n) return nb_fail(err, NB_ERR_FORMAT, "%s: weight_map is empty", index);
  qsort(*out, *n, sizeof **out, by_text);
  for (size_t i = 0; i < *n; i++) {
    if (!i || strcmp((*out)[unique - 1], (*out)[i])) (*out)[unique++] = (*out)[i];
  }
  *n = unique;
  if (unique > MAX_SHARDS)
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: %zu shards, at most %d", index, unique, MAX_SHARDS);
  return NB_OK;
}

/* Counts what the index names and no shard has. */
static nb_status count_missing(nb_safetensors *st, const cJSON *map, const char *index, nb_err *err) {
  for (const cJSON *item = map->child; item; item = item->next) {
    if (nb_safetensors_lookup(st, item->string) || st->n_missing++) continue;
    if (!(st->missing = strdup(item->string))) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", index);
  }
  return NB_OK;
}

static nb_status open_index(const char *index, nb_safetensors *out, nb_err *err) {
  char *text = NULL, **names = NULL;
  size_t n, n_names;
  cJSON *j = NULL;
  const cJSON *map;
  const char *slash = strrchr(index, '/');
  size_t dir_bytes = slash ? (size_t)(slash - index) + 1 : 0;
  nb_status st = NB_OK;
  NB_GOTO(nb_mapfile_read(index, MAX_INDEX, &text, &n, err));
  NB_GOTO(nb_json_parse(text, n, index, &j, err));
  NB_GOTO(nb_json_object(j, index, "weight_map", &map, err));
  NB_GOTO(shard_names(map, index, &names, &n_names, err));
  NB_GOTO(nb_new(&out->shards, n_names, sizeof *out->shards, index, err));
  for (size_t i = 0; i < n_names && st == NB_OK; i++) {
    st = add_shard(out, join(index, dir_bytes, names[i]), err);
    if (st == NB_ERR_IO) nb_fail_in(err, st, "a shard named by %s is missing or unreadable", index);
  }
  if (st == NB_OK) st = sort_by_name(out, err);
  if (st == NB_OK) st = count_missing(out, map, index, err);
fail:
  free(names);
  cJSON_Delete(j);
  free(text);
  return st;
}

/* The one *.safetensors file in a directory; *out is NULL when there is none or more than one. */
static nb_status only_safetensors(const char *dir, char **out, nb_err *err) {
  size_t found = 0;
  *out = NULL;
  DIR *d = opendir(dir);
  if (!d) return nb_fail(err, NB_ERR_IO, "%s: cannot list the directory: %s", dir, strerror(errno));
  for (struct dirent *e; (e = readdir(d));) {
    size_t n = strlen(e->d_name), suffix = sizeof ".safetensors" - 1;
    if (n <= suffix || strcmp(e->d_name + n - suffix, ".safetensors") || found++) continue;
    *out = join(dir, strlen(dir), e->d_name);
  }
  closedir(d);
  if (found == 1 && *out) return NB_OK;
  free(*out);
  *out = NULL;
  if (found > 1)
    return nb_fail(err, NB_ERR_FORMAT,
                   "%s: %zu .safetensors files but no model.safetensors.index.json that says which belong together",
                   dir, found);
  return nb_fail(err, NB_ERR_FORMAT,
                 "%s: no model.safetensors or model.safetensors.index.json (weights in .bin, .pth or .gguf "
                 "files are not read)",
                 dir);
}

static nb_status open_directory(const char *dir, nb_safetensors *st, nb_err *err) {
  static const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
  for (int i = 0; i < 2; i++) {
    char *path = join(dir, strlen(dir), names[i]);
    if (!path) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", dir);
    bool there = access(path, F_OK) == 0;
    nb_status s = !there ? NB_OK : i ? open_index(path, st, err) : open_file(path, st, err);
    free(path);
    if (there) return s;
  }
  char *path;
  NB_TRY(only_safetensors(dir, &path, err));
  nb_status s = open_file(path, st, err);
  free(path);
  return s;
}

nb_status nb_safetensors_open(const char *path, nb_safetensors *out, nb_err *err) {
  struct stat info;
  size_t n = strlen(path);
  *out = (nb_safetensors){0};
  bool directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
  bool index = n > 5 && !strcmp(path + n - 5, ".json");
  nb_status st = directory ? open_directory(path, out, err)
                 : index   ? open_index(path, out, err)
                           : open_file(path, out, err);
  if (st != NB_OK) nb_safetensors_close(out);
  return st;
}

nb_status nb_safetensors_open_memory(const void *data, size_t n, const char *name, nb_safetensors *out, nb_err *err) {
  *out = (nb_safetensors){0};
  nb_status st;
  NB_GOTO(nb_new(&out->shards, 1, sizeof *out->shards, name, err));
  out->shards[0] = (nb_st_shard){.data = data, .size = n, .path = strdup(name)};
  out->n_shards = 1;
  if (!out->shards[0].path) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", name));
  NB_GOTO(read_header(out, 0, err));
  NB_GOTO(sort_by_name(out, err));
  return NB_OK;
fail:
  nb_safetensors_close(out);
  return st;
}

void nb_safetensors_close(nb_safetensors *st) {
  for (size_t i = 0; i < st->n_tensors; i++) {
    free(st->tensors[i].name);
    nb_free(st->tensors[i].owned);
  }
  for (size_t i = 0; i < st->n_shards; i++) {
    nb_mapfile_close(&st->shards[i].map);
    free(st->shards[i].path);
  }
  free(st->tensors);
  free(st->missing);
  nb_free(st->shards);
  *st = (nb_safetensors){0};
}

/* --- finding and hashing --- */

const nb_st_tensor *nb_safetensors_lookup(const nb_safetensors *st, const char *name) {
  nb_st_tensor key = {.name = (char *)(uintptr_t)name};
  return st->n_tensors ? bsearch(&key, st->tensors, st->n_tensors, sizeof key, by_name) : NULL;
}

static nb_status find(void *ctx, const char *name, nb_tensor *out, nb_err *err) {
  const nb_safetensors *st = ctx;
  const nb_st_tensor *t = nb_safetensors_lookup(st, name);
  if (!t)
    return nb_fail(err, NB_ERR_FORMAT, "%s%s: there is no tensor \"%s\"", st->shards[0].path,
                   st->n_shards > 1 ? " and its other shards" : "", name);
  if (!t->readable)
    return nb_fail(err, NB_ERR_UNSUPPORTED,
                   "%s: tensor \"%s\" is of type %s with %u dimensions; supported: F32, F16, BF16 with up to %d",
                   st->shards[t->shard].path, name, t->dtype, t->view.n_dims, NB_MAX_DIMS);
  *out = t->view;
  return NB_OK;
}

static bool has(void *ctx, const char *name) { return nb_safetensors_lookup(ctx, name) != NULL; }

void nb_safetensors_source(const nb_safetensors *st, nb_tensor_source *out) {
  *out = (nb_tensor_source){.find = find, .has = has, .ctx = (void *)(uintptr_t)st};
}

static nb_hash canonical(XXH128_hash_t h) {
  XXH128_canonical_t c;
  nb_hash out;
  XXH128_canonicalFromHash(&c, h);
  memcpy(out.bytes, c.digest, sizeof out.bytes);
  return out;
}

nb_hash nb_safetensors_hash(const nb_st_tensor *t) { return canonical(XXH3_128bits(t->data, t->n_bytes)); }

nb_status nb_safetensors_fingerprint(const nb_safetensors *st, size_t shard, const nb_hash *hashes, nb_hash *out,
                                     nb_err *err) {
  nb_st_tensor **order;
  size_t n;
  NB_TRY(in_file_order(st, shard, &order, &n, err));
  XXH3_state_t *state = XXH3_createState();
  if (state) {
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, st->shards[shard].data, st->shards[shard].header_bytes);
    for (size_t i = 0; i < n; i++) XXH3_128bits_update(state, &hashes[order[i] - st->tensors], sizeof *hashes);
    *out = canonical(XXH3_128bits_digest(state));
  }
  free(order);
  if (!state) return nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", st->shards[shard].path);
  XXH3_freeState(state);
  return NB_OK;
}
