/* SPDX-License-Identifier: MIT */
/* Hostile files of a session's cache, against a small model. The head's numbers that name the model, and the checksum,
 * are made right first. What is taken is run on with, and saved again to the same bytes. */
#include "base/mem.h"
#include "base/parallel.h"
#include "formats/cachefile.h"
#include "formats/mapfile.h"
#include "formats/nbl_layout.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 64, HASH_AT = 8 + 7 * 8, HEAD = HASH_AT + 32 };

static nb_nbl *f;
static nb_model model;
static nb_session *session;

static void open_model(void) {
  nb_weight_source src;
  nb_err err;
  const nb_session_opts o = {.threads = 1, .max_tokens = 32};
  if (nb_nbl_open("tests/fuzz/corpus/nbl/toy.nbl", false, 1, &f, &err) != NB_OK) abort();
  nb_nbl_source(f, &src);
  model.config = *nb_nbl_config(f);
  if (nb_weights_bind(&model.config, &src, &model.weights, &err) != NB_OK) abort();
  if (nb_session_create(&model.config, &o, &session, &err) != NB_OK) abort();
}

static void mend(uint8_t *p, size_t size) {
  if (size < HEAD + 16) return;
  memcpy(p, "NBCACHE\1", 8);
  memcpy(p + HASH_AT, nb_nbl_hash_of(f), 16);
  memset(p + HASH_AT + 16, 0, 16);
  memcpy(p + HASH_AT + 16, NB_VERSION, strlen(NB_VERSION));
  XXH128_canonical_t hash;
  XXH128_canonicalFromHash(&hash, XXH3_128bits(p, size - 16));
  memcpy(p + size - 16, hash.digest, 16);
}

static void go_on(nb_context *c, const uint8_t *p, size_t size) {
  nb_err err;
  nb_mapfile saved;
  nb_generation_stats stats;
  size_t n;
  const char *path = scratch("cache");
  int32_t ids[ROOM + 1];
  if (nb_cachefile_save(path, f, c, &err) != NB_OK || nb_mapfile_open(path, &saved, &err) != NB_OK) abort();
  if (saved.size != size || memcmp(saved.data + HEAD, p + HEAD, size - HEAD - 16)) abort();
  nb_mapfile_close(&saved);
  const int32_t *held = nb_context_ids(c, &n);
  if (n > ROOM - 2) return;
  memcpy(ids, held, n * sizeof *ids);
  ids[n] = 3;
  const nb_generation g = {.max_new = nb_min(4, ROOM - n - 1), .ignore_eos = true};
  (void)nb_context_generate(c, ids, n + 1, &g, &stats, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  nb_context *c;
  nb_err err;
  if (!f) open_model();
  if (size > 1 << 19 || size < 9) return 0;
  uint8_t *p = malloc(size);
  if (!p) return 0;
  memcpy(p, data, size);
  mend(p, size);
  const nb_kv_type type = size >= HEAD && p[8 + 3 * 8] < NB_KV_TYPES ? (nb_kv_type)p[8 + 3 * 8] : NB_KV_Q16;
  const nb_context_opts o = {.capacity = ROOM, .kv = type, .draft = NB_DRAFT_ALWAYS};
  if (nb_context_create(session, &model, &o, &c, &err) != NB_OK) abort();
  if (nb_cachefile_load_memory(p, size, "fuzz", f, c, &err) == NB_OK) go_on(c, p, size);
  nb_context_free(c);
  free(p);
  return 0;
}
