/* SPDX-License-Identifier: MIT */
/* nibble tokenize: text to ids, or ids to text. */
#include "tools/cli.h"
#include "tools/commands.h"
#include "formats/mapfile.h"
#include "formats/open.h"
#include "tools/progress_cli.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 1 << 30 };

typedef struct options {
  const char *prompt, *file;
  bool decode, special, plain, skip;
} options;

/* The text to work on: -p, --file, or standard input. */
static nb_status read_input(const options *o, nb_text *text, nb_err *err) {
  if (o->prompt) return nb_text_append_str(text, o->prompt, err);
  if (o->file && strcmp(o->file, "-")) {
    char *bytes = NULL;
    size_t n;
    NB_TRY(nb_mapfile_read(o->file, MAX_TEXT, &bytes, &n, err));
    nb_status st = nb_text_append(text, bytes, n, err);
    free(bytes);
    return st;
  }
  char buf[65536];
  for (size_t n; (n = fread(buf, 1, sizeof buf, stdin)) > 0;) {
    NB_TRY(nb_text_append(text, buf, n, err));
    if (text->n > MAX_TEXT) return nb_fail(err, NB_ERR_ARG, "standard input is longer than %d bytes", MAX_TEXT);
  }
  if (cli_interrupted()) return nb_fail(err, NB_ERR_INTERRUPTED, "interrupted");
  if (ferror(stdin)) return nb_fail(err, NB_ERR_IO, "standard input: cannot read: %s", strerror(errno));
  return NB_OK;
}

static nb_status print_ids(const options *o, const cli_common *c, const nb_tokenizer *t, const nb_text *text,
                           nb_err *err) {
  nb_ids ids = {0};
  unsigned flags = (o->special ? NB_ENCODE_ADD_SPECIAL : 0) | (o->plain ? NB_ENCODE_PLAIN_SPECIAL : 0);
  nb_status st = nb_tokenizer_encode(t, text->s ? text->s : "", text->n, flags, &ids, err);
  if (st == NB_OK && c->json) {
    cJSON *j = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(j, "ids");
    cJSON *tokens = cJSON_AddArrayToObject(j, "tokens");
    for (size_t i = 0; i < ids.n; i++) {
      const char *s = nb_tokenizer_token_text(t, ids.id[i], NULL);
      cJSON_AddItemToArray(list, cJSON_CreateNumber(ids.id[i]));
      cJSON_AddItemToArray(tokens, cJSON_CreateString(s ? s : ""));
    }
    cli_print_json(j);
  } else if (st == NB_OK) {
    for (size_t i = 0; i < ids.n; i++) printf(i ? " %d" : "%d", ids.id[i]);
    printf("\n");
  }
  nb_ids_free(&ids);
  return st;
}

static nb_status print_text(const options *o, const cli_common *c, const nb_tokenizer *t, const nb_text *text,
                            nb_err *err) {
  nb_ids ids = {0};
  nb_text out = {0};
  nb_status st = NB_OK;
  const char *p = text->s ? text->s : "";
  for (;;) {
    p += strspn(p, " \t\r\n,[]");
    if (!*p) break;
    char *end;
    errno = 0;
    long id = strtol(p, &end, 10);
    if (end == p || errno || id < 0 || (size_t)id >= nb_tokenizer_n_vocab(t)) {
      st = nb_fail(err, NB_ERR_ARG, "'%.20s' is not a token id (0 to %zu)", p, nb_tokenizer_n_vocab(t) - 1);
      break;
    }
    NB_GOTO(nb_ids_push(&ids, (int32_t)id, err));
    p = end;
  }
  if (st == NB_OK) NB_GOTO(nb_tokenizer_decode(t, ids.id, ids.n, o->skip, &out, err));
  if (st == NB_OK && c->json) {
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "text", out.s ? out.s : "");
    cli_print_json(j);
  } else if (st == NB_OK) {
    fwrite(out.s, 1, out.n, stdout);
    printf("\n");
  }
fail:
  nb_ids_free(&ids);
  nb_text_free(&out);
  return st;
}

int cmd_tokenize(int argc, char **argv) {
  options o = {0};
  const cli_opt opts[] = {
      CLI_STRING("prompt", 'p', "TEXT", &o.prompt, "the text; otherwise --file or standard input"),
      CLI_PATH("file", 'f', "FILE", NB_PATH_READ, &o.file, "a file with the text"),
      CLI_FLAG("decode", 'd', &o.decode, "the input is ids, the output their text"),
      CLI_FLAG("special", 's', &o.special, "add the begin and end tokens that the tokenizer's template adds"),
      CLI_FLAG("plain", 0, &o.plain, "special tokens inside the text are plain text"),
      CLI_FLAG("skip-special", 0, &o.skip, "with --decode: leave special tokens out"),
      CLI_END,
  };
  const cli_command cmd = {.name = "tokenize",
                           .args = "MODEL [-p TEXT]",
                           .opts = opts,
                           .common = CLI_JSON,
                           .about = "Turns text into the ids that Hugging Face's tokenizers gives, or ids into text.",
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.prompt && o.file) return cli_usage(&cmd, "give the text by either -p or --file");
  nb_err err;
  nb_text text = {0};
  nb_tokenizer *t = NULL;
  nb_status st = nb_open_tokenizer(args.items[0], &t, &err);
  if (st == NB_OK) st = read_input(&o, &text, &err);
  if (st == NB_OK) st = o.decode ? print_text(&o, &common, t, &text, &err) : print_ids(&o, &common, t, &text, &err);
  nb_tokenizer_free(t);
  nb_text_free(&text);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
