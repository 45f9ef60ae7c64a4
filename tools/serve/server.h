/* SPDX-License-Identifier: MIT */
/* A model behind HTTP, in OpenAI's form, through libmicrohttpd (a thread a connection). docs/serve.md has the paths. */
#ifndef NB_SERVE_SERVER_H
#define NB_SERVE_SERVER_H

#include "tools/serve/worker.h"

typedef struct serve_opts {
  const char *host; /* an address or a name */
  int port;         /* 0: one that is free */
  const char *name; /* of the model */
  const char *keys; /* a file with an API key a line; NULL: none is asked for */
  size_t body;      /* bytes of a request */
  size_t context;   /* tokens of a prompt and its answer; at most the model's positions */
  size_t connections;
  double timeout; /* seconds of a request, from its arrival to the last token */
  double idle;    /* seconds for a head, a body, and between requests */
  serve_worker_opts worker;
} serve_opts;

typedef struct serve_server serve_server;

/* Starts to answer. *port: where. serve_server_stop ends it. NB_ERR_UNSUPPORTED: nibble was built without the library.
 */
nb_status serve_server_start(const nb_opened *m, const serve_opts *o, serve_server **out, int *port, nb_err *err);
/* Call it a few times a second: it closes connections that take too long. */
void serve_server_tend(serve_server *s);
/* From now on nothing new is begun. True when nothing is under way any more. */
bool serve_server_drain(serve_server *s);
/* Ends what is under way, and releases. */
void serve_server_stop(serve_server *s);

#endif
