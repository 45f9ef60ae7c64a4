/* SPDX-License-Identifier: MIT */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

nb_status nb_fail(nb_err *err, nb_status code, const char *fmt, ...) {
  if (!err) return code;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err->msg, sizeof err->msg, fmt, ap);
  va_end(ap);
  return code;
}

nb_status nb_fail_in(nb_err *err, nb_status code, const char *fmt, ...) {
  if (!err) return code;
  char old[sizeof err->msg];
  memcpy(old, err->msg, sizeof old);
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
  va_end(ap);
  if (n >= 0 && (size_t)n + 1 < sizeof err->msg)
    snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", old);
  return code;
}

int nb_exit_code(nb_status s) {
  switch (s) {
  case NB_OK: return 0;
  case NB_ERR_ARG: return 2;
  case NB_ERR_GATE: return 3;
  default: return 1;
  }
}
