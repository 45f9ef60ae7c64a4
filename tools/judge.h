/* SPDX-License-Identifier: MIT */
/* What eval and compare share: the limits of a comparison, and what is written about it. */
#ifndef NB_JUDGE_H
#define NB_JUDGE_H

#include "cli.h"
#include "report.h"

enum { JUDGE_UNDECIDED = 4 }; /* exit code */

typedef struct judge_limits {
  const char *gate_file;            /* NULL: none */
  double margin, max_drop, max_kld; /* below 0: not given */
} judge_limits;

#define JUDGE_NO_LIMITS {NULL, -1, -1, -1}

/* The options of both commands; l: a judge_limits. */
#define JUDGE_OPTIONS(l) \
  CLI_STRING("gate", 0, "FILE", &(l).gate_file, "limits in a file (nibble-gate.json); options go before it"), \
      CLI_DOUBLE("margin", 0, "POINTS", 0, 99, &(l).margin, \
                 "the drop that would be accepted (1): pass when it is shown to be smaller"), \
      CLI_DOUBLE("max-drop", 0, "POINTS", 0, 100, &(l).max_drop, "the largest drop observed, chance or not"), \
      CLI_DOUBLE("max-kld", 0, "NATS", 0, 1e6, &(l).max_kld, "the largest mean KL divergence of the answers")

/* Whether any limit was given. */
bool judge_asked(const judge_limits *l);

/* The defaults, the gate file over them, the options over that. */
nb_status judge_gates(const judge_limits *l, nb_gates *out, nb_err *err);

/* What a report is made of. */
typedef nb_status (*judge_writer)(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err);

/* Writes a report to path (NULL: nothing is done). */
nb_status judge_save(const char *path, judge_writer write, const nb_comparison *c, const nb_gate_report *g,
                     nb_err *err);
/* Writes the page, with other runs in its chart of size against score. */
nb_status judge_save_html(const char *path, const nb_comparison *c, const nb_gate_report *g,
                          const nb_result *const *others, size_t n, nb_err *err);

/* 0, 3 or 4. */
int judge_exit(nb_verdict v);

#endif
