/* SPDX-License-Identifier: MIT */
#include "tools/serve/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 128 };

static bool is_local(const struct sockaddr *a) {
  if (a->sa_family == AF_INET) return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
  if (a->sa_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
  return false;
}

static int bind_one(const struct addrinfo *a) {
  int one = 1, fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) return fd;
  int why = errno;
  close(fd);
  errno = why;
  return -1;
}

nb_status serve_listen(const char *host, int *port, int *fd, bool *local, nb_err *err) {
  char service[16];
  struct addrinfo want = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
  snprintf(service, sizeof service, "%d", *port);
  int rc = getaddrinfo(host, service, &want, &list);
  if (rc) return nb_fail(err, NB_ERR_ARG, "--host %s: %s", host, gai_strerror(rc));
  *fd = -1;
  for (const struct addrinfo *a = list; a && *fd < 0; a = a->ai_next) {
    *fd = bind_one(a);
    if (*fd >= 0) *local = is_local(a->ai_addr);
  }
  int why = errno;
  freeaddrinfo(list);
  if (*fd < 0)
    return nb_fail(err, NB_ERR_IO, "cannot listen at %s, port %d: %s%s", host, *port, strerror(why),
                   why == EADDRINUSE ? " (another program is there; give another --port)" : "");
  struct sockaddr_storage at;
  socklen_t n = sizeof at;
  if (getsockname(*fd, (struct sockaddr *)&at, &n) == 0)
    *port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                           : ((struct sockaddr_in *)&at)->sin_port);
  return NB_OK;
}

bool serve_host_is_local(const char *header) {
  static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t n = strlen(names[i]);
    if (!strncasecmp(header, names[i], n) && (header[n] == 0 || header[n] == ':')) return true;
  }
  return false;
}
