/* SPDX-License-Identifier: MIT */
/* cli_parse: one loop over argv, one function that stores a value, one that prints the help. */
#include "base/bytes.h"
#include "tools/cli.h"
#include "tools/completion.h"
#include "formats/paths.h"

#include "base/cpu.h"
#include "base/parallel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTS = 64, WRITES = 128 /* beside CLI_JSON and so on: some option names a file to write */ };

/* The command's options and the shared ones, in one table. */
typedef struct option_set {
  cli_opt opts[MAX_OPTS];
  size_t n;
  unsigned common; /* what of the shared ones the command takes */
  bool help;
} option_set;

static void collect(option_set *set, const cli_command *c, cli_common *common) {
  const cli_opt shared[] = {
      CLI_FLAG("json", 0, &common->json, "print one JSON object on standard output"),
      CLI_INT("threads", 't', "N", 1, NB_MAX_THREADS, &common->threads,
              "threads (default: the processors that this process may use)"),
      CLI_STRING("cpu", 0, "SET", &common->cpu, "use no instruction set above SET: ref, avx2, avx512vnni, neon, ..."),
      CLI_PATH("tokenizer", 0, "DIR", NB_PATH_READ, &common->tokenizer,
               "take the tokenizer from there (a folder with tokenizer.json, or a model), not from the model"),
      CLI_FLAG("force", 0, &common->force, "replace a file that is there already, whatever it is"),
      CLI_FLAG("quiet", 'q', &common->quiet, "no progress and no notes"),
      CLI_FLAG("help", 'h', &set->help, "print this help"),
  };
  const unsigned need[] = {CLI_JSON, CLI_THREADS, CLI_CPU, CLI_TOKENIZER, WRITES, 0, 0};
  size_t room = MAX_OPTS - sizeof shared / sizeof *shared;
  set->n = 0, set->common = c->common, set->help = false;
  for (const cli_opt *o = c->opts; o && o->type != CLI_TYPE_END && set->n < room; o++) {
    set->opts[set->n++] = *o;
    if (nb_path_written(o->file)) set->common |= WRITES;
  }
  for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
    if ((set->common & need[i]) == need[i]) set->opts[set->n++] = shared[i];
}

/* ---- help ---- */

/* Prints text from column `at` on, wrapped before column 100, new lines indented by `indent`. An empty line in it
 * begins a paragraph; other line breaks are spaces. */
static void print_wrapped(const char *text, int at, int indent) {
  while (*text) {
    size_t word = strcspn(text, " \n");
    if (at > indent && at + 1 + (int)word > 100) printf("\n%*s", at = indent, "");
    else if (at > indent) putchar(' '), at++;
    printf("%.*s", (int)word, text);
    at += (int)word;
    text += word;
    if (text[0] == '\n' && text[1] == '\n') printf("\n\n%*s", at = indent, ""), text++;
    if (*text) text++;
  }
  putchar('\n');
}

static void print_help(const cli_command *c, const option_set *set) {
  enum { COLUMN = 26 };
  printf("usage: nibble %s %s\n\n", c->name, c->args);
  if (c->about) print_wrapped(c->about, 0, 0), putchar('\n');
  puts("options:");
  for (size_t i = 0; i < set->n; i++) {
    const cli_opt *o = &set->opts[i];
    char left[128];
    char letter[8] = "     ";
    if (o->letter) snprintf(letter, sizeof letter, " -%c, ", o->letter);
    int n = snprintf(left, sizeof left, " %s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    if (n >= COLUMN) printf("%s\n%*s", left, COLUMN, "");
    else printf("%-*s", COLUMN, left);
    print_wrapped(o->help, COLUMN, COLUMN);
  }
  if (c->more) printf("\n%s%s", c->more, c->more[strlen(c->more) - 1] == '\n' ? "" : "\n");
}

/* ---- values ---- */

static bool has_choice(const char *choices, const char *value) {
  size_t n = strlen(value);
  for (const char *p = choices; n; p = strchr(p, '|') + 1) {
    if (!strncmp(p, value, n) && (p[n] == '|' || !p[n])) return true;
    if (!strchr(p, '|')) break;
  }
  return false;
}

/* The whole of text as a number; false when something else stands there. */
static bool parse_double(const char *text, double *v) {
  char *end;
  *v = strtod(text, &end);
  return end != text && !*end && *v == *v;
}

static bool parse_u64(const char *text, uint64_t *v) {
  char *end;
  if (*text < '0' || *text > '9') return false;
  errno = 0;
  unsigned long long x = strtoull(text, &end, 10);
  if (*end || errno) return false;
  *v = x;
  return true;
}

/* Stores value (NULL for flags). Returns 0, or 2 after a message. */
static int store(const cli_command *c, const cli_opt *o, const char *value) {
  double d;
  switch (o->type) {
  case CLI_TYPE_FLAG: *o->to.flag = true; return 0;
  case CLI_TYPE_STRING: *o->to.string = value; return 0;
  case CLI_TYPE_LIST:
    if (o->to.list->n == CLI_MAX_ITEMS)
      return cli_usage(c, "--%s may be given at most %d times", o->name, CLI_MAX_ITEMS);
    o->to.list->items[o->to.list->n++] = value;
    return 0;
  case CLI_TYPE_CHOICE:
  case CLI_TYPE_WORD:
    if (!has_choice(o->choice, value)) return cli_usage(c, "--%s takes one of %s, not '%s'", o->name, o->choice, value);
    *o->to.string = value;
    return 0;
  case CLI_TYPE_INT:
    if (!parse_double(value, &d) || d < o->min || d > o->max || d != (double)(int)d)
      return cli_usage(c, "--%s takes a whole number from %.0f to %.0f, not '%s'", o->name, o->min, o->max, value);
    *o->to.integer = (int)d;
    return 0;
  case CLI_TYPE_DOUBLE:
    if (!parse_double(value, &d) || d < o->min || d > o->max)
      return cli_usage(c, "--%s takes a number from %g to %g, not '%s'", o->name, o->min, o->max, value);
    *o->to.real = d;
    return 0;
  case CLI_TYPE_U64:
    if (!parse_u64(value, o->to.u64))
      return cli_usage(c, "--%s takes a whole number from 0 to 18446744073709551615, not '%s'", o->name, value);
    return 0;
  case CLI_TYPE_BYTES:
    if (!nb_bytes_parse(value, o->to.u64) || !*o->to.u64)
      return cli_usage(c, "--%s takes a size such as 1800000000, 1.8GB or 1.8GiB, not '%s'", o->name, value);
    return 0;
  case CLI_TYPE_END: break;
  }
  return 0;
}

/* ---- the loop ---- */

static int unknown(const cli_command *c, const option_set *set, const char *word, size_t len) {
  const char *names[MAX_OPTS];
  char typed[64];
  for (size_t i = 0; i < set->n; i++) names[i] = set->opts[i].name;
  snprintf(typed, sizeof typed, "%.*s", (int)len, word);
  const char *near = cli_nearest(typed, names, set->n);
  if (near) return cli_usage(c, "unknown option --%s; did you mean --%s?", typed, near);
  return cli_usage(c, "unknown option --%s", typed);
}

/* Handles argv[*i], which starts with '-'; moves *i past a value. Returns 0, or 2 after a message. */
static int parse_option(const cli_command *c, const option_set *set, int argc, char **argv, int *i) {
  const char *word = argv[*i], *value = NULL;
  const cli_opt *o = NULL;
  if (word[1] == '-') {
    size_t len = strcspn(word + 2, "=");
    for (size_t k = 0; k < set->n && !o; k++)
      if (strlen(set->opts[k].name) == len && !strncmp(set->opts[k].name, word + 2, len)) o = &set->opts[k];
    if (!o) return unknown(c, set, word + 2, len);
    if (word[2 + len]) value = word + 2 + len + 1;
  } else {
    for (size_t k = 0; k < set->n && !o; k++)
      if (set->opts[k].letter == word[1]) o = &set->opts[k];
    if (!o) return cli_usage(c, "unknown option -%c", word[1]);
    if (word[2] && o->type == CLI_TYPE_FLAG) return cli_usage(c, "write '%s' as separate options", word);
    if (word[2]) value = word + 2 + (word[2] == '=');
  }
  if (o->type == CLI_TYPE_FLAG && value) return cli_usage(c, "--%s takes no value", o->name);
  if (o->type == CLI_TYPE_WORD && !value) {
    static char first[32];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(o->choice, "|"), o->choice);
    value = *i + 1 < argc && has_choice(o->choice, argv[*i + 1]) ? argv[++*i] : first;
  }
  if (o->type != CLI_TYPE_FLAG && !value) {
    if (*i + 1 >= argc) return cli_usage(c, "--%s needs a value: %s", o->name, o->arg);
    value = argv[++*i];
  }
  return store(c, o, value);
}

/* All arguments are read; of the options each that has a file says so. Returns 0, or 2 after a message. */
static int check_files(const cli_command *c, const option_set *set, const cli_common *common, const cli_args *args) {
  enum { MAX = 4 * CLI_MAX_ITEMS };
  nb_path paths[MAX];
  size_t n = 0;
  nb_err err;
  if (!(set->common & WRITES)) return 0;
  for (int i = 0; i < args->n; i++) paths[n++] = (nb_path){args->items[i], NULL, NB_PATH_READ};
  for (size_t i = 0; i < set->n; i++) {
    const cli_opt *o = &set->opts[i];
    size_t items = o->type == CLI_TYPE_LIST ? o->to.list->n : o->type == CLI_TYPE_STRING && *o->to.string ? 1 : 0;
    for (size_t k = 0; o->file != NB_PATH_NONE && k < items && n < MAX; k++)
      paths[n++] = (nb_path){o->type == CLI_TYPE_LIST ? o->to.list->items[k] : *o->to.string, o->name, o->file};
  }
  return nb_path_check(paths, n, common->force, &err) == NB_OK ? 0 : cli_usage(c, "%s", err.msg);
}

/* Returns 0, or 2 after a message that spells the option as the usage line does. */
static int check_required(const cli_command *c, const option_set *set) {
  for (size_t i = 0; i < set->n; i++) {
    const cli_opt *o = &set->opts[i];
    char spelled[64];
    if (!o->required || (o->type == CLI_TYPE_BYTES ? *o->to.u64 != 0 : *o->to.string != NULL)) continue;
    snprintf(spelled, sizeof spelled, "--%s", o->name);
    if (o->letter && !strstr(c->args, spelled)) snprintf(spelled, sizeof spelled, "-%c", o->letter);
    return cli_usage(c, "%s %s is missing", spelled, o->arg);
  }
  return 0;
}

bool cli_parse(const cli_command *c, int argc, char **argv, cli_common *common, cli_args *args) {
  option_set set;
  nb_err err;
  memset(common, 0, sizeof *common);
  memset(args, 0, sizeof *args);
  collect(&set, c, common);
  completion_shell shell;
  if (completion_asked(argc, argv, &shell)) {
    completion_command(shell, c->name, set.opts, set.n);
    return false;
  }
  bool only_args = false;
  for (int i = 1; i < argc && !args->exit_code && !set.help; i++) {
    if (!only_args && !strcmp(argv[i], "--")) only_args = true;
    else if (!only_args && argv[i][0] == '-' && argv[i][1]) args->exit_code = parse_option(c, &set, argc, argv, &i);
    else if (args->n < CLI_MAX_ITEMS) args->items[args->n++] = argv[i];
    else args->exit_code = cli_usage(c, "more than %d arguments", CLI_MAX_ITEMS);
  }
  if (args->exit_code) return false;
  if (set.help) {
    print_help(c, &set);
    return false;
  }
  if (args->n < c->min_args)
    args->exit_code = cli_usage(c, args->n ? "an argument is missing" : "arguments are missing");
  else if (args->n > c->max_args) args->exit_code = cli_usage(c, "unexpected argument '%s'", args->items[c->max_args]);
  if (!args->exit_code) args->exit_code = check_files(c, &set, common, args);
  if (args->exit_code) return false;
  if (!common->threads) common->threads = nb_parallel_cpus();
  common->features = nb_cpu_detect();
  if (common->cpu && nb_cpu_mask(common->cpu, &common->features, &err) != NB_OK) {
    args->exit_code = cli_usage(c, "--cpu: %s", err.msg);
    return false;
  }
  args->exit_code = check_required(c, &set);
  return !args->exit_code;
}
