/* SPDX-License-Identifier: MIT */
#include "tools/judge.h"

#include "formats/outfile.h"
#include "tools/report_text.h"

bool judge_compares(const judge_options *o) {
  return o->gate_file || o->margin >= 0 || o->max_drop >= 0 || o->max_kld >= 0;
}

bool judge_asked(const judge_options *o) {
  return judge_compares(o) || o->min_accuracy >= 0 || o->max_memory || o->max_total;
}

nb_status judge_gates(const judge_options *o, nb_gates *out, nb_err *err) {
  *out = nb_gates_default();
  if (o->gate_file) NB_TRY(nb_gates_load(o->gate_file, out, err));
  if (o->margin >= 0) out->margin = o->margin;
  if (o->max_drop >= 0) out->max_drop = o->max_drop;
  if (o->max_kld >= 0) out->max_kld = o->max_kld;
  if (o->min_accuracy >= 0) out->min_accuracy = o->min_accuracy;
  if (o->min_paired >= 0) out->min_paired = o->min_paired;
  if (o->alpha > 0) out->alpha = o->alpha;
  if (o->max_memory) out->max_memory = o->max_memory;
  if (o->max_total) out->max_total_memory = o->max_total;
  return NB_OK;
}

static nb_status save(const char *path, nb_report *write, const nb_judgement *j, size_t n, nb_err *err) {
  nb_text text = {0};
  if (!path) return NB_OK;
  nb_status st = write(j, n, &text, err);
  if (st == NB_OK) st = nb_outfile_save(path, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}

nb_status judge_save(const judge_options *o, const nb_judgement *j, size_t n, nb_err *err) {
  NB_TRY(save(o->junit, nb_report_junit, j, n, err));
  return save(o->summary, nb_report_markdown, j, n, err);
}

nb_status judge_save_html(const judge_options *o, const nb_judgement *j, const nb_judgement *others, size_t n,
                          nb_err *err) {
  nb_text text = {0};
  if (!o->html) return NB_OK;
  nb_status st = nb_report_html(j, others, n, &text, err);
  if (st == NB_OK) st = nb_outfile_save(o->html, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}

nb_status judge_print(const judge_options *o, const nb_gates *g, const nb_judgement *j, size_t n, nb_err *err) {
  nb_text text = {0};
  if (!o->github) {
    for (size_t i = 0; i < n; i++) {
      if (i) fputs("\n", stdout);
      report_judgement(&j[i], g, stdout);
    }
    return NB_OK;
  }
  nb_status st = nb_report_github(j, n, &text, err);
  if (st == NB_OK) fwrite(text.s, 1, text.n, stdout);
  nb_text_free(&text);
  return st;
}

int judge_exit(const nb_judgement *j, size_t n) {
  int code = 0;
  for (size_t i = 0; i < n; i++) {
    if (j[i].verdict == NB_VERDICT_FAIL) return 3;
    if (j[i].verdict == NB_VERDICT_UNDECIDED) code = JUDGE_UNDECIDED;
  }
  return code;
}
