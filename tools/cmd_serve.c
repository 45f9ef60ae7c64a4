/* SPDX-License-Identifier: MIT */
/* nibble serve: a model behind HTTP, in OpenAI's form. */
#include "base/clock.h"
#include "base/mem.h"
#include "eval/memory.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/progress_cli.h"
#include "tools/serve/server.h"
#include "tools/talk.h"

#include <string.h>
#include <time.h>

typedef struct options {
  const char *host, *name, *keys, *kv;
  int port, context, parallel, queue, keep, connections;
  double timeout, idle, drain;
  uint64_t body, kv_memory;
  bool no_speculate, verify;
} options;

static void doze(void) { nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); }

/* What it is called to clients: the last name of its path, without .nbl or .gguf. */
static void model_name(const char *path, char *out, size_t n) {
  size_t end = strlen(path), begin;
  while (end > 1 && path[end - 1] == '/') end--;
  for (begin = end; begin && path[begin - 1] != '/'; begin--) {
  }
  snprintf(out, n, "%.*s", (int)(end - begin), path + begin);
  char *dot = strrchr(out, '.');
  if (dot && dot != out && (!strcmp(dot, ".nbl") || !strcmp(dot, ".gguf"))) *dot = 0;
}

static nb_status serve(const options *o, const cli_common *common, const nb_opened *m, const char *name, nb_err *err) {
  serve_server *s;
  int port;
  nb_kv_type kv = m->kv;
  size_t context;
  NB_TRY(talk_context(m, name, o->context, &context, err));
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &kv, err));
  serve_opts so = {.host = o->host,
                   .port = o->port,
                   .name = name,
                   .keys = o->keys,
                   .body = (size_t)o->body,
                   .context = context,
                   .connections = (size_t)o->connections,
                   .timeout = o->timeout,
                   .idle = o->idle,
                   .worker = {.session = {.threads = common->threads, .cpu_features = common->features},
                              .batch = {.kv = kv,
                                        .kv_bytes = o->kv_memory ? (size_t)o->kv_memory : nb_memory_of_machine() / 4,
                                        .most = (size_t)o->parallel,
                                        .keep = (size_t)o->keep,
                                        .draft = o->no_speculate ? NB_DRAFT_NEVER : NB_DRAFT_WORTH},
                              .queue = (size_t)o->queue}};
  NB_TRY(serve_server_start(m, &so, &s, &port, err));
  bool six = strchr(o->host, ':') != NULL;
  printf("http://%s%s%s:%d/\n", six ? "[" : "", o->host, six ? "]" : "", port);
  fflush(stdout);
  cli_note(common, "%s, %zu tokens of context; Ctrl-C or SIGTERM ends it", name, so.context);
  for (; !cli_interrupted(); doze()) serve_server_tend(s);
  cli_note(common, "ending: what is under way has %.0f s", o->drain);
  for (double end = nb_clock() + o->drain; !serve_server_drain(s) && nb_clock() < end; doze()) serve_server_tend(s);
  serve_server_stop(s);
  return NB_OK;
}

int cmd_serve(int argc, char **argv) {
  options o = {.host = "127.0.0.1",
               .port = 8080,
               .parallel = 64,
               .queue = 256,
               .keep = 32,
               .connections = 256,
               .timeout = 600,
               .idle = 30,
               .drain = 30,
               .body = 4 << 20};
  const cli_opt opts[] = {
      CLI_STRING("host", 0, "ADDRESS", &o.host, "where to listen (127.0.0.1: this machine alone)"),
      CLI_INT("port", 'p', "N", 0, 65535, &o.port, "port (8080); 0: one that is free, which the first line names"),
      CLI_PATH("api-key-file", 0, "FILE", NB_PATH_READ, &o.keys, "answer only to the keys in it, one a line"),
      CLI_STRING("name", 0, "NAME", &o.name, "what clients call the model (the file's name)"),
      CLI_INT("context", 'c', "N", 16, 1 << 24, &o.context,
              "tokens of a prompt and its answer (the model's positions)"),
      CLI_INT("parallel", 0, "N", 1, 512, &o.parallel, "texts written at a time (64)"),
      CLI_INT("queue", 0, "N", 0, 1 << 20, &o.queue, "texts that may wait besides (256); more are answered 503"),
      CLI_INT("keep", 0, "N", 0, 4096, &o.keep,
              "caches of texts that are over, kept for prompts that begin like them (32)"),
      CLI_BYTES("kv-memory", 0, "SIZE", &o.kv_memory, "memory for all caches (a quarter of the machine's)"),
      CLI_BYTES("body", 0, "SIZE", &o.body, "bytes of a request (4MiB)"),
      CLI_INT("connections", 0, "N", 1, 4096, &o.connections, "connections at a time (256)"),
      CLI_DOUBLE("timeout", 0, "S", 1, 86400, &o.timeout,
                 "seconds for a request, from its arrival to its last token (600)"),
      CLI_DOUBLE("idle", 0, "S", 1, 3600, &o.idle, "seconds for a request to arrive, and between requests (30)"),
      CLI_DOUBLE("drain", 0, "S", 0, 86400, &o.drain, "seconds that requests under way get after SIGTERM (30)"),
      CLI_KV(&o.kv, "the cache"),
      CLI_SPECULATE(&o.no_speculate),
      CLI_FLAG("verify", 0, &o.verify, "check the file's checksums first"),
      CLI_END,
  };
  const cli_command cmd = {.name = "serve",
                           .args = "MODEL",
                           .opts = opts,
                           .common = CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
                           .about = "Answers HTTP requests in the form of OpenAI's interface: /v1/chat/completions, "
                                    "/v1/completions, /v1/models;\n/health, /metrics for Prometheus, and a page to "
                                    "chat at /. Prints its address. docs/serve.md has examples.",
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  char name[256];
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.body > 1 << 26) return cli_usage(&cmd, "--body is at most 64MiB");
  nb_err err;
  nb_opened m = {0};
  nb_status st = cli_open(args.items[0], o.verify ? NB_OPEN_VERIFY : 0, &common, &m, &err);
  model_name(args.items[0], name, sizeof name);
  if (st == NB_OK) st = serve(&o, &common, &m, o.name ? o.name : name, &err);
  nb_opened_free(&m);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
