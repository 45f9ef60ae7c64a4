/* SPDX-License-Identifier: MIT */
/* HTTP: connections and their deadlines, paths, who may come in. What a request for text does is in exchange.c. */
#ifdef NB_HAVE_MICROHTTPD
#include "tools/serve/server_impl.h"
#include "tools/serve/listen.h"

#include "base/clock.h"
#include "base/mem.h"
#include "eval/page.h"
#include "formats/mapfile.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_KEYS = 1 << 16, HEAD_BYTES = 32 << 10, POLL_MS = 200 };

/* ---- answers ---- */

static enum MHD_Result send_text(serve_exchange *x, int code, const char *type, nb_text *text) {
  struct MHD_Response *r = MHD_create_response_from_buffer(text->n, text->s, MHD_RESPMEM_MUST_COPY);
  nb_text_free(text);
  if (!r) return MHD_NO;
  MHD_add_response_header(r, "Content-Type", type);
  return serve_send(x, code, r);
}

enum MHD_Result serve_send(serve_exchange *x, int code, struct MHD_Response *r) {
  MHD_add_response_header(r, "Cache-Control", "no-store");
  MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
  if (code == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
  if (code == 503) MHD_add_response_header(r, "Retry-After", "1");
  if (code == 405) MHD_add_response_header(r, "Allow", x->route->post ? "POST" : "GET, HEAD");
  if (x->s->draining) MHD_add_response_header(r, "Connection", "close");
  serve_metrics_answer(&x->s->metrics, (size_t)(x->route - serve_routes), code);
  enum MHD_Result ok = MHD_queue_response(x->c, (unsigned)code, r);
  MHD_destroy_response(r);
  serve_deadline(x, x->s->o.timeout + x->s->o.idle);
  return ok;
}

enum MHD_Result serve_send_json(serve_exchange *x, int code, nb_text *json) {
  return send_text(x, code, "application/json", json);
}

enum MHD_Result serve_send_error(serve_exchange *x, int code, const char *name, const char *message) {
  nb_text t = {0};
  const char *type = code >= 500 ? "server_error" : code == 401 ? "authentication_error" : "invalid_request_error";
  if (serve_reply_error(message, type, name, &t, NULL) != NB_OK) return nb_text_free(&t), MHD_NO;
  return serve_send_json(x, code, &t);
}

/* ---- connections ---- */

static void on_connection(void *cls, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode what) {
  serve_server *s = cls;
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    serve_connection *k = calloc(1, sizeof *k);
    *context = k;
    if (!k) return;
    /* A descriptor of our own: its number stays ours until the connection is over. */
    k->fd = fd ? dup(fd->connect_fd) : -1;
    k->deadline = nb_clock() + s->o.idle;
    pthread_mutex_lock(&s->lock);
    k->next = s->connections;
    if (k->next) k->next->prev = k;
    s->connections = k, s->n_connections++;
    pthread_mutex_unlock(&s->lock);
    return;
  }
  serve_connection *k = *context;
  if (!k) return;
  pthread_mutex_lock(&s->lock);
  if (k->prev) k->prev->next = k->next;
  else s->connections = k->next;
  if (k->next) k->next->prev = k->prev;
  s->n_connections--;
  pthread_mutex_unlock(&s->lock);
  if (k->fd >= 0) close(k->fd);
  free(k);
}

void serve_deadline(serve_exchange *x, double seconds) {
  pthread_mutex_lock(&x->s->lock);
  if (x->k) x->k->deadline = nb_clock() + seconds;
  pthread_mutex_unlock(&x->s->lock);
}

void serve_server_tend(serve_server *s) {
  double now = nb_clock();
  pthread_mutex_lock(&s->lock);
  for (serve_connection *k = s->connections; k; k = k->next)
    if (k->fd >= 0 && !k->shut && now > k->deadline) shutdown(k->fd, SHUT_RDWR), k->shut = true;
  pthread_mutex_unlock(&s->lock);
}

/* ---- paths ---- */

static enum MHD_Result get_page(serve_exchange *x) {
  struct MHD_Response *r = MHD_create_response_from_buffer(x->s->page.n, x->s->page.s, MHD_RESPMEM_PERSISTENT);
  if (!r) return MHD_NO;
  MHD_add_response_header(r, "Content-Type", "text/html; charset=utf-8");
  MHD_add_response_header(
      r, "Content-Security-Policy",
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
      "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  return serve_send(x, 200, r);
}

static enum MHD_Result get_health(serve_exchange *x) {
  nb_text t = {0};
  bool ok = !x->s->draining;
  if (nb_text_append_str(&t, ok ? "{\"status\": \"ok\"}" : "{\"status\": \"draining\"}", NULL) != NB_OK) return MHD_NO;
  return serve_send_json(x, ok ? 200 : 503, &t);
}

static enum MHD_Result get_metrics(serve_exchange *x) {
  serve_server *s = x->s;
  const char *names[SERVE_MAX_ROUTES];
  nb_text t = {0};
  serve_worker_state e = serve_worker_now(s->worker);
  pthread_mutex_lock(&s->lock);
  size_t connections = s->n_connections, n = 0;
  pthread_mutex_unlock(&s->lock);
  for (; n < serve_n_routes; n++) names[n] = serve_routes[n].path;
  if (serve_metrics_write(&s->metrics, &e, names, n, connections, &t, NULL) != NB_OK) return nb_text_free(&t), MHD_NO;
  return send_text(x, 200, "text/plain; version=0.0.4; charset=utf-8", &t);
}

static void model_object(const serve_server *s, nb_jsonout *j) {
  nb_jsonout_open(j, NULL, '{');
  nb_jsonout_string(j, "id", s->o.name);
  nb_jsonout_string(j, "object", "model");
  nb_jsonout_u64(j, "created", (uint64_t)s->started);
  nb_jsonout_string(j, "owned_by", "nibble");
  nb_jsonout_u64(j, "context_length", s->o.context);
  nb_jsonout_close(j, '}');
}

/* /v1/models, and one of them behind a slash. */
static enum MHD_Result get_models(serve_exchange *x) {
  nb_text t = {0};
  nb_jsonout j = {.out = &t};
  if (*x->rest && strcmp(x->rest + 1, x->s->o.name))
    return serve_send_error(x, 404, "model_not_found", "this server has no model of that name: see /v1/models");
  if (!*x->rest) {
    nb_jsonout_open(&j, NULL, '{');
    nb_jsonout_string(&j, "object", "list");
    nb_jsonout_open(&j, "data", '[');
  }
  model_object(x->s, &j);
  if (!*x->rest) nb_jsonout_close(&j, ']'), nb_jsonout_close(&j, '}');
  if (j.st != NB_OK) return nb_text_free(&t), MHD_NO;
  return serve_send_json(x, 200, &t);
}

static enum MHD_Result post_chat(serve_exchange *x) { return serve_exchange_answer(x, SERVE_CHAT); }
static enum MHD_Result post_completion(serve_exchange *x) { return serve_exchange_answer(x, SERVE_COMPLETION); }
static enum MHD_Result post_embeddings(serve_exchange *x) {
  return serve_send_error(x, 400, "unsupported_endpoint",
                          "embeddings are not supported: nibble runs models that write text");
}
/* Never called: check_head refuses. */
static enum MHD_Result no_path(serve_exchange *x) { return (void)x, MHD_NO; }

const serve_route serve_routes[] = {
    {"/", false, true, get_page},
    {"/health", false, true, get_health},
    {"/metrics", false, false, get_metrics},
    {"/v1/models", false, false, get_models},
    {"/v1/chat/completions", true, false, post_chat},
    {"/v1/completions", true, false, post_completion},
    {"/v1/embeddings", true, false, post_embeddings},
    {"other", false, false, no_path},
};
const size_t serve_n_routes = sizeof serve_routes / sizeof *serve_routes;

static const serve_route *find_route(const char *url, const char **rest) {
  for (size_t i = 0; i + 1 < serve_n_routes; i++) {
    size_t n = strlen(serve_routes[i].path);
    bool below = serve_routes[i].answer == get_models && url[n > strlen(url) ? 0 : n] == '/';
    *rest = url + strlen(url);
    if (!strcmp(url, serve_routes[i].path)) return &serve_routes[i];
    if (below && !strncmp(url, serve_routes[i].path, n)) return *rest = url + n, &serve_routes[i];
  }
  return &serve_routes[serve_n_routes - 1];
}

/* ---- who may come in ---- */

/* Equal, in a time that does not tell where they differ. */
static bool same_key(const char *a, size_t na, const char *b) {
  unsigned char differ = na != strlen(b);
  for (size_t i = 0, n = strlen(b); i < na; i++) differ |= (unsigned char)(a[i] ^ (n ? b[i % n] : 1));
  return !differ;
}

static bool has_key(const serve_exchange *x) {
  const char *given = MHD_lookup_connection_value(x->c, MHD_HEADER_KIND, "Authorization");
  bool found = false;
  if (!x->s->keys) return true;
  if (!given || strncmp(given, "Bearer ", 7)) return false;
  for (const char *k = x->s->keys; *k; k += strcspn(k, "\n"), k += *k == '\n')
    found |= strcspn(k, "\n") && same_key(k, strcspn(k, "\n"), given + 7);
  return found;
}

static bool is_json(const char *type) {
  static const char json[] = "application/json";
  return type && !strncasecmp(type, json, sizeof json - 1) && strchr("; \t", type[sizeof json - 1]);
}

/* Notes what is wrong with a request before its body is looked at. It is said once the body has come: an answer to half
 * a request may be lost when the connection is closed on the other half. */
static void check_head(serve_exchange *x, const char *method) {
  serve_server *s = x->s;
  const char *host = MHD_lookup_connection_value(x->c, MHD_HEADER_KIND, "Host");
  const char *type = MHD_lookup_connection_value(x->c, MHD_HEADER_KIND, "Content-Type");
  bool get = !strcmp(method, "GET") || !strcmp(method, "HEAD"), post = x->route->post;
  serve_refusal *r = &x->refusal;
  if (s->local && host && !serve_host_is_local(host))
    *r = (serve_refusal){403, "wrong_host", "this server answers to localhost only"};
  else if (!x->route->open && !has_key(x))
    *r = (serve_refusal){401, "invalid_api_key", "this server wants an API key: send \"Authorization: Bearer KEY\""};
  else if (x->route->answer == no_path)
    *r = (serve_refusal){404, "unknown_path",
                         "there is no such path; there are /, /health, /metrics, /v1/models, /v1/chat/completions and "
                         "/v1/completions"};
  else if (post ? strcmp(method, "POST") != 0 : !get)
    *r = (serve_refusal){405, "wrong_method", post ? "this path takes POST" : "this path takes GET"};
  else if (post && !is_json(type))
    *r = (serve_refusal){415, "wrong_content_type", "send \"Content-Type: application/json\""};
  else if (post && s->draining) *r = (serve_refusal){503, "draining", "the server ends"};
}

/* ---- requests ---- */

static serve_exchange *begin(serve_server *s, struct MHD_Connection *c, const char *url) {
  serve_exchange *x = calloc(1, sizeof *x);
  if (!x) return NULL;
  const union MHD_ConnectionInfo *k = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  x->s = s, x->c = c, x->k = k ? k->socket_context : NULL;
  x->began = nb_clock();
  x->route = find_route(url, &x->rest);
  pthread_mutex_lock(&s->lock);
  s->n_exchanges++;
  pthread_mutex_unlock(&s->lock);
  serve_deadline(x, s->o.idle);
  return x;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n, void **context) {
  serve_server *s = cls;
  serve_exchange *x = *context;
  (void)version;
  if (!x) {
    *context = x = begin(s, c, url);
    if (!x) return MHD_NO;
    check_head(x, method);
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");
    if (!length || strtoull(length, NULL, 10) <= s->o.body + SERVE_THROWN_AWAY) return MHD_YES;
    return serve_send_error(x, 413, "request_too_large", serve_too_large);
  }
  if (*n) {
    enum MHD_Result more = serve_exchange_take(x, data, *n);
    *n = 0;
    return more;
  }
  return x->refusal.code ? serve_send_error(x, x->refusal.code, x->refusal.name, x->refusal.message)
                         : x->route->answer(x);
}

static void on_completed(void *cls, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode why) {
  serve_server *s = cls;
  serve_exchange *x = *context;
  (void)c, (void)why;
  if (!x) return;
  *context = NULL;
  serve_deadline(x, s->o.idle);
  serve_exchange_end(x);
  pthread_mutex_lock(&s->lock);
  s->n_exchanges--;
  pthread_mutex_unlock(&s->lock);
  free(x);
}

/* ---- the server ---- */

static nb_status read_keys(const char *path, char **out, nb_err *err) {
  size_t n, k = 0;
  char *text;
  NB_TRY(nb_mapfile_read(path, MAX_KEYS, &text, &n, err));
  for (size_t i = 0; i < n; i++) /* blanks, and zero bytes, are none of a key */
    if (text[i] == '\n' || (unsigned char)text[i] > ' ') text[k++] = text[i];
  text[k] = 0;
  if (strspn(text, "\n") == k) {
    free(text);
    return nb_fail(err, NB_ERR_ARG, "%s: holds no API key (one a line)", path);
  }
  *out = text;
  return NB_OK;
}

static nb_status make_page(serve_server *s, nb_err *err) {
  nb_text json = {0};
  nb_jsonout j = {.out = &json, .err = err};
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_string(&j, "model", s->o.name);
  nb_jsonout_u64(&j, "context", s->o.context);
  nb_jsonout_bool(&j, "chat", *nb_tokenizer_chat_template(s->m->tokenizer) != 0);
  nb_jsonout_bool(&j, "key", s->keys != NULL);
  nb_jsonout_close(&j, '}');
  nb_status st = j.st == NB_OK ? nb_page_fill("chat", json.s, json.n, &s->page, err) : j.st;
  nb_text_free(&json);
  return st;
}

nb_status serve_server_start(const nb_opened *m, const serve_opts *o, serve_server **out, int *port, nb_err *err) {
  serve_server *s;
  nb_status st;
  int fd = -1;
  NB_TRY(nb_new(&s, 1, sizeof *s, "the server", err));
  s->m = m, s->o = *o, s->started = time(NULL), s->metrics.began = nb_clock();
  s->seeds.state = (uint64_t)s->started ^ (uint64_t)(1e9 * nb_clock());
  pthread_mutex_init(&s->lock, NULL);
  pthread_mutex_init(&s->reading, NULL);
  pthread_mutex_init(&s->metrics.lock, NULL);
  signal(SIGPIPE, SIG_IGN);
  if (o->keys) NB_GOTO(read_keys(o->keys, &s->keys, err));
  NB_GOTO(make_page(s, err));
  *port = o->port;
  NB_GOTO(serve_listen(o->host, port, &fd, &s->local, err));
  NB_GOTO(serve_worker_start(m, &o->worker, &s->worker, err));
  s->daemon = MHD_start_daemon(
      MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL,
      on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)o->connections,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->idle,
      MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
  if (!s->daemon) NB_GOTO(nb_fail(err, NB_ERR_IO, "libmicrohttpd does not start: %s", strerror(errno)));
  *out = s;
  return NB_OK;
fail:
  if (fd >= 0) close(fd);
  serve_server_stop(s);
  return st;
}

bool serve_server_drain(serve_server *s) {
  pthread_mutex_lock(&s->lock);
  bool first = !s->draining, done = s->n_exchanges == 0;
  s->draining = true;
  pthread_mutex_unlock(&s->lock);
  if (first) {
    MHD_socket fd = MHD_quiesce_daemon(s->daemon);
    if (fd != MHD_INVALID_SOCKET) close(fd);
  }
  return done;
}

void serve_server_stop(serve_server *s) {
  if (!s) return;
  serve_worker_stop(s->worker);
  if (s->daemon) MHD_stop_daemon(s->daemon);
  serve_worker_free(s->worker);
  nb_text_free(&s->page);
  free(s->keys);
  pthread_mutex_destroy(&s->lock);
  pthread_mutex_destroy(&s->reading);
  pthread_mutex_destroy(&s->metrics.lock);
  nb_free(s);
}

#else
#include "tools/serve/server.h"

nb_status serve_server_start(const nb_opened *m, const serve_opts *o, serve_server **out, int *port, nb_err *err) {
  (void)m, (void)o, (void)port;
  *out = NULL;
  return nb_fail(err, NB_ERR_UNSUPPORTED,
                 "this nibble was built without libmicrohttpd, which serve needs: install it (Debian: "
                 "libmicrohttpd-dev) and run make again");
}
void serve_server_tend(serve_server *s) { (void)s; }
bool serve_server_drain(serve_server *s) { return (void)s, true; }
void serve_server_stop(serve_server *s) { (void)s; }
#endif
