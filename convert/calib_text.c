/* SPDX-License-Identifier: MIT */
#include "convert/calib_text.h"

#include "text/chat_template.h"
#include "model/generate.h"
#include "formats/jsonl.h"
#include "formats/explain.h"
#include "eval/sketch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MAX_TEXT = 1 << 30, MAX_MESSAGES = 256 };

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && !strcmp(s + n - m, end);
}

/* ---- chats ---- */

static nb_status chat_ids(const cJSON *record, const char *where, const nb_tokenizer *t, nb_ids *ids, nb_err *err) {
  nb_chat_message m[MAX_MESSAGES];
  size_t n = 0;
  const cJSON *list = nb_json_get(record, "messages");
  if (!list) list = nb_json_get(record, "conversations");
  if (!cJSON_IsArray(list)) return nb_fail(err, NB_ERR_FORMAT, "%s: there is no list \"messages\"", where);
  for (const cJSON *i = list->child; i && n < MAX_MESSAGES; i = i->next, n++) {
    NB_TRY(nb_json_string(i, where, "role", &m[n].role, err));
    NB_TRY(nb_json_string(i, where, "content", &m[n].content, err));
  }
  nb_text text = {0};
  nb_status st = nb_chat_render_tokenizer(t, m, n, false, &text, err);
  if (st != NB_OK) st = nb_fail_in(err, st, "%s", where);
  else st = nb_tokenizer_encode(t, text.s ? text.s : "", text.n, 0, ids, err);
  nb_text_free(&text);
  return st;
}

static nb_status read_chats(const char *path, const char *bytes, size_t n, const nb_tokenizer *t, size_t tokens,
                            nb_ids *ids, nb_err *err) {
  nb_jsonl it;
  const cJSON *record;
  NB_TRY(nb_jsonl_open(bytes, n, path, &it, err));
  nb_status st;
  while ((st = nb_jsonl_next(&it, &record, err)) == NB_OK && record && ids->n < tokens)
    if ((st = chat_ids(record, it.where, t, ids, err)) != NB_OK) break;
  nb_jsonl_close(&it);
  return st;
}

/* ---- the model's own text ---- */

typedef struct writer {
  nb_ids *ids;
  size_t tokens;
  const nb_progress *progress;
  nb_status st;
  nb_err *err;
} writer;

static bool take(void *ctx, int32_t id) {
  writer *w = ctx;
  w->st = nb_ids_push(w->ids, id, w->err);
  if (w->st == NB_OK) w->st = nb_progress_step(w->progress, w->ids->n, w->tokens, w->err);
  return w->st == NB_OK;
}

static nb_status write_text(const nb_opened *m, const nb_calib_text_opts *o, nb_ids *ids, nb_err *err) {
  nb_session_opts so = {.threads = o->threads, .max_tokens = 16, .cpu_features = o->cpu_features};
  nb_session *s;
  nb_rng rng = {o->seed};
  NB_TRY(nb_session_create(&m->model.config, &so, &s, err));
  nb_progress cb = nb_reporter_begin(o->reporter, "writing calibration text", "tokens");
  nb_status st = NB_OK;
  while (st == NB_OK && ids->n + o->seq <= o->tokens) {
    int32_t first = nb_tokenizer_bos(m->tokenizer);
    if (first < 0)
      first = (int32_t)(nb_rng_next(&rng) % nb_min(nb_tokenizer_n_vocab(m->tokenizer), m->model.config.vocab));
    writer w = {ids, o->tokens, &cb, nb_ids_push(ids, first, err), err};
    nb_generation g = {.sampling = {1, 1, nb_rng_next(&rng)},
                       .max_new = o->seq - 1,
                       .ignore_eos = true,
                       .kv_type = m->kv,
                       .token = take,
                       .ctx = &w};
    st = w.st;
    if (st == NB_OK) st = nb_generate(s, &m->model, &first, 1, &g, NULL, err);
    if (w.st != NB_OK) st = w.st;
  }
  nb_reporter_end(o->reporter);
  nb_session_free(s);
  return st;
}

/* ---- what is remembered ---- */

static void hash_hex(const void *p, size_t n, char out[33]) {
  XXH128_hash_t h = XXH3_128bits(p, n);
  snprintf(out, 33, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

/* The sketch is of the tokens' text: of what was used and no more, whatever it came from. */
static nb_status add_sketch(nb_calib_text *t, const nb_tokenizer *tokenizer, nb_err *err) {
  nb_text text = {0}, digits = {0};
  nb_sketch sketch = {0};
  nb_status st;
  NB_GOTO(nb_tokenizer_decode(tokenizer, t->ids.id, t->ids.n, true, &text, err));
  NB_GOTO(nb_sketch_make(text.s ? text.s : "", text.n, &sketch, err));
  NB_GOTO(nb_sketch_print(&sketch, &digits, err));
  cJSON_AddStringToObject(t->origin, "sketch", digits.s ? digits.s : "");
fail:
  nb_text_free(&text), nb_text_free(&digits);
  nb_sketch_free(&sketch);
  return st;
}

static void describe(cJSON *origin, const char *kind, uint64_t seed, size_t tokens, size_t seq, const char hex[33]) {
  cJSON_AddStringToObject(origin, "kind", kind);
  if (!strcmp(kind, "self")) cJSON_AddNumberToObject(origin, "seed", (double)seed);
  cJSON_AddNumberToObject(origin, "tokens", (double)tokens);
  cJSON_AddNumberToObject(origin, "seq", (double)seq);
  cJSON_AddStringToObject(origin, "tokens_xxh3", hex);
}

cJSON *nb_calib_text_expect(size_t tokens, size_t seq, uint64_t seed) {
  char hex[33];
  cJSON *origin = cJSON_CreateObject();
  memset(hex, '0', 32), hex[32] = 0;
  describe(origin, "self", seed, tokens / seq * seq, seq, hex);
  return origin;
}

static nb_status read_source(const char *source, const nb_opened *m, size_t tokens, nb_calib_text *out,
                             const char **kind, nb_err *err) {
  char *text = NULL, hex[33];
  size_t n;
  nb_status st;
  NB_TRY(nb_explain_read_text(source, MAX_TEXT, &text, &n, err));
  const char *slash = strrchr(source, '/');
  hash_hex(text, n, hex);
  cJSON_AddStringToObject(out->origin, "name", slash ? slash + 1 : source);
  cJSON_AddNumberToObject(out->origin, "bytes", (double)n);
  cJSON_AddStringToObject(out->origin, "xxh3", hex);
  *kind = ends_with(source, ".jsonl") || ends_with(source, ".json") ? "chats" : "text";
  if (!strcmp(*kind, "chats")) st = read_chats(source, text, n, m->tokenizer, tokens, &out->ids, err);
  else st = nb_tokenizer_encode(m->tokenizer, text, n, NB_ENCODE_PLAIN_SPECIAL, &out->ids, err);
  free(text);
  return st;
}

nb_status nb_calib_text_read(const char *source, const nb_opened *m, const nb_calib_text_opts *o, nb_calib_text *out,
                             nb_err *err) {
  nb_status st;
  size_t tokens = o->tokens, seq = o->seq;
  const char *kind = "self";
  *out = (nb_calib_text){.seq = seq, .origin = cJSON_CreateObject()};
  if (!strcmp(source, "self")) NB_GOTO(write_text(m, o, &out->ids, err));
  else NB_GOTO(read_source(source, m, tokens, out, &kind, err));
  out->n_seqs = nb_min(out->ids.n, tokens) / seq;
  if (out->n_seqs == 0)
    NB_GOTO(nb_fail(err, NB_ERR_ARG,
                    "%s has %zu tokens, which makes no sequence of %zu: give more text or a smaller "
                    "--seq",
                    source, nb_min(out->ids.n, tokens), seq));
  out->ids.n = out->n_seqs * seq;
  char hex[33];
  hash_hex(out->ids.id, out->ids.n * sizeof *out->ids.id, hex);
  describe(out->origin, kind, o->seed, out->ids.n, seq, hex);
  if (strcmp(kind, "self")) NB_GOTO(add_sketch(out, m->tokenizer, err));
  return NB_OK;
fail:
  nb_calib_text_free(out);
  return st;
}

void nb_calib_text_free(nb_calib_text *t) {
  nb_ids_free(&t->ids);
  cJSON_Delete(t->origin);
  *t = (nb_calib_text){0};
}
