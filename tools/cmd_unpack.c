/* SPDX-License-Identifier: MIT */
/* nibble unpack: a packed file back to the identical .nbl file. */
#include "formats/nblz.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/progress_cli.h"

#include <cJSON.h>
#include <sys/stat.h>

int cmd_unpack(int argc, char **argv) {
  const char *out = NULL;
  const cli_opt opts[] = {
      CLI_PATH("out", 'o', "FILE", NB_FILE_NBL, &out, "the file to write (required)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "unpack",
      .args = "FILE.nblz -o FILE.nbl",
      .opts = opts,
      .about = "Expands what `nibble pack` made to the identical .nbl file, which appears when its hash is that of\n"
               "the file that was packed, and not at all otherwise.",
      .common = CLI_JSON,
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (!out) return cli_usage(&cmd, "-o FILE is missing");
  nb_err err;
  cli_progress p;
  uint64_t bytes = 0;
  struct stat s = {0};
  char from[CLI_TEXT], to[CLI_TEXT];
  nb_progress cb = cli_progress_begin(&p, &common, "unpacking", "bytes");
  nb_status st = nb_nblz_unpack(args.items[0], out, &cb, &bytes, &err);
  cli_progress_end(&p);
  if (st != NB_OK) return cli_fail(st, &err);
  (void)stat(args.items[0], &s);
  if (common.json) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", out);
    cJSON_AddNumberToObject(o, "bytes", (double)bytes);
    cJSON_AddNumberToObject(o, "from_bytes", (double)s.st_size);
    return cli_print_json(o);
  }
  printf("%s: %s (%llu bytes), of %s\n", out, cli_bytes_text(to, bytes), (unsigned long long)bytes,
         cli_bytes_text(from, (uint64_t)s.st_size));
  return 0;
}
