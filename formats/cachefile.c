/* SPDX-License-Identifier: MIT */
#include "formats/cachefile.h"

#include "base/little.h"
#include "base/mem.h"
#include "formats/explain.h"
#include "formats/mapfile.h"
#include "formats/outfile.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { NUMBERS = 7, HEAD = 8 + NUMBERS * 8 + 16 + 16, HASH = 16, VERSION_BYTES = 16 };
enum { LAYERS, KV_HEADS, HEAD_DIM, TYPE, TOKENS, STRETCH, BYTES };

static const char magic[8] = "NBCACHE\1";

static size_t id_bytes(size_t tokens) { return (tokens * 4 + 7) / 8 * 8; }

/* ---- saving ---- */

typedef struct sink {
  nb_outfile out;
  XXH3_state_t *hash;
} sink;

static nb_status put(void *ctx, const void *data, size_t n, nb_err *err) {
  sink *s = ctx;
  XXH3_128bits_update(s->hash, data, n);
  return nb_outfile_write(&s->out, data, n, err);
}

/* What the head says of this model and a cache in it. */
static void fill_head(const nb_nbl *f, const nb_kv *kv, uint8_t head[HEAD]) {
  const nb_config *c = nb_nbl_config(f);
  const uint64_t number[NUMBERS] = {c->layers,        c->kv_heads,       c->head_dim,    nb_kv_type_of(kv),
                                    nb_kv_length(kv), nb_kv_stretch(kv), nb_kv_bytes(kv)};
  memset(head, 0, HEAD);
  memcpy(head, magic, sizeof magic);
  for (size_t i = 0; i < NUMBERS; i++) nb_little_put(head + 8 + 8 * i, number[i], 8);
  memcpy(head + 8 + 8 * NUMBERS, nb_nbl_hash_of(f), 16);
  snprintf((char *)head + 8 + 8 * NUMBERS + 16, VERSION_BYTES, "%s", NB_VERSION);
}

static nb_status put_ids(sink *s, const int32_t *ids, size_t n, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    uint8_t id[4];
    nb_little_put(id, (uint32_t)ids[i], 4);
    NB_TRY(put(s, id, sizeof id, err));
  }
  const uint8_t zeros[8] = {0};
  return put(s, zeros, id_bytes(n) - n * 4, err);
}

nb_status nb_cachefile_save(const char *path, const nb_nbl *f, const nb_context *c, nb_err *err) {
  const nb_kv *kv = nb_context_cache(c);
  sink s = {.out = {.fd = -1}};
  uint8_t head[HEAD];
  size_t n;
  nb_status st;
  const int32_t *ids = nb_context_ids(c, &n);
  if (!n) return nb_fail(err, NB_ERR_ARG, "%s: the session has no tokens to save yet", path);
  if (nb_nbl_config(f)->rope_kind == NB_ROPE_DYNAMIC) /* its keys are turned by the history of their own text */
    return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: no text goes on from a cache of this model (dynamic RoPE scaling)",
                   path);
  fill_head(f, kv, head);
  if (!(s.hash = XXH3_createState())) return nb_fail(err, NB_ERR_MEMORY, "out of memory writing %s", path);
  XXH3_128bits_reset(s.hash);
  NB_GOTO(nb_outfile_create(path, &s.out, err));
  NB_GOTO(nb_outfile_reserve(&s.out, HEAD + id_bytes(n) + nb_kv_bytes(kv) + HASH, err));
  NB_GOTO(put(&s, head, sizeof head, err));
  NB_GOTO(put_ids(&s, ids, n, err));
  NB_GOTO(nb_kv_save(kv, put, &s, err));
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(s.hash));
  NB_GOTO(nb_outfile_write(&s.out, hash.digest, HASH, err));
  st = nb_outfile_commit(&s.out, err);
fail:
  nb_outfile_abort(&s.out);
  XXH3_freeState(s.hash);
  return st;
}

/* ---- loading ---- */

/* Checks the head, and the size that it calls for. */
static nb_status read_head(const uint8_t *p, size_t n, const char *name, const nb_nbl *f, size_t capacity,
                           size_t *tokens, nb_err *err) {
  const nb_config *c = nb_nbl_config(f);
  const uint8_t *hash = p + 8 + 8 * NUMBERS;
  char version[VERSION_BYTES + 1] = "";
  if (n < HEAD + HASH || memcmp(p, magic, sizeof magic))
    return nb_explain_bytes(name, p, n, NB_FILE_CACHE,
                            nb_fail(err, NB_ERR_FORMAT, "%s is not a session's cache, or cut short", name), err);
  memcpy(version, hash + 16, VERSION_BYTES);
  if (memcmp(hash, nb_nbl_hash_of(f), 16))
    return nb_fail(err, NB_ERR_ARG, "%s was saved with another model: run the text again", name);
  if (strcmp(version, NB_VERSION))
    return nb_fail(err, NB_ERR_ARG, "%s was saved by nibble %s, and this is " NB_VERSION ": run the text again", name,
                   version);
  uint64_t number[NUMBERS];
  for (size_t i = 0; i < NUMBERS; i++) number[i] = nb_little_get(p + 8 + 8 * i, 8);
  if (number[LAYERS] != c->layers || number[KV_HEADS] != c->kv_heads || number[HEAD_DIM] != c->head_dim ||
      number[TYPE] >= NB_KV_TYPES || !number[TOKENS] || number[TOKENS] > c->max_position ||
      (number[STRETCH] && number[STRETCH] != nb_config_stretch(c, SIZE_MAX)))
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: its head describes no cache of the model", name);
  if (number[TOKENS] > capacity)
    return nb_fail(err, NB_ERR_ARG, "%s holds %llu tokens, and the session has room for %zu", name,
                   (unsigned long long)number[TOKENS], capacity);
  *tokens = (size_t)number[TOKENS];
  const size_t bytes = nb_kv_need(c, *tokens, (nb_kv_type)number[TYPE]);
  if (number[BYTES] != bytes || n != HEAD + id_bytes(*tokens) + bytes + HASH)
    return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: it has %zu bytes, which is not what its %zu tokens take", name,
                   n, *tokens);
  return NB_OK;
}

static nb_status check_hash(const uint8_t *p, size_t n, const char *name, nb_err *err) {
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits(p, n - HASH));
  if (!memcmp(hash.digest, p + n - HASH, HASH)) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: its checksum is wrong", name);
}

static nb_status read_ids(const uint8_t *p, size_t n, const char *name, size_t vocab, int32_t *ids, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    const uint32_t id = (uint32_t)nb_little_get(p + 4 * i, 4);
    if (id >= vocab) return nb_fail(err, NB_ERR_FORMAT, "%s is damaged: token id %u is not below %zu", name, id, vocab);
    ids[i] = (int32_t)id;
  }
  return NB_OK;
}

nb_status nb_cachefile_load_memory(const void *data, size_t n, const char *name, const nb_nbl *f, nb_context *c,
                                   nb_err *err) {
  const uint8_t *p = data;
  const nb_config *config = nb_nbl_config(f);
  const size_t capacity = nb_context_capacity(c);
  nb_kv *kv = NULL;
  int32_t *ids = NULL;
  size_t tokens = 0;
  nb_status st;
  NB_TRY(read_head(p, n, name, f, capacity, &tokens, err));
  const nb_kv_type type = (nb_kv_type)nb_little_get(p + 8 + 8 * TYPE, 8);
  NB_GOTO(check_hash(p, n, name, err));
  NB_GOTO(nb_new(&ids, tokens, sizeof *ids, "the tokens", err));
  NB_GOTO(read_ids(p + HEAD, tokens, name, config->vocab, ids, err));
  nb_context_clear(c); /* before another cache is made: memory never holds two */
  NB_GOTO(nb_kv_create(config, capacity, type, (size_t)nb_little_get(p + 8 + 8 * STRETCH, 8), &kv, err));
  st = nb_kv_restore(kv, tokens, p + HEAD + id_bytes(tokens), n - HEAD - HASH - id_bytes(tokens), err);
  if (st != NB_OK) NB_GOTO(nb_fail_in(err, st, "%s", name));
  st = nb_context_replace(c, kv, ids, err), kv = NULL;
  if (st != NB_OK) st = nb_fail_in(err, st, "%s", name);
fail:
  nb_kv_free(kv);
  nb_free(ids);
  return st;
}

nb_status nb_cachefile_load(const char *path, const nb_nbl *f, nb_context *c, nb_err *err) {
  nb_mapfile m;
  NB_TRY(nb_mapfile_open(path, &m, err));
  nb_status st = nb_cachefile_load_memory(m.data, m.size, path, f, c, err);
  nb_mapfile_close(&m);
  return st;
}
