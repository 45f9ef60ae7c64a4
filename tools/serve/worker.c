/* SPDX-License-Identifier: MIT */
#include "tools/serve/worker.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct serve_worker {
  const nb_opened *m;
  serve_worker_opts o;
  nb_session *session;
  nb_batch *batch;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  serve_job *incoming, **incoming_end; /* submitted, not in the batch yet */
  serve_job *jobs;                     /* in the batch */
  size_t n_texts;                      /* of all jobs that are not over */
  bool cancelled, closed, stopping;
  serve_worker_state state;
};

/* ---- jobs ---- */

/* A condition that waits by the clock that only goes forward. */
static int cond_init(pthread_cond_t *c) {
  pthread_condattr_t a;
  int rc = pthread_condattr_init(&a);
  if (rc) return rc;
#ifndef __APPLE__
  pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
#endif
  rc = pthread_cond_init(c, &a);
  pthread_condattr_destroy(&a);
  return rc;
}

nb_status serve_job_new(size_t n_choices, serve_job **out, nb_err *err) {
  serve_job *j;
  NB_TRY(nb_new(&j, 1, sizeof *j, "a request", err));
  nb_status st = nb_new(&j->choice, n_choices, sizeof *j->choice, "a request", err);
  if (st == NB_OK && cond_init(&j->changed)) st = nb_fail(err, NB_ERR_MEMORY, "out of memory: a request");
  if (st != NB_OK) return nb_free(j->choice), nb_free(j), st;
  j->n_choices = n_choices;
  for (size_t i = 0; i < n_choices; i++) j->choice[i].job = j;
  *out = j;
  return NB_OK;
}

void serve_job_free(serve_worker *e, serve_job *j) {
  if (!j) return;
  if (j->submitted) {
    pthread_mutex_lock(&e->lock);
    j->cancelled = e->cancelled = true;
    pthread_cond_signal(&e->wake);
    while (j->n_over < j->n_choices) pthread_cond_wait(&j->changed, &e->lock);
    for (serve_job **p = &e->jobs; *p; p = &(*p)->next)
      if (*p == j) {
        *p = j->next;
        break;
      }
    pthread_mutex_unlock(&e->lock);
  }
  for (size_t i = 0; i < j->n_choices; i++) {
    serve_choice *c = &j->choice[i];
    if (c->began) nb_stop_free(&c->stop);
    nb_text_free(&c->echo);
    nb_free(c->prompt);
    free(c->scored), free(c->top);
  }
  for (size_t i = 0; i < j->n_stops; i++) free(j->stops[i]);
  nb_free(j->stops);
  pthread_cond_destroy(&j->changed);
  nb_free(j->choice);
  nb_free(j);
}

/* ---- what the batch calls; the lock is not held ---- */

static void fail_job(serve_job *j, nb_status st, const nb_err *err) {
  if (j->st != NB_OK || st == NB_OK) return;
  j->st = st, j->err = *err;
}

static bool on_token(void *ctx, int32_t id) {
  serve_choice *c = ctx;
  serve_job *j = c->job;
  nb_err err;
  pthread_mutex_lock(&j->worker->lock);
  if (j->first == 0) j->first = nb_clock();
  c->n_new++;
  if (c->n_scored) c->scored[c->n_scored - 1].end = false;
  c->n_ready = c->n_scored;
  nb_status st = nb_stop_token(&c->stop, id, &err);
  fail_job(j, st, &err);
  bool more = st == NB_OK && !c->stop.ended;
  pthread_cond_signal(&j->changed);
  pthread_mutex_unlock(&j->worker->lock);
  return more;
}

static nb_status keep_score(serve_choice *c, nb_batch_logprob of, const nb_batch_logprob *top, nb_err *err) {
  const serve_job *j = c->job;
  NB_TRY(nb_grow(&c->scored, &c->cap_scored, c->n_scored + 1, sizeof *c->scored, err));
  if (j->top) NB_TRY(nb_grow(&c->top, &c->cap_top, (c->n_scored + 1) * j->top, sizeof *c->top, err));
  int32_t before = c->n_scored       ? c->scored[c->n_scored - 1].of.id
                   : j->score_prompt ? c->prompt[0]
                                     : c->prompt[c->n_prompt - 1];
  bool of_prompt = j->score_prompt && c->n_scored + 1 < c->n_prompt;
  c->scored[c->n_scored] = (serve_scored){of, before, !of_prompt}; /* on_token says whether it is an end token */
  if (j->top) memcpy(c->top + c->n_scored * j->top, top, j->top * sizeof *top);
  c->n_scored++;
  if (of_prompt) c->n_ready = c->n_scored;
  return NB_OK;
}

static void on_scored(void *ctx, nb_batch_logprob of, const nb_batch_logprob *top) {
  serve_choice *c = ctx;
  serve_job *j = c->job;
  nb_err err;
  pthread_mutex_lock(&j->worker->lock);
  fail_job(j, keep_score(c, of, top, &err), &err);
  pthread_mutex_unlock(&j->worker->lock);
}

/* The lock is held. */
static void end_choice(serve_choice *c, nb_batch_end why) {
  serve_job *j = c->job;
  nb_err err;
  if (c->over) return;
  if (c->began) fail_job(j, nb_stop_finish(&c->stop, &err), &err);
  c->over = true, c->why = why;
  c->n_ready = c->n_scored;
  j->n_over++, j->worker->n_texts--;
  pthread_cond_signal(&j->changed);
}

static void on_end(void *ctx, nb_batch_end why) {
  serve_choice *c = ctx;
  pthread_mutex_lock(&c->job->worker->lock);
  end_choice(c, why);
  pthread_mutex_unlock(&c->job->worker->lock);
}

/* ---- the thread; the lock is held except during a step ---- */

static nb_status begin_choice(serve_worker *e, serve_choice *c, nb_err *err) {
  const serve_job *j = c->job;
  NB_TRY(nb_stop_begin(e->m->tokenizer, (const char *const *)j->stops, j->n_stops, &c->stop, err));
  c->began = true;
  nb_batch_request r = {.prompt = c->prompt,
                        .n_prompt = c->n_prompt,
                        .max_new = c->max_new,
                        .sampling = c->sampling,
                        .top = j->top,
                        .score_prompt = j->score_prompt,
                        .scored = j->logprobs ? on_scored : NULL,
                        .token = on_token,
                        .ended = on_end,
                        .ctx = c};
  return nb_batch_submit(e->batch, &r, &c->ticket, err);
}

static void take_incoming(serve_worker *e) {
  for (serve_job *j; (j = e->incoming) != NULL;) {
    e->incoming = j->next;
    j->next = e->jobs, e->jobs = j;
    for (size_t i = 0; i < j->n_choices; i++) {
      nb_err err;
      nb_status st = j->st == NB_OK && !j->cancelled ? begin_choice(e, &j->choice[i], &err) : NB_ERR_INTERRUPTED;
      if (st == NB_OK) continue;
      if (j->st == NB_OK && !j->cancelled) fail_job(j, st, &err);
      j->cancelled = e->cancelled = true; /* the job's other texts */
      end_choice(&j->choice[i], NB_BATCH_CANCELLED);
    }
  }
  e->incoming_end = &e->incoming;
}

static void take_cancelled(serve_worker *e) {
  e->cancelled = false;
  for (serve_job *j = e->jobs; j; j = j->next)
    for (size_t i = 0; (j->cancelled || j->st != NB_OK) && i < j->n_choices; i++)
      if (!j->choice[i].over) nb_batch_cancel(e->batch, j->choice[i].ticket);
}

static void end_all(serve_worker *e, nb_status st, const nb_err *err) {
  for (serve_job *j = e->jobs; j; j = j->next) {
    if (j->n_over < j->n_choices) fail_job(j, st, err);
    for (size_t i = 0; i < j->n_choices; i++) end_choice(&j->choice[i], NB_BATCH_CANCELLED);
  }
}

/* After a failure the batch is of no use: its jobs end, and a new one is begun. */
static bool replace_batch(serve_worker *e, nb_status st, const nb_err *err) {
  nb_err none;
  nb_batch_free(e->batch);
  e->batch = NULL;
  end_all(e, st, err);
  if (nb_batch_create(e->session, &e->m->model, &e->o.batch, &e->batch, &none) == NB_OK) return true;
  e->batch = NULL, e->closed = true;
  return false;
}

static void note_state(serve_worker *e) {
  size_t waiting = nb_batch_waiting(e->batch);
  e->state = (serve_worker_state){*nb_batch_stats_of(e->batch), nb_batch_unfinished(e->batch) - waiting, waiting,
                                  nb_batch_kv_bytes(e->batch)};
}

static void *run(void *ctx) {
  serve_worker *e = ctx;
  bool busy = false, works = true;
  nb_err err;
  pthread_mutex_lock(&e->lock);
  while (!e->stopping && works) {
    if (!busy && !e->incoming && !e->cancelled) {
      pthread_cond_wait(&e->wake, &e->lock);
      continue;
    }
    take_incoming(e);
    if (e->cancelled) take_cancelled(e);
    pthread_mutex_unlock(&e->lock);
    nb_status st = nb_batch_step(e->batch, &busy, &err);
    pthread_mutex_lock(&e->lock);
    if (st != NB_OK) works = replace_batch(e, st, &err), busy = false;
    if (works) note_state(e);
  }
  e->closed = true;
  for (serve_job *j; (j = e->incoming) != NULL;) e->incoming = j->next, j->next = e->jobs, e->jobs = j;
  e->incoming_end = &e->incoming;
  (void)nb_fail(&err, NB_ERR_INTERRUPTED, "the server ends");
  end_all(e, NB_ERR_INTERRUPTED, &err);
  pthread_mutex_unlock(&e->lock);
  return NULL;
}

/* ---- the other threads ---- */

nb_status serve_worker_start(const nb_opened *m, const serve_worker_opts *o, serve_worker **out, nb_err *err) {
  serve_worker *e;
  nb_status st;
  NB_TRY(nb_new(&e, 1, sizeof *e, "the server", err));
  e->m = m, e->o = *o, e->incoming_end = &e->incoming;
  NB_GOTO(nb_session_create(&m->model.config, &o->session, &e->session, err));
  NB_GOTO(nb_batch_create(e->session, &m->model, &o->batch, &e->batch, err));
  if (pthread_mutex_init(&e->lock, NULL) || cond_init(&e->wake) || pthread_create(&e->thread, NULL, run, e))
    NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "the system gives no thread for the model"));
  *out = e;
  return NB_OK;
fail:
  nb_batch_free(e->batch);
  nb_session_free(e->session);
  nb_free(e);
  return st;
}

void serve_worker_stop(serve_worker *e) {
  if (!e) return;
  pthread_mutex_lock(&e->lock);
  e->stopping = e->closed = true;
  pthread_cond_signal(&e->wake);
  pthread_mutex_unlock(&e->lock);
  pthread_join(e->thread, NULL);
}

void serve_worker_free(serve_worker *e) {
  if (!e) return;
  nb_batch_free(e->batch);
  nb_session_free(e->session);
  pthread_cond_destroy(&e->wake);
  pthread_mutex_destroy(&e->lock);
  nb_free(e);
}

bool serve_worker_submit(serve_worker *e, serve_job *j) {
  pthread_mutex_lock(&e->lock);
  size_t room = e->o.batch.most + e->o.queue;
  bool fits = !e->closed && j->n_choices <= room && e->n_texts <= room - j->n_choices;
  if (fits) {
    j->worker = e, j->submitted = true, j->next = NULL;
    *e->incoming_end = j, e->incoming_end = &j->next;
    e->n_texts += j->n_choices;
    pthread_cond_signal(&e->wake);
  }
  pthread_mutex_unlock(&e->lock);
  return fits;
}

void serve_worker_close(serve_worker *e) {
  pthread_mutex_lock(&e->lock);
  e->closed = true;
  pthread_mutex_unlock(&e->lock);
}

void serve_worker_lock(serve_worker *e) { pthread_mutex_lock(&e->lock); }
void serve_worker_unlock(serve_worker *e) { pthread_mutex_unlock(&e->lock); }

void serve_worker_wait(serve_worker *e, serve_job *j, double seconds) {
  struct timespec t;
#ifdef __APPLE__
  clock_gettime(CLOCK_REALTIME, &t);
#else
  clock_gettime(CLOCK_MONOTONIC, &t);
#endif
  double until = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec + seconds;
  t.tv_sec = (time_t)until;
  t.tv_nsec = (long)(1e9 * (until - (double)t.tv_sec));
  pthread_cond_timedwait(&j->changed, &e->lock, &t);
}

serve_worker_state serve_worker_now(serve_worker *e) {
  pthread_mutex_lock(&e->lock);
  serve_worker_state s = e->state;
  pthread_mutex_unlock(&e->lock);
  return s;
}
