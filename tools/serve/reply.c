/* SPDX-License-Identifier: MIT */
#include "tools/serve/reply.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* ---- tokens as texts ---- */

/* The text that a token adds after another: a tokenizer may write a first token otherwise (without its blank). */
static nb_status token_text(const serve_reply *r, int32_t before, int32_t id, nb_text *out, nb_err *err) {
  const int32_t both[2] = {before, id};
  nb_text one = {0}, two = {0};
  nb_text_clear(out);
  nb_status st = nb_tokenizer_decode(r->tokenizer, both, 1, false, &one, err);
  if (st == NB_OK) st = nb_tokenizer_decode(r->tokenizer, both, 2, false, &two, err);
  bool follows = st == NB_OK && two.n >= one.n && (!one.n || !memcmp(one.s, two.s, one.n));
  if (follows) st = nb_text_append(out, two.n ? two.s + one.n : "", two.n - one.n, err);
  else if (st == NB_OK) st = nb_tokenizer_decode(r->tokenizer, &id, 1, false, out, err);
  if (st == NB_OK) st = nb_text_append(out, "", 0, err);
  nb_text_free(&one), nb_text_free(&two);
  return st;
}

static size_t characters(const nb_text *t) {
  size_t n = 0;
  for (size_t i = 0; i < t->n; i++) n += ((unsigned char)t->s[i] & 0xc0) != 0x80;
  return n;
}

/* ---- log-probs ---- */

/* Opens an object about a token; its bytes are those of its text. */
static nb_status chat_token(const serve_reply *r, int32_t before, nb_batch_logprob of, nb_text *text, nb_jsonout *j,
                            nb_err *err) {
  NB_TRY(token_text(r, before, of.id, text, err));
  nb_jsonout_open(j, NULL, '{');
  nb_jsonout_text(j, "token", text->s, text->n);
  nb_jsonout_f64(j, "logprob", of.logprob);
  nb_jsonout_open(j, "bytes", '[');
  for (size_t i = 0; i < text->n; i++) nb_jsonout_u64(j, NULL, (unsigned char)text->s[i]);
  nb_jsonout_close(j, ']');
  return NB_OK;
}

/* The end token is no part of a chat's text. */
static nb_status chat_logprobs(const serve_reply *r, const serve_choice *c, size_t from, nb_jsonout *j, nb_err *err) {
  nb_text text = {0};
  nb_status st = NB_OK;
  nb_jsonout_open(j, "logprobs", '{');
  nb_jsonout_open(j, "content", '[');
  for (size_t i = from; i < c->n_ready && st == NB_OK; i++) {
    const serve_scored *s = &c->scored[i];
    if (s->end) continue;
    st = chat_token(r, s->before, s->of, &text, j, err);
    nb_jsonout_open(j, "top_logprobs", '[');
    for (size_t k = 0; k < r->top && st == NB_OK; k++) {
      st = chat_token(r, s->before, c->top[i * r->top + k], &text, j, err);
      nb_jsonout_close(j, '}');
    }
    nb_jsonout_close(j, ']');
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, ']');
  nb_jsonout_null(j, "refusal");
  nb_jsonout_close(j, '}');
  nb_text_free(&text);
  return st;
}

/* The likeliest tokens and the one that stands there, by text; of several tokens with one text the likeliest counts. */
static nb_status top_object(const serve_reply *r, const serve_choice *c, size_t i, nb_text *text, nb_jsonout *j,
                            nb_err *err) {
  const serve_scored *s = &c->scored[i];
  nb_text seen[NB_BATCH_TOP + 1] = {{0}};
  size_t n = 0;
  nb_status st = NB_OK;
  nb_jsonout_open(j, NULL, '{');
  for (size_t k = 0; k <= r->top && st == NB_OK; k++) {
    nb_batch_logprob x = k < r->top ? c->top[i * r->top + k] : s->of;
    bool again = false;
    NB_GOTO(token_text(r, s->before, x.id, text, err));
    for (size_t m = 0; m < n; m++) again |= seen[m].n == text->n && !memcmp(seen[m].s, text->s, text->n);
    if (again || memchr(text->s, 0, text->n)) continue; /* a key has no zero byte */
    nb_jsonout_f64(j, text->s, x.logprob);
    NB_GOTO(nb_text_append(&seen[n++], text->s, text->n, err));
  }
  nb_jsonout_close(j, '}');
fail:
  for (size_t m = 0; m < n; m++) nb_text_free(&seen[m]);
  return st;
}

/* The prompt's first token has a text and no log-prob. */
static bool has_first(const serve_reply *r, const serve_told *told) { return r->echo && !told->first; }

static nb_status completion_tokens(const serve_reply *r, const serve_choice *c, serve_told *told, nb_jsonout *j,
                                   nb_err *err) {
  nb_text text = {0};
  nb_status st = NB_OK;
  nb_jsonout_open(j, "tokens", '[');
  if (has_first(r, told)) {
    NB_GOTO(nb_tokenizer_decode(r->tokenizer, c->prompt, 1, false, &text, err));
    nb_jsonout_text(j, NULL, text.s ? text.s : "", text.n);
  }
  for (size_t i = told->scored; i < c->n_ready; i++) {
    NB_GOTO(token_text(r, c->scored[i].before, c->scored[i].of.id, &text, err));
    nb_jsonout_text(j, NULL, text.s, text.n);
  }
  nb_jsonout_close(j, ']');
  nb_jsonout_open(j, "text_offset", '[');
  if (has_first(r, told)) {
    nb_text_clear(&text);
    nb_jsonout_u64(j, NULL, told->offset);
    NB_GOTO(nb_tokenizer_decode(r->tokenizer, c->prompt, 1, false, &text, err));
    told->offset += characters(&text);
  }
  for (size_t i = told->scored; i < c->n_ready; i++) {
    NB_GOTO(token_text(r, c->scored[i].before, c->scored[i].of.id, &text, err));
    nb_jsonout_u64(j, NULL, told->offset);
    told->offset += characters(&text);
  }
  nb_jsonout_close(j, ']');
fail:
  nb_text_free(&text);
  return st;
}

static nb_status completion_logprobs(const serve_reply *r, const serve_choice *c, serve_told *told, nb_jsonout *j,
                                     nb_err *err) {
  nb_text text = {0};
  nb_status st;
  nb_jsonout_open(j, "logprobs", '{');
  NB_GOTO(completion_tokens(r, c, told, j, err));
  nb_jsonout_open(j, "token_logprobs", '[');
  if (has_first(r, told)) nb_jsonout_null(j, NULL);
  for (size_t i = told->scored; i < c->n_ready; i++) nb_jsonout_f64(j, NULL, c->scored[i].of.logprob);
  nb_jsonout_close(j, ']');
  nb_jsonout_open(j, "top_logprobs", '[');
  if (has_first(r, told)) nb_jsonout_null(j, NULL);
  for (size_t i = told->scored; i < c->n_ready; i++) NB_GOTO(top_object(r, c, i, &text, j, err));
  nb_jsonout_close(j, ']');
  nb_jsonout_close(j, '}');
fail:
  nb_text_free(&text);
  return st;
}

static nb_status logprobs(const serve_reply *r, const serve_choice *c, serve_told *told, nb_jsonout *j, nb_err *err) {
  if (!r->logprobs) return nb_jsonout_null(j, "logprobs"), NB_OK;
  nb_status st =
      r->kind == SERVE_CHAT ? chat_logprobs(r, c, told->scored, j, err) : completion_logprobs(r, c, told, j, err);
  told->scored = c->n_ready, told->first = true;
  return st;
}

/* ---- whole answers ---- */

static const char *reason(const serve_choice *c) { return c->why == NB_BATCH_LENGTH ? "length" : "stop"; }

static void open_object(const serve_reply *r, const char *object, nb_jsonout *j) {
  nb_jsonout_open(j, NULL, '{');
  nb_jsonout_string(j, "id", r->id);
  nb_jsonout_string(j, "object", object);
  nb_jsonout_u64(j, "created", (uint64_t)r->created);
  nb_jsonout_string(j, "model", r->model);
}

static void usage(const serve_job *job, nb_jsonout *j) {
  size_t prompt = 0, made = 0;
  for (size_t i = 0; i < job->n_choices; i++) {
    if (i % job->per_prompt == 0) prompt += job->choice[i].n_prompt;
    made += job->choice[i].n_new;
  }
  nb_jsonout_open(j, "usage", '{');
  nb_jsonout_u64(j, "prompt_tokens", prompt);
  nb_jsonout_u64(j, "completion_tokens", made);
  nb_jsonout_u64(j, "total_tokens", prompt + made);
  nb_jsonout_close(j, '}');
}

nb_status serve_reply_whole(const serve_reply *r, const serve_job *job, nb_text *out, nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  bool chat = r->kind == SERVE_CHAT;
  open_object(r, chat ? "chat.completion" : "text_completion", &j);
  nb_jsonout_open(&j, "choices", '[');
  for (size_t i = 0; i < job->n_choices; i++) {
    const serve_choice *c = &job->choice[i];
    serve_told told = {.bytes = 0};
    nb_jsonout_open(&j, NULL, '{');
    nb_jsonout_u64(&j, "index", i);
    if (chat) {
      nb_jsonout_open(&j, "message", '{');
      nb_jsonout_string(&j, "role", "assistant");
      nb_jsonout_text(&j, "content", c->stop.text.s, c->stop.text.n);
      nb_jsonout_close(&j, '}');
    } else {
      nb_text text = {0};
      nb_status st = nb_text_append(&text, c->echo.s, c->echo.n, err);
      if (st == NB_OK) st = nb_text_append(&text, c->stop.text.s, c->stop.text.n, err);
      if (st == NB_OK) nb_jsonout_text(&j, "text", text.s, text.n);
      nb_text_free(&text);
      NB_TRY(st);
    }
    NB_TRY(logprobs(r, c, &told, &j, err));
    nb_jsonout_string(&j, "finish_reason", reason(c));
    nb_jsonout_close(&j, '}');
  }
  nb_jsonout_close(&j, ']');
  usage(job, &j);
  nb_jsonout_close(&j, '}');
  return j.st;
}

/* ---- streams ---- */

static const char *chunk_object(const serve_reply *r) {
  return r->kind == SERVE_CHAT ? "chat.completion.chunk" : "text_completion";
}

/* A piece of a text, which may be empty. */
typedef struct piece {
  size_t index; /* of the text */
  const char *s;
  size_t n;
  const char *why; /* it ended, NULL while it goes on */
} piece;

static nb_status event(const serve_reply *r, const serve_choice *c, const piece *p, serve_told *told, nb_text *out,
                       nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  NB_TRY(nb_text_append_str(out, "data: ", err));
  open_object(r, chunk_object(r), &j);
  nb_jsonout_open(&j, "choices", '[');
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_u64(&j, "index", p->index);
  if (r->kind == SERVE_CHAT) {
    nb_jsonout_open(&j, "delta", '{');
    if (!told->role) nb_jsonout_string(&j, "role", "assistant");
    if (!told->role || p->n) nb_jsonout_text(&j, "content", p->s, p->n);
    nb_jsonout_close(&j, '}');
    told->role = true;
  } else {
    nb_jsonout_text(&j, "text", p->s, p->n);
  }
  NB_TRY(logprobs(r, c, told, &j, err));
  if (p->why) nb_jsonout_string(&j, "finish_reason", p->why);
  else nb_jsonout_null(&j, "finish_reason");
  nb_jsonout_close(&j, '}');
  nb_jsonout_close(&j, ']');
  nb_jsonout_close(&j, '}');
  NB_TRY(j.st);
  return nb_text_append_str(out, "\n\n", err);
}

static nb_status choice_events(const serve_reply *r, const serve_choice *c, size_t index, serve_told *told,
                               nb_text *out, nb_err *err) {
  if (told->over) return NB_OK;
  if (told->bytes < c->echo.n) {
    NB_TRY(event(r, c, &(piece){index, c->echo.s, c->echo.n, NULL}, told, out, err));
    told->bytes = c->echo.n;
  }
  size_t shown = told->bytes - c->echo.n, safe = c->began ? c->stop.safe : 0;
  if (safe > shown || (c->over && told->scored < c->n_ready) || (r->kind == SERVE_CHAT && !told->role)) {
    NB_TRY(event(r, c, &(piece){index, safe ? c->stop.text.s + shown : "", safe - shown, NULL}, told, out, err));
    told->bytes += safe - shown;
  }
  if (!c->over) return NB_OK;
  told->over = true;
  return event(r, c, &(piece){index, "", 0, reason(c)}, told, out, err);
}

nb_status serve_reply_events(const serve_reply *r, const serve_job *job, serve_told *told, nb_text *out, bool *over,
                             nb_err *err) {
  for (size_t i = 0; i < job->n_choices; i++) NB_TRY(choice_events(r, &job->choice[i], i, &told[i], out, err));
  *over = job->n_over == job->n_choices;
  if (!*over) return NB_OK;
  if (r->include_usage) {
    nb_jsonout j = {.out = out, .err = err};
    NB_TRY(nb_text_append_str(out, "data: ", err));
    open_object(r, chunk_object(r), &j);
    nb_jsonout_open(&j, "choices", '[');
    nb_jsonout_close(&j, ']');
    usage(job, &j);
    nb_jsonout_close(&j, '}');
    NB_TRY(j.st);
    NB_TRY(nb_text_append_str(out, "\n\n", err));
  }
  return nb_text_append_str(out, "data: [DONE]\n\n", err);
}

nb_status serve_reply_error(const char *message, const char *type, const char *code, nb_text *out, nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_open(&j, "error", '{');
  nb_jsonout_string(&j, "message", message);
  nb_jsonout_string(&j, "type", type);
  nb_jsonout_null(&j, "param");
  if (code) nb_jsonout_string(&j, "code", code);
  else nb_jsonout_null(&j, "code");
  nb_jsonout_close(&j, '}');
  nb_jsonout_close(&j, '}');
  return j.st;
}
