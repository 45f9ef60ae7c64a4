/* SPDX-License-Identifier: MIT */
/* Files for targets that read them from a folder: one of the program's own, removed when it ends. */
#ifndef NB_FUZZ_SCRATCH_H
#define NB_FUZZ_SCRATCH_H

#include "../tempdir.h"

/* The path of a file in the folder; the last four stay valid. */
static inline const char *scratch(const char *name) {
  static char path[4][600];
  static int at, registered;
  if (!registered) registered = !atexit(temp_remove);
  at = (at + 1) % 4;
  snprintf(path[at], sizeof path[at], "%s/%s", temp_dir(), name);
  return path[at];
}

static inline const char *scratch_write(const char *name, const void *data, size_t n) {
  const char *path = scratch(name);
  temp_write(path, data, n);
  return path;
}

#endif
