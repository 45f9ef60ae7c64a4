/* SPDX-License-Identifier: MIT */
#include "tools/progress_cli.h"

#include "base/clock.h"
#include "base/mem.h"
#include "formats/mapfile.h"
#include "formats/outfile.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The process's only state (and when it was asked): a signal handler has no other way to say that it ran. */
static volatile sig_atomic_t stop_asked;
static volatile double first_asked;
/* Ctrl-C ends an answer of `nibble chat` and not the program. */
static volatile sig_atomic_t interrupts_taken, interrupt_came;

/* The first asks for a clean end, a later one ends at once. timeout(1) signals a program and then its whole group: what
 * follows within half a second is the same request. */
static void on_signal(int sig) {
  if (sig == SIGINT && interrupts_taken) {
    interrupt_came = 1;
    return;
  }
  if (!stop_asked) {
    first_asked = nb_clock();
    stop_asked = 1;
    return;
  }
  if (nb_clock() - first_asked < 0.5) return;
  nb_outfile_remove_all();
  signal(sig, SIG_DFL);
  raise(sig);
}

static void say(const char *text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) return; /* there is nobody to tell */
}

/* A page of a mapped file is gone. The journal and what quantize keeps beside its output stay for the next run. */
static void on_lost_page(int sig, siginfo_t *info, void *context) {
  (void)context;
  const char *path = nb_mapfile_at(info->si_addr);
  nb_outfile_remove_all();
  if (!path) {
    signal(sig, SIG_DFL);
    raise(sig);
    return;
  }
  say("nibble: ");
  say(path);
  say(": another program made it shorter while it was read, or its disk failed: start again with the whole file\n");
  _exit(1);
}

void cli_signals_install(void) {
  struct sigaction lost;
  memset(&lost, 0, sizeof lost);
  lost.sa_sigaction = on_lost_page;
  lost.sa_flags = SA_SIGINFO;
  sigemptyset(&lost.sa_mask);
  sigaction(SIGBUS, &lost, NULL);
  signal(SIGXFSZ, SIG_IGN); /* past a limit on file sizes, writing then fails with a message */
  const int list[] = {SIGINT, SIGTERM, SIGHUP};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    struct sigaction a, old;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_signal;
    sigemptyset(&a.sa_mask);
    /* nohup and `&` in a script hand down SIG_IGN: leave it. */
    if (sigaction(list[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(list[i], &a, NULL);
  }
}

bool cli_interrupted(void) { return stop_asked != 0; }

void cli_interrupt_take(void) { interrupts_taken = 1; }
bool cli_interrupt_came(void) { return interrupt_came || stop_asked; }
void cli_interrupt_forget(void) { interrupt_came = 0; }

/* A number of bytes, or of items: 7, 123.4k, 1.25M. */
static char *amount(char buf[CLI_TEXT], const cli_progress *p, double v) {
  static const char *const unit[] = {"", "k", "M", "G", "T"};
  int u = 0;
  if (!p->item) return nb_bytes_text(buf, (uint64_t)v);
  while (v >= 99999.5 && u < 4) v /= 1000, u++;
  if (u && v >= 999.5) v /= 1000, u = u < 4 ? u + 1 : u;
  snprintf(buf, CLI_TEXT, "%.*f%s", v == (double)(uint64_t)v || v >= 99.95 ? 0 : v >= 9.95 ? 1 : u ? 2 : 1, v, unit[u]);
  return buf;
}

/* Columns of the terminal; where it does not say, or the line goes to a file, as many as there may be. */
static size_t columns(const cli_progress *p, size_t most) {
  struct winsize w;
  return p->terminal && !ioctl(STDERR_FILENO, TIOCGWINSZ, &w) && w.ws_col ? nb_min(w.ws_col, most) : most;
}

/* A line that would be wrapped could not be rewritten: what does not fit is left out, the least important first. */
static void show(cli_progress *p, uint64_t done, uint64_t total, double now) {
  enum { LINE = 256, PARTS = 6 };
  static const int order[PARTS] = {0, 2, 4, 1, 3, 5}; /* of importance */
  char a[CLI_TEXT], b[CLI_TEXT], part[PARTS][LINE] = {""}, line[LINE];
  double rate = now > p->began ? (double)(done - p->base) / (now - p->began) : 0;
  const char *blank = p->item && *p->item ? " " : "", *item = p->item ? p->item : "";
  amount(a, p, (double)done);
  snprintf(part[0], LINE, "%s", p->what);
  if (total) snprintf(part[1], LINE, ": %s of %s%s%s", a, amount(b, p, (double)total), blank, item);
  else snprintf(part[1], LINE, ": %s%s%s", a, blank, item);
  if (total) snprintf(part[2], LINE, " (%.0f %%)", 100.0 * (double)done / (double)total);
  if (rate > 0) snprintf(part[3], LINE, ", %s/s", amount(a, p, rate));
  if (rate > 0 && total >= done)
    snprintf(part[4], LINE, ", %s left", cli_seconds_text(a, (double)(total - done) / rate));
  if (p->detail[0]) snprintf(part[5], LINE, ", %s", p->detail);
  size_t room = columns(p, LINE) - 1, used = 0, n = 0;
  for (int i = 0; i < PARTS; i++) {
    char *x = part[order[i]];
    if (used + strlen(x) <= room) used += strlen(x);
    else *x = 0;
  }
  for (int i = 0; i < PARTS; i++) n += (size_t)snprintf(line + n, LINE - n, "%s", part[i]);
  fprintf(stderr, p->terminal ? "\r\033[K%s" : "%s\n", line);
  fflush(stderr);
  p->shown = true;
}

static bool step(void *ctx, uint64_t done, uint64_t total) {
  cli_progress *p = ctx;
  double now = cli_clock();
  if (!p->stepped) p->base = done, p->stepped = true;
  if (!p->quiet && done >= p->base && now - p->last >= (p->terminal ? 0.2 : 10)) {
    p->last = now;
    show(p, done, total, now);
  }
  return !stop_asked;
}

nb_progress cli_progress_begin(cli_progress *p, const cli_common *c, const char *what, const char *item) {
  memset(p, 0, sizeof *p);
  p->what = what, p->item = item;
  p->quiet = c->quiet;
  p->terminal = isatty(STDERR_FILENO) != 0;
  p->began = p->last = cli_clock();
  return (nb_progress){step, p};
}

void cli_progress_detail(cli_progress *p, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(p->detail, sizeof p->detail, fmt, ap);
  va_end(ap);
}

void cli_progress_end(cli_progress *p) {
  if (p->shown && p->terminal) fputs("\r\033[K", stderr);
  p->shown = false;
}

static nb_progress report_begin(void *ctx, const char *what, const char *unit) {
  cli_reporting *r = ctx;
  return cli_progress_begin(&r->progress, r->common, what, unit);
}
static void report_end(void *ctx) { cli_progress_end(&((cli_reporting *)ctx)->progress); }
static void report_note(void *ctx, const char *text) { cli_note(((cli_reporting *)ctx)->common, "%s", text); }

nb_reporter cli_reporter(cli_reporting *r, const cli_common *c) {
  memset(r, 0, sizeof *r);
  r->common = c;
  return (nb_reporter){report_begin, report_end, report_note, r};
}
