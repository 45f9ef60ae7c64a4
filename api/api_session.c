/* SPDX-License-Identifier: MIT */
/* Sessions: a text that goes on over several turns, saved and restored. */
#include "api/libnibble.h"

#include "base/mem.h"
#include "formats/cachefile.h"
#include "formats/paths.h"

#include <string.h>

struct nibble_session {
  nibble_model *m;
  nb_context *context;
  uint64_t reserved; /* of the model's limit */
  nb_api_turn last;
};

/* The tokens of a session that names none: the model's positions, or what the limit allows of them. */
static size_t default_context(const nibble_model *m, nb_kv_type type) {
  size_t tokens = m->opened.model.config.max_position;
  while (tokens > 64 && nb_api_room(m, tokens, type, NULL) != NB_OK) tokens = (tokens - 1) / 64 * 64;
  return tokens;
}

static nb_status open_session(nibble_model *m, const nibble_session_options *given, nibble_session *s, nb_err *err) {
  nibble_session_options o;
  nb_kv_type type = m->kv;
  NB_TRY(nb_api_options(given, offsetof(nibble_session_options, kv) + sizeof o.kv, "nibble_session_options", &o,
                        sizeof o, err));
  if (o.kv) NB_TRY(nb_kv_type_parse(o.kv, &type, err));
  const size_t tokens = o.context ? o.context : default_context(m, type);
  const nb_context_opts co = {tokens, type, o.no_guesses ? NB_DRAFT_NEVER : NB_DRAFT_WORTH};
  NB_TRY(nb_api_room(m, tokens, type, err));
  NB_TRY(nb_context_create(m->session, &m->opened.model, &co, &s->context, err));
  s->m = m, s->reserved = nb_kv_need(&m->opened.model.config, tokens, type);
  m->reserved += s->reserved;
  return NB_OK;
}

nibble_status nibble_session_open(nibble_model *m, const nibble_session_options *options, nibble_session **out,
                                  nibble_error *err) {
  nb_err e;
  nibble_session *s;
  *out = NULL;
  nb_status st = nb_new(&s, 1, sizeof *s, "a session", &e);
  if (st == NB_OK && (st = open_session(m, options, s, &e)) != NB_OK) nb_free(s);
  if (st == NB_OK) *out = s;
  return nb_api_report(st, &e, err);
}

void nibble_session_close(nibble_session *s) {
  if (!s) return;
  s->m->reserved -= s->reserved;
  nb_context_free(s->context);
  nb_free(s);
}

nibble_status nibble_session_generate(nibble_session *s, const int32_t *ids, size_t n, const nibble_generation *g,
                                      nibble_stats *stats, size_t *reused, nibble_error *err) {
  nb_err e;
  s->last = (nb_api_turn){.reused = 0};
  nb_status st = nb_api_generate(s->m, s->context, ids, n, g, &s->last, &e);
  if (st == NB_OK && stats) *stats = s->last.stats;
  if (reused) *reused = s->last.reused;
  return nb_api_report(st, &e, err);
}

void nibble_session_guesses(const nibble_session *s, size_t *tried, size_t *right) {
  *tried = s->last.drafted, *right = s->last.taken;
}

void nibble_session_tokens(const nibble_session *s, int32_t *ids, size_t *n) {
  size_t held;
  const int32_t *from = nb_context_ids(s->context, &held);
  if (ids && held) memcpy(ids, from, nb_min(*n, held) * sizeof *ids);
  *n = held;
}

void nibble_session_reset(nibble_session *s) { nb_context_clear(s->context); }

/* ---- files ---- */

static nb_status file_of(const nibble_session *s, const nb_nbl **f, nb_err *err) {
  *f = nb_opened_nbl(&s->m->opened);
  if (*f) return NB_OK;
  return nb_fail(err, NB_ERR_UNSUPPORTED, "%s: a session can be saved with a .nbl file only", s->m->path);
}

nibble_status nibble_session_save(const nibble_session *s, const char *path, nibble_error *err) {
  nb_err e;
  const nb_nbl *f;
  const nb_path paths[] = {{s->m->path, NULL, NB_PATH_READ}, {path, NULL, NB_FILE_CACHE}};
  nb_status st = file_of(s, &f, &e);
  if (st == NB_OK) st = nb_path_check(paths, 2, false, &e);
  if (st == NB_OK) st = nb_cachefile_save(path, f, s->context, &e);
  return nb_api_report(st, &e, err);
}

nibble_status nibble_session_load(nibble_session *s, const char *path, nibble_error *err) {
  nb_err e;
  const nb_nbl *f;
  nb_status st = file_of(s, &f, &e);
  if (st == NB_OK) st = nb_cachefile_load(path, f, s->context, &e);
  return nb_api_report(st, &e, err);
}
