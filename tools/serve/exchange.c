/* SPDX-License-Identifier: MIT */
/* A request for text: from its body to the answer, whole or as a stream. */
#ifdef NB_HAVE_MICROHTTPD
#include "tools/serve/job.h"
#include "tools/serve/server_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
  ALL_BODIES = 64 << 20, /* bytes of the bodies that all clients send at a time */
  STREAM_BLOCK = 1 << 12,
  ALIVE = 10 /* seconds after which a silent stream sends a comment */
};

/* ---- bodies ---- */

const char serve_too_large[] = "the request is longer than --body allows";

static bool take_room(serve_server *s, size_t n) {
  pthread_mutex_lock(&s->lock);
  bool ok = n <= ALL_BODIES && s->body_bytes <= ALL_BODIES - n;
  if (ok) s->body_bytes += n;
  pthread_mutex_unlock(&s->lock);
  return ok;
}

static void drop_body(serve_exchange *x) {
  pthread_mutex_lock(&x->s->lock);
  x->s->body_bytes -= x->body.n;
  pthread_mutex_unlock(&x->s->lock);
  nb_text_free(&x->body);
}

/* A chunked body says its length by ending only: what is too long is read and thrown away for a while, so that the
 * client can be told. */
enum MHD_Result serve_exchange_take(serve_exchange *x, const char *data, size_t n) {
  size_t most = x->s->o.body;
  if (!x->too_large && !x->too_much && !x->refusal.code) {
    if (n > most - x->body.n) x->too_large = true;
    else if (!take_room(x->s, n)) x->too_much = true;
    else if (nb_text_append(&x->body, data, n, NULL) == NB_OK) return MHD_YES;
    else return MHD_NO;
    drop_body(x);
  }
  x->sent += n; /* of what is thrown away */
  return x->sent <= most + SERVE_THROWN_AWAY ? MHD_YES : MHD_NO;
}

/* ---- waiting ---- */

static bool client_gone(const serve_exchange *x) {
  char byte;
  if (!x->k || x->k->fd < 0) return false;
  ssize_t got = recv(x->k->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* libmicrohttpd counts the time in which a connection is silent, ours included: not while we work. */
static void watch_idle(const serve_exchange *x, bool watch) {
  MHD_set_connection_option(x->c, MHD_CONNECTION_OPTION_TIMEOUT, watch ? (unsigned)x->s->o.idle : 0u);
}

typedef enum waited { WAIT_CHANGED, WAIT_LATE, WAIT_GONE } waited;

/* Waits with the worker's lock for a change of the job. */
static waited wait_for_change(serve_exchange *x) {
  serve_worker_wait(x->s->worker, x->job, 0.5);
  if (nb_clock() - x->began > x->s->o.timeout) return WAIT_LATE;
  return client_gone(x) ? WAIT_GONE : WAIT_CHANGED;
}

static int code_of(nb_status st) {
  return st == NB_ERR_MEMORY || st == NB_ERR_INTERRUPTED ? 503 : st == NB_ERR_NUMERIC || st == NB_ERR_IO ? 500 : 400;
}

static const char late[] = "the answer took longer than --timeout allows";

/* ---- whole answers ---- */

static enum MHD_Result answer_whole(serve_exchange *x) {
  serve_worker *e = x->s->worker;
  serve_job *j = x->job;
  waited w = WAIT_CHANGED;
  nb_text out = {0};
  nb_err err;
  watch_idle(x, false);
  serve_worker_lock(e);
  while (j->n_over < j->n_choices && j->st == NB_OK && w == WAIT_CHANGED) w = wait_for_change(x);
  nb_status st = j->st;
  if (st != NB_OK) err = j->err;
  serve_worker_unlock(e);
  watch_idle(x, true);
  if (w == WAIT_GONE) return MHD_NO;
  if (w == WAIT_LATE) return serve_send_error(x, 503, "timeout", late);
  if (st == NB_OK) st = serve_reply_whole(&x->reply, j, &out, &err);
  if (st == NB_OK) return serve_send_json(x, 200, &out);
  nb_text_free(&out);
  return serve_send_error(x, code_of(st), "failed", err.msg);
}

/* ---- streams ---- */

static nb_status end_with_error(serve_exchange *x, const char *message, nb_err *err) {
  x->done = true;
  NB_TRY(nb_text_append_str(&x->out, "data: ", err));
  NB_TRY(serve_reply_error(message, "server_error", "failed", &x->out, err));
  return nb_text_append_str(&x->out, "\n\n", err);
}

/* Fills x->out with what comes next. The worker's lock is held. */
static nb_status next_events(serve_exchange *x, nb_err *err) {
  serve_job *j = x->job;
  for (;;) {
    if (j->st != NB_OK) return end_with_error(x, j->err.msg, err);
    NB_TRY(serve_reply_events(&x->reply, j, x->told, &x->out, &x->done, err));
    if (x->out.n) return NB_OK;
    waited w = wait_for_change(x);
    if (w == WAIT_GONE) return nb_fail(err, NB_ERR_IO, "the client is gone");
    if (w == WAIT_LATE) return end_with_error(x, late, err);
    if (nb_clock() - x->spoke > ALIVE) return nb_text_append_str(&x->out, ": still at work\n\n", err);
  }
}

static ssize_t read_stream(void *cls, uint64_t pos, char *buf, size_t max) {
  serve_exchange *x = cls;
  nb_err err;
  (void)pos;
  if (x->sent == x->out.n) {
    if (x->done) return MHD_CONTENT_READER_END_OF_STREAM;
    nb_text_clear(&x->out), x->sent = 0;
    watch_idle(x, false);
    serve_worker_lock(x->s->worker);
    nb_status st = next_events(x, &err);
    serve_worker_unlock(x->s->worker);
    watch_idle(x, true);
    x->spoke = nb_clock();
    if (st != NB_OK) return MHD_CONTENT_READER_END_WITH_ERROR;
  }
  size_t n = nb_min(max, x->out.n - x->sent);
  memcpy(buf, x->out.s + x->sent, n);
  x->sent += n;
  return (ssize_t)n;
}

static enum MHD_Result answer_stream(serve_exchange *x) {
  nb_err err;
  if (nb_new(&x->told, x->job->n_choices, sizeof *x->told, "a stream", &err) != NB_OK)
    return serve_send_error(x, 503, "failed", err.msg);
  x->sent = 0, x->spoke = nb_clock();
  struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, x, NULL);
  if (!r) return MHD_NO;
  MHD_add_response_header(r, "Content-Type", "text/event-stream");
  return serve_send(x, 200, r);
}

/* ---- requests ---- */

static void name_answer(serve_exchange *x, const serve_request *r, uint64_t *seed) {
  serve_server *s = x->s;
  pthread_mutex_lock(&s->lock);
  uint64_t number = ++s->answers;
  *seed = nb_rng_next(&s->seeds);
  pthread_mutex_unlock(&s->lock);
  x->reply = (serve_reply){.kind = r->kind,
                           .model = s->o.name,
                           .tokenizer = s->m->tokenizer,
                           .created = (int64_t)time(NULL),
                           .logprobs = r->logprobs,
                           .include_usage = r->include_usage,
                           .echo = r->echo,
                           .top = r->top};
  snprintf(x->reply.id, sizeof x->reply.id, "%s-%llx-%llx", r->kind == SERVE_CHAT ? "chatcmpl" : "cmpl",
           (unsigned long long)s->started, (unsigned long long)number);
}

/* From the body to a job. *code: OpenAI's name of the failure. */
static nb_status read_request(serve_exchange *x, serve_kind kind, bool *stream, const char **code, nb_err *err) {
  serve_server *s = x->s;
  serve_request r;
  uint64_t seed;
  bool too_long = false;
  nb_status st = serve_request_parse(kind, x->body.s ? x->body.s : "", x->body.n, &r, err);
  *code = st == NB_ERR_UNSUPPORTED ? "unsupported_parameter" : "invalid_request";
  if (st == NB_OK && r.model && strcmp(r.model, s->o.name)) {
    *code = "model_not_found";
    st = nb_fail(err, NB_ERR_ARG, "the model '%.80s' is not here; this server has '%.80s'", r.model, s->o.name);
  }
  if (st == NB_OK) {
    name_answer(x, &r, &seed);
    st = serve_job_make(s->m, &r, s->o.context, seed, &x->job, &too_long, err);
    if (too_long) *code = "context_length_exceeded";
  }
  *stream = r.stream;
  serve_request_free(&r);
  return st;
}

enum MHD_Result serve_exchange_answer(serve_exchange *x, serve_kind kind) {
  serve_server *s = x->s;
  nb_err err;
  const char *code;
  bool stream;
  if (x->too_large) return serve_send_error(x, 413, "request_too_large", serve_too_large);
  if (x->too_much) return serve_send_error(x, 503, "overloaded", "too many requests arrive at a time: try again");
  serve_deadline(x, s->o.timeout + s->o.idle);
  pthread_mutex_lock(&s->reading);
  nb_status st = read_request(x, kind, &stream, &code, &err);
  pthread_mutex_unlock(&s->reading);
  drop_body(x);
  if (st != NB_OK) return serve_send_error(x, !strcmp(code, "model_not_found") ? 404 : code_of(st), code, err.msg);
  if (!serve_worker_submit(s->worker, x->job))
    return serve_send_error(x, 503, "overloaded", "too many texts wait already (--queue): try again");
  return stream ? answer_stream(x) : answer_whole(x);
}

void serve_exchange_end(serve_exchange *x) {
  if (x->job && x->job->submitted) {
    serve_worker_lock(x->s->worker);
    double first = x->job->first;
    serve_worker_unlock(x->s->worker);
    serve_metrics_job(&x->s->metrics, nb_clock() - x->began, first > 0 ? first - x->began : -1);
  }
  serve_job_free(x->s->worker, x->job);
  drop_body(x);
  nb_text_free(&x->out);
  nb_free(x->told);
}
#else
/* Without libmicrohttpd there is nothing here; C11 wants a declaration. */
typedef int serve_exchange_none;
#endif
