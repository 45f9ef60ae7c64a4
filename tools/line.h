/* SPDX-License-Identifier: MIT */
/* Lines from standard input: on a terminal with editing and a history where libedit is there, plain otherwise. */
#ifndef NB_LINE_H
#define NB_LINE_H

#include "base/text.h"

#include <stdbool.h>

typedef struct line_reader line_reader;

typedef enum line_end { LINE_GOT, LINE_INTERRUPTED, LINE_END, LINE_FAILED } line_end;

/* prompt: what stands before a line on a terminal. line_close releases. */
nb_status line_open(const char *prompt, line_reader **out, nb_err *err);
void line_close(line_reader *r);
bool line_is_terminal(const line_reader *r);
/* The next line without its end, in place of *out. A line that ends with a backslash goes on with the next one (on a
 * terminal). LINE_INTERRUPTED: a signal came. LINE_FAILED: err says why; a line that holds a zero byte is no text. */
line_end line_read(line_reader *r, nb_text *out, nb_err *err);

#endif
