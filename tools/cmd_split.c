/* SPDX-License-Identifier: MIT */
/* nibble split: a .nbl file in parts that a store takes, which are opened together where they lie; nibble join: back to
 * the identical file. */
#include "formats/split.h"
#include "base/mem.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/progress_cli.h"

#include <cJSON.h>

/* The rules of what may be written over, for every part. */
static nb_status check_outputs(const char *model, const char *prefix, size_t n, bool force, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    char path[NB_SPLIT_PATH];
    NB_TRY(nb_split_name(prefix, (unsigned)(i + 1), (unsigned)n, path, err));
    const nb_path paths[] = {{model, NULL, NB_PATH_READ}, {path, "out", NB_FILE_SPLIT}};
    NB_TRY(nb_path_check(paths, 2, force, err));
  }
  return NB_OK;
}

/* What is said of a file that was written: its members in an object (the caller's), or NULL and a line. */
static cJSON *report_file(const char *path, uint64_t bytes, bool json) {
  char size[CLI_TEXT];
  if (!json) {
    printf("%s: %s (%llu bytes)\n", path, nb_bytes_text(size, bytes), (unsigned long long)bytes);
    return NULL;
  }
  cJSON *o = cJSON_CreateObject();
  cJSON_AddStringToObject(o, "file", path);
  cJSON_AddNumberToObject(o, "bytes", (double)bytes);
  return o;
}

static nb_status report_parts(const char *prefix, const nb_split_plan *p, bool json, nb_err *err) {
  cJSON *o = json ? cJSON_CreateObject() : NULL, *list = cJSON_AddArrayToObject(o, "parts");
  for (size_t i = 0; i < p->n; i++) {
    char path[NB_SPLIT_PATH];
    NB_TRY(nb_split_name(prefix, (unsigned)(i + 1), (unsigned)p->n, path, err));
    cJSON_AddItemToArray(list, report_file(path, NB_SPLIT_HEAD + p->begin[i + 1] - p->begin[i], json));
  }
  if (json) cJSON_AddNumberToObject(o, "from_bytes", (double)p->begin[p->n]);
  return json && cli_print_json(o) ? nb_fail(err, NB_ERR_MEMORY, "out of memory: the list of parts") : NB_OK;
}

static nb_status split(const char *model, const char *prefix, uint64_t bytes, const cli_common *common, nb_err *err) {
  nb_nbl *f = NULL;
  nb_split_plan plan = {.n = 0};
  cli_progress p;
  nb_status st;
  NB_GOTO(nb_nbl_open(model, true, common->threads, &f, err));
  NB_GOTO(nb_split_plan_make(f, bytes, &plan, err));
  NB_GOTO(check_outputs(model, prefix, plan.n, common->force, err));
  nb_progress cb = cli_progress_begin(&p, common, "splitting", "bytes");
  st = nb_split_write(f, &plan, prefix, &cb, err);
  cli_progress_end(&p);
  if (st == NB_OK) st = report_parts(prefix, &plan, common->json, err);
fail:
  nb_split_plan_free(&plan);
  nb_nbl_close(f);
  return st;
}

int cmd_split(int argc, char **argv) {
  const char *out = NULL;
  uint64_t size = 0;
  const cli_opt opts[] = {
      CLI_BYTES_REQUIRED("size", 0, "BYTES", &size, "of a part at most: 1.4e9, 1.4GB, 500MiB"),
      CLI_PATH_REQUIRED("out", 'o', "PREFIX", NB_FILE_SPLIT, &out, "the parts are PREFIX-00001-of-00002.nbl, ..."),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "split",
      .args = "FILE.nbl --size BYTES -o PREFIX",
      .opts = opts,
      .about = "Cuts a .nbl file into parts, for a store that takes none of its size. They are run as they are: every\n"
               "command takes the first of them for the model, maps each where it lies, and refuses parts that are\n"
               "missing, swapped or of another file. All checksums are checked first. The parts appear together or not "
               "at all.",
      .common = CLI_JSON | CLI_THREADS,
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  nb_status st = split(args.items[0], out, size, &common, &err);
  return st == NB_OK ? 0 : cli_fail(st, &err);
}

static nb_status join(const char *first, const char *out, const cli_common *common, uint64_t *bytes, nb_err *err) {
  nb_nbl *f;
  cli_progress p;
  NB_TRY(nb_nbl_open(first, true, common->threads, &f, err));
  nb_progress cb = cli_progress_begin(&p, common, "joining", "bytes");
  nb_status st = nb_split_join(f, out, &cb, err);
  cli_progress_end(&p);
  *bytes = nb_nbl_file_bytes(f);
  nb_nbl_close(f);
  return st;
}

int cmd_join(int argc, char **argv) {
  const char *out = NULL;
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("out", 'o', "FILE", NB_FILE_NBL, &out, "the file to write"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "join",
      .args = "PREFIX-00001-of-0000N.nbl -o FILE.nbl",
      .opts = opts,
      .about = "Makes the identical .nbl file of the parts that `nibble split` made, by the name of the first. All\n"
               "checksums are checked first.",
      .common = CLI_JSON | CLI_THREADS,
      .min_args = 1,
      .max_args = 1};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  uint64_t bytes = 0;
  nb_status st = join(args.items[0], out, &common, &bytes, &err);
  if (st != NB_OK) return cli_fail(st, &err);
  cJSON *o = report_file(out, bytes, common.json);
  return common.json ? cli_print_json(o) : 0;
}
