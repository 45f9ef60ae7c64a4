/* SPDX-License-Identifier: MIT */
/* nibble chat: a conversation, turn by turn. Every turn the whole conversation is rendered and encoded anew, and its
 * ids are compared with what the cache holds: what the model sees is what it would see without a cache. */
#include "base/bytes.h"
#include "eval/memory.h"
#include "formats/explain.h"
#include "formats/json.h"
#include "formats/mapfile.h"
#include "formats/outfile.h"
#include "formats/paths.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/line.h"
#include "tools/progress_cli.h"
#include "tools/talk.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 26 };

typedef struct options {
  const char *system, *load, *kv;
  int n, context;
  double temperature, top_p;
  uint64_t seed;
  bool raw, no_speculate, verify;
} options;

typedef struct chat {
  const options *o;
  const cli_common *common;
  const char *path; /* of the model */
  const nb_opened *m;
  talk talk;
  line_reader *in;
  char *system;             /* NULL: none */
  messages said;            /* user and assistant by turns */
  size_t context;           /* tokens that the model sees */
  size_t first;             /* of the messages, the first that it still sees */
  size_t turns;             /* answered, for seeds */
  nb_generation_stats last; /* what the last answer took */
} chat;

/* ---- commands ---- */

typedef nb_status (*command_fn)(chat *c, const char *arg, nb_err *err);

static nb_status set_system(chat *c, const char *text, nb_err *err) {
  if (*text) NB_TRY(talk_check_template(c->m->tokenizer, c->o->raw, true, c->common, c->path, err));
  char *copy = *text ? strdup(text) : NULL;
  if (*text && !copy) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a system message");
  free(c->system);
  c->system = copy;
  return NB_OK;
}

static nb_status do_reset(chat *c, const char *arg, nb_err *err) {
  (void)arg, (void)err;
  messages_free(&c->said);
  c->first = 0;
  return NB_OK;
}

static nb_status do_save(chat *c, const char *file, nb_err *err) {
  nb_text t = {0};
  nb_jsonout j = {.out = &t, .err = err};
  const nb_path paths[] = {{c->path, NULL, NB_PATH_READ}, {file, NULL, NB_FILE_CHAT}};
  if (!*file) return nb_fail(err, NB_ERR_ARG, "/save wants a file's name");
  NB_TRY(nb_path_check(paths, 2, false, err));
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_string(&j, "format", "nibble-chat");
  if (c->system) nb_jsonout_string(&j, "system", c->system);
  messages_write(&c->said, &j, "messages");
  nb_jsonout_close(&j, '}');
  nb_status st = j.st == NB_OK ? nb_text_append_str(&t, "\n", err) : j.st;
  if (st == NB_OK) st = nb_outfile_save(file, t.s, t.n, err);
  nb_text_free(&t);
  return st;
}

/* A conversation as /save writes it, or as a request of OpenAI's interface has it: a first message may be the system's.
 */
static nb_status read_saved(chat *c, const cJSON *j, const char *file, messages *said, nb_err *err) {
  const cJSON *list;
  const char *system = NULL;
  NB_TRY(nb_json_array(j, file, "messages", &list, err));
  NB_TRY(nb_json_optional_string(j, file, "system", &system, err));
  NB_TRY(messages_read(list, file, said, err));
  bool has_system = said->n && !strcmp(said->m[0].role, "system");
  if (has_system) system = said->m[0].content;
  for (size_t i = has_system; i < said->n; i++)
    if (strcmp(said->m[i].role, (i - has_system) % 2 ? "assistant" : "user"))
      return nb_fail(err, NB_ERR_FORMAT, "%s: message %zu is of \"%.20s\": a user's and an assistant's take turns",
                     file, i, said->m[i].role);
  if ((said->n - has_system) % 2) return nb_fail(err, NB_ERR_FORMAT, "%s: its last turn has no answer", file);
  NB_TRY(set_system(c, system ? system : "", err));
  if (has_system) messages_remove(said, 0, 1);
  return NB_OK;
}

static nb_status do_load(chat *c, const char *file, nb_err *err) {
  char *bytes;
  size_t n;
  cJSON *j = NULL;
  messages said = {0};
  if (!*file) return nb_fail(err, NB_ERR_ARG, "/load wants a file's name");
  NB_TRY(nb_mapfile_read(file, MAX_FILE, &bytes, &n, err));
  nb_status st = nb_json_parse(bytes, n, file, &j, err);
  if (st == NB_OK) st = read_saved(c, j, file, &said, err);
  st = nb_explain_bytes(file, bytes, n, NB_FILE_CHAT, st, err);
  free(bytes);
  cJSON_Delete(j);
  if (st != NB_OK) return messages_free(&said), st;
  messages_free(&c->said);
  c->said = said, c->first = 0;
  cli_note(c->common, "%zu turns%s", said.n / 2, c->system ? ", with a system message" : "");
  return NB_OK;
}

static nb_status do_stats(chat *c, const char *arg, nb_err *err) {
  const nb_generation_stats *s = &c->last;
  char a[CLI_TEXT], b[CLI_TEXT], d[CLI_TEXT];
  nb_memory m = {0};
  (void)arg, (void)err;
  nb_memory_read(&m);
  printf("%zu turns, %zu of them seen by the model\n", c->said.n / 2, (c->said.n - c->first) / 2);
  if (c->turns) {
    size_t run = s->prompt_tokens - s->reused;
    printf("last answer: %zu prompt tokens (%zu from the cache, %zu run at %.1f/s), %zu new ones at %.1f/s\n",
           s->prompt_tokens, s->reused, run, s->prompt_s > 0 ? (double)run / s->prompt_s : 0, s->new_tokens,
           s->new_s > 0 ? (double)s->new_tokens / s->new_s : 0);
    if (s->drafted) printf("%zu tokens were guessed in advance, %zu of them rightly\n", s->drafted, s->taken);
  }
  printf("memory: %s of the file, %s its own, %s of that the cache\n", nb_bytes_text(a, m.file_bytes),
         nb_bytes_text(b, m.anon_bytes), nb_bytes_text(d, s->kv_bytes));
  return NB_OK;
}

static nb_status do_help(chat *c, const char *arg, nb_err *err);
static nb_status do_exit(chat *c, const char *arg, nb_err *err) {
  (void)c, (void)arg;
  return nb_fail(err, NB_ERR_INTERRUPTED, "exit");
}

static const struct command {
  const char *name, *arg, *help;
  command_fn run;
} commands[] = {
    {"system", "TEXT", "what the model is told first; without TEXT nothing", set_system},
    {"reset", "", "forget the conversation", do_reset},
    {"save", "FILE", "write the conversation to a file", do_save},
    {"load", "FILE", "go on with a conversation that was saved", do_load},
    {"stats", "", "tokens, speed and memory", do_stats},
    {"help", "", "this list", do_help},
    {"exit", "", "end (so does Ctrl-D)", do_exit},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static nb_status do_help(chat *c, const char *arg, nb_err *err) {
  (void)c, (void)arg, (void)err;
  for (size_t i = 0; i < COMMANDS; i++) {
    int n = printf("/%s %s", commands[i].name, commands[i].arg);
    printf("%*s%s\n", n < 16 ? 16 - n : 1, "", commands[i].help);
  }
  puts("//TEXT          a turn that begins with a slash");
  puts("A line that ends with a backslash goes on; Ctrl-C ends an answer.");
  return NB_OK;
}

static nb_status run_command(chat *c, const char *line, nb_err *err) {
  size_t n = strcspn(line, " \t");
  const char *arg = line + n + strspn(line + n, " \t");
  for (size_t i = 0; i < COMMANDS; i++)
    if (strlen(commands[i].name) == n && !memcmp(commands[i].name, line, n)) return commands[i].run(c, arg, err);
  return nb_fail(err, NB_ERR_ARG, "there is no command /%.*s: /help lists them (//%.*s... is a turn)",
                 (int)nb_min(n, 40), line, (int)nb_min(n, 20), line);
}

/* ---- turns ---- */

static nb_status encode(const chat *c, nb_ids *ids, nb_err *err) {
  ids->n = 0;
  return talk_ids(c->m->tokenizer, c->o->raw, c->system, c->said.m + c->first, c->said.n - c->first, ids, err);
}

/* The ids of the conversation. When they leave too little room for an answer, the oldest turns are no longer told,
 * until half of the context is free: the cache then serves for many turns again. */
static nb_status fit(chat *c, size_t context, nb_ids *ids, nb_err *err) {
  size_t room = nb_min((size_t)c->o->n, context / 4), before = c->first;
  NB_TRY(encode(c, ids, err));
  if (ids->n + nb_max(room, 1) > context)
    while (ids->n > context / 2 && c->first + 1 < c->said.n) {
      c->first += 2;
      NB_TRY(encode(c, ids, err));
    }
  if (ids->n < context && c->first != before)
    cli_note(c->common, "the context of %zu tokens is nearly full: the oldest %zu turns are no longer seen", context,
             (c->first - before) / 2);
  if (ids->n < context) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "this turn makes %zu tokens, and the context has %zu", ids->n, context);
}

static nb_status answer(chat *c, nb_err *err) {
  const size_t context = c->context;
  nb_ids ids = {0};
  nb_status st;
  bool terminal = line_is_terminal(c->in);
  talk_answer a = {
      .sampling = {c->o->temperature, c->o->top_p, c->o->seed + c->turns}, .stream = true, .stop = cli_interrupt_came};
  NB_GOTO(fit(c, context, &ids, err));
  a.max_new = nb_min((size_t)c->o->n, context - ids.n);
  cli_interrupt_forget();
  NB_GOTO(talk_run(&c->talk, &ids, &a, err));
  cli_interrupt_forget(); /* it was meant for the answer */
  printf("\n");
  fflush(stdout);
  c->last = a.stats, c->turns++;
  if (cli_interrupted()) NB_GOTO(nb_fail(err, NB_ERR_INTERRUPTED, "interrupted"));
  if (a.stopped) cli_note(c->common, "stopped; the answer stays as it is");
  else if (!a.stats.ended && a.max_new < (size_t)c->o->n)
    cli_note(c->common, "the context is full: the answer ends here");
  else if (!a.stats.ended && terminal) cli_note(c->common, "the answer ends here by -n");
  st = messages_add(&c->said, "assistant", a.text.s, err);
fail:
  talk_answer_free(&a);
  nb_ids_free(&ids);
  return st;
}

/* A turn that gets no answer is taken back. */
static nb_status take_turn(chat *c, const char *text, nb_err *err) {
  size_t first = c->first;
  NB_TRY(messages_add(&c->said, "user", text, err));
  nb_status st = answer(c, err);
  if (st != NB_OK) messages_remove(&c->said, c->said.n - 1, c->said.n), c->first = nb_min(first, c->said.n);
  return st;
}

static nb_status take_line(chat *c, const char *line, nb_err *err) {
  if (!*line) return NB_OK;
  if (line[0] != '/') return take_turn(c, line, err);
  return line[1] == '/' ? take_turn(c, line + 1, err) : run_command(c, line + 1, err);
}

/* A wrong command or an overlong turn ends the program only where nobody sits before it. */
static nb_status converse(chat *c, nb_err *err) {
  nb_text line = {0};
  nb_status st = NB_OK;
  for (bool more = true; more && st == NB_OK;) {
    line_end end = line_read(c->in, &line, err);
    if (end == LINE_END || end == LINE_FAILED || (end == LINE_INTERRUPTED && cli_interrupted())) {
      if (end == LINE_FAILED) st = NB_ERR_IO;
      if (end == LINE_INTERRUPTED) st = nb_fail(err, NB_ERR_INTERRUPTED, "interrupted");
      if (line_is_terminal(c->in)) puts("");
      break;
    }
    if (end == LINE_INTERRUPTED) {
      puts("");
      cli_interrupt_forget();
      continue;
    }
    st = take_line(c, line.s, err);
    if (st == NB_ERR_INTERRUPTED && !cli_interrupted()) st = NB_OK, more = false; /* /exit */
    if (line_is_terminal(c->in) && (st == NB_ERR_ARG || st == NB_ERR_FORMAT || st == NB_ERR_IO))
      cli_fail(st, err), st = NB_OK;
  }
  nb_text_free(&line);
  return st;
}

static nb_status chat_run(const options *o, const cli_common *common, const nb_opened *m, const char *path,
                          nb_err *err) {
  chat c = {.o = o, .common = common, .path = path, .m = m};
  nb_status st;
  NB_GOTO(talk_context(m, path, o->context, &c.context, err));
  NB_GOTO(talk_check_template(m->tokenizer, o->raw, o->system != NULL, common, path, err));
  NB_GOTO(line_open("> ", &c.in, err));
  NB_GOTO(talk_begin(m, common, o->kv, o->no_speculate ? NB_DRAFT_NEVER : NB_DRAFT_WORTH, &c.talk, err));
  if (o->load) NB_GOTO(do_load(&c, o->load, err));
  if (o->system) NB_GOTO(set_system(&c, o->system, err));
  if (line_is_terminal(c.in)) {
    cli_interrupt_take();
    cli_note(common, "/help lists the commands; Ctrl-C ends an answer, Ctrl-D the program");
  }
  st = converse(&c, err);
fail:
  talk_end(&c.talk);
  line_close(c.in);
  messages_free(&c.said);
  free(c.system);
  return st;
}

int cmd_chat(int argc, char **argv) {
  options o = {.n = 1024, .top_p = 1};
  const cli_opt opts[] = {
      CLI_STRING("system", 0, "TEXT", &o.system, "what the model is told first"),
      CLI_PATH("load", 0, "FILE", NB_PATH_READ, &o.load, "go on with a conversation that /save wrote"),
      CLI_INT("tokens", 'n', "N", 1, 1 << 24, &o.n, "tokens of an answer at most (1024)"),
      CLI_INT("context", 'c', "N", 16, 1 << 24, &o.context, "tokens that the model sees (its positions)"),
      CLI_DOUBLE("temperature", 0, "X", 0, 100, &o.temperature, "0 (default): always the most likely token"),
      CLI_DOUBLE("top-p", 0, "X", 0, 1, &o.top_p, "sample from the most likely tokens that reach this probability (1)"),
      CLI_U64("seed", 0, "N", &o.seed, "of the sampling (0); the second turn has the next one, and so on"),
      CLI_FLAG("raw", 0, &o.raw, "no chat template: the turns make one text, which the model goes on with"),
      CLI_KV(&o.kv, "the cache"),
      CLI_SPECULATE(&o.no_speculate),
      CLI_FLAG("verify", 0, &o.verify, "check the file's checksums first"),
      CLI_END,
  };
  const cli_command cmd = {.name = "chat",
                           .args = "MODEL",
                           .opts = opts,
                           .common = CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
                           .about =
                               "A conversation with a model, a .nbl file or a checkpoint's directory. Of every turn "
                               "only what is new is run. /help lists\nthe commands: /system, /reset, /save, /load, "
                               "/stats, /exit. Input that is no terminal has a turn, or a command,\na line.",
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.raw && o.system) return cli_usage(&cmd, "--system is for the chat template, which --raw leaves out");
  nb_err err;
  nb_opened m = {0};
  nb_status st = cli_open(args.items[0], o.verify ? NB_OPEN_VERIFY : 0, &common, &m, &err);
  if (st == NB_OK) st = chat_run(&o, &common, &m, args.items[0], &err);
  nb_opened_free(&m);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
