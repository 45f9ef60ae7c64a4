/* SPDX-License-Identifier: MIT */
#include "base/assert.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void nb_status_printable(char *s, const char *keep) {
  for (unsigned char *p = (unsigned char *)s; *p; p++) {
    if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0) *p++ = '?', *p = '?'; /* U+0080 to U+009F */
    else if ((*p < 0x20 || *p == 0x7F) && !strchr(keep, *p)) *p = '?';
  }
}

nb_status nb_fail(nb_err *err, nb_status code, const char *fmt, ...) {
  nb_assert(code != NB_OK);
  if (!err) return code;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err->msg, sizeof err->msg, fmt, ap);
  va_end(ap);
  nb_status_printable(err->msg, "\n\t");
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
  nb_status_printable(err->msg, "\n\t");
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
