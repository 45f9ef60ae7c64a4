/* SPDX-License-Identifier: MIT */
/* nibble reproduce: is a file what its provenance says? */
#include "convert/conversion.h"
#include "convert/reproduce.h"
#include "base/mem.h"
#include "formats/json.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/progress_cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct options {
  const char *file, *checkpoint, *out;
  bool keep; /* the file that is made */
  cli_list calib;
} options;

/* Where the file is made that nobody asked to keep: beside the first. What has that name already is somebody's, and
 * would be removed in the end. */
static nb_status choose_out(options *o, char **own, nb_err *err) {
  size_t n = strlen(o->file) + sizeof ".again.nbl";
  struct stat there;
  o->keep = o->out != NULL;
  if (o->keep) return NB_OK;
  NB_TRY(nb_new(own, n, 1, "a path", err));
  snprintf(*own, n, "%s.again.nbl", o->file);
  o->out = *own;
  if (!lstat(o->out, &there))
    return nb_fail(err, NB_ERR_ARG, "%s is there already: remove it, or name the file to make with --out", o->out);
  const nb_path paths[] = {
      {o->file, NULL, NB_PATH_READ}, {o->checkpoint, NULL, NB_PATH_READ}, {o->out, NULL, NB_FILE_NBL}};
  return nb_path_check(paths, sizeof paths / sizeof *paths, false, err);
}

static void warn_of_version(const nb_nbl *f, const cli_common *common) {
  const cJSON *v = nb_json_get(nb_json_get(nb_nbl_meta(f), "provenance"), "nibble");
  if (!common->quiet && cJSON_IsString(v) && strcmp(v->valuestring, NB_VERSION))
    cli_warn("the file was made by nibble %s, and this is " NB_VERSION ": they may differ for that alone",
             v->valuestring);
}

static nb_status reproduce(options *o, const cli_common *common, nb_text *where, nb_err *err) {
  nb_nbl *f = NULL;
  nb_opened m = {0};
  nb_reproduce_plan plan = {.set = NULL};
  nb_conversion c = {.seconds = 0};
  nb_status st;
  cli_reporting reporting;
  nb_reporter reporter = cli_reporter(&reporting, common);
  NB_GOTO(nb_nbl_open(o->file, false, common->threads, &f, err));
  NB_GOTO(nb_reproduce_read(f, o->file, o->calib.items, o->calib.n, &plan, err));
  NB_GOTO(cli_open(o->checkpoint, 0, common, &m, err));
  NB_GOTO(nb_reproduce_check(f, &m, &plan, common->threads, err));
  warn_of_version(f, common);
  const nb_conversion_opts how = {o->out, common->threads, common->features, &reporter};
  NB_GOTO(nb_conversion_run(&m, &plan.recipe, &how, &c, err));
  NB_GOTO(nb_reproduce_compare(o->file, o->out, where, err));
fail:
  nb_conversion_free(&c);
  nb_opened_free(&m);
  nb_reproduce_free(&plan);
  nb_nbl_close(f);
  return st;
}

static int report(const options *o, const cli_common *common, const nb_text *where) {
  int code = where->n ? 3 : 0;
  if (common->json) {
    cJSON *j = cJSON_CreateObject(), *list;
    cJSON_AddStringToObject(j, "file", o->file);
    cJSON_AddBoolToObject(j, "equal", !where->n);
    list = cJSON_AddArrayToObject(j, "differ");
    for (const char *p = where->s; p && *p; p += strcspn(p, "\n") + 1) {
      char line[256];
      snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
      cJSON_AddItemToArray(list, cJSON_CreateString(line));
    }
    return cli_print_json(j) ? 1 : code;
  }
  if (!where->n) printf("%s: equal, byte by byte\n", o->file);
  else printf("%s: not equal. What differs:\n%s", o->file, where->s);
  return code;
}

int cmd_reproduce(int argc, char **argv) {
  options o = {.out = NULL};
  const cli_opt opts[] = {
      CLI_PATH("out", 'o', "FILE", NB_FILE_NBL, &o.out,
               "keep the file that is made (else FILE.nbl.again.nbl is removed in the end)"),
      CLI_PATHS("calib", 'c', "PATH", NB_PATH_READ, &o.calib,
                "the texts that the file was calibrated on, where these were not nibble's own; in the same order"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "reproduce",
      .args = "FILE.nbl DIR",
      .opts = opts,
      .about =
          "Makes a file again from the checkpoint in DIR, by the recipe that the file remembers, and compares the\n"
          "two byte by byte. Exit code 0: they are equal; 3: they are not, and what differs is listed. A run that\n"
          "was stopped goes on when it is given again.",
      .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
      .min_args = 2,
      .max_args = 2};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  nb_err err;
  char *own = NULL;
  nb_text where = {0};
  o.file = args.items[0], o.checkpoint = args.items[1];
  nb_status st = choose_out(&o, &own, &err);
  if (st == NB_OK) {
    st = reproduce(&o, &common, &where, &err);
    if (!o.keep) unlink(o.out);
  }
  int code = st == NB_OK ? report(&o, &common, &where) : cli_fail(st, &err);
  nb_text_free(&where);
  nb_free(own);
  return code;
}
