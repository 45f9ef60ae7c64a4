/* SPDX-License-Identifier: MIT */
#include "base/assert.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Messages quote names from hostile files: nothing in them may steer a terminal. */
static void make_printable(char *msg) {
  for (char *p = msg; *p; p++) {
    if (((unsigned char)*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f) *p = '?';
  }
}

nb_status nb_fail(nb_err *err, nb_status code, const char *fmt, ...) {
  nb_assert(code != NB_OK);
  if (!err) return code;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err->msg, sizeof err->msg, fmt, ap);
  va_end(ap);
  make_printable(err->msg);
  return code;
}

nb_status nb_fail_in(nb_err *err, nb_status code, const char *fmt, ...) {
  nb_assert(code != NB_OK);
  if (!err) return code;
  char old[sizeof err->msg];
  memcpy(old, err->msg, sizeof old);
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
  va_end(ap);
  size_t room = n >= 0 && (size_t)n < sizeof err->msg ? sizeof err->msg - (size_t)n : 0;
  if (room > 3) snprintf(err->msg + n, room, ": %.*s", (int)(room - 3), old);
  make_printable(err->msg);
  return code;
}

int nb_status_exit_code(nb_status s) {
  switch (s) {
  case NB_OK: return 0;
  case NB_ERR_ARG: return 2;
  case NB_ERR_GATE: return 3;
  default: return 1;
  }
}
