/* SPDX-License-Identifier: MIT */
/* The thread that runs the model for all clients: it owns the batch (model/batch.h), takes jobs from a queue between
 * its steps, and hands tokens to the threads that wait for them. One lock guards the queue and all jobs; it is never
 * held during a step. */
#ifndef NB_SERVE_WORKER_H
#define NB_SERVE_WORKER_H

#include "formats/open.h"
#include "model/batch.h"
#include "text/stop.h"

#include <pthread.h>

typedef struct serve_worker serve_worker;

typedef struct serve_worker_opts {
  nb_session_opts session;
  nb_batch_opts batch;
  size_t queue; /* texts that may wait, besides those that run */
} serve_worker_opts;

/* A token whose log-prob was told. */
typedef struct serve_scored {
  nb_batch_logprob of;
  int32_t before; /* the token in front of it */
  bool end;       /* an end token, which is no part of the text */
} serve_scored;

/* One text of a job. */
typedef struct serve_choice {
  struct serve_job *job;
  int32_t *prompt; /* (n_prompt) owned */
  size_t n_prompt, max_new;
  nb_text echo; /* the prompt's text, where it belongs to the answer */
  nb_sampling sampling;
  /* under the worker's lock */
  uint64_t ticket;
  nb_stop stop; /* the text so far */
  bool began;
  size_t n_new;          /* tokens made */
  serve_scored *scored;  /* (n_scored) when job->logprobs */
  nb_batch_logprob *top; /* (n_scored, job->top) */
  size_t n_scored, cap_scored, cap_top;
  size_t n_ready; /* of them, those that are known to be of the text or not (`end`) */
  bool over;
  nb_batch_end why;
} serve_choice;

/* A request's texts. The fields up to `choice` are set by its maker, before it is submitted. */
typedef struct serve_job {
  char **stops; /* (n_stops) owned, nb_free */
  size_t n_stops, top;
  bool logprobs, score_prompt;
  serve_choice *choice;         /* (n_choices) */
  size_t n_choices, per_prompt; /* the texts of one prompt stand together */
  /* under the worker's lock */
  serve_worker *worker;
  pthread_cond_t changed;
  size_t n_over;
  bool submitted, cancelled;
  nb_status st; /* a failure of any text, with its message */
  nb_err err;
  double first; /* nb_clock at the first token; 0: none came yet */
  struct serve_job *next;
} serve_job;

/* What a worker did and holds, for /metrics. */
typedef struct serve_worker_state {
  nb_batch_stats batch;
  size_t running, waiting, kv_bytes;
} serve_worker_state;

/* Starts the thread. The model must outlive it. */
nb_status serve_worker_start(const nb_opened *m, const serve_worker_opts *o, serve_worker **out, nb_err *err);
/* Ends all jobs with a failure (their waiters wake up) and the thread. The jobs are still to be freed, and then the
 * worker with serve_worker_free. NULL is accepted. */
void serve_worker_stop(serve_worker *e);
void serve_worker_free(serve_worker *e);

/* An empty job of n choices; serve_job_free cancels what still runs, waits for that, and releases (e may be NULL when
 * it was never submitted). */
nb_status serve_job_new(size_t n_choices, serve_job **out, nb_err *err);
void serve_job_free(serve_worker *e, serve_job *j);

/* Puts the job into the queue. False: the queue is full, or the worker ends. */
bool serve_worker_submit(serve_worker *e, serve_job *j);
/* No job is taken any more; those that are there go on. */
void serve_worker_close(serve_worker *e);

void serve_worker_lock(serve_worker *e);
void serve_worker_unlock(serve_worker *e);
/* Waits, with the lock held, until something of the job changes or so many seconds are over. */
void serve_worker_wait(serve_worker *e, serve_job *j, double seconds);

serve_worker_state serve_worker_now(serve_worker *e);

#endif
