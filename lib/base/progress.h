/* SPDX-License-Identifier: MIT */
/* How a long job tells its caller how far it is, and how it is asked to stop. */
#ifndef NB_PROGRESS_H
#define NB_PROGRESS_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Called by a long job between pieces of work, from the thread that started the job and outside any
 * parallel region, at least a few times a second where that is possible. */
typedef struct nb_progress {
  /* done out of total (total 0: not known), in the unit that the job documents: bytes, tokens, questions.
   * Returns false when the job should stop: it then cleans up and returns NB_ERR_INTERRUPTED. */
  bool (*step)(void *ctx, uint64_t done, uint64_t total);
  void *ctx;
} nb_progress;

/* Reports to p; NULL, or a p without a step function, is silent and never stops. */
static inline nb_status nb_progress_step(const nb_progress *p, uint64_t done, uint64_t total, nb_err *err) {
  if (!p || !p->step || p->step(p->ctx, done, total)) return NB_OK;
  return nb_fail(err, NB_ERR_INTERRUPTED, "interrupted");
}

/* How a job of several parts speaks to its caller. Any of the functions, and the reporter, may be NULL. */
typedef struct nb_reporter {
  /* A part begins: what it does ("tuning") and in which unit it counts ("steps"; NULL: bytes). The progress that is
   * returned is valid until `end`. */
  nb_progress (*begin)(void *ctx, const char *what, const char *unit);
  void (*end)(void *ctx);
  void (*note)(void *ctx, const char *text); /* what the caller may want to know; borrowed */
  void *ctx;
} nb_reporter;

nb_progress nb_reporter_begin(const nb_reporter *r, const char *what, const char *unit);
void nb_reporter_end(const nb_reporter *r);
void nb_reporter_note(const nb_reporter *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
