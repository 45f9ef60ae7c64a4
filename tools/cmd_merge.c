/* SPDX-License-Identifier: MIT */
/* nibble merge: the shards of a run as one result file. */
#include "tools/cli.h"
#include "tools/commands.h"
#include "eval/merge.h"
#include "tools/report_text.h"

#include <stdlib.h>
#include <string.h>

static nb_status merge(const cli_args *args, const char *out, bool json, nb_err *err) {
  size_t n = (size_t)args->n;
  nb_result *shard = calloc(n, sizeof *shard), whole = {.n = 0};
  nb_text text = {0};
  nb_status st = shard ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory: %zu shards", n);
  for (size_t i = 0; i < n && st == NB_OK; i++) st = nb_result_load(args->items[i], &shard[i], err);
  if (st == NB_OK) st = nb_merge(shard, args->items, n, &whole, err);
  if (st == NB_OK && out) st = nb_result_save(&whole, out, err);
  if (st == NB_OK && json) {
    st = nb_result_write(&whole, &text, err);
    if (st == NB_OK) fwrite(text.s, 1, text.n, stdout);
  } else if (st == NB_OK) {
    st = report_text(&whole, stdout, err);
  }
  nb_text_free(&text);
  nb_result_free(&whole);
  for (size_t i = 0; shard && i < n; i++) nb_result_free(&shard[i]);
  free(shard);
  return st;
}

int cmd_merge(int argc, char **argv) {
  const char *out = NULL;
  const cli_opt opts[] = {CLI_PATH("out", 'o', "FILE", NB_FILE_RESULT, &out, "write the joined result file"), CLI_END};
  const cli_command cmd = {
      .name = "merge",
      .args = "SHARD... [-o FILE]",
      .opts = opts,
      .common = CLI_JSON,
      .about = "Joins the result files of `nibble eval --shard I/N` into the one that an unsharded run\n"
               "writes. Every shard must be there, once.",
      .min_args = 1,
      .max_args = CLI_MAX_ITEMS};
  cli_common common;
  cli_args args;
  nb_err err;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_status st = merge(&args, out, common.json, &err);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}
