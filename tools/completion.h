/* SPDX-License-Identifier: MIT */
/* Completion scripts for shells, from what the commands tell cli_parse: `nibble completion bash` prints the beginning,
 * asks every command for its options (its table with the shared ones, in the shell's words), and prints the end. */
#ifndef NB_COMPLETION_H
#define NB_COMPLETION_H

#include "tools/cli.h"

typedef enum completion_shell {
  COMPLETION_BASH,
  COMPLETION_ZSH,
  COMPLETION_FISH,
  COMPLETION_SHELLS,
} completion_shell;

extern const char *const completion_names[COMPLETION_SHELLS]; /* "bash", ... */

/* How a command is asked: by this word alone, with the shell's name behind it. */
#define COMPLETION_WORD "--completion-of-"
bool completion_asked(int argc, char **argv, completion_shell *shell);

/* A command as `nibble help` lists it. */
typedef struct completion_summary {
  const char *name, *summary;
} completion_summary;

void completion_begin(completion_shell shell, const completion_summary *commands, size_t n);
/* A command's part: opts (n) are all that it takes. */
void completion_command(completion_shell shell, const char *name, const cli_opt *opts, size_t n);
void completion_end(completion_shell shell);

#endif
