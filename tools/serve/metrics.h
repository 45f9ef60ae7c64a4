/* SPDX-License-Identifier: MIT */
/* What a server counts, as Prometheus reads it
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format). */
#ifndef NB_SERVE_METRICS_H
#define NB_SERVE_METRICS_H

#include "tools/serve/worker.h"

enum { SERVE_MAX_ROUTES = 16, SERVE_MAX_CODES = 20 };

/* Start from {0} and pthread_mutex_init(&lock). */
typedef struct serve_metrics {
  pthread_mutex_t lock;
  double began; /* nb_clock */
  struct {
    int code; /* of an answer; 0: the row ends */
    uint64_t n[SERVE_MAX_ROUTES];
  } codes[SERVE_MAX_CODES];
  uint64_t answers, first_tokens; /* of texts */
  double answer_seconds, first_token_seconds;
} serve_metrics;

void serve_metrics_answer(serve_metrics *m, size_t route, int code);
/* A job is over: seconds from its arrival to its end, and to its first token (negative: there was none). */
void serve_metrics_job(serve_metrics *m, double seconds, double first);
/* Appends the page. route: (n_routes) their names. */
nb_status serve_metrics_write(serve_metrics *m, const serve_worker_state *e, const char *const *route, size_t n_routes,
                              size_t connections, nb_text *out, nb_err *err);

#endif
