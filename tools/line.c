/* SPDX-License-Identifier: MIT */
#include "tools/line.h"

#include "base/mem.h"
#include "tools/progress_cli.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#ifdef NB_HAVE_LIBEDIT
#include <histedit.h>
#endif

enum { MAX_LINE = 1 << 24, REMEMBERED = 1000 };

struct line_reader {
  const char *prompt;
  bool terminal, goes_on;
  char *buf; /* of getline */
  size_t cap;
#ifdef NB_HAVE_LIBEDIT
  EditLine *edit;
  History *history;
#endif
};

bool line_is_terminal(const line_reader *r) { return r->terminal; }

/* False with errno EINTR when Ctrl-C came. A signal between looking for it and waiting would be missed, so waits are
 * short. */
static bool wait_for_input(void) {
  for (;;) {
    struct pollfd in = {STDIN_FILENO, POLLIN, 0};
    if (cli_interrupt_came()) return errno = EINTR, false;
    int n = poll(&in, 1, 100);
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return false;
  }
}

#ifdef NB_HAVE_LIBEDIT
/* One character for the editor: 1, 0 at the end, -1 with errno. Bytes that make no character count one by one. A zero
 * is what the terminal makes of a Ctrl-D that came before the editor had taken it over: in a line nobody would see it,
 * and no later Ctrl-D would end a line that holds it. */
static int get_char(EditLine *e, wchar_t *out) {
  (void)e;
  mbstate_t state = {0};
  for (;;) {
    char c;
    if (!wait_for_input()) return -1;
    ssize_t n = read(STDIN_FILENO, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return (int)n;
    if (c == '\0') continue;
    size_t used = mbrtowc(out, &c, 1, &state);
    if (used == (size_t)-2) continue; /* the rest is to come */
    if (used == (size_t)-1) *out = (unsigned char)c;
    return 1;
  }
}

static char *show_prompt(EditLine *e) {
  line_reader *r;
  el_get(e, EL_CLIENTDATA, &r);
  return (char *)(r->goes_on ? "... " : r->prompt);
}

static void open_editor(line_reader *r) {
  HistEvent ev;
  setlocale(LC_CTYPE, "");
  /* Text is UTF-8 to the model and to terminals, also where the locale has other letters or, in containers, ASCII. */
  if (strcmp(nl_langinfo(CODESET), "UTF-8") && !setlocale(LC_CTYPE, "C.UTF-8")) setlocale(LC_CTYPE, "UTF-8");
  r->edit = el_init("nibble", stdin, stdout, stderr);
  r->history = history_init();
  if (!r->edit || !r->history) return;
  el_set(r->edit, EL_CLIENTDATA, r);
  el_set(r->edit, EL_PROMPT, show_prompt);
  el_set(r->edit, EL_EDITOR, "emacs");
  history(r->history, &ev, H_SETSIZE, REMEMBERED);
  history(r->history, &ev, H_SETUNIQUE, 1);
  el_set(r->edit, EL_HIST, history, r->history);
  el_set(r->edit, EL_SIGNAL, 0);
  el_set(r->edit, EL_GETCFN, get_char);
  el_source(r->edit, NULL);
}
#endif

nb_status line_open(const char *prompt, line_reader **out, nb_err *err) {
  line_reader *r;
  NB_TRY(nb_new(&r, 1, sizeof *r, "the line editor", err));
  r->prompt = prompt;
  r->terminal = isatty(STDIN_FILENO) != 0;
#ifdef NB_HAVE_LIBEDIT
  if (r->terminal && isatty(STDOUT_FILENO)) open_editor(r);
#endif
  *out = r;
  return NB_OK;
}

void line_close(line_reader *r) {
  if (!r) return;
#ifdef NB_HAVE_LIBEDIT
  if (r->edit) el_end(r->edit);
  if (r->history) history_end(r->history);
#endif
  free(r->buf);
  nb_free(r);
}

/* A line as it was typed; n < 0: there is none, and errno says why when it was not the end. */
static const char *get(line_reader *r, ssize_t *n) {
  errno = 0;
#ifdef NB_HAVE_LIBEDIT
  if (r->edit) {
    int count = 0;
    const char *s = el_gets(r->edit, &count);
    *n = s ? count : -1;
    return s;
  }
#endif
  if (r->terminal) {
    fputs(r->goes_on ? "... " : r->prompt, stderr), fflush(stderr);
    if (!wait_for_input()) return *n = -1, NULL;
  }
  *n = getline(&r->buf, &r->cap, stdin);
  return r->buf;
}

line_end line_read(line_reader *r, nb_text *out, nb_err *err) {
  nb_text_clear(out);
  r->goes_on = false;
  for (;;) {
    ssize_t got;
    const char *s = get(r, &got);
    if (got <= 0) {
      int why = errno;
      clearerr(stdin);
      if (why == EINTR) return LINE_INTERRUPTED;
      if (!why) return LINE_END;
      return nb_fail(err, NB_ERR_IO, "standard input: cannot read: %s", strerror(why)), LINE_FAILED;
    }
    size_t n = (size_t)got;
    if (s[n - 1] == '\n') n--;
    if (n && s[n - 1] == '\r') n--;
    if (memchr(s, 0, n)) return nb_fail(err, NB_ERR_ARG, "standard input: a line holds a zero byte"), LINE_FAILED;
    if (n > MAX_LINE || out->n > MAX_LINE)
      return nb_fail(err, NB_ERR_ARG, "standard input: a line of more than %d bytes", MAX_LINE), LINE_FAILED;
    r->goes_on = r->terminal && n && s[n - 1] == '\\';
    if (nb_text_append(out, s, n - r->goes_on, err) != NB_OK) return LINE_FAILED;
    if (!r->goes_on) break;
    if (nb_text_append_str(out, "\n", err) != NB_OK) return LINE_FAILED;
  }
#ifdef NB_HAVE_LIBEDIT
  HistEvent ev;
  if (r->history && out->n) history(r->history, &ev, H_ENTER, out->s);
#endif
  return LINE_GOT;
}
