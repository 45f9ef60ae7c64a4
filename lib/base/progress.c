/* SPDX-License-Identifier: MIT */
#include "base/progress.h"

#include <stdarg.h>
#include <stdio.h>

nb_progress nb_reporter_begin(const nb_reporter *r, const char *what, const char *unit) {
  return r && r->begin ? r->begin(r->ctx, what, unit) : (nb_progress){NULL, NULL};
}

void nb_reporter_end(const nb_reporter *r) {
  if (r && r->end) r->end(r->ctx);
}

void nb_reporter_note(const nb_reporter *r, const char *fmt, ...) {
  char text[512];
  va_list ap;
  if (!r || !r->note) return;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  r->note(r->ctx, text);
}
