/* SPDX-License-Identifier: MIT */
#include "eval/report.h"
#include "scratch.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A result file: what is accepted can be saved and loaded again, compared with itself and reported. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_result r;
  nb_comparison c;
  nb_judgement j;
  nb_text text = {0};
  nb_gates gates = nb_gates_default();
  nb_compare_opts o = {.alpha = 0.05, .margin = 0.01, .reps = 10};
  if (nb_result_parse((const char *)data, n, "fuzz.json", &r, &err) != NB_OK) return 0;
  nb_result again;
  const char *path = scratch("x.json");
  if (nb_result_save(&r, path, &err) != NB_OK || nb_result_load(path, &again, &err) != NB_OK || again.n != r.n) abort();
  nb_result_free(&again);
  bool compared = nb_compare(&r, &r, &o, &c, &err) == NB_OK;
  if (compared && (c.gained || c.lost)) abort();
  for (int i = compared ? 0 : 1; i < 2; i++) { /* against itself, then alone */
    nb_gates_judge(&gates, &r, i ? NULL : &c, &j);
    nb_report_html(&j, NULL, 0, &text, &err);
    nb_report_markdown(&j, 1, &text, &err);
    nb_report_junit(&j, 1, &text, &err);
  }
  if (compared) nb_comparison_free(&c);
  nb_text_free(&text);
  nb_result_free(&r);
  return 0;
}
