/* SPDX-License-Identifier: MIT */
#include "convert/calib_text.h"

#include "base/mem.h"
#include "convert/calib_source.h"
#include "model/context.h"
#include "eval/sketch.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

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
  const nb_context_opts co = {.capacity = o->seq, .kv = m->kv};
  nb_session *s;
  nb_context *c = NULL;
  nb_rng rng = {o->seed};
  NB_TRY(nb_session_create(&m->model.config, &so, &s, err));
  nb_status st = nb_context_create(s, &m->model, &co, &c, err);
  nb_progress cb = nb_reporter_begin(o->reporter, "writing calibration text", "tokens");
  while (st == NB_OK && ids->n + o->seq <= o->tokens) {
    int32_t first = nb_tokenizer_bos(m->tokenizer);
    if (first < 0)
      first = (int32_t)(nb_rng_next(&rng) % nb_min(nb_tokenizer_n_vocab(m->tokenizer), m->model.config.vocab));
    writer w = {ids, o->tokens, &cb, nb_ids_push(ids, first, err), err};
    nb_generation g = {
        .sampling = {1, 1, nb_rng_next(&rng)}, .max_new = o->seq - 1, .ignore_eos = true, .token = take, .ctx = &w};
    st = w.st;
    nb_generation_stats took;
    if (st == NB_OK) st = nb_context_generate(c, &first, 1, &g, &took, err);
    if (w.st != NB_OK) st = w.st;
  }
  nb_reporter_end(o->reporter);
  nb_context_free(c);
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
  cJSON_AddNumberToObject(origin, "seed", (double)seed);
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

/* ---- drawing from texts ---- */

/* Texts that are too short for a sequence are put together. */
static nb_status join_short(nb_calib_sources *s, size_t seq, nb_ids *joined, uint64_t *hash, nb_err *err) {
  for (size_t i = 0; i < s->n; i++) {
    nb_calib_source *x = &s->items[i];
    if (x->ids.n >= seq) continue;
    for (size_t k = 0; k < x->ids.n; k++) NB_TRY(nb_ids_push(joined, x->ids.id[k], err));
    *hash = *hash * 31 + x->hash;
    nb_ids_free(&x->ids);
  }
  return NB_OK;
}

/* A text as sequences: those it has, and the one of each of `taken` stretches of equal length that is drawn next. */
typedef struct drawing {
  const nb_ids *ids;
  size_t has, taken, next;
  nb_rng rng;
} drawing;

static nb_status draw(drawing *d, size_t seq, nb_ids *out, nb_err *err) {
  size_t from = d->next * d->has / d->taken, to = (d->next + 1) * d->has / d->taken;
  size_t at = (from + nb_rng_next(&d->rng) % (to - from)) * seq;
  for (size_t k = 0; k < seq; k++) NB_TRY(nb_ids_push(out, d->ids->id[at + k], err));
  d->next++;
  return NB_OK;
}

/* Sequences of all texts in turn, as evenly as they have them: any beginning of what is drawn has all kinds. */
static nb_status draw_all(drawing *d, size_t n, size_t wanted, size_t seq, nb_ids *out, nb_err *err) {
  for (bool any = true; any && wanted;) {
    any = false;
    for (size_t i = 0; i < n && wanted; i++)
      if (d[i].taken < d[i].has) d[i].taken++, wanted--, any = true;
  }
  for (bool any = true; any;) {
    any = false;
    for (size_t i = 0; i < n; i++) {
      if (d[i].next == d[i].taken) continue;
      NB_TRY(draw(&d[i], seq, out, err));
      any = true;
    }
  }
  return NB_OK;
}

static nb_status read_sources(const char *const *given, size_t n, const nb_opened *m, const nb_calib_text_opts *o,
                              nb_calib_text *out, nb_err *err) {
  nb_calib_sources s;
  nb_ids joined = {0};
  nb_status st;
  drawing *d = NULL;
  uint64_t hash = 0;
  NB_TRY(nb_calib_sources_read(given, n, m->tokenizer, &s, err));
  if (s.n_left_out)
    nb_reporter_note(o->reporter, "%zu file%s left out, %s the first: only names in .txt, .jsonl and .json are read",
                     s.n_left_out, s.n_left_out == 1 ? " is" : "s are", s.left_out);
  NB_GOTO(join_short(&s, o->seq, &joined, &hash, err));
  NB_GOTO(nb_new(&d, s.n + 1, sizeof *d, "the texts", err));
  for (size_t i = 0; i <= s.n; i++) {
    const nb_ids *ids = i < s.n ? &s.items[i].ids : &joined;
    d[i] = (drawing){.ids = ids, .has = ids->n / o->seq, .rng = {o->seed ^ (i < s.n ? s.items[i].hash : hash)}};
  }
  NB_GOTO(draw_all(d, s.n + 1, o->tokens / o->seq, o->seq, &out->ids, err));
  cJSON *texts = cJSON_AddArrayToObject(out->origin, "texts");
  for (size_t i = 0; i < s.n; i++) {
    cJSON_AddNumberToObject(s.items[i].origin, "sequences", (double)d[i].taken);
    cJSON_AddItemToArray(texts, s.items[i].origin);
    s.items[i].origin = NULL;
  }
fail:
  nb_free(d);
  nb_ids_free(&joined);
  nb_calib_sources_free(&s);
  return st;
}

nb_status nb_calib_text_read(const char *const *given, size_t n, const nb_opened *m, const nb_calib_text_opts *o,
                             nb_calib_text *out, nb_err *err) {
  nb_status st;
  const char *kind = !n ? "bundled" : nb_calib_text_is_self(given, n) ? "self" : "texts";
  *out = (nb_calib_text){.seq = o->seq, .origin = cJSON_CreateObject()};
  if (!strcmp(kind, "self")) NB_GOTO(write_text(m, o, &out->ids, err));
  else NB_GOTO(read_sources(given, n, m, o, out, err));
  out->n_seqs = out->ids.n / o->seq;
  if (out->n_seqs == 0)
    NB_GOTO(nb_fail(err, NB_ERR_ARG,
                    "the calibration text (%s) makes no sequence of %zu tokens: give more text, more --tokens or a "
                    "smaller --seq",
                    n ? given[0] : kind, o->seq));
  char hex[33];
  hash_hex(out->ids.id, out->ids.n * sizeof *out->ids.id, hex);
  describe(out->origin, kind, o->seed, out->ids.n, o->seq, hex);
  if (strcmp(kind, "self")) NB_GOTO(add_sketch(out, m->tokenizer, err));
  return NB_OK;
fail:
  nb_calib_text_free(out);
  return st;
}

bool nb_calib_text_is_self(const char *const *given, size_t n) { return n == 1 && !strcmp(given[0], "self"); }

void nb_calib_text_free(nb_calib_text *t) {
  nb_ids_free(&t->ids);
  cJSON_Delete(t->origin);
  *t = (nb_calib_text){0};
}
