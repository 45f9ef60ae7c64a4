/* SPDX-License-Identifier: MIT */
/* nibble probe: makes the data of task needle from any text, in lengths of the model's tokens. */
#include "eval/probe.h"
#include "formats/explain.h"
#include "formats/open.h"
#include "formats/outfile.h"
#include "tools/cli.h"
#include "tools/commands.h"

#include <stdlib.h>

enum { MAX_TEXT = 1 << 30 };

typedef struct options {
  const char *text, *out, *lengths;
  int texts;
  uint64_t seed;
} options;

static nb_status make_all(const options *o, const nb_tokenizer *t, const nb_ids *ids, nb_text *out, nb_err *err) {
  for (const char *p = o->lengths; *p;) {
    char *end;
    nb_probe_opts po = {.texts = (size_t)o->texts, .seed = o->seed};
    po.length = strtoul(p, &end, 10);
    if (end == p || (*end && *end != ','))
      return nb_fail(err, NB_ERR_ARG, "--lengths %s: want numbers of tokens, with commas between", o->lengths);
    NB_TRY(nb_probe_make(t, ids->id, ids->n, &po, out, err));
    p = end + (*end == ',');
  }
  return NB_OK;
}

static nb_status probe(const options *o, const cli_common *common, const char *model, nb_err *err) {
  nb_opened m = {0};
  char *text = NULL;
  size_t n;
  nb_ids ids = {0};
  nb_text out = {0};
  nb_status st;
  NB_GOTO(cli_open(model, 0, common, &m, err));
  if (!m.tokenizer) NB_GOTO(nb_fail(err, NB_ERR_ARG, "%s has no tokenizer", model));
  NB_GOTO(nb_explain_read_text(o->text, MAX_TEXT, &text, &n, err));
  NB_GOTO(nb_tokenizer_encode(m.tokenizer, text, n, NB_ENCODE_PLAIN_SPECIAL, &ids, err));
  NB_GOTO(make_all(o, m.tokenizer, &ids, &out, err));
  NB_GOTO(nb_outfile_save(o->out, out.s ? out.s : "", out.n, err));
fail:
  nb_text_free(&out);
  nb_ids_free(&ids);
  free(text);
  nb_opened_free(&m);
  return st;
}

int cmd_probe(int argc, char **argv) {
  options o = {.lengths = "4096,8192,16384,32768", .texts = 4, .seed = 1};
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("text", 'f', "FILE", NB_PATH_READ, &o.text, "the text that the numbers are hidden in"),
      CLI_PATH_REQUIRED("out", 'o', "FILE", NB_FILE_PROBE, &o.out, "the data, JSON lines"),
      CLI_STRING("lengths", 0, "N,N", &o.lengths, "tokens of the texts (4096,8192,16384,32768)"),
      CLI_INT("texts", 0, "N", 1, 10000, &o.texts, "texts of each length, with four questions each (4)"),
      CLI_U64("seed", 0, "N", &o.seed, "of names and numbers (1)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "probe",
      .args = "MODEL --text FILE --out FILE",
      .opts = opts,
      .common = CLI_TOKENIZER,
      .about = "Makes questions about numbers hidden at several depths of long texts, which the model's tokenizer "
               "measures,\n"
               "for `nibble eval --task needle`. The questions about a text share it: it is read once.",
      .min_args = 1,
      .max_args = 1,
      .more = "Example:\n  nibble probe phi3.nbl --text wiki.txt --lengths 4000,32000 -o needle.jsonl\n"
              "  nibble eval phi3.nbl --task needle --data needle.jsonl\n"};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_status st = probe(&o, &common, args.items[0], &err);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
