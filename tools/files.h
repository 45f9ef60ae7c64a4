/* SPDX-License-Identifier: MIT */
/* What a command may write over. Every option that names a file says in its table whether the file is read, or what is
 * written there (cli_file); cli_parse passes all of them through cli_files_check before any work:
 *
 *   - no output may be a file that the command reads, by any name and through any link: an argument, an option's file,
 *     any file in a folder that is read (a checkpoint's configuration, tokenizer, shards and index; a data set);
 *   - no two outputs may be one file;
 *   - a file that is there already is replaced when it is of the kind that is written (or empty). Another one only
 *     with --force, which lifts this rule and no other. */
#ifndef NB_FILES_H
#define NB_FILES_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum cli_file {
  CLI_NO_FILE, /* no path, or one that is nobody's business */
  CLI_READ,
  CLI_NBL, /* with FILE.part and FILE.untuned beside it */
  CLI_STATS,
  CLI_RESULT,
  CLI_PAGE,
  CLI_JUNIT,
  CLI_MARKDOWN,
  CLI_BUNDLE,
  CLI_JOURNAL,
  CLI_GGUF,
  CLI_PART,      /* what quantize keeps beside its output */
  CLI_CHECKPOINT /* a folder for `nibble export` */
} cli_file;

typedef struct cli_path {
  const char *path;
  const char *option; /* "out", for messages; NULL: an argument */
  cli_file file;
} cli_path;

/* NB_ERR_ARG names what would be lost, and why. Paths that do not exist are nothing that could be lost. */
nb_status cli_files_check(const cli_path *paths, size_t n, bool force, nb_err *err);

#endif
