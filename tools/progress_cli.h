/* SPDX-License-Identifier: MIT */
/* Progress on standard error with rate and time left, and stopping by Ctrl-C.
 *
 *   cli_progress p;
 *   nb_progress cb = cli_progress_begin(&p, &common, "converting", NULL);
 *   st = nb_long_job(..., &cb, &err);
 *   cli_progress_end(&p);
 *
 * On a terminal one line is rewritten a few times a second; elsewhere a plain line comes about every 10 s, so
 * that a log shows life; with --quiet nothing. */
#ifndef NB_PROGRESS_CLI_H
#define NB_PROGRESS_CLI_H

#include "tools/cli.h"
#include "base/progress.h"

typedef struct cli_progress {
  const char *what; /* "converting" */
  const char *item; /* "tokens", after the numbers; NULL for bytes */
  bool quiet, terminal, shown;
  double began, last; /* cli_clock */
  uint64_t base;      /* `done` at the first step: what an earlier run did counts for no rate */
  bool stepped;
  char detail[96]; /* see cli_progress_detail */
} cli_progress;

/* item: what is counted ("questions", "tokens"); NULL for bytes. The returned callback also stops the job (returns
 * false) after SIGINT, SIGTERM or SIGHUP. */
nb_progress cli_progress_begin(cli_progress *p, const cli_common *c, const char *what, const char *item);
/* Text shown at the end of the progress line ("layer 3 of 32", "62.1 % right"). */
void cli_progress_detail(cli_progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Clears the line. */
void cli_progress_end(cli_progress *p);

/* A reporter that shows progress like the above and prints notes. r is its state; it and c must outlive it. */
typedef struct cli_reporting {
  const cli_common *common;
  cli_progress progress;
} cli_reporting;
nb_reporter cli_reporter(cli_reporting *r, const cli_common *c);

/* Makes SIGINT, SIGTERM and SIGHUP set a flag: the first asks jobs to stop (they then remove what is half
 * written), one that comes half a second later or more removes that itself and ends the process. Called by main. */
void cli_signals_install(void);
/* Whether one came: loops without a progress reporter (generation) test this. */
bool cli_interrupted(void);

/* From now on SIGINT is for a part of the program and does not end it: cli_interrupt_came says whether one (or what
 * ends the program) came since cli_interrupt_forget. */
void cli_interrupt_take(void);
bool cli_interrupt_came(void);
void cli_interrupt_forget(void);

#endif
