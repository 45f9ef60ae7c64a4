/* SPDX-License-Identifier: MIT */
/* The public interface: thin functions over the modules that do the work. */
#include "api/nibble.h"
#include "api/libnibble.h"

#include "text/chat_template.h"
#include "base/bytes.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "text/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

nibble_status nb_api_report(nb_status st, const nb_err *from, nibble_error *to) {
  if (st == NB_OK) return NIBBLE_OK;
  if (to) {
    _Static_assert(sizeof to->text == sizeof from->msg, "messages have one size");
    memcpy(to->text, from->msg, sizeof to->text);
  }
  switch (st) {
  case NB_ERR_IO: return NIBBLE_ERROR_IO;
  case NB_ERR_UNSUPPORTED: return NIBBLE_ERROR_UNSUPPORTED;
  case NB_ERR_MEMORY: return NIBBLE_ERROR_MEMORY;
  case NB_ERR_ARG: return NIBBLE_ERROR_ARGUMENT;
  case NB_ERR_NUMERIC: return NIBBLE_ERROR_NUMERIC;
  case NB_ERR_INTERRUPTED: return NIBBLE_STOPPED;
  default: return NIBBLE_ERROR_FORMAT;
  }
}

nb_status nb_api_machine(const char *cpu, int *threads, unsigned *cpu_features, nb_err *err) {
  if (*threads <= 0) *threads = nb_parallel_cpus();
  if (*threads > NB_MAX_THREADS)
    return nb_fail(err, NB_ERR_ARG, "%d threads is out of range (1 to %d)", *threads, NB_MAX_THREADS);
  *cpu_features = nb_cpu_detect();
  return cpu ? nb_cpu_mask(cpu, cpu_features, err) : NB_OK;
}

nb_status nb_api_options(const void *given, size_t first, const char *type, void *out, size_t size, nb_err *err) {
  memset(out, 0, size);
  if (!given) return NB_OK;
  size_t had;
  memcpy(&had, given, sizeof had);
  if (had < first) return nb_fail(err, NB_ERR_ARG, "the options' size is %zu: set it to sizeof(%s)", had, type);
  const unsigned char *bytes = given;
  for (size_t i = size; i < had; i++)
    if (bytes[i])
      return nb_fail(err, NB_ERR_ARG,
                     "the options have a field that libnibble %s does not know: leave it zero, or use a newer library",
                     NB_VERSION);
  memcpy(out, given, had < size ? had : size);
  return NB_OK;
}

const char *nibble_version(void) { return NB_VERSION; }

/* The options of this version, and what a session is made with by them. */
static nb_status read_options(const nibble_options *given, nibble_options *o, nb_session_opts *so, nb_err *err) {
  NB_TRY(nb_api_options(given, offsetof(nibble_options, ctx) + sizeof o->ctx, "nibble_options", o, sizeof *o, err));
  *so = (nb_session_opts){.threads = o->threads, .max_tokens = o->batch};
  if ((unsigned)o->priority >= NB_PRIORITIES)
    return nb_fail(err, NB_ERR_ARG, "priority %d is none of nibble_priority's", (int)o->priority);
  return nb_api_machine(o->cpu, &so->threads, &so->cpu_features, err);
}

static nb_status copy_text(const char *text, char **out, nb_err *err) {
  NB_TRY(nb_new(out, strlen(text) + 1, 1, "a path", err));
  memcpy(*out, text, strlen(text) + 1);
  return NB_OK;
}

static void log_notes(const nibble_options *o, const nibble_model *m) {
  char line[512], a[NB_BYTES_TEXT], b[NB_BYTES_TEXT];
  if (!o->log) return;
  for (const char *note = m->opened.notes.s; note && *note; note += strcspn(note, "\n"), note += *note == '\n') {
    snprintf(line, sizeof line, "%s: %.*s", m->path, (int)strcspn(note, "\n"), note);
    o->log(o->ctx, line);
  }
  snprintf(line, sizeof line, "%s: %s, %s mapped, %s of its own before a session, %d threads", m->path,
           m->opened.model.config.architecture, nb_bytes_text(a, m->opened.file_bytes),
           nb_bytes_text(b, m->tables + m->workspace), m->threads);
  o->log(o->ctx, line);
}

/* What was opened becomes a model that can run. */
static nb_status prepare(nibble_model *m, const nibble_options *o, nb_session_opts *so, nb_err *err) {
  char a[NB_BYTES_TEXT], b[NB_BYTES_TEXT];
  size_t workspace;
  m->kv = m->opened.kv, m->limit = o->memory_limit, m->priority = (nb_priority)o->priority;
  m->threads = so->threads;
  so->interrupt = &m->interrupt;
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &m->kv, err));
  NB_TRY(nb_session_need(&m->opened.model.config, so, &workspace, err));
  m->workspace = workspace, m->tables = nb_api_tables(&m->opened);
  if (m->limit && m->workspace + m->tables > m->limit)
    return nb_fail(err, NB_ERR_MEMORY, "%s: needs %s of its own before a session, and the limit is %s: a smaller batch",
                   m->path, nb_bytes_text(a, m->workspace + m->tables), nb_bytes_text(b, m->limit));
  NB_TRY(nb_session_create(&m->opened.model.config, so, &m->session, err));
  log_notes(o, m);
  return NB_OK;
}

/* Where a model is: a path that may be of any form, or places of a .nbl file. */
typedef struct whereabouts {
  const char *path;
  const nb_mapfile_place *place; /* (n) without a path */
  size_t n;
} whereabouts;

static nb_status open_model(const whereabouts *w, const nibble_options *given, nibble_model *m, nb_err *err) {
  nibble_options o;
  nb_session_opts so;
  NB_TRY(read_options(given, &o, &so, err));
  const char *name = w->path ? w->path : w->place[0].path ? w->place[0].path : "the model";
  const unsigned flags = o.verify ? NB_OPEN_VERIFY : 0;
  NB_TRY(copy_text(name, &m->path, err));
  NB_TRY(w->path ? nb_open(w->path, flags, so.threads, &m->opened, err)
                 : nb_open_places(w->place, w->n, flags, so.threads, &m->opened, err));
  return prepare(m, &o, &so, err);
}

static nibble_status open_any(const whereabouts *w, const nibble_options *options, nibble_model **out,
                              nibble_error *err) {
  nb_err e;
  nibble_model *m;
  nb_status st = nb_new(&m, 1, sizeof *m, "a model", &e);
  if (st != NB_OK) return nb_api_report(st, &e, err);
  st = open_model(w, options, m, &e);
  if (st == NB_OK) *out = m;
  else nibble_close(m);
  return nb_api_report(st, &e, err);
}

nibble_status nibble_open(const char *path, const nibble_options *options, nibble_model **out, nibble_error *err) {
  nb_err e;
  *out = NULL;
  if (!path) return nb_api_report(nb_fail(&e, NB_ERR_ARG, "name a model"), &e, err);
  const whereabouts w = {.path = path};
  return open_any(&w, options, out, err);
}

static nb_status places_of(const nibble_source *sources, size_t n, nb_mapfile_place **out, nb_err *err) {
  if (!sources || !n) return nb_fail(err, NB_ERR_ARG, "no sources: want a file, or its parts in order");
  NB_TRY(nb_new(out, n, sizeof **out, "the sources", err));
  for (size_t i = 0; i < n; i++)
    (*out)[i] = (nb_mapfile_place){sources[i].path, sources[i].fd, sources[i].offset, sources[i].length};
  return NB_OK;
}

nibble_status nibble_open_sources(const nibble_source *sources, size_t n, const nibble_options *options,
                                  nibble_model **out, nibble_error *err) {
  nb_err e;
  nb_mapfile_place *place;
  *out = NULL;
  nb_status st = places_of(sources, n, &place, &e);
  if (st != NB_OK) return nb_api_report(st, &e, err);
  const whereabouts w = {.place = place, .n = n};
  const nibble_status done = open_any(&w, options, out, err);
  nb_free(place);
  return done;
}

nibble_status nibble_fit_sources(const nibble_source *sources, size_t n, const nibble_options *options, size_t tokens,
                                 nibble_fit *out, nibble_error *err) {
  nb_err e;
  nb_mapfile_place *place = NULL;
  nibble_options o;
  nb_session_opts so;
  nb_opened m = {0};
  nibble_fit fit = {.size = out->size};
  nb_status st;
  NB_GOTO(read_options(options, &o, &so, &e));
  if (out->size < offsetof(nibble_fit, fits) + sizeof fit.fits)
    NB_GOTO(nb_fail(&e, NB_ERR_ARG, "the answer's size is %zu: set it to sizeof(nibble_fit)", out->size));
  NB_GOTO(places_of(sources, n, &place, &e));
  NB_GOTO(nb_open_places(place, n, 0, so.threads, &m, &e));
  NB_GOTO(nb_api_fit(&m, &o, &so, tokens, &fit, &e));
  memset(out, 0, fit.size);
  memcpy(out, &fit, nb_min(fit.size, sizeof fit));
fail:
  nb_opened_free(&m);
  nb_free(place);
  return nb_api_report(st, &e, err);
}

void nibble_close(nibble_model *m) {
  if (!m) return;
  nb_session_free(m->session);
  nb_opened_free(&m->opened);
  nb_free(m->path);
  nb_free(m);
}

void nibble_interrupt(nibble_model *m, int on) { atomic_store_explicit(&m->interrupt, on != 0, memory_order_relaxed); }

void nibble_free(void *memory) { free(memory); }

void nibble_describe(const nibble_model *m, nibble_info *out) {
  const nb_config *c = &m->opened.model.config;
  memset(out, 0, sizeof *out);
  memcpy(out->architecture, c->architecture, sizeof out->architecture);
  out->layers = c->layers, out->width = c->hidden, out->vocabulary = c->vocab;
  out->max_position = c->max_position;
  out->bos = nb_tokenizer_bos(m->opened.tokenizer), out->eos = nb_tokenizer_eos(m->opened.tokenizer);
  out->has_chat_template = *nb_tokenizer_chat_template(m->opened.tokenizer) != 0;
  out->file_bytes = m->opened.file_bytes;
}

/* ---- text ---- */

nibble_status nibble_tokenize(const nibble_model *m, const char *text, size_t n_bytes, int special, int32_t **ids,
                              size_t *n, nibble_error *err) {
  nb_err e;
  nb_ids list = {0};
  const bool add = special == 2 ? !nb_tokenizer_begun(m->opened.tokenizer, text, n_bytes) : special != 0;
  const unsigned flags = add ? NB_ENCODE_ADD_SPECIAL : 0;
  nb_status st = nb_tokenizer_encode(m->opened.tokenizer, text, n_bytes, flags, &list, &e);
  if (st != NB_OK) nb_ids_free(&list), list = (nb_ids){0};
  *ids = list.id, *n = list.n;
  return nb_api_report(st, &e, err);
}

nibble_status nb_api_give_text(nb_status st, nb_text *t, char **text, size_t *n_bytes, nb_err *from, nibble_error *to) {
  if (st == NB_OK) st = nb_text_append(t, "", 0, from);
  if (st != NB_OK) nb_text_free(t);
  *text = t->s, *n_bytes = t->n;
  return nb_api_report(st, from, to);
}

nibble_status nibble_detokenize(const nibble_model *m, const int32_t *ids, size_t n, char **text, size_t *n_bytes,
                                nibble_error *err) {
  nb_err e;
  nb_text t = {0};
  nb_status st = nb_tokenizer_decode(m->opened.tokenizer, ids, n, true, &t, &e);
  return nb_api_give_text(st, &t, text, n_bytes, &e, err);
}

nibble_status nibble_chat(const nibble_model *m, const nibble_message *messages, size_t n, char **text, size_t *n_bytes,
                          nibble_error *err) {
  nb_err e;
  nb_text t = {0};
  nb_chat_message *list = NULL;
  nb_status st = nb_new(&list, n ? n : 1, sizeof *list, "the messages", &e);
  if (st == NB_OK) {
    for (size_t i = 0; i < n; i++) list[i] = (nb_chat_message){messages[i].role, messages[i].content};
    st = nb_chat_render_tokenizer(m->opened.tokenizer, list, n, true, &t, &e);
  }
  nb_free(list);
  return nb_api_give_text(st, &t, text, n_bytes, &e, err);
}

/* ---- generation ---- */

typedef struct stream {
  const nibble_generation *g;
  nb_stop stop;
  size_t sent; /* bytes of its text that were passed on */
  bool over;   /* the caller wants no more */
  nb_status st;
  nb_err *err;
} stream;

static bool pass_on(stream *s) {
  size_t n = s->stop.safe - s->sent;
  if (n && s->g->text && !s->over) s->over = !s->g->text(s->g->ctx, s->stop.text.s + s->sent, n);
  s->sent = s->stop.safe;
  return !s->over;
}

static bool take_token(void *ctx, int32_t id) {
  stream *s = ctx;
  s->st = nb_stop_token(&s->stop, id, s->err);
  return s->st == NB_OK && pass_on(s) && !s->stop.ended;
}

static size_t max_new(const nibble_generation *g) { return g->max_tokens ? g->max_tokens : 256; }

nb_status nb_api_generate(nibble_model *m, nb_context *context, const int32_t *ids, size_t n,
                          const nibble_generation *g, nb_api_turn *turn, nb_err *err) {
  nb_status st = NB_OK;
  nb_generation_stats done = {0};
  stream s = {.g = g, .st = NB_OK, .err = err};
  const nb_generation how = {.sampling = {g->temperature, g->top_p > 0 ? g->top_p : 1, g->seed},
                             .max_new = max_new(g),
                             .token = take_token,
                             .ctx = &s};
  for (size_t i = 0; i < g->n_stop; i++)
    if (!*g->stop[i]) NB_GOTO(nb_fail(err, NB_ERR_ARG, "a stop string is empty"));
  NB_GOTO(nb_stop_begin(m->opened.tokenizer, g->stop, g->n_stop, &s.stop, err));
  const nb_priority was = nb_parallel_prefer(m->priority);
  st = nb_context_generate(context, ids, n, &how, &done, err);
  nb_parallel_prefer(was);
  turn->reused = done.reused, turn->drafted = done.drafted, turn->taken = done.taken;
  NB_GOTO(st);
  NB_GOTO(s.st);
  bool stopped = s.stop.ended;
  NB_GOTO(nb_stop_finish(&s.stop, err));
  pass_on(&s);
  turn->stats =
      (nibble_stats){done.prompt_tokens, done.new_tokens, done.prompt_s, done.new_s, stopped ? 2 : done.ended};
fail:
  nb_stop_free(&s.stop);
  return st;
}

nibble_status nibble_generate(nibble_model *m, const int32_t *prompt, size_t n, const nibble_generation *g,
                              nibble_stats *stats, nibble_error *err) {
  nb_err e;
  nb_api_turn turn = {.reused = 0};
  nb_context *c = NULL;
  size_t all;
  if (!nb_add(n, max_new(g), &all)) all = SIZE_MAX;
  nb_status st = nb_api_room(m, all, m->kv, &e);
  const nb_context_opts o = {.capacity = nb_max(2, nb_min(all, m->opened.model.config.max_position)), .kv = m->kv};
  if (st == NB_OK) st = nb_context_create(m->session, &m->opened.model, &o, &c, &e);
  if (st == NB_OK) st = nb_api_generate(m, c, prompt, n, g, &turn, &e);
  nb_context_free(c);
  if (st == NB_OK && stats) *stats = turn.stats;
  return nb_api_report(st, &e, err);
}
