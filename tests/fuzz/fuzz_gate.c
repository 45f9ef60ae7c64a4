/* SPDX-License-Identifier: MIT */
/* A file of limits: what is accepted is in range, and a run can be held to it. */
#include "eval/gate.h"
#include "scratch.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Judges a run of two questions against itself: it is no worse than the baseline. */
static void judge(const nb_gates *g) {
  static bool correct[2] = {true, false};
  nb_row row[2] = {{.item = {.id = "a", .subject = "", .n_choices = 2, .correct = correct},
                    .answer = {.logprob = {-1, -2}, .chars = {1, 1}, .bytes = {1, 1}},
                    .category = ""}};
  row[1] = row[0], row[1].item.id = "b";
  nb_result r = {.row = row, .n = 2, .has_measured = true};
  r.protocol = (nb_protocol){.task = "t", .preset = "", .split = "", .subjects = "", .questions = 2};
  r.measured.memory.most.anon_bytes = r.measured.memory.most.peak_bytes = 1000000;
  nb_compare_opts o = {.alpha = g->alpha, .margin = g->margin / 100, .reps = 2};
  nb_comparison c;
  nb_judgement j;
  nb_err err;
  if (nb_compare(&r, &r, &o, &c, &err) != NB_OK) abort();
  nb_gates_judge(g, &r, &c, &j);
  bool memory = (g->max_memory && g->max_memory < 1000000) || (g->max_total_memory && g->max_total_memory < 1000000);
  if (j.n > NB_MAX_GATES || (j.verdict == NB_VERDICT_FAIL) != memory) abort();
  nb_comparison_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  nb_err err;
  nb_gates g = nb_gates_default();
  if (nb_gates_parse((const char *)data, n, "fuzz.json", &g, &err) != NB_OK) return 0;
  nb_gates same = nb_gates_default();
  if (nb_gates_load(scratch_write("fuzz.json", data, n), &same, &err) != NB_OK) abort();
  if (nb_gates_margin(&same) != nb_gates_margin(&g)) abort();
  if (!(g.margin >= 0 && g.margin < 100 && g.alpha > 0 && g.alpha < 0.5)) abort();
  if (g.max_drop < 0 || g.max_kld < 0 || g.min_accuracy < 0 || g.min_accuracy > 100) abort();
  if (g.min_paired < 0 || g.min_paired > 100) abort();
  judge(&g);
  return 0;
}
