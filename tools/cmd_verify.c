/* SPDX-License-Identifier: MIT */
/* nibble verify: is every byte of a file as it was written? */
#include "tools/cli.h"
#include "tools/commands.h"
#include "formats/nbl.h"

#include <cJSON.h>

int cmd_verify(int argc, char **argv) {
  const cli_command cmd = {.name = "verify",
                           .args = "FILE.nbl",
                           .common = CLI_JSON | CLI_THREADS,
                           .about = "Checks a file's structure and all of its checksums.",
                           .min_args = 1,
                           .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_nbl *f = NULL;
  double began = cli_clock();
  nb_status st = nb_nbl_open(args.items[0], true, common.threads, &f, &err);
  if (st != NB_OK) return cli_fail(st, &err);
  char size[CLI_TEXT], time[CLI_TEXT];
  uint64_t bytes = nb_nbl_file_bytes(f);
  int code = 0;
  if (common.json) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", args.items[0]);
    cJSON_AddBoolToObject(o, "ok", true);
    cJSON_AddNumberToObject(o, "bytes", (double)bytes);
    cJSON_AddNumberToObject(o, "tensors", (double)nb_nbl_count(f));
    code = cli_print_json(o);
  } else {
    printf("%s: ok, %zu tensors, %s, checked in %s\n", args.items[0], nb_nbl_count(f), nb_bytes_text(size, bytes),
           cli_seconds_text(time, cli_clock() - began));
  }
  nb_nbl_close(f);
  return code;
}
