/* SPDX-License-Identifier: MIT */
#include "tools/talk.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

nb_status talk_begin(const nb_opened *m, const cli_common *c, const char *kv, nb_draft_mode draft, talk *out,
                     nb_err *err) {
  *out = (talk){.m = m, .kv = m->kv, .draft = draft};
  nb_session_opts so = {.threads = c->threads, .cpu_features = c->features};
  if (kv) NB_TRY(nb_kv_type_parse(kv, &out->kv, err));
  return nb_session_create(&m->model.config, &so, &out->session, err);
}

void talk_end(talk *t) {
  nb_context_free(t->context);
  nb_session_free(t->session);
  *t = (talk){0};
}

/* Room for so many tokens. A conversation's grows by doubling: most end long before a model's positions, of which the
 * system may refuse the memory. */
static nb_status make_room(talk *t, size_t tokens, nb_err *err) {
  const size_t most = t->m->model.config.max_position, need = nb_max(2, nb_min(tokens, most));
  const nb_context_opts o = {need, t->kv, t->draft};
  if (!t->context) return nb_context_create(t->session, &t->m->model, &o, &t->context, err);
  const size_t had = nb_context_capacity(t->context);
  return need <= had ? NB_OK : nb_context_grow(t->context, nb_min(nb_max(need, 2 * had), most), err);
}

/* ---- answers ---- */

typedef struct writer {
  talk_answer *a;
  nb_decoder *decoder;
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

static bool stopped(void *ctx) {
  talk_answer *a = ((writer *)ctx)->a;
  if (a->stop && a->stop()) a->stopped = true;
  return a->stopped;
}

static bool on_token(void *ctx, int32_t id) {
  writer *w = ctx;
  size_t before = w->a->text.n;
  w->st = nb_decoder_step(w->decoder, id, &w->a->text, w->err);
  if (w->st == NB_OK) print_from(w, before);
  return w->st == NB_OK && !stopped(w);
}

nb_status talk_run(talk *t, const nb_ids *ids, talk_answer *a, nb_err *err) {
  writer w = {.a = a, .err = err};
  const nb_generation g = {.sampling = a->sampling,
                           .max_new = a->max_new,
                           .ignore_eos = a->ignore_eos,
                           .token = on_token,
                           .stop = stopped,
                           .ctx = &w};
  size_t before;
  nb_status st;
  a->stopped = false;
  NB_GOTO(nb_text_append(&a->text, "", 0, err));
  NB_GOTO(make_room(t, ids->n + a->max_new, err));
  NB_GOTO(nb_decoder_new(t->m->tokenizer, true, &w.decoder, err));
  NB_GOTO(nb_context_generate(t->context, ids->id, ids->n, &g, &a->stats, err));
  NB_GOTO(w.st);
  before = a->text.n;
  NB_GOTO(nb_decoder_finish(w.decoder, &a->text, err));
  print_from(&w, before);
  st = w.st;
fail:
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
