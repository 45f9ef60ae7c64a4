/* SPDX-License-Identifier: MIT */
/* nibble generate: answers a prompt, or continues a text. */
#include "text/chat_template.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "model/generate.h"
#include "formats/explain.h"
#include "base/mem.h"
#include "formats/open.h"
#include "tools/progress_cli.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROMPT = 1 << 26 };

typedef struct options {
  const char *prompt, *file, *system, *kv;
  int n;
  double temperature, top_p;
  uint64_t seed;
  bool raw, ignore_eos, verify;
} options;

/* Where the new tokens go: to standard output as they come, or into a buffer for --json. */
typedef struct sink {
  nb_decoder *decoder;
  nb_text text;
  bool stream;
  nb_status st;
  nb_err *err;
} sink;

static bool take_token(void *ctx, int32_t id) {
  sink *s = ctx;
  size_t before = s->text.n;
  s->st = nb_decoder_step(s->decoder, id, &s->text, s->err);
  if (s->st == NB_OK && s->stream && s->text.n > before) {
    fwrite(s->text.s + before, 1, s->text.n - before, stdout);
    if (fflush(stdout)) s->st = nb_fail(s->err, NB_ERR_IO, "standard output: cannot write: %s", strerror(errno));
  }
  if (s->st == NB_OK && cli_interrupted()) s->st = nb_fail(s->err, NB_ERR_INTERRUPTED, "interrupted");
  return s->st == NB_OK;
}

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

/* The ids of the prompt: as it is with --raw, or in the model's chat template. */
static nb_status prompt_ids(const options *o, const nb_tokenizer *t, nb_ids *ids, nb_err *err) {
  nb_status st;
  nb_text text = {0}, chat = {0};
  NB_GOTO(read_prompt(o, &text, err));
  if (o->raw || !*nb_tokenizer_chat_template(t)) {
    unsigned special = nb_tokenizer_begun(t, text.s, text.n) ? 0 : NB_ENCODE_ADD_SPECIAL; /* no second begin token */
    st = nb_tokenizer_encode(t, text.s ? text.s : "", text.n, special, ids, err);
  } else {
    nb_chat_message m[2] = {{"system", o->system ? o->system : ""}, {"user", text.s ? text.s : ""}};
    size_t first = o->system ? 0 : 1;
    NB_GOTO(nb_chat_render_tokenizer(t, m + first, 2 - first, true, &chat, err));
    st = nb_tokenizer_encode(t, chat.s, chat.n, 0, ids, err); /* the template writes its own begin token */
  }
fail:
  nb_text_free(&text);
  nb_text_free(&chat);
  return st;
}

static void print_json(const nb_text *text, const nb_generation_stats *s) {
  cJSON *j = cJSON_CreateObject();
  cJSON_AddStringToObject(j, "text", text->s ? text->s : "");
  cJSON_AddNumberToObject(j, "prompt_tokens", (double)s->prompt_tokens);
  cJSON_AddNumberToObject(j, "new_tokens", (double)s->new_tokens);
  cJSON_AddBoolToObject(j, "ended", s->ended);
  cJSON_AddNumberToObject(j, "prompt_tokens_per_s", (double)s->prompt_tokens / s->prompt_s);
  cJSON_AddNumberToObject(j, "new_tokens_per_s", (double)s->new_tokens / s->new_s);
  cJSON_AddNumberToObject(j, "kv_bytes", (double)s->kv_bytes);
  cli_print_json(j);
}

static nb_status generate(const options *o, const cli_common *common, const nb_opened *m, nb_err *err) {
  nb_status st;
  nb_session *s = NULL;
  nb_ids ids = {0};
  nb_generation_stats stats;
  sink out = {.stream = !common->json, .err = err};
  nb_session_opts so = {.threads = common->threads, .cpu_features = common->features};
  nb_generation g = {.sampling = {o->temperature, o->top_p, o->seed},
                     .max_new = (size_t)o->n,
                     .ignore_eos = o->ignore_eos,
                     .kv_type = m->kv,
                     .token = take_token,
                     .ctx = &out};
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &g.kv_type, err));
  NB_GOTO(prompt_ids(o, m->tokenizer, &ids, err));
  NB_GOTO(nb_decoder_new(m->tokenizer, true, &out.decoder, err));
  NB_GOTO(nb_session_create(&m->model.config, &so, &s, err));
  st = nb_generate(s, &m->model, ids.id, ids.n, &g, &stats, err);
  if (st == NB_OK) st = out.st;
  size_t before = out.text.n;
  if (out.stream && (st == NB_OK || st == NB_ERR_INTERRUPTED) &&
      nb_decoder_finish(out.decoder, &out.text, NULL) == NB_OK) {
    fwrite(out.text.s ? out.text.s + before : "", 1, out.text.n - before, stdout);
    printf("\n");
  }
  if (st != NB_OK) goto fail;
  if (common->json) {
    NB_GOTO(nb_decoder_finish(out.decoder, &out.text, err));
    print_json(&out.text, &stats);
  } else {
    cli_note(common, "%zu prompt tokens at %.1f tokens/s, %zu new ones at %.1f tokens/s%s", stats.prompt_tokens,
             (double)stats.prompt_tokens / stats.prompt_s, stats.new_tokens, (double)stats.new_tokens / stats.new_s,
             stats.ended ? "" : " (stopped by -n)");
  }
fail:
  nb_decoder_free(out.decoder);
  nb_text_free(&out.text);
  nb_ids_free(&ids);
  nb_session_free(s);
  return st;
}

/* A model that was not trained for chats has no template. */
static nb_status check_template(const options *o, const cli_common *common, const char *model, const nb_tokenizer *t,
                                nb_err *err) {
  const char *template = nb_tokenizer_chat_template(t);
  if (o->raw || (template && *template)) return NB_OK;
  if (o->system) return nb_fail(err, NB_ERR_ARG, "%s has no chat template for --system: put it into the prompt", model);
  cli_note(common, "%s has no chat template: it goes on from the prompt's text, as with --raw", model);
  return NB_OK;
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
      CLI_CHOICE("kv", 0, "f32|f16|q16|q8", &o.kv, "the cache (q16 for .nbl files, f32 for checkpoints)"),
      CLI_FLAG("verify", 0, &o.verify, "check the file's checksums first"),
      CLI_END,
  };
  const cli_command cmd = {.name = "generate",
                           .args = "MODEL -p TEXT",
                           .opts = opts,
                           .common = CLI_JSON | CLI_THREADS | CLI_CPU,
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
  if (st == NB_OK) st = check_template(&o, &common, args.items[0], m.tokenizer, &err);
  if (st == NB_OK) st = generate(&o, &common, &m, &err);
  nb_opened_free(&m);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
