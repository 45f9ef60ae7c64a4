/* SPDX-License-Identifier: MIT */
/* Three shells, each with a beginning, a part for every command and an end. Which values an option takes is asked of
 * the table in one place (kind_of); what a shell's script does with it is in the script. */
#include "tools/completion.h"

#include <string.h>

const char *const completion_names[COMPLETION_SHELLS] = {"bash", "zsh", "fish"};

bool completion_asked(int argc, char **argv, completion_shell *shell) {
  const size_t n = sizeof COMPLETION_WORD - 1;
  if (argc != 2 || strncmp(argv[1], COMPLETION_WORD, n)) return false;
  for (int i = 0; i < COMPLETION_SHELLS; i++)
    if (!strcmp(argv[1] + n, completion_names[i])) return *shell = (completion_shell)i, true;
  return false;
}

typedef enum kind {
  KIND_FLAG,  /* takes nothing */
  KIND_FILE,  /* a path */
  KIND_WORDS, /* one of its words */
  KIND_WORD,  /* likewise, or nothing */
  KIND_OTHER  /* what cannot be guessed */
} kind;

static kind kind_of(const cli_opt *o) {
  if (o->type == CLI_TYPE_FLAG) return KIND_FLAG;
  if (o->type == CLI_TYPE_CHOICE) return KIND_WORDS;
  if (o->type == CLI_TYPE_WORD) return KIND_WORD;
  return o->file == NB_PATH_NONE ? KIND_OTHER : KIND_FILE;
}

/* "a|b" as "a b". */
static void print_words(const char *choice) {
  for (; *choice; choice++) putchar(*choice == '|' ? ' ' : *choice);
}

/* Inside single quotes. escape: characters that get a backslash; quote: how the shell writes a quote there. */
static void print_quoted(const char *text, const char *escape, const char *quote) {
  for (; *text; text++) {
    if (*text == '\'') fputs(quote, stdout);
    else if (*text == '\n') putchar(' ');
    else {
      if (strchr(escape, *text)) putchar('\\');
      putchar(*text);
    }
  }
}

/* ---- bash ---- */

static void bash_begin(const completion_summary *commands, size_t n) {
  puts("# bash completion of nibble " NB_VERSION ", as `nibble completion bash` prints it.\n"
       "_nibble() {\n"
       "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options= words= takes=\n"
       "  # --name=value comes as three words.\n"
       "  if [ \"$cur\" = = ]; then cur=\n"
       "  elif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
       "  COMPREPLY=()");
  fputs("  local commands='", stdout);
  for (size_t i = 0; i < n; i++) printf("%s%s", i ? " " : "", commands[i].name);
  puts("'\n"
       "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
       "    COMPREPLY=($(compgen -W \"$commands --help --version\" -- \"$cur\"))\n"
       "    return\n"
       "  fi\n"
       "  case ${COMP_WORDS[1]} in\n"
       "  help) words=$commands ;;");
}

static void bash_values(const char *pattern_of, const cli_opt *opts, size_t n, kind k) {
  bool any = false;
  for (size_t i = 0; i < n; i++) {
    if (kind_of(&opts[i]) != k) continue;
    printf("%s--%s", any ? "|" : "    ", opts[i].name);
    if (opts[i].letter) printf("|-%c", opts[i].letter);
    any = true;
  }
  if (any) printf(") takes=%s ;;\n", pattern_of);
}

static void bash_command(const char *name, const cli_opt *opts, size_t n) {
  printf("  %s)\n    options='", name);
  for (size_t i = 0; i < n; i++) {
    printf("%s--%s", i ? " " : "", opts[i].name);
    if (opts[i].letter) printf(" -%c", opts[i].letter);
  }
  puts("'\n    case $prev in");
  for (size_t i = 0; i < n; i++) {
    const kind k = kind_of(&opts[i]);
    if (k != KIND_WORDS && k != KIND_WORD) continue;
    printf("    --%s", opts[i].name);
    if (opts[i].letter) printf("|-%c", opts[i].letter);
    fputs(") words='", stdout);
    print_words(opts[i].choice);
    printf("'%s ;;\n", k == KIND_WORDS ? " takes=word" : "");
  }
  bash_values("file", opts, n, KIND_FILE);
  bash_values("other", opts, n, KIND_OTHER);
  puts("    esac ;;");
}

static void bash_end(void) {
  puts("  esac\n"
       "  if [ -z \"$takes\" ] && [ \"${cur#-}\" != \"$cur\" ]; then\n"
       "    COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
       "  elif [ -n \"$words\" ]; then\n"
       "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
       "  elif [ \"$takes\" != other ]; then\n"
       "    local IFS=$'\\n'\n"
       "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
       "    compopt -o filenames 2>/dev/null\n"
       "  fi\n"
       "}\n"
       "complete -F _nibble nibble");
}

/* ---- zsh ---- */

static void zsh_begin(const completion_summary *commands, size_t n) {
  puts("#compdef nibble\n"
       "# zsh completion of nibble " NB_VERSION ", as `nibble completion zsh` prints it.\n"
       "_nibble() {\n"
       "  local -a commands\n"
       "  commands=(");
  for (size_t i = 0; i < n; i++) {
    printf("    '%s:", commands[i].name);
    print_quoted(commands[i].summary, "\\", "'\\''");
    puts("'");
  }
  puts("  )\n"
       "  if (( CURRENT == 2 )); then\n"
       "    _describe -t commands command commands\n"
       "    _values option '--help[list the commands]' '--version[print the version]'\n"
       "    return\n"
       "  fi\n"
       "  local command=$words[2]\n"
       "  shift words\n"
       "  (( CURRENT-- ))\n"
       "  case $command in\n"
       "  help) _describe -t commands command commands ;;");
}

/* One spelling of an option, "--out=" or "-o+". */
static void zsh_option(const cli_opt *o, const char *spelling) {
  static const char escape[] = "\\[]:";
  printf("      '%s%s[", o->type == CLI_TYPE_LIST ? "*" : "", spelling);
  print_quoted(o->help, escape, "'\\''");
  putchar(']');
  switch (kind_of(o)) {
  case KIND_FLAG: break;
  case KIND_FILE:
  case KIND_OTHER:
    putchar(':');
    print_quoted(o->arg, escape, "'\\''");
    fputs(kind_of(o) == KIND_FILE ? ":_files" : ": ", stdout);
    break;
  case KIND_WORD: putchar(':'); /* fall through */
  case KIND_WORDS:
    printf(":%s:(", o->name);
    print_words(o->choice);
    putchar(')');
  }
  puts("' \\");
}

static void zsh_command(const char *name, const cli_opt *opts, size_t n) {
  printf("  %s)\n    _arguments -S \\\n", name);
  for (size_t i = 0; i < n; i++) {
    char spelling[80];
    const bool flag = opts[i].type == CLI_TYPE_FLAG;
    snprintf(spelling, sizeof spelling, "--%s%s", opts[i].name, flag ? "" : "=");
    zsh_option(&opts[i], spelling);
    snprintf(spelling, sizeof spelling, "-%c%s", opts[i].letter, flag ? "" : "+");
    if (opts[i].letter) zsh_option(&opts[i], spelling);
  }
  puts("      '*:file:_files' ;;");
}

static void zsh_end(void) {
  puts("  esac\n"
       "}\n"
       "if [[ $funcstack[1] = _nibble ]]; then _nibble \"$@\"; else compdef _nibble nibble; fi");
}

/* ---- fish ---- */

static void fish_text(const char *text) {
  fputs(" -d '", stdout);
  print_quoted(text, "\\", "\\'");
  puts("'");
}

static void fish_begin(const completion_summary *commands, size_t n) {
  puts("# fish completion of nibble " NB_VERSION ", as `nibble completion fish` prints it.\n"
       "complete -c nibble -n __fish_use_subcommand -f\n"
       "complete -c nibble -n __fish_use_subcommand -s h -l help -d 'list the commands'\n"
       "complete -c nibble -n __fish_use_subcommand -s V -l version -d 'print the version'");
  for (size_t i = 0; i < n; i++) {
    printf("complete -c nibble -n __fish_use_subcommand -a %s", commands[i].name);
    fish_text(commands[i].summary);
    printf("complete -c nibble -n '__fish_seen_subcommand_from help' -f -a %s", commands[i].name);
    fish_text(commands[i].summary);
  }
}

static void fish_command(const char *name, const cli_opt *opts, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const cli_opt *o = &opts[i];
    const kind k = kind_of(o);
    printf("complete -c nibble -n '__fish_seen_subcommand_from %s' -l %s", name, o->name);
    if (o->letter) printf(" -s %c", o->letter);
    if (k == KIND_FILE) fputs(" -r -F", stdout);
    if (k == KIND_OTHER || k == KIND_WORDS) fputs(" -x", stdout);
    if (k == KIND_WORDS || k == KIND_WORD) {
      fputs(" -a '", stdout);
      print_words(o->choice);
      putchar('\'');
    }
    fish_text(o->help);
  }
}

static void fish_end(void) {}

/* ---- all ---- */

static const struct {
  void (*begin)(const completion_summary *commands, size_t n);
  void (*command)(const char *name, const cli_opt *opts, size_t n);
  void (*end)(void);
} shells[COMPLETION_SHELLS] = {
    {bash_begin, bash_command, bash_end}, {zsh_begin, zsh_command, zsh_end}, {fish_begin, fish_command, fish_end}};

void completion_begin(completion_shell shell, const completion_summary *commands, size_t n) {
  shells[shell].begin(commands, n);
}

void completion_command(completion_shell shell, const char *name, const cli_opt *opts, size_t n) {
  shells[shell].command(name, opts, n);
}

void completion_end(completion_shell shell) { shells[shell].end(); }
