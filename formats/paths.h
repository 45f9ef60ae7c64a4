/* SPDX-License-Identifier: MIT */
/* What may be written over. Every option of a command that names a file says in its table whether the file is read, or
 * what is written there (nb_path_kind); cli_parse passes all of them through nb_path_check before any work, and the
 * public library does the same with its arguments:
 *
 *   - no output may be a file that the command reads, by any name and through any link: an argument, an option's file,
 *     any file in a folder that is read (a checkpoint's configuration, tokenizer, shards and index; a data set);
 *   - no two outputs may be one file;
 *   - a file that is there already is replaced when it is of the kind that is written (or empty). Another one only
 *     with --force, which lifts this rule and no other. */
#ifndef NB_PATHS_H
#define NB_PATHS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum nb_path_kind {
  NB_PATH_NONE, /* no path, or one that is nobody's business */
  NB_PATH_READ,
  NB_PATH_NBL, /* with FILE.part and FILE.untuned beside it */
  NB_PATH_STATS,
  NB_PATH_RESULT,
  NB_PATH_PAGE,
  NB_PATH_JUNIT,
  NB_PATH_MARKDOWN,
  NB_PATH_BUNDLE,
  NB_PATH_JOURNAL,
  NB_PATH_GGUF,
  NB_PATH_NBLZ,
  NB_PATH_PART,      /* what quantize keeps beside its output */
  NB_PATH_CHECKPOINT /* a folder for `nibble export` */
} nb_path_kind;

typedef struct nb_path {
  const char *path;
  const char *option; /* "out", for messages; NULL: an argument, or the output */
  nb_path_kind file;
} nb_path;

/* NB_ERR_ARG names what would be lost, and why. Paths that do not exist are nothing that could be lost. */
nb_status nb_path_check(const nb_path *paths, size_t n, bool force, nb_err *err);

#endif
