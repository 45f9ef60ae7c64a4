/* SPDX-License-Identifier: MIT */
/* nibble pack: a .nbl file entropy-coded, for a download; nibble unpack: back to the identical file. */
#include "formats/nblz.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/progress_cli.h"

#include <cJSON.h>
#include <sys/stat.h>

/* What both print in the end, of the file that was written. */
static int report(const cli_common *common, const char *source, const char *out, uint64_t bytes) {
  struct stat s = {0};
  char from[CLI_TEXT], to[CLI_TEXT];
  (void)stat(source, &s);
  if (common->json) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "file", out);
    cJSON_AddNumberToObject(o, "bytes", (double)bytes);
    cJSON_AddNumberToObject(o, "from_bytes", (double)s.st_size);
    return cli_print_json(o);
  }
  printf("%s: %s (%llu bytes), of %s\n", out, nb_bytes_text(to, bytes), (unsigned long long)bytes,
         nb_bytes_text(from, (uint64_t)s.st_size));
  return 0;
}

int cmd_pack(int argc, char **argv) {
  const char *out = NULL;
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("out", 'o', "FILE", NB_FILE_NBLZ, &out, "the file to write"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "pack",
      .args = "FILE.nbl -o FILE.nblz",
      .opts = opts,
      .about = "Packs a .nbl file for a download: its codes entropy-coded, some 5 % smaller. It cannot be run in\n"
               "this form; `nibble unpack` expands it to the identical file. All checksums are checked first.",
      .common = CLI_JSON | CLI_THREADS,
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  cli_progress p;
  uint64_t bytes = 0;
  nb_progress cb = cli_progress_begin(&p, &common, "packing", "bytes");
  nb_status st = nb_nblz_pack(args.items[0], out, common.threads, &cb, &bytes, &err);
  cli_progress_end(&p);
  if (st != NB_OK) return cli_fail(st, &err);
  return report(&common, args.items[0], out, bytes);
}

int cmd_unpack(int argc, char **argv) {
  const char *out = NULL;
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("out", 'o', "FILE", NB_FILE_NBL, &out, "the file to write"),
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
  nb_err err;
  cli_progress p;
  uint64_t bytes = 0;
  nb_progress cb = cli_progress_begin(&p, &common, "unpacking", "bytes");
  nb_status st = nb_nblz_unpack(args.items[0], out, &cb, &bytes, &err);
  cli_progress_end(&p);
  if (st != NB_OK) return cli_fail(st, &err);
  return report(&common, args.items[0], out, bytes);
}
