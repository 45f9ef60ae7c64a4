/* SPDX-License-Identifier: MIT */
/* The public interface: thin functions over the modules that do the work. */
#include "api/nibble.h"
#include "api/libnibble.h"

#include "text/chat_template.h"
#include "base/cpu.h"
#include "model/generate.h"
#include "base/mem.h"
#include "eval/memory.h"
#include "formats/open.h"
#include "base/parallel.h"

#include <stdlib.h>
#include <string.h>

struct nibble_model {
  nb_opened opened;
  nb_session *session;
  nb_kv_type kv;
};

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

const char *nibble_version(void) { return NB_VERSION; }

static nb_status open_model(const char *path, const nibble_options *o, nibble_model *m, nb_err *err) {
  nb_session_opts so = {.threads = o->threads, .max_tokens = o->batch};
  NB_TRY(nb_api_machine(o->cpu, &so.threads, &so.cpu_features, err));
  NB_TRY(nb_open(path, o->verify ? NB_OPEN_VERIFY : 0, so.threads, &m->opened, err));
  m->kv = m->opened.kv;
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &m->kv, err));
  return nb_session_create(&m->opened.model.config, &so, &m->session, err);
}

nibble_status nibble_open(const char *path, const nibble_options *options, nibble_model **out, nibble_error *err) {
  nb_err e;
  nibble_model *m;
  *out = NULL;
  nb_status st = nb_new(&m, 1, sizeof *m, "a model", &e);
  if (st != NB_OK) return nb_api_report(st, &e, err);
  const nibble_options none = {0};
  st = open_model(path, options ? options : &none, m, &e);
  if (st == NB_OK) *out = m;
  else nibble_close(m);
  return nb_api_report(st, &e, err);
}

void nibble_close(nibble_model *m) {
  if (!m) return;
  nb_session_free(m->session);
  nb_opened_free(&m->opened);
  nb_free(m);
}

void nibble_free(void *memory) { free(memory); }

void nibble_describe(const nibble_model *m, nibble_info *out) {
  const nb_config *c = &m->opened.model.config;
  memset(out, 0, sizeof *out);
  memcpy(out->architecture, c->architecture, sizeof out->architecture);
  out->layers = c->layers, out->width = c->hidden, out->vocabulary = c->vocab;
  out->max_position = c->max_position;
  out->bos = nb_tokenizer_bos(m->opened.tokenizer);
  out->has_chat_template = *nb_tokenizer_chat_template(m->opened.tokenizer) != 0;
  out->file_bytes = m->opened.file_bytes;
}

/* ---- text ---- */

nibble_status nibble_tokenize(const nibble_model *m, const char *text, size_t n_bytes, int special, int32_t **ids,
                              size_t *n, nibble_error *err) {
  nb_err e;
  nb_ids list = {0};
  nb_status st =
      nb_tokenizer_encode(m->opened.tokenizer, text, n_bytes, special ? NB_ENCODE_ADD_SPECIAL : 0, &list, &e);
  if (st != NB_OK) nb_ids_free(&list), list = (nb_ids){0};
  *ids = list.id, *n = list.n;
  return nb_api_report(st, &e, err);
}

/* Hands the text over, also an empty one as a string. */
static nibble_status give_text(nb_status st, nb_text *t, char **text, size_t *n_bytes, nb_err *e, nibble_error *err) {
  if (st == NB_OK) st = nb_text_append(t, "", 0, e);
  if (st != NB_OK) nb_text_free(t);
  *text = t->s, *n_bytes = t->n;
  return nb_api_report(st, e, err);
}

nibble_status nibble_detokenize(const nibble_model *m, const int32_t *ids, size_t n, char **text, size_t *n_bytes,
                                nibble_error *err) {
  nb_err e;
  nb_text t = {0};
  nb_status st = nb_tokenizer_decode(m->opened.tokenizer, ids, n, true, &t, &e);
  return give_text(st, &t, text, n_bytes, &e, err);
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
  return give_text(st, &t, text, n_bytes, &e, err);
}

/* ---- generation ---- */

typedef struct stream {
  const nibble_generation *g;
  nb_decoder *decoder;
  nb_text text;
  nb_status st;
  nb_err *err;
} stream;

static bool pass_on(stream *s) {
  bool more = !s->g->text || s->text.n == 0 || s->g->text(s->g->ctx, s->text.s, s->text.n);
  s->text.n = 0;
  return more;
}

static bool take_token(void *ctx, int32_t id) {
  stream *s = ctx;
  s->st = nb_decoder_step(s->decoder, id, &s->text, s->err);
  return s->st == NB_OK && pass_on(s);
}

nibble_status nibble_generate(nibble_model *m, const int32_t *prompt, size_t n, const nibble_generation *g,
                              nibble_stats *stats, nibble_error *err) {
  nb_err e;
  nb_status st;
  nb_generation_stats done = {0};
  stream s = {.g = g, .st = NB_OK, .err = &e};
  const nb_generation how = {.sampling = {g->temperature, g->top_p > 0 ? g->top_p : 1, g->seed},
                             .max_new = g->max_tokens ? g->max_tokens : 256,
                             .kv_type = m->kv,
                             .token = take_token,
                             .ctx = &s};
  NB_GOTO(nb_decoder_new(m->opened.tokenizer, true, &s.decoder, &e));
  NB_GOTO(nb_generate(m->session, &m->opened.model, prompt, n, &how, &done, &e));
  NB_GOTO(s.st);
  NB_GOTO(nb_decoder_finish(s.decoder, &s.text, &e));
  pass_on(&s);
  if (stats) *stats = (nibble_stats){done.prompt_tokens, done.new_tokens, done.prompt_s, done.new_s, done.ended};
fail:
  nb_decoder_free(s.decoder);
  nb_text_free(&s.text);
  return nb_api_report(st, &e, err);
}

/* ---- scoring ---- */

/* Adds up the log-probs of the tokens `from` and on, each after those before it. The cache holds nothing yet. */
static nb_status score_ids(nibble_model *m, const nb_segment *all, size_t from, double *logprob, bool *all_greedy,
                           nb_err *err) {
  nb_status st;
  const size_t batch = nb_session_max_tokens(m->session);
  size_t *row = NULL;
  double *part = NULL;
  bool *best = NULL;
  *logprob = 0, *all_greedy = true;
  NB_GOTO(nb_new(&row, batch, sizeof *row, "the scores", err));
  NB_GOTO(nb_new(&part, batch, sizeof *part, "the scores", err));
  NB_GOTO(nb_new(&best, batch, sizeof *best, "the scores", err));
  for (size_t i = 0; i < batch; i++) row[i] = i;
  if (from > 1) NB_GOTO(nb_session_prefill(m->session, &m->opened.model, all->kv, all->tokens, from - 1, err));
  /* The state after ids[t] predicts ids[t + 1]. */
  for (size_t t = from - 1; t + 1 < all->n; t += batch) {
    const size_t take = nb_min(batch, all->n - 1 - t);
    const nb_segment seg = {all->kv, all->tokens + t, take};
    const nb_targets targets = {row, seg.tokens + 1, take};
    NB_GOTO(nb_session_forward(m->session, &m->opened.model, &seg, 1, err));
    NB_GOTO(nb_session_score(m->session, &m->opened.model, &targets, part, best, err));
    for (size_t i = 0; i < take; i++) *logprob += part[i], *all_greedy &= best[i];
  }
  st = NB_OK;
fail:
  nb_free(row), nb_free(part), nb_free(best);
  return st;
}

nibble_status nibble_score(nibble_model *m, const int32_t *context, size_t n_context, const int32_t *continuation,
                           size_t n, double *logprob, int *greedy, nibble_error *err) {
  nb_err e;
  nb_status st = NB_OK;
  nb_kv *kv = NULL;
  int32_t *ids = NULL;
  bool all_greedy = false;
  size_t total;
  const nb_config *c = &m->opened.model.config;
  if (n_context == 0) return nb_api_report(nb_fail(&e, NB_ERR_ARG, "the context needs one token at least"), &e, err);
  if (!nb_add(n_context, n, &total) || total > c->max_position)
    return nb_api_report(nb_fail(&e, NB_ERR_ARG, "%zu and %zu tokens are more than the model's %zu positions",
                                 n_context, n, c->max_position),
                         &e, err);
  NB_GOTO(nb_new(&ids, total, sizeof *ids, "the tokens", &e));
  memcpy(ids, context, n_context * sizeof *ids);
  if (n) memcpy(ids + n_context, continuation, n * sizeof *ids);
  for (size_t i = n_context; i < total; i++)
    if (ids[i] < 0 || (size_t)ids[i] >= c->vocab)
      NB_GOTO(nb_fail(&e, NB_ERR_ARG, "token id %d is not below %zu", (int)ids[i], c->vocab));
  NB_GOTO(nb_kv_create(c, total, m->kv, nb_config_stretch(c, total), &kv, &e));
  NB_GOTO(score_ids(m, &(nb_segment){kv, ids, total}, n_context, logprob, &all_greedy, &e));
  if (greedy) *greedy = all_greedy;
fail:
  nb_kv_free(kv);
  nb_free(ids);
  return nb_api_report(st, &e, err);
}

void nibble_memory_now(nibble_memory *out) {
  nb_memory m = {0};
  nb_memory_read(&m);
  *out = (nibble_memory){m.file_bytes, m.anon_bytes, m.peak_bytes};
}
