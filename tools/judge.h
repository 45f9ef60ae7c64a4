/* SPDX-License-Identifier: MIT */
/* What eval and compare share: the limits of a run, and what is written about it. */
#ifndef NB_JUDGE_H
#define NB_JUDGE_H

#include "tools/cli.h"
#include "eval/report.h"

enum { JUDGE_UNDECIDED = 4 }; /* exit code */

typedef struct judge_options {
  const char *gate_file;                                             /* NULL: none */
  double margin, max_drop, max_kld, min_accuracy, min_paired, alpha; /* below 0: not given */
  uint64_t max_memory, max_total;                                    /* 0: not given */
  const char *junit, *summary, *html;                                /* paths, or NULL */
  bool github;
} judge_options;

#define JUDGE_NOTHING                                                                                                  \
  { .margin = -1, .max_drop = -1, .max_kld = -1, .min_accuracy = -1, .min_paired = -1, .alpha = -1 }

/* The options of both commands; o: a judge_options. */
#define JUDGE_OPTIONS(o)                                                                                               \
  CLI_PATH("gate", 0, "FILE", NB_PATH_READ, &(o).gate_file,                                                            \
           "limits in a file (nibble-gate.json); options go before it"),                                               \
      CLI_DOUBLE("margin", 0, "POINTS", 0, 99, &(o).margin,                                                            \
                 "the drop that would be accepted (1): pass when it is shown to be smaller"),                          \
      CLI_DOUBLE("max-drop", 0, "POINTS", 0, 100, &(o).max_drop, "the largest drop observed, chance or not"),          \
      CLI_DOUBLE("max-kld", 0, "NATS", 0, 1e6, &(o).max_kld, "the largest mean KL divergence of the answers"),         \
      CLI_DOUBLE("min-paired", 0, "PERCENT", 0, 100, &(o).min_paired,                                                  \
                 "undecided when fewer of the questions are in both runs (90)"),                                       \
      CLI_DOUBLE("alpha", 0, "P", 1e-6, 0.4, &(o).alpha, "chance of a wrong pass, or a wrong fail (0.05)"),            \
      CLI_DOUBLE("min-accuracy", 0, "PERCENT", 0, 100, &(o).min_accuracy, "the candidate's lowest score"),             \
      CLI_BYTES("max-memory", 0, "BYTES", &(o).max_memory, "the candidate's memory of its own"),                       \
      CLI_BYTES("max-total-memory", 0, "BYTES", &(o).max_total, "the candidate's memory with files' pages"),           \
      CLI_PATH("junit", 0, "FILE", NB_FILE_JUNIT, &(o).junit, "write JUnit XML, a test a limit"),                      \
      CLI_PATH("summary", 0, "FILE", NB_FILE_MARKDOWN, &(o).summary,                                                   \
               "write a Markdown summary ($GITHUB_STEP_SUMMARY)"),                                                     \
      CLI_FLAG("github", 0, &(o).github, "print GitHub Actions annotations instead of the comparison's text"),         \
      CLI_PATH("html", 0, "FILE", NB_FILE_PAGE, &(o).html, "write a report for the browser, one file")

/* Whether a limit on a comparison was given; whether any was. */
bool judge_compares(const judge_options *o);
bool judge_asked(const judge_options *o);

/* The defaults, the gate file over them, the options over that. */
nb_status judge_gates(const judge_options *o, nb_gates *out, nb_err *err);

/* Writes the JUnit file and the summary, where asked for. */
nb_status judge_save(const judge_options *o, const nb_judgement *j, size_t n, nb_err *err);
/* Writes the page, where asked for, with other runs in its charts (nb_report_html). */
nb_status judge_save_html(const judge_options *o, const nb_judgement *j, const nb_judgement *others, size_t n,
                          nb_err *err);
/* Prints comparisons and verdicts as text, or as annotations. */
nb_status judge_print(const judge_options *o, const nb_gates *g, const nb_judgement *j, size_t n, nb_err *err);

/* The worst verdict's exit code: 0, 3 or 4. */
int judge_exit(const nb_judgement *j, size_t n);

#endif
