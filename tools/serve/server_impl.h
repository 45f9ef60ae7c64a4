/* SPDX-License-Identifier: MIT */
/* Inside of a server; see server.h for what a caller does with it. */
#ifndef NB_SERVE_SERVER_IMPL_H
#define NB_SERVE_SERVER_IMPL_H

#include "tools/serve/metrics.h"
#include "tools/serve/reply.h"
#include "tools/serve/server.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <strings.h>
#include <time.h>

/* A connection, under the server's lock. */
typedef struct serve_connection {
  int fd;          /* ours */
  double deadline; /* nb_clock: when it is shut, whatever it does */
  bool shut;
  struct serve_connection *prev, *next;
} serve_connection;

struct serve_server {
  const nb_opened *m;
  serve_opts o;
  bool local;   /* only this machine reaches it */
  char *keys;   /* a line each; NULL: none is wanted */
  nb_text page; /* of / */
  time_t started;
  serve_worker *worker;
  struct MHD_Daemon *daemon;
  serve_metrics metrics;
  pthread_mutex_t reading; /* one request is parsed at a time: JSON may take 30 times its bytes */
  pthread_mutex_t lock;    /* of what follows */
  serve_connection *connections;
  size_t n_connections, n_exchanges;
  size_t body_bytes; /* of all requests that are not read yet */
  uint64_t answers;  /* numbered */
  nb_rng seeds;
  atomic_bool draining; /* set under the lock, read without */
};

/* What is wrong with a request; code 0: nothing. */
typedef struct serve_refusal {
  int code;
  const char *name, *message;
} serve_refusal;

enum { SERVE_THROWN_AWAY = 1 << 20 /* bytes of a body that are read for nothing, beyond what is allowed */ };
extern const char serve_too_large[];

/* A request and its answer. Its connection's thread alone uses it. */
typedef struct serve_exchange {
  serve_server *s;
  struct MHD_Connection *c;
  serve_connection *k;
  const struct serve_route *route;
  const char *rest; /* of the path, behind the route's */
  double began;     /* nb_clock */
  serve_refusal refusal;
  nb_text body;
  bool too_large, too_much;
  serve_reply reply;
  serve_job *job;
  /* a stream */
  serve_told *told; /* (job->n_choices) */
  nb_text out;
  size_t sent; /* of out */
  bool done;
  double spoke; /* when something was last sent */
} serve_exchange;

typedef struct serve_route {
  const char *path;
  bool post; /* it takes POST, otherwise GET */
  bool open; /* without a key */
  enum MHD_Result (*answer)(serve_exchange *x);
} serve_route;

extern const serve_route serve_routes[]; /* the last one stands for unknown paths */
extern const size_t serve_n_routes;

/* Sends the response and lets go of it. */
enum MHD_Result serve_send(serve_exchange *x, int code, struct MHD_Response *r);
/* Sends the text and releases it. */
enum MHD_Result serve_send_json(serve_exchange *x, int code, nb_text *json);
/* An error in OpenAI's form; name: its "code". */
enum MHD_Result serve_send_error(serve_exchange *x, int code, const char *name, const char *message);
/* The connection is shut when it goes on for longer than so many seconds from now. */
void serve_deadline(serve_exchange *x, double seconds);

/* ---- exchange.c ---- */

/* Takes a piece of the body. MHD_NO: the client does not stop. */
enum MHD_Result serve_exchange_take(serve_exchange *x, const char *data, size_t n);
/* The body is there: runs it. */
enum MHD_Result serve_exchange_answer(serve_exchange *x, serve_kind kind);
/* The answer was sent, or the client is gone. */
void serve_exchange_end(serve_exchange *x);

#endif
