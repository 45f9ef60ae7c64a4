/* SPDX-License-Identifier: MIT */
#include "tools/talk.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

nb_status talk_begin(const nb_opened *m, const cli_common *c, const char *kv, nb_draft_mode draft, talk *out,
                     nb_err *err) {
  *out = (talk){.m = m};
  nb_batch_opts bo = {.kv = m->kv, .most = 1, .keep = 1, .draft = draft};
  nb_session_opts so = {.threads = c->threads, .cpu_features = c->features};
  if (kv) NB_TRY(nb_kv_type_parse(kv, &bo.kv, err));
  NB_TRY(nb_session_create(&m->model.config, &so, &out->session, err));
  return nb_batch_create(out->session, &m->model, &bo, &out->batch, err);
}

void talk_end(talk *t) {
  nb_batch_free(t->batch);
  nb_session_free(t->session);
  *t = (talk){0};
}

/* ---- answers ---- */

typedef struct writer {
  talk_answer *a;
  nb_decoder *decoder;
  double began;
  nb_batch_end why;
  nb_status st;
  nb_err *err;
} writer;

/* A signal (Ctrl-C in a chat) may interrupt a write, which then goes on: what stdio does after that is not the same
 * everywhere. */
static void print_from(writer *w, size_t before) {
  if (!w->a->stream) return;
  fflush(stdout);
  for (size_t at = before; at < w->a->text.n;) {
    ssize_t n = write(STDOUT_FILENO, w->a->text.s + at, w->a->text.n - at);
    if (n >= 0) at += (size_t)n;
    else if (errno != EINTR) {
      if (w->st == NB_OK) w->st = nb_fail(w->err, NB_ERR_IO, "standard output: cannot write: %s", strerror(errno));
      return;
    }
  }
}

static bool on_token(void *ctx, int32_t id) {
  writer *w = ctx;
  size_t before = w->a->text.n;
  nb_generation_stats *s = &w->a->stats;
  if (!s->new_tokens++) s->prompt_s = nb_clock() - w->began, w->began = nb_clock();
  w->st = nb_decoder_step(w->decoder, id, &w->a->text, w->err);
  if (w->st == NB_OK) print_from(w, before);
  if (w->a->stop && w->a->stop()) w->a->stopped = true;
  return w->st == NB_OK && !w->a->stopped;
}

static void on_end(void *ctx, nb_batch_end why) { ((writer *)ctx)->why = why; }

static nb_status run(talk *t, const nb_batch_request *r, writer *w, nb_err *err) {
  uint64_t ticket;
  NB_TRY(nb_batch_submit(t->batch, r, &ticket, err));
  for (bool busy = true; busy;) {
    /* A long prompt takes many steps before there is a token to be asked at. */
    if (w->a->stop && w->a->stop()) w->a->stopped = true, nb_batch_cancel(t->batch, ticket);
    NB_TRY(nb_batch_step(t->batch, &busy, err));
  }
  return w->st;
}

nb_status talk_run(talk *t, const nb_ids *ids, talk_answer *a, nb_err *err) {
  writer w = {.a = a, .began = nb_clock(), .err = err};
  const nb_batch_stats began = *nb_batch_stats_of(t->batch), *now = nb_batch_stats_of(t->batch);
  size_t before;
  nb_batch_request r = {.prompt = ids->id,
                        .n_prompt = ids->n,
                        .max_new = a->max_new,
                        .sampling = a->sampling,
                        .ignore_eos = a->ignore_eos,
                        .token = on_token,
                        .ended = on_end,
                        .ctx = &w};
  a->stats = (nb_generation_stats){.prompt_tokens = ids->n};
  a->stopped = false;
  NB_TRY(nb_text_append(&a->text, "", 0, err));
  NB_TRY(nb_decoder_new(t->m->tokenizer, true, &w.decoder, err));
  nb_status st = run(t, &r, &w, err);
  before = a->text.n;
  if (st == NB_OK) st = nb_decoder_finish(w.decoder, &a->text, err);
  if (st == NB_OK) print_from(&w, before), st = w.st;
  nb_generation_stats *s = &a->stats;
  *(s->new_tokens ? &s->new_s : &s->prompt_s) = nb_clock() - w.began;
  s->ended = w.why == NB_BATCH_EOS;
  s->kv_bytes = nb_batch_kv_bytes(t->batch);
  s->drafted = now->drafted_tokens - began.drafted_tokens, s->taken = now->taken_tokens - began.taken_tokens;
  a->reused = now->shared_tokens - began.shared_tokens;
  nb_decoder_free(w.decoder);
  return st;
}

void talk_answer_free(talk_answer *a) { nb_text_free(&a->text); }

/* ---- conversations ---- */

nb_status talk_context(const nb_opened *m, const char *model, int asked, size_t *context, nb_err *err) {
  size_t positions = m->model.config.max_position;
  *context = asked ? (size_t)asked : positions;
  if (*context <= positions) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "--context %d: %s takes %zu tokens at most", asked, model, positions);
}

bool talk_has_template(const nb_tokenizer *t, bool raw) { return !raw && *nb_tokenizer_chat_template(t); }

nb_status talk_check_template(const nb_tokenizer *t, bool raw, bool system, const cli_common *c, const char *model,
                              nb_err *err) {
  if (raw || talk_has_template(t, raw)) return NB_OK;
  if (system) return nb_fail(err, NB_ERR_ARG, "%s has no chat template for --system: put it into the prompt", model);
  cli_note(c, "%s has no chat template: it goes on from the prompt's text, as with --raw", model);
  return NB_OK;
}

static nb_status join(const nb_chat_message *m, size_t n, nb_text *text, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    if (i && !strcmp(m[i].role, "user")) NB_TRY(nb_text_append_str(text, "\n", err));
    NB_TRY(nb_text_append_str(text, m[i].content, err));
  }
  return nb_text_append(text, "", 0, err);
}

static nb_status render(const nb_tokenizer *t, const char *system, const nb_chat_message *m, size_t n, nb_text *text,
                        nb_err *err) {
  nb_chat_message *all;
  NB_TRY(nb_new(&all, n + 1, sizeof *all, "messages", err));
  if (system) all[0] = (nb_chat_message){"system", system};
  for (size_t i = 0; i < n; i++) all[i + (system != NULL)] = m[i];
  nb_status st = nb_chat_render_tokenizer(t, all, n + (system != NULL), true, text, err);
  nb_free(all);
  return st == NB_OK ? nb_text_append(text, "", 0, err) : st;
}

nb_status talk_ids(const nb_tokenizer *t, bool raw, const char *system, const nb_chat_message *m, size_t n, nb_ids *ids,
                   nb_err *err) {
  nb_text text = {0};
  bool chat = talk_has_template(t, raw); /* a template writes its own begin token */
  nb_status st = chat ? render(t, system, m, n, &text, err) : join(m, n, &text, err);
  bool begun = st == NB_OK && (chat || nb_tokenizer_begun(t, text.s, text.n)); /* no second begin token */
  if (st == NB_OK) st = nb_tokenizer_encode(t, text.s, text.n, begun ? 0 : NB_ENCODE_ADD_SPECIAL, ids, err);
  nb_text_free(&text);
  return st;
}
