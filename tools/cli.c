/* SPDX-License-Identifier: MIT */
#include "tools/cli.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "formats/open.h"
#include "formats/outfile.h"
#include "eval/page.h"

#include <cJSON.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- messages ---- */

static void message(const char *prefix, const char *name, const char *fmt, va_list ap) {
  char text[4096];
  vsnprintf(text, sizeof text, fmt, ap);
  nb_status_printable(text, "\n\t");
  fflush(stdout);
  fprintf(stderr, "nibble%s%s: %s%s\n", name ? " " : "", name ? name : "", prefix, text);
}

int cli_usage(const cli_command *c, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  message("", c->name, fmt, ap);
  va_end(ap);
  fprintf(stderr, "usage: nibble %s %s  (see `nibble %s --help`)\n", c->name, c->args, c->name);
  return 2;
}

int cli_fail(nb_status st, const nb_err *err) {
  fflush(stdout);
  fprintf(stderr, "nibble: %s\n", err->msg);
  return nb_status_exit_code(st);
}

void cli_note(const cli_common *c, const char *fmt, ...) {
  if (c->quiet) return;
  va_list ap;
  va_start(ap, fmt);
  message("note: ", NULL, fmt, ap);
  va_end(ap);
}

void cli_warn(const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  message("warning: ", NULL, fmt, ap);
  va_end(ap);
}

/* ---- models ---- */

nb_status cli_open(const char *path, unsigned flags, const cli_common *c, nb_opened *out, nb_err *err) {
  bool other = c->tokenizer && !(flags & NB_OPEN_NO_TOKENIZER);
  NB_TRY(nb_open(path, flags | (other ? NB_OPEN_NO_TOKENIZER : 0), c->threads, out, err));
  if (other) NB_TRY(nb_opened_take_tokenizer(out, path, c->tokenizer, err));
  for (const char *line = out->notes.s; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
    cli_note(c, "%s: %.*s", path, (int)strcspn(line, "\n"), line);
  return NB_OK;
}

/* ---- the nearest word ---- */

/* Edit distance with swaps of neighbours; words of at most 31 bytes. */
static size_t distance(const char *a, const char *b) {
  enum { MAX = 32 };
  size_t n = strlen(a), m = strlen(b), d[MAX][MAX];
  if (n >= MAX || m >= MAX) return MAX;
  for (size_t i = 0; i <= n; i++) d[i][0] = i;
  for (size_t j = 0; j <= m; j++) d[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    for (size_t j = 1; j <= m; j++) {
      size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      best = nb_min(best, nb_min(d[i - 1][j], d[i][j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) best = nb_min(best, d[i - 2][j - 2] + 1);
      d[i][j] = best;
    }
  }
  return d[n][m];
}

const char *cli_nearest(const char *word, const char *const *list, size_t n) {
  size_t len = strlen(word), best = len / 3 + 2;
  const char *found = NULL;
  for (size_t i = 0; i < n; i++) {
    /* A word that was typed in part is near, too. */
    size_t d = len >= 3 && !strncmp(word, list[i], len) ? 1 : distance(word, list[i]);
    if (d < best && d < strlen(list[i])) best = d, found = list[i];
  }
  return found;
}

/* ---- times ---- */

char *cli_seconds_text(char buf[CLI_TEXT], double s) {
  if (!(s >= 0 && s < 1e9)) snprintf(buf, CLI_TEXT, "?");
  else if (s < 9.95) snprintf(buf, CLI_TEXT, "%.1f s", s);
  else if (s < 59.5) snprintf(buf, CLI_TEXT, "%.0f s", s);
  else if (s < 3599.5) snprintf(buf, CLI_TEXT, "%d min %02d s", (int)(s + 0.5) / 60, (int)(s + 0.5) % 60);
  else snprintf(buf, CLI_TEXT, "%d h %02d min", (int)(s / 60 + 0.5) / 60, (int)(s / 60 + 0.5) % 60);
  return buf;
}

double cli_clock(void) { return nb_clock(); }

/* ---- JSON ---- */

int cli_print_json(cJSON *object) {
  char *text = object ? cJSON_Print(object) : NULL;
  nb_text out = {0}; /* a path may hold bytes that are no UTF-8 */
  nb_status st = text ? nb_utf8_repair(text, strlen(text), &out, NULL) : NB_ERR_MEMORY;
  cJSON_Delete(object);
  cJSON_free(text);
  if (st == NB_OK) puts(out.s ? out.s : "");
  else fputs("nibble: out of memory while writing JSON\n", stderr);
  nb_text_free(&out);
  return st != NB_OK;
}

nb_status cli_save_page(const char *path, const char *page, const cJSON *object, nb_err *err) {
  nb_text out = {0};
  char *text = cJSON_PrintUnformatted(object);
  nb_text json = {0};
  nb_status st =
      text ? nb_utf8_repair(text, strlen(text), &json, err) : nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", path);
  if (st == NB_OK) st = nb_page_fill(page, json.s, json.n, &out, err);
  nb_text_free(&json);
  if (st == NB_OK) st = nb_outfile_save(path, out.s, out.n, err);
  nb_text_free(&out);
  cJSON_free(text);
  return st;
}
