/* SPDX-License-Identifier: MIT */
#include "eval/identity.h"

#include "formats/json.h"
#include "formats/nbl.h"
#include "formats/safetensors.h"

#include <stdio.h>
#include <stdlib.h>

static void end(XXH3_state_t *h, char out[NB_HASH_TEXT]) {
  XXH128_hash_t v = XXH3_128bits_digest(h);
  snprintf(out, NB_HASH_TEXT, "%016llx%016llx", (unsigned long long)v.high64, (unsigned long long)v.low64);
  XXH3_128bits_reset(h);
}

static void text(XXH3_state_t *h, const char *s) { XXH3_128bits_update(h, s, strlen(s)); }

/* The directory's hashes stand for the tensors. */
static void hash_nbl(XXH3_state_t *h, const nb_nbl *f, nb_model_facts *out) {
  for (size_t i = 0; i < nb_nbl_count(f); i++) {
    const nb_nbl_tensor *t = nb_nbl_at(f, i);
    char line[160], format[16], expert[16] = "";
    nb_nbl_format_name(t, format);
    if (t->part.expert >= 0) snprintf(expert, sizeof expert, ".%d", t->part.expert);
    snprintf(line, sizeof line, "%s %d%s %zu %zu %s %016llx\n", nb_role_name(t->part.role), t->part.layer, expert,
             t->part.N, t->part.K, format, (unsigned long long)t->hash);
    text(h, line);
  }
  end(h, out->hash);
  const cJSON *prov = nb_json_get(nb_nbl_meta(f), "provenance"), *sources = nb_json_get(prov, "sources");
  size_t n = 0;
  for (const cJSON *s = cJSON_IsArray(sources) ? sources->child : NULL; s; s = s->next) {
    const cJSON *x = cJSON_IsObject(s) ? nb_json_get(s, "xxh3_128") : NULL;
    if (!cJSON_IsString(x)) continue;
    text(h, x->valuestring), text(h, "\n");
    n++;
  }
  if (n) end(h, out->lineage);
}

static nb_status hash_checkpoint(XXH3_state_t *h, const nb_safetensors *st, nb_model_facts *out, nb_err *err) {
  nb_hash *hash;
  NB_TRY(nb_new(&hash, st->n_tensors, sizeof *hash, "hashes", err));
  for (size_t i = 0; i < st->n_tensors; i++) hash[i] = nb_safetensors_hash(&st->tensors[i]);
  nb_status status = NB_OK;
  for (size_t i = 0; i < st->n_shards && status == NB_OK; i++) {
    nb_hash shard;
    char hex[NB_HASH_TEXT];
    status = nb_safetensors_fingerprint(st, i, hash, &shard, err);
    for (size_t b = 0; b < 16; b++) snprintf(hex + 2 * b, 3, "%02x", shard.bytes[b]);
    text(h, hex), text(h, "\n");
  }
  nb_free(hash);
  if (status == NB_OK) end(h, out->lineage), memcpy(out->hash, out->lineage, sizeof out->hash);
  return status;
}

static double n_weights(const nb_parts *parts) {
  double n = 0;
  for (size_t i = 0; i < parts->n_matrices; i++) {
    const nb_part *p = nb_parts_matrix(parts, i);
    n += (double)p->N * (double)p->K;
  }
  return n;
}

nb_status nb_identity_make(const char *name, const nb_opened *m, nb_kv_type kv, nb_model_facts *out, nb_err *err) {
  *out = (nb_model_facts){.name = name,
                          .architecture = m->model.config.architecture,
                          .file_bytes = m->file_bytes,
                          .weight_bytes = m->weight_bytes,
                          .kv = nb_kv_type_name(kv)};
  out->bits = 8 * (double)m->weight_bytes / n_weights(&m->model.weights.parts);
  XXH3_state_t *h = XXH3_createState();
  if (!h) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a model's hash");
  XXH3_128bits_reset(h);
  nb_status st = NB_OK;
  if (nb_opened_nbl(m)) hash_nbl(h, nb_opened_nbl(m), out);
  else if (nb_opened_checkpoint(m)) st = hash_checkpoint(h, nb_opened_checkpoint(m), out, err);
  XXH3_freeState(h);
  return st;
}
