/* SPDX-License-Identifier: MIT */
/* What a candidate must satisfy, and whether it does. */
#ifndef NB_GATE_H
#define NB_GATE_H

#include "eval/compare.h"

/* Limits; NaN (and 0 for the bytes): not asked for. Points are hundredths of accuracy. */
typedef struct nb_gates {
  double margin;       /* points: the drop is shown to be below this */
  double max_drop;     /* points: the drop observed is at most this */
  double max_kld;      /* nats: the mean KL divergence of the answers is shown to be at most this */
  double min_accuracy; /* percent, of the candidate */
  double min_paired;   /* percent of the runs' questions that both have; with fewer a comparison decides nothing */
  double alpha;        /* error of "shown" */
  uint64_t max_memory,
      max_total_memory; /* bytes: of the process's own, and with files' pages, in the candidate's run */
} nb_gates;

/* margin 1, alpha 0.05, min_paired 90, nothing else asked. */
nb_gates nb_gates_default(void);

/* The margin as nb_compare takes it (0.01: one point); one point where none is asked for. */
double nb_gates_margin(const nb_gates *g);

/* Reads nibble-gate.json over what *out holds: an object with any of the names above; bytes may be a number. Unknown
 * keys are refused. */
nb_status nb_gates_parse(const char *json, size_t n, const char *file, nb_gates *out, nb_err *err);
nb_status nb_gates_load(const char *path, nb_gates *out, nb_err *err);

enum { NB_MAX_GATES = 7, NB_GATE_TEXT = 320 };
typedef struct nb_gate_result {
  const char *name; /* "margin", ... */
  nb_verdict verdict;
  char text[NB_GATE_TEXT]; /* one sentence with the numbers */
} nb_gate_result;

/* What is said about one run, against a baseline or alone. */
typedef struct nb_judgement {
  const char *not_run;          /* why the run is none; NULL: it is one */
  const nb_result *run;         /* the candidate */
  const nb_comparison *against; /* with the baseline; NULL: there is none */
  nb_gate_result gate[NB_MAX_GATES];
  size_t n;
  nb_verdict verdict; /* fail if any gate failed, else undecided if any is, else pass */
} nb_judgement;

/* Holds a run to its limits. c: its comparison; NULL when there is no baseline, and then the limits on a drop and on
 * the divergence are not asked. Both must outlive *out. */
void nb_gates_judge(const nb_gates *g, const nb_result *run, const nb_comparison *c, nb_judgement *out);

#endif
