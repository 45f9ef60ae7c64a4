/* SPDX-License-Identifier: MIT */
#include "convert/calib_source.h"

#include "base/mem.h"
#include "formats/archive.h"
#include "formats/explain.h"
#include "formats/jsonl.h"
#include "text/chat_template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MOST = 16 << 20, PIECES = 256, MAX_MESSAGES = 256 };

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && !strcmp(s + n - m, end);
}

static bool holds_chats(const char *name) { return ends_with(name, ".jsonl") || ends_with(name, ".json"); }

/* ---- chats ---- */

typedef struct reading {
  const nb_tokenizer *t;
  bool bundled;
  nb_calib_sources *out;
} reading;

/* The messages' contents, a paragraph each. */
static nb_status join_contents(const nb_chat_message *m, size_t n, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    NB_TRY(nb_text_append_str(out, m[i].content, err));
    NB_TRY(nb_text_append_str(out, "\n\n", err));
  }
  return NB_OK;
}

static nb_status chat_ids(const reading *r, const cJSON *record, const char *where, nb_ids *ids, nb_err *err) {
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
  bool plain = r->bundled && !*nb_tokenizer_chat_template(r->t);
  nb_status st = plain ? join_contents(m, n, &text, err) : nb_chat_render_tokenizer(r->t, m, n, false, &text, err);
  if (st != NB_OK) st = nb_fail_in(err, st, "%s", where);
  else st = nb_tokenizer_encode(r->t, text.s ? text.s : "", text.n, plain ? NB_ENCODE_PLAIN_SPECIAL : 0, ids, err);
  nb_text_free(&text);
  return st;
}

static nb_status read_chats(const reading *r, const char *where, const char *bytes, size_t n, nb_ids *ids,
                            nb_err *err) {
  nb_jsonl it;
  const cJSON *record;
  NB_TRY(nb_jsonl_open(bytes, n, where, &it, err));
  nb_status st;
  while ((st = nb_jsonl_next(&it, &record, err)) == NB_OK && record)
    if ((st = chat_ids(r, record, it.where, ids, err)) != NB_OK) break;
  nb_jsonl_close(&it);
  return st;
}

/* ---- one text ---- */

/* Keeps PIECES pieces of whole lines, spread evenly over the text. Returns how much is left. */
static size_t thin(char *s, size_t n) {
  size_t kept = 0, step = n / PIECES, least = 0;
  for (size_t i = 0; i < PIECES; i++) {
    size_t from = nb_max(i * step, least);
    const char *line = i ? memchr(s + from, '\n', n - from) : s;
    if (!line) break;
    from = (size_t)(line - s) + (i != 0);
    size_t to = nb_min(n, from + MOST / PIECES);
    const char *end = memchr(s + to, '\n', n - to);
    to = end ? (size_t)(end - s) + 1 : n;
    memmove(s + kept, s + from, to - from);
    kept += to - from, least = nb_min(to, n);
  }
  return kept;
}

/* Adds a text; bytes are changed when it is long. */
static nb_status add_text(const reading *r, const char *name, const char *where, char *bytes, size_t n, nb_err *err) {
  nb_calib_sources *out = r->out;
  nb_calib_source s = {.hash = XXH3_64bits(bytes, n), .origin = cJSON_CreateObject()};
  XXH128_hash_t h = XXH3_128bits(bytes, n);
  const char *slash = strrchr(name, '/');
  char hex[33];
  snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
  cJSON_AddStringToObject(s.origin, "name", slash ? slash + 1 : name);
  cJSON_AddNumberToObject(s.origin, "bytes", (double)n);
  cJSON_AddStringToObject(s.origin, "xxh3", hex);
  nb_status st;
  if (n > MOST && !ends_with(name, ".json")) n = thin(bytes, n);
  if (holds_chats(name)) NB_GOTO(read_chats(r, where, bytes, n, &s.ids, err));
  else NB_GOTO(nb_tokenizer_encode(r->t, bytes, n, NB_ENCODE_PLAIN_SPECIAL, &s.ids, err));
  nb_calib_source *grown = realloc(out->items, (out->n + 1) * sizeof *out->items);
  if (!grown) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "out of memory"));
  out->items = grown;
  out->items[out->n++] = s;
  return NB_OK;
fail:
  nb_ids_free(&s.ids);
  cJSON_Delete(s.origin);
  return st;
}

/* ---- all ---- */

static nb_status add_path(const reading *r, const char *path, nb_err *err) {
  nb_archive *a;
  size_t found = 0;
  NB_TRY(nb_archive_open(path, &a, err));
  nb_status st = NB_OK;
  for (size_t i = 0; i < nb_archive_count(a) && st == NB_OK; i++) {
    const char *name = nb_archive_name(a, i);
    char *bytes;
    size_t n;
    if (nb_archive_count(a) > 1 && !holds_chats(name) && !ends_with(name, ".txt")) {
      if (!r->out->n_left_out++) snprintf(r->out->left_out, sizeof r->out->left_out, "%s", nb_archive_where(a, i));
      continue;
    }
    found++;
    if ((st = nb_archive_read(a, i, &bytes, &n, err)) != NB_OK) break;
    st = nb_explain_text(nb_archive_where(a, i), bytes, n, err);
    if (st == NB_OK) st = add_text(r, name, nb_archive_where(a, i), bytes, n, err);
    free(bytes);
  }
  nb_archive_close(a);
  if (st == NB_OK && !found)
    st = nb_fail(err, NB_ERR_ARG, "%s holds no text: files whose names end in .txt, .jsonl or .json", path);
  return st;
}

static nb_status add_bundled(const reading *r, nb_err *err) {
  for (size_t i = 0; i < nb_n_calib_bundle; i++) {
    const nb_calib_bundled *b = &nb_calib_bundle[i];
    char *copy;
    NB_TRY(nb_new(&copy, b->n + 1, 1, "the calibration text", err));
    memcpy(copy, b->bytes, b->n);
    nb_status st = add_text(r, b->name, b->name, copy, b->n, err);
    nb_free(copy);
    NB_TRY(st);
  }
  return NB_OK;
}

nb_status nb_calib_sources_read(const char *const *given, size_t n, const nb_tokenizer *t, nb_calib_sources *out,
                                nb_err *err) {
  const reading r = {t, n == 0, out};
  *out = (nb_calib_sources){.n = 0};
  nb_status st = n ? NB_OK : add_bundled(&r, err);
  for (size_t i = 0; i < n && st == NB_OK; i++) st = add_path(&r, given[i], err);
  if (st != NB_OK) nb_calib_sources_free(out);
  return st;
}

void nb_calib_sources_free(nb_calib_sources *s) {
  for (size_t i = 0; i < s->n; i++) {
    nb_ids_free(&s->items[i].ids);
    cJSON_Delete(s->items[i].origin);
  }
  free(s->items);
  *s = (nb_calib_sources){.n = 0};
}
