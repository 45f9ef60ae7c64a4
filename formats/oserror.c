/* SPDX-License-Identifier: MIT */
#include "formats/oserror.h"

#include <errno.h>
#include <string.h>

static const char *advice(int errnum) {
  switch (errnum) {
  case ENOSPC: return " (free some space there or write to another disk)";
  case EDQUOT: return " (free some of your quota there or write to another disk)";
  case EFBIG: return " (the file system or a limit of this process allows no larger file)";
  case EROFS: return " (write somewhere else)";
  case EMFILE: return " (raise the limit on open files: ulimit -n)";
  case EFAULT: return " (a file that is read became shorter meanwhile)";
  default: return "";
  }
}

nb_status nb_oserror_fail(nb_err *err, int errnum, const char *path, const char *doing) {
  return nb_fail(err, errnum == ENOMEM ? NB_ERR_MEMORY : NB_ERR_IO, "%s: cannot %s: %s%s", path, doing,
                 strerror(errnum), advice(errnum));
}
