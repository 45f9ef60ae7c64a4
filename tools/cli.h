/* SPDX-License-Identifier: MIT */
/* What every command shares: options, messages, sizes, JSON output.
 *
 * A command is a function that fills a table of options, calls cli_parse, works, and returns the exit code:
 *
 *   int cmd_frob(int argc, char **argv) {
 *     const char *out = NULL;
 *     int group = 64;
 *     cli_opt opts[] = {
 *         CLI_PATH_REQUIRED("out", 'o', "FILE", NB_FILE_NBL, &out, "where to write"),
 *         CLI_INT("group", 'g', "N", 32, 128, &group, "weights that share a scale"),
 *         CLI_END,
 *     };
 *     cli_command cmd = {.name = "frob", .args = "DIR -o FILE", .about = "Frobs a checkpoint.",
 *                        .opts = opts, .common = CLI_JSON | CLI_THREADS, .min_args = 1, .max_args = 1};
 *     cli_common common;
 *     cli_args args;
 *     if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
 *     nb_err err;
 *     nb_status st = nb_frob(args.items[0], out, group, common.threads, &err);
 *     if (st != NB_OK) return cli_fail(st, &err);
 *     return 0;
 *   }
 *
 * Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failure or
 * interrupted, 2 usage, 3 a quality gate failed. */
#ifndef NB_CLI_H
#define NB_CLI_H

#include "base/bytes.h"
#include "base/status.h"
#include "formats/paths.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- options ---- */

typedef enum cli_type {
  CLI_TYPE_END,
  CLI_TYPE_FLAG,
  CLI_TYPE_STRING,
  CLI_TYPE_CHOICE,
  CLI_TYPE_WORD,
  CLI_TYPE_LIST,
  CLI_TYPE_INT,
  CLI_TYPE_U64,
  CLI_TYPE_DOUBLE,
  CLI_TYPE_BYTES
} cli_type;

enum { CLI_MAX_ITEMS = 256 };

/* The values of an option that may be given several times; zero it first. */
typedef struct cli_list {
  const char *items[CLI_MAX_ITEMS];
  size_t n;
} cli_list;

/* One option, made by the macros below. Each stores into a variable of yours, whose value before cli_parse
 * is the default (the help text should name it). */
typedef struct cli_opt {
  cli_type type;
  const char *name;   /* "group": given as --group N or --group=N */
  char letter;        /* 'g': given as -g N or -gN; 0: none */
  const char *arg;    /* what the help calls the value: "N" */
  double min, max;    /* numbers: the range allowed, ends included */
  const char *choice; /* CLI_CHOICE: "a|b|c" */
  union {
    bool *flag;
    const char **string;
    cli_list *list;
    int *integer;
    uint64_t *u64;
    double *real;
  } to;
  const char *help;
  nb_file_kind file; /* strings and lists that are paths: read, or what is written there */
  bool required;     /* strings and bytes: cli_parse fails without */
} cli_opt;

/* --name sets *dest to true. */
#define CLI_FLAG(name, letter, dest, help)                                                                             \
  { CLI_TYPE_FLAG, name, letter, NULL, 0, 0, NULL, {.flag = dest}, help, NB_PATH_NONE, false }
/* Any string; *dest points into argv. */
#define CLI_STRING(name, letter, arg, dest, help)                                                                      \
  { CLI_TYPE_STRING, name, letter, arg, 0, 0, NULL, {.string = dest}, help, NB_PATH_NONE, false }
/* The names that nb_kv_type_parse knows, for CLI_CHOICE. */
#define CLI_KV_TYPES "f32|f16|q16|q8"
/* The same option of all commands that write texts. */
#define CLI_SPECULATE(dest)                                                                                            \
  CLI_FLAG("no-speculate", 0, dest, "try no guesses of the next tokens (they change the speed, never the text)")
/* --kv, the type of a cache. */
#define CLI_KV(dest, help) CLI_CHOICE("kv", 0, CLI_KV_TYPES, dest, help " (q8 for .nbl files, f32 for checkpoints)")
/* One of the words in `choice` ("uniform|table"); *dest is a string (compare with strcmp). */
#define CLI_CHOICE(name, letter, choice, dest, help)                                                                   \
  { CLI_TYPE_CHOICE, name, letter, choice, 0, 0, choice, {.string = dest}, help, NB_PATH_NONE, false }
/* The same, but the word may be left out: then the option means the first one. */
#define CLI_WORD(name, letter, choice, dest, help)                                                                     \
  { CLI_TYPE_WORD, name, letter, choice, 0, 0, choice, {.string = dest}, help, NB_PATH_NONE, false }
/* A string that may be given several times. */
#define CLI_LIST(name, letter, arg, dest, help)                                                                        \
  { CLI_TYPE_LIST, name, letter, arg, 0, 0, NULL, {.list = dest}, help, NB_PATH_NONE, false }
/* A path, or several, that the command reads or writes: file says which (formats/paths.h). A command with an option
 * that writes takes --force. */
#define CLI_PATH(name, letter, arg, file, dest, help)                                                                  \
  { CLI_TYPE_STRING, name, letter, arg, 0, 0, NULL, {.string = dest}, help, file, false }
#define CLI_PATHS(name, letter, arg, file, dest, help)                                                                 \
  { CLI_TYPE_LIST, name, letter, arg, 0, 0, NULL, {.list = dest}, help, file, false }
/* A path, or a number of bytes, without which nothing runs. cli_parse names it as the usage line spells it. */
#define CLI_PATH_REQUIRED(name, letter, arg, file, dest, help)                                                         \
  { CLI_TYPE_STRING, name, letter, arg, 0, 0, NULL, {.string = dest}, help " (required)", file, true }
#define CLI_BYTES_REQUIRED(name, letter, arg, dest, help)                                                              \
  { CLI_TYPE_BYTES, name, letter, arg, 0, 0, NULL, {.u64 = dest}, help " (required)", NB_PATH_NONE, true }
/* An int (min and max are ints), or a double, min <= value <= max. */
#define CLI_INT(name, letter, arg, min, max, dest, help)                                                               \
  { CLI_TYPE_INT, name, letter, arg, min, max, NULL, {.integer = dest}, help, NB_PATH_NONE, false }
#define CLI_DOUBLE(name, letter, arg, min, max, dest, help)                                                            \
  { CLI_TYPE_DOUBLE, name, letter, arg, min, max, NULL, {.real = dest}, help, NB_PATH_NONE, false }
/* Any unsigned 64-bit number, for seeds. */
#define CLI_U64(name, letter, arg, dest, help)                                                                         \
  { CLI_TYPE_U64, name, letter, arg, 0, 0, NULL, {.u64 = dest}, help, NB_PATH_NONE, false }
/* A number of bytes above 0: 1000, 2.5GB, 1.8GiB, 512K (base/bytes.h). */
#define CLI_BYTES(name, letter, arg, dest, help)                                                                       \
  { CLI_TYPE_BYTES, name, letter, arg, 0, 0, NULL, {.u64 = dest}, help, NB_PATH_NONE, false }
#define CLI_END                                                                                                        \
  { CLI_TYPE_END, NULL, 0, NULL, 0, 0, NULL, {NULL}, NULL, NB_PATH_NONE, false }

/* Shared options that a command takes. --quiet and --help are always there. */
enum { CLI_JSON = 1, CLI_THREADS = 2, CLI_CPU = 4, CLI_TOKENIZER = 8 };

typedef struct cli_common {
  bool json;             /* --json: one object on standard output instead of text */
  bool quiet;            /* -q, --quiet: no progress, no notes */
  bool force;            /* --force: replace a file, whatever it is; cli_parse has looked at the options' */
  int threads;           /* -t, --threads N; by default the processors of this process, never 0 */
  const char *cpu;       /* --cpu SET, as given, or NULL */
  const char *tokenizer; /* --tokenizer DIR, in the place of the models' own, or NULL */
  unsigned features;     /* what nb_cpu_detect says, masked by --cpu */
} cli_common;

typedef struct cli_command {
  const char *name;       /* as in the command table */
  const char *args;       /* "DIR -o FILE.nbl", after the name in the usage line */
  const char *about;      /* a paragraph for --help */
  const cli_opt *opts;    /* ends with CLI_END; NULL: none */
  unsigned common;        /* CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER */
  int min_args, max_args; /* positional arguments; at most CLI_MAX_ITEMS */
  const char *more;       /* printed at the end of --help (examples), or NULL */
} cli_command;

/* The positional arguments, in order. */
typedef struct cli_args {
  const char *items[CLI_MAX_ITEMS];
  int n;
  int exit_code; /* set when cli_parse returns false */
} cli_args;

/* Reads argv[1..] (argv[0] is the command's name). Options may stand after arguments; "--" ends them; "-" is an
 * argument. False: return args->exit_code (0 after --help, 2 after a message about wrong usage). */
bool cli_parse(const cli_command *c, int argc, char **argv, cli_common *common, cli_args *args);

/* Opens a model (formats/open.h), unless the flags say without with the tokenizer of --tokenizer, and prints what it
 * notes. */
struct nb_opened;
nb_status cli_open(const char *path, unsigned flags, const cli_common *c, struct nb_opened *out, nb_err *err);

/* ---- messages, all on standard error ---- */

/* "nibble CMD: MESSAGE" and where to find help; returns 2. */
int cli_usage(const cli_command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "nibble: MESSAGE"; returns the exit code for st. */
int cli_fail(nb_status st, const nb_err *err);
/* "nibble: note: MESSAGE" unless --quiet. */
void cli_note(const cli_common *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "nibble: warning: MESSAGE", also with --quiet: the results may mislead. */
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The word of a list that is nearest to `word` by edit distance, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *list, size_t n);

/* ---- sizes and times for people; each returns buf ---- */

enum { CLI_TEXT = NB_BYTES_TEXT };
/* "0.8 s", "42 s", "3 min 20 s", "2 h 05 min". */
char *cli_seconds_text(char buf[CLI_TEXT], double seconds);

/* Seconds on a steady clock. */
double cli_clock(void);

/* ---- JSON ---- */

struct cJSON;
/* Prints the object on standard output, deletes it, and returns 0; 1 after a message when memory is out. NULL is
 * taken as out of memory, so that a builder's result can be passed on unchecked. */
int cli_print_json(struct cJSON *object);
/* Writes a page of data/report (page.h) that draws the object. */
nb_status cli_save_page(const char *path, const char *page, const struct cJSON *object, nb_err *err);

#endif
