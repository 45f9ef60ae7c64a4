/* SPDX-License-Identifier: MIT */
/* nibble: 4-bit Phi-3 on a CPU. Finds the command and runs it. */
#include "formats/outfile.h"
#include "tools/cli.h"
#include "tools/commands.h"
#include "tools/completion.h"
#include "tools/progress_cli.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *summary; /* NULL: not for people, and not listed */
} command;

static int cmd_help(int argc, char **argv);
static int cmd_completion(int argc, char **argv);

/* In the order of use. */
static const command commands[] = {
    {"quantize", cmd_quantize, "convert a checkpoint to one 4-bit file"},
    {"calibrate", cmd_calibrate, "measure once what quantizing to several budgets needs"},
    {"verify", cmd_verify, "check a file's structure and checksums"},
    {"reproduce", cmd_reproduce, "make a file again from its provenance, and compare"},
    {"inspect", cmd_inspect, "show architecture, tensors, types and bytes"},
    {"diff", cmd_diff, "compare two checkpoints or files tensor by tensor"},
    {"pack", cmd_pack, "pack a file for a download"},
    {"unpack", cmd_unpack, "expand a packed file to the identical .nbl file"},
    {"split", cmd_split, "cut a file into parts for a store, opened together"},
    {"join", cmd_join, "make the identical .nbl file of its parts"},
    {"export", cmd_export, "write a file back as a Hugging Face checkpoint"},
    {"generate", cmd_generate, "answer a prompt"},
    {"chat", cmd_chat, "talk to a model, turn by turn"},
    {"serve", cmd_serve, "answer over HTTP, in the form of OpenAI's interface"},
    {"tokenize", cmd_tokenize, "turn text into token ids, or ids into text"},
    {"eval", cmd_eval, "measure accuracy on multiple-choice sets such as MMLU"},
    {"compare", cmd_compare, "judge a run against a baseline, question by question"},
    {"gate", cmd_gate, "accept or refuse a candidate in minutes, from cheap to dear"},
    {"merge", cmd_merge, "join the shards of a run"},
    {"kld", cmd_kld, "measure perplexity and KL divergence against a reference"},
    {"ppl", cmd_ppl, "measure perplexity and bits a byte on a text"},
    {"probe", cmd_probe, "make questions about numbers hidden in long texts"},
    {"bench", cmd_bench, "time prefill, decode and kernels"},
    {"help", cmd_help, "print this, or a command's help"},
    {"completion", cmd_completion, NULL},
};
static const size_t n_commands = sizeof commands / sizeof *commands;

static void print_commands(FILE *f) {
  fputs("usage: nibble COMMAND [options]\n\n", f);
  for (size_t i = 0; i < n_commands; i++)
    if (commands[i].summary) fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].summary);
  fputs("\n`nibble COMMAND --help` lists a command's options; `man nibble` has everything.\n", f);
}

/* Runs argv[0]. */
static int run(int argc, char **argv) {
  const char *names[sizeof commands / sizeof *commands];
  for (size_t i = 0; i < n_commands; i++) {
    if (!strcmp(argv[0], commands[i].name)) return commands[i].run(argc, argv);
    names[i] = commands[i].name;
  }
  const char *near = cli_nearest(argv[0], names, n_commands);
  fprintf(stderr, "nibble: unknown command '%s'%s%s%s\n", argv[0], near ? "; did you mean '" : "", near ? near : "",
          near ? "'?" : "");
  fputs("`nibble help` lists the commands\n", stderr);
  return 2;
}

static int cmd_help(int argc, char **argv) {
  char *of[] = {argc > 1 ? argv[1] : NULL, "--help", NULL};
  if (argc > 1 && strcmp(argv[1], "help") && argv[1][0] != '-') return run(2, of);
  print_commands(stdout);
  return 0;
}

/* The script for a shell: every command that is listed prints its own part. */
static int cmd_completion(int argc, char **argv) {
  const cli_command cmd = {.name = "completion",
                           .args = "bash|zsh|fish",
                           .about = "Prints the script by which the shell completes nibble's commands and options.",
                           .min_args = 1,
                           .max_args = 1,
                           .more = "  source <(nibble completion bash)\n"};
  cli_common common;
  cli_args args;
  completion_summary listed[sizeof commands / sizeof *commands];
  size_t n = 0;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  int shell = 0;
  while (shell < COMPLETION_SHELLS && strcmp(completion_names[shell], args.items[0])) shell++;
  if (shell == COMPLETION_SHELLS) return cli_usage(&cmd, "'%s' is none of bash, zsh and fish", args.items[0]);
  for (size_t i = 0; i < n_commands; i++)
    if (commands[i].summary) listed[n++] = (completion_summary){commands[i].name, commands[i].summary};
  completion_begin((completion_shell)shell, listed, n);
  for (size_t i = 0; i < n_commands; i++) {
    char word[40];
    snprintf(word, sizeof word, COMPLETION_WORD "%s", completion_names[shell]);
    char *of[] = {(char *)commands[i].name, word, NULL};
    if (commands[i].summary && commands[i].run != cmd_help) run(2, of);
  }
  completion_end((completion_shell)shell);
  return 0;
}

/* cJSON's functions that build an object leave out what they have no memory for, without a word: what they build would
 * be printed or written as if it were whole. Memory for them is there, or the program ends as after a signal. */
static void *json_memory(size_t n) {
  static const char text[] = "nibble: out of memory for a JSON text\n";
  void *p = malloc(n);
  if (p) return p;
  nb_outfile_remove_all();
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(1);
  _exit(1);
}

int main(int argc, char **argv) {
  cJSON_Hooks hooks = {json_memory, free};
  cJSON_InitHooks(&hooks);
  cli_signals_install();
  int code;
  if (argc < 2) {
    print_commands(stderr);
    return 2;
  }
  if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
    puts("nibble " NB_VERSION);
    code = 0;
  } else if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
    print_commands(stdout);
    code = 0;
  } else {
    code = run(argc - 1, argv + 1);
  }
  errno = 0;
  bool failed = code == 1 || code == 2; /* which was said */
  if ((fflush(stdout) || ferror(stdout)) && !failed) {
    fprintf(stderr, "nibble: cannot write to standard output: %s\n",
            errno ? strerror(errno) : "an earlier write failed");
    code = 1;
  }
  return code;
}
