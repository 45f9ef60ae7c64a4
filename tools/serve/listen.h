/* SPDX-License-Identifier: MIT */
/* Where a server listens. */
#ifndef NB_SERVE_LISTEN_H
#define NB_SERVE_LISTEN_H

#include "base/status.h"

#include <stdbool.h>

/* A socket that listens at host (an address or a name) and port (0: one that is free); *port: which it got; *local:
 * only this machine reaches it. */
nb_status serve_listen(const char *host, int *port, int *fd, bool *local, nb_err *err);

/* Whether a request's Host header names this machine: a page from elsewhere whose name was pointed here does not. */
bool serve_host_is_local(const char *header);

#endif
