/* SPDX-License-Identifier: MIT */
/* What may be written over. Every option of a command that names a file says in its table whether the file is read, or
 * what is written there (nb_path.file); cli_parse passes all of them through nb_path_check before any work, and the
 * public library does the same with its arguments:
 *
 *   - no output may be a file that the command reads, by any name and through any link: an argument, an option's file,
 *     any file in a folder that is read (a checkpoint's configuration, tokenizer, shards and index; a data set), any
 *     that is read along with a file because of its name (the other parts of a split .nbl or GGUF file, the samples
 * beside lm-evaluation-harness's results, the answers beside questions);
 *   - no two outputs may be one file;
 *   - a file that is there already is replaced when it is of the kind that is written (or empty). Another one only
 *     with --force, which lifts this rule and no other. */
#ifndef NB_PATHS_H
#define NB_PATHS_H

#include "base/status.h"
#include "formats/filekind.h"

#include <stdbool.h>
#include <stddef.h>

/* What of a path is not the kind of a file that is written there. */
#define NB_PATH_NONE NB_FILE_UNKNOWN /* no path, or one that is nobody's business */
#define NB_PATH_READ NB_FILE_KINDS   /* any file that is read */

typedef struct nb_path {
  const char *path;
  const char *option; /* "out", or a command "/save", for messages; NULL: an argument, or the output */
  nb_file_kind file;  /* what is written there: NB_FILE_NBL with FILE.part and FILE.untuned beside it, NB_FILE_EXPORT a
                         folder, where a path of an option that is read is its tokenizer; or one of the above */
} nb_path;

/* Whether something is written there. */
static inline bool nb_path_written(nb_file_kind file) { return file != NB_PATH_NONE && file != NB_PATH_READ; }

/* NB_ERR_ARG names what would be lost, and why. Paths that do not exist are nothing that could be lost. */
nb_status nb_path_check(const nb_path *paths, size_t n, bool force, nb_err *err);

#endif
