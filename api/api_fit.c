/* SPDX-License-Identifier: MIT */
/* What a model takes of memory, before it is loaded and while it runs, and how many processors there are. */
#include "api/libnibble.h"

#include "base/bytes.h"
#include "base/mem.h"
#include "eval/memory.h"

#include <string.h>

uint64_t nb_api_tables(const nb_opened *o) {
  const nb_parts *p = &o->model.weights.parts;
  const nb_config *c = &o->model.config;
  uint64_t vectors = 0;
  for (size_t i = 0; i < p->n; i++) vectors += p->part[i].matrix ? sizeof(nb_linear) : p->part[i].K * sizeof(float);
  const uint64_t sampling = c->vocab * (sizeof(float) + sizeof(uint32_t));
  return vectors + sampling + p->n * (sizeof(nb_part) + 64) + (o->tokenizer ? nb_tokenizer_bytes(o->tokenizer) : 0);
}

/* The tokens whose cache takes at most that many bytes, up to the model's positions. */
static size_t tokens_within(const nb_config *c, nb_kv_type type, uint64_t bytes) {
  const uint64_t blocks = bytes / nb_kv_need(c, NB_KV_BLOCK, type);
  return blocks >= c->max_position / NB_KV_BLOCK + 1 ? c->max_position : (size_t)blocks * NB_KV_BLOCK;
}

nb_status nb_api_room(const nibble_model *m, size_t tokens, nb_kv_type type, nb_err *err) {
  const nb_config *c = &m->opened.model.config;
  const uint64_t held = m->tables + m->workspace + m->reserved;
  char a[NB_BYTES_TEXT], b[NB_BYTES_TEXT];
  if (!m->limit || tokens > c->max_position) return NB_OK; /* too many are refused by what would run them */
  const uint64_t cache = nb_kv_need(c, tokens, type);
  if (held + cache <= m->limit) return NB_OK;
  return nb_fail(err, NB_ERR_MEMORY, "%s: %zu tokens make it %s of its own, and the limit is %s: %zu tokens would fit",
                 m->path, tokens, nb_bytes_text(a, held + cache), nb_bytes_text(b, m->limit),
                 held < m->limit ? tokens_within(c, type, m->limit - held) : 0);
}

nb_status nb_api_fit(const nb_opened *m, const nibble_options *o, const nb_session_opts *so, size_t tokens,
                     nibble_fit *out, nb_err *err) {
  const nb_config *c = &m->model.config;
  nb_kv_type type = m->kv;
  size_t workspace;
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &type, err));
  if (!tokens || tokens > c->max_position) tokens = c->max_position;
  NB_TRY(nb_session_need(c, so, &workspace, err));
  out->mapped = m->file_bytes;
  out->workspace = workspace;
  out->tables = nb_api_tables(m);
  out->cache = nb_kv_need(c, tokens, type);
  out->own = out->workspace + out->tables + out->cache;
  out->available = nb_memory_available();
  const uint64_t bound = o->memory_limit ? o->memory_limit : out->available, rest = out->workspace + out->tables;
  out->most_tokens = !bound ? c->max_position : rest < bound ? tokens_within(c, type, bound - rest) : 0;
  out->fits = !bound || out->own <= bound;
  return NB_OK;
}

void nibble_memory_now(nibble_memory *out) {
  nb_memory m = {0};
  nb_memory_read(&m);
  *out = (nibble_memory){m.file_bytes, m.anon_bytes, m.peak_bytes};
}

void nibble_cores(int *all, int *fast) {
  *all = nb_parallel_cpus();
  *fast = nb_parallel_fast_cpus("");
}
