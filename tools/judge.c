/* SPDX-License-Identifier: MIT */
#include "judge.h"

#include "outfile.h"

bool judge_asked(const judge_limits *l) {
  return l->gate_file || l->margin >= 0 || l->max_drop >= 0 || l->max_kld >= 0;
}

nb_status judge_gates(const judge_limits *l, nb_gates *out, nb_err *err) {
  *out = nb_gates_default();
  if (l->gate_file) NB_TRY(nb_gates_load(l->gate_file, out, err));
  if (l->margin >= 0) out->margin = l->margin;
  if (l->max_drop >= 0) out->max_drop = l->max_drop;
  if (l->max_kld >= 0) out->max_kld = l->max_kld;
  return NB_OK;
}

nb_status judge_save(const char *path, judge_writer write, const nb_comparison *c, const nb_gate_report *g,
                     nb_err *err) {
  nb_text text = {0};
  if (!path) return NB_OK;
  nb_status st = write(c, g, &text, err);
  if (st == NB_OK) st = nb_outfile_save(path, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}

nb_status judge_save_html(const char *path, const nb_comparison *c, const nb_gate_report *g,
                          const nb_result *const *others, size_t n, nb_err *err) {
  nb_text text = {0};
  if (!path) return NB_OK;
  nb_status st = nb_report_html(c, g, others, n, &text, err);
  if (st == NB_OK) st = nb_outfile_save(path, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}

int judge_exit(nb_verdict v) { return v == NB_VERDICT_PASS ? 0 : v == NB_VERDICT_FAIL ? 3 : JUDGE_UNDECIDED; }
