/* SPDX-License-Identifier: MIT */
#include "apps/web/web.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "formats/jsonout.h"
#include "formats/open.h"
#include "model/batch.h"
#include "text/chat_template.h"
#include "text/stop.h"
#include "text/tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  PIECE = 64,     /* tokens of a step: a prompt's, so that stopping is heard within one */
  PLACES = 64,    /* files of a model at most */
  MESSAGES = 4096 /* of a conversation */
};

static struct {
  nb_mapfile_place place[PLACES];
  size_t n_places;
  nb_opened opened;
  nb_session *session;
  nb_batch *batch;
  bool open;
  nb_chat_message message[MESSAGES];
  size_t n_messages;
  nb_text said; /* what is returned */
  nb_err err;
  /* the answer */
  nb_stop text;
  size_t sent, n_prompt, n_new;
  uint64_t ticket;
  nb_batch_end why;
  nb_status st; /* of the token callback */
} w;

const char *web_error(void) { return w.err.msg; }

/* ---- opening ---- */

static void end_answer(void) {
  nb_stop_free(&w.text);
  w.text = (nb_stop){0};
  w.sent = 0;
}

static void close_model(void) {
  end_answer();
  nb_batch_free(w.batch);
  nb_session_free(w.session);
  if (w.open) nb_opened_free(&w.opened);
  w.batch = NULL, w.session = NULL, w.open = false;
}

int web_place(const char *path) {
  char *copy = w.n_places < PLACES ? strdup(path) : NULL;
  if (!copy) return nb_fail(&w.err, NB_ERR_ARG, "%s: there are too many files", path), 0;
  w.place[w.n_places++] = (nb_mapfile_place){.path = copy};
  return 1;
}

static nb_status make_batch(nb_err *err) {
  const nb_batch_opts o = {.kv = w.opened.kv, .most = 1, .keep = 1};
  return nb_batch_create(w.session, &w.opened.model, &o, &w.batch, err);
}

static nb_status open_places(nb_err *err) {
  if (!w.n_places) return nb_fail(err, NB_ERR_ARG, "no file was given");
  w.open = true;
  NB_TRY(nb_open_places(w.place, w.n_places, 0, 1, &w.opened, err));
  const nb_session_opts so = {.threads = 1, .max_tokens = PIECE, .cpu_features = nb_cpu_detect()};
  NB_TRY(nb_session_create(&w.opened.model.config, &so, &w.session, err));
  return make_batch(err);
}

int web_open(void) {
  close_model();
  const nb_status st = open_places(&w.err);
  for (size_t i = 0; i < w.n_places; i++) free((char *)(uintptr_t)w.place[i].path);
  w.n_places = 0;
  if (st != NB_OK) close_model();
  return st == NB_OK;
}

const char *web_describe(void) {
  w.said.n = 0;
  nb_jsonout j = {.out = &w.said, .err = &w.err};
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_bool(&j, "chat", *nb_tokenizer_chat_template(w.opened.tokenizer) != 0);
  nb_jsonout_u64(&j, "context", w.opened.model.config.max_position);
  nb_jsonout_u64(&j, "file_bytes", w.opened.file_bytes);
  nb_jsonout_string(&j, "kernels", nb_session_kernels(w.session)->name);
  nb_jsonout_close(&j, '}');
  return j.st == NB_OK ? w.said.s : NULL;
}

/* ---- answering ---- */

int web_message(const char *role, const char *content) {
  nb_chat_message m = {NULL, NULL};
  if (w.n_messages < MESSAGES) m = (nb_chat_message){strdup(role), strdup(content)};
  if (!m.role || !m.content) return nb_fail(&w.err, NB_ERR_MEMORY, "the conversation is too long"), 0;
  w.message[w.n_messages++] = m;
  return 1;
}

static void forget_messages(void) {
  for (size_t i = 0; i < w.n_messages; i++)
    free((char *)(uintptr_t)w.message[i].role), free((char *)(uintptr_t)w.message[i].content);
  w.n_messages = 0;
}

static bool take_token(void *ctx, int32_t id) {
  (void)ctx;
  w.n_new++;
  w.st = nb_stop_token(&w.text, id, &w.err);
  return w.st == NB_OK;
}

static void ended(void *ctx, nb_batch_end why) {
  (void)ctx;
  w.why = why;
}

/* The ids of the messages in the model's chat template, which writes its own begin token, or of the prompt. */
static nb_status prompt_ids(const char *prompt, nb_ids *ids, nb_err *err) {
  const nb_tokenizer *t = w.opened.tokenizer;
  nb_text text = {0};
  nb_status st = prompt ? nb_text_append_str(&text, prompt, err)
                        : nb_chat_render_tokenizer(t, w.message, w.n_messages, true, &text, err);
  const bool begun = st == NB_OK && (!prompt || nb_tokenizer_begun(t, text.s, text.n));
  if (st == NB_OK) st = nb_tokenizer_encode(t, text.s, text.n, begun ? 0 : NB_ENCODE_ADD_SPECIAL, ids, err);
  nb_text_free(&text);
  return st;
}

/* How an answer is made, as JavaScript's numbers have it. */
typedef struct wish {
  double max_tokens, temperature, top_p, seed;
} wish;

static nb_status check(const wish *o, nb_err *err) {
  if (!(o->temperature >= 0 && o->temperature <= 2))
    return nb_fail(err, NB_ERR_ARG, "temperature is %g, not between 0 and 2", o->temperature);
  if (!(o->top_p >= 0 && o->top_p <= 1)) return nb_fail(err, NB_ERR_ARG, "top_p is %g, not between 0 and 1", o->top_p);
  if (!(o->seed >= 0 && o->seed <= 0x1p53 && o->seed == floor(o->seed)))
    return nb_fail(err, NB_ERR_ARG, "seed is %g, not a whole number between 0 and 2^53", o->seed);
  if (!(o->max_tokens >= 0 && o->max_tokens <= 0x1p31 && o->max_tokens == floor(o->max_tokens)))
    return nb_fail(err, NB_ERR_ARG, "max_tokens is %g, not a whole number", o->max_tokens);
  return NB_OK;
}

static nb_status begin(const char *prompt, const wish *o, nb_ids *ids, nb_err *err) {
  if (!w.batch) return nb_fail(err, NB_ERR_ARG, "no model is open");
  NB_TRY(check(o, err));
  NB_TRY(prompt_ids(prompt, ids, err));
  const size_t positions = w.opened.model.config.max_position;
  if (ids->n >= positions)
    return nb_fail(err, NB_ERR_ARG, "the conversation has %zu tokens, and the model takes %zu: begin a new one", ids->n,
                   positions);
  const size_t room = positions - ids->n, asked = (size_t)o->max_tokens;
  end_answer();
  NB_TRY(nb_stop_begin(w.opened.tokenizer, NULL, 0, &w.text, err));
  w.n_prompt = ids->n, w.n_new = 0, w.st = NB_OK;
  const nb_batch_request r = {.prompt = ids->id,
                              .n_prompt = ids->n,
                              .max_new = asked && asked < room ? asked : room,
                              .sampling = {o->temperature, o->top_p > 0 ? o->top_p : 1, (uint64_t)o->seed},
                              .token = take_token,
                              .ended = ended};
  return nb_batch_submit(w.batch, &r, &w.ticket, err);
}

int web_begin(const char *prompt, double max_tokens, double temperature, double top_p, double seed) {
  const wish o = {max_tokens, temperature, top_p, seed};
  nb_ids ids = {0};
  const nb_status st = begin(prompt, &o, &ids, &w.err);
  nb_ids_free(&ids);
  forget_messages();
  return st == NB_OK;
}

void web_stop(void) { nb_batch_cancel(w.batch, w.ticket); }

/* After a failure a batch can only be freed. */
static void renew_batch(void) {
  nb_err none;
  nb_batch_free(w.batch);
  w.batch = NULL;
  if (make_batch(&none) != NB_OK) w.batch = NULL;
}

static nb_status step(bool *busy, nb_err *err) {
  nb_status st = nb_batch_step(w.batch, busy, err);
  if (st == NB_OK) st = w.st;
  if (st == NB_OK && !*busy) st = nb_stop_finish(&w.text, err);
  if (st != NB_OK) renew_batch();
  return st;
}

const char *web_step(void) {
  static const char *const name[] = {"stop", "stop", "length", "cancelled"};
  bool busy = false;
  if (!w.batch || step(&busy, &w.err) != NB_OK) return NULL;
  w.said.n = 0;
  nb_jsonout j = {.out = &w.said, .err = &w.err};
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_text(&j, "text", w.text.text.s ? w.text.text.s + w.sent : "", w.text.safe - w.sent);
  nb_jsonout_u64(&j, "prompt_tokens", w.n_prompt);
  nb_jsonout_u64(&j, "completion_tokens", w.n_new);
  if (!busy) nb_jsonout_string(&j, "end", name[w.why]);
  nb_jsonout_close(&j, '}');
  w.sent = w.text.safe;
  return j.st == NB_OK ? w.said.s : NULL;
}
