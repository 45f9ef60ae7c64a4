/* SPDX-License-Identifier: MIT */
/* nibble generate: answers a prompt, or continues a text. */
#include "tools/cli.h"
#include "tools/commands.h"
#include "formats/explain.h"
#include "tools/progress_cli.h"
#include "tools/talk.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROMPT = 1 << 26 };

typedef struct options {
  const char *prompt, *file, *system, *kv;
  int n;
  double temperature, top_p;
  uint64_t seed;
  bool raw, ignore_eos, no_speculate, verify;
} options;

static nb_status read_prompt(const options *o, nb_text *text, nb_err *err) {
  if (o->prompt) return nb_text_append_str(text, o->prompt, err);
  char *bytes = NULL;
  size_t n;
  NB_TRY(nb_explain_read_text(o->file, MAX_PROMPT, &bytes, &n, err));
  nb_status st = nb_text_append(text, bytes, n, err);
  free(bytes);
  if (st == NB_OK && text->n && memchr(text->s, 0, text->n))
    return nb_fail(err, NB_ERR_ARG, "%s: holds a zero byte, which no prompt has", o->file);
  return st;
}

static void print_json(const talk_answer *a) {
  const nb_generation_stats *s = &a->stats;
  cJSON *j = cJSON_CreateObject();
  cJSON_AddStringToObject(j, "text", a->text.s);
  cJSON_AddNumberToObject(j, "prompt_tokens", (double)s->prompt_tokens);
  cJSON_AddNumberToObject(j, "new_tokens", (double)s->new_tokens);
  cJSON_AddBoolToObject(j, "ended", s->ended);
  cJSON_AddNumberToObject(j, "prompt_tokens_per_s", (double)s->prompt_tokens / s->prompt_s);
  cJSON_AddNumberToObject(j, "new_tokens_per_s", (double)s->new_tokens / s->new_s);
  cJSON_AddNumberToObject(j, "kv_bytes", (double)s->kv_bytes);
  cJSON_AddNumberToObject(j, "drafted", (double)s->drafted);
  cJSON_AddNumberToObject(j, "accepted", (double)s->taken);
  cli_print_json(j);
}

static nb_status generate(const options *o, const cli_common *common, const nb_opened *m, nb_err *err) {
  nb_status st;
  talk t = {0};
  nb_ids ids = {0};
  nb_text prompt = {0};
  talk_answer a = {.sampling = {o->temperature, o->top_p, o->seed},
                   .max_new = (size_t)o->n,
                   .ignore_eos = o->ignore_eos,
                   .stream = !common->json,
                   .stop = cli_interrupted};
  const nb_generation_stats *s = &a.stats;
  NB_GOTO(read_prompt(o, &prompt, err));
  const nb_chat_message message = {"user", prompt.s ? prompt.s : ""};
  NB_GOTO(talk_ids(m->tokenizer, o->raw, o->system, &message, 1, &ids, err));
  NB_GOTO(talk_begin(m, common, o->kv, o->no_speculate ? NB_DRAFT_NEVER : NB_DRAFT_WORTH, &t, err));
  NB_GOTO(talk_run(&t, &ids, &a, err));
  if (a.stream) printf("\n");
  if (a.stopped) NB_GOTO(nb_fail(err, NB_ERR_INTERRUPTED, "interrupted"));
  if (common->json) print_json(&a);
  else
    cli_note(common, "%zu prompt tokens at %.1f tokens/s, %zu new ones at %.1f tokens/s%s", s->prompt_tokens,
             (double)s->prompt_tokens / s->prompt_s, s->new_tokens, (double)s->new_tokens / s->new_s,
             s->ended ? "" : " (stopped by -n)");
fail:
  talk_end(&t);
  talk_answer_free(&a);
  nb_text_free(&prompt);
  nb_ids_free(&ids);
  return st;
}

int cmd_generate(int argc, char **argv) {
  options o = {.n = 256, .top_p = 1};
  const cli_opt opts[] = {
      CLI_STRING("prompt", 'p', "TEXT", &o.prompt, "the prompt"),
      CLI_PATH("file", 'f', "FILE", NB_PATH_READ, &o.file, "read the prompt from a file"),
      CLI_STRING("system", 0, "TEXT", &o.system, "a system message"),
      CLI_FLAG("raw", 0, &o.raw, "continue the text as it is, without the chat template"),
      CLI_INT("tokens", 'n', "N", 1, 1 << 24, &o.n, "new tokens at most (256)"),
      CLI_DOUBLE("temperature", 0, "X", 0, 100, &o.temperature, "0 (default): always the most likely token"),
      CLI_DOUBLE("top-p", 0, "X", 0, 1, &o.top_p, "sample from the most likely tokens that reach this probability (1)"),
      CLI_U64("seed", 0, "N", &o.seed, "of the sampling (0)"),
      CLI_FLAG("ignore-eos", 0, &o.ignore_eos, "go on after an end token"),
      CLI_KV(&o.kv, "the cache"),
      CLI_SPECULATE(&o.no_speculate),
      CLI_FLAG("verify", 0, &o.verify, "check the file's checksums first"),
      CLI_END,
  };
  const cli_command cmd = {.name = "generate",
                           .args = "MODEL -p TEXT",
                           .opts = opts,
                           .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
                           .about = "Answers a prompt through the model's chat template and prints the text as it "
                                    "comes. MODEL is a .nbl file or\n"
                                    "a checkpoint's directory.",
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (!o.prompt == !o.file) return cli_usage(&cmd, "give the prompt by either -p or --file");
  if (o.raw && o.system) return cli_usage(&cmd, "--system is for the chat template, which --raw leaves out");
  nb_err err;
  nb_opened m = {0};
  nb_status st = cli_open(args.items[0], o.verify ? NB_OPEN_VERIFY : 0, &common, &m, &err);
  if (st == NB_OK) st = talk_check_template(m.tokenizer, o.raw, o.system != NULL, &common, args.items[0], &err);
  if (st == NB_OK) st = generate(&o, &common, &m, &err);
  nb_opened_free(&m);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
