/* SPDX-License-Identifier: MIT */
#include "report_text.h"

#include "cli.h"
#include "stats.h"
#include "table.h"

static void score_line(cli_table *t, const char *name, const char *what, const nb_scores *s, const nb_result *r) {
  double n = (double)s->n, k = nb_scores_sum(s, r->protocol.metric), low, high;
  nb_wilson(k, n, 0.95, &low, &high);
  cli_table_cell(t, "%s", name);
  cli_table_cell(t, "%s", what);
  cli_table_cell(t, "%zu", s->n);
  cli_table_cell(t, "%.2f", 100 * k / n);
  cli_table_cell(t, "%.2f - %.2f", 100 * low, 100 * high);
  if (r->protocol.score == NB_SCORE_LETTER) return;
  cli_table_cell(t, "%.2f", 100 * s->acc / n);
  cli_table_cell(t, "%.2f", 100 * s->acc_norm / n);
}

static void print_scores(const nb_result *r, const nb_summary *s, FILE *f) {
  bool letter = r->protocol.score == NB_SCORE_LETTER;
  cli_table t;
  cli_table_begin(&t, letter ? "llrrr" : "llrrrrr");
  const char *head[] = {"subject", "category", "questions", "", "95 % interval", "acc", "acc_norm"};
  for (size_t i = 0; i < (letter ? 5 : 7); i++)
    cli_table_cell(&t, "%s", i == 3 ? nb_metric_name(r->protocol.metric) : head[i]);
  cli_table_rule(&t);
  for (size_t i = 0; i < s->n_subjects && s->n_subjects > 1; i++)
    score_line(&t, s->subject[i].name, s->subject[i].category, &s->subject[i].scores, r);
  if (s->n_subjects > 1) cli_table_rule(&t);
  for (size_t i = 0; i < s->n_categories; i++) score_line(&t, s->category[i].name, "", &s->category[i].scores, r);
  score_line(&t, "total", "", &s->total, r);
  cli_table_end(&t, f);
}

static void print_measured(const nb_result *r, FILE *f) {
  const nb_measured *m = &r->measured;
  char a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT], d[CLI_TEXT], e[CLI_TEXT];
  fprintf(f, "time    %s, %.0f tokens/s (%llu tokens run; %llu without shared beginnings)\n",
          cli_seconds_text(a, m->seconds), m->seconds > 0 ? (double)m->tokens / m->seconds : 0,
          (unsigned long long)m->tokens, (unsigned long long)m->tokens_alone);
  fprintf(f, "memory  %s of files, %s of its own (cache %s, workspace %s), peak %s\n",
          cli_bytes_text(a, m->memory.most.file_bytes), cli_bytes_text(b, m->memory.most.anon_bytes),
          cli_bytes_text(c, m->kv_bytes), cli_bytes_text(d, m->session_bytes),
          cli_bytes_text(e, m->memory.most.peak_bytes));
}

nb_status report_text(const nb_result *r, FILE *f, nb_err *err) {
  nb_summary s;
  const nb_protocol *p = &r->protocol;
  char bytes[CLI_TEXT];
  NB_TRY(nb_summary_make(r, &s, err));
  fprintf(f, "%s: %s, %.2f bits a weight\n%s%s%s, split %s, %zu shots, %zu questions\n\n", r->model.name,
          cli_bytes_text(bytes, r->model.file_bytes), r->model.bits, p->task, *p->preset ? " " : "", p->preset, p->split,
          p->shots, r->n);
  print_scores(r, &s, f);
  double n = (double)s.total.n;
  fprintf(f, "\nmean of subjects %.2f, Brier score %.4f, calibration error %.4f\n", 100 * s.macro, s.total.brier / n,
          nb_scores_ece(&s.total));
  if (r->has_measured) print_measured(r, f);
  nb_summary_free(&s);
  return NB_OK;
}
