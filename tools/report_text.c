/* SPDX-License-Identifier: MIT */
#include "tools/report_text.h"

#include "tools/cli.h"
#include "tools/table.h"

#include <math.h>
#include <string.h>

static void score_line(cli_table *t, const char *name, const char *what, const nb_scores *s, const nb_result *r) {
  double mean[NB_MEANS];
  nb_scores_means(s, r->protocol.metric, mean);
  cli_table_cell(t, "%s", name);
  cli_table_cell(t, "%s", what);
  cli_table_cell(t, "%zu", s->n);
  cli_table_cell(t, "%.2f", 100 * mean[NB_MEAN_SCORE]);
  cli_table_cell(t, "%.2f - %.2f", 100 * mean[NB_MEAN_LOW], 100 * mean[NB_MEAN_HIGH]);
  for (size_t k = 1; k < s->n_marks; k++) cli_table_cell(t, "%.2f", 100 * s->mark[k] / s->weight[k]);
  if (r->protocol.score == NB_SCORE_LETTER || r->protocol.score == NB_SCORE_GENERATE) return;
  cli_table_cell(t, "%.2f", 100 * mean[NB_MEAN_ACC]);
  cli_table_cell(t, "%.2f", 100 * mean[NB_MEAN_ACC_NORM]);
}

static void print_scores(const nb_result *r, const nb_summary *s, FILE *f) {
  const nb_protocol *p = &r->protocol;
  bool texts = p->score == NB_SCORE_CONTINUATION || p->score == NB_SCORE_PARTIAL;
  char columns[8 + NB_MAX_MARKS] = "llrrr";
  for (size_t k = 1; k < (texts ? 3 : nb_max(1, p->n_marks)); k++) strcat(columns, "r");
  cli_table t;
  cli_table_begin(&t, columns);
  const char *head[] = {"subject", "category", "questions", nb_protocol_metric(p), "95 % interval", "acc", "acc_norm"};
  for (size_t i = 0; i < (texts ? 7 : 5); i++) cli_table_cell(&t, "%s", head[i]);
  for (size_t k = 1; k < p->n_marks; k++) cli_table_cell(&t, "%s", p->marks[k]);
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
  if (m->steps)
    fprintf(f, "written %llu tokens at %.1f a second, %llu steps of at most %llu texts; %llu gave way for memory\n",
            (unsigned long long)m->new_tokens, m->model_seconds > 0 ? (double)m->new_tokens / m->model_seconds : 0,
            (unsigned long long)m->steps, (unsigned long long)m->most_running, (unsigned long long)m->gave_way);
  if (m->from_journal) fprintf(f, "        and %llu questions from the journal\n", (unsigned long long)m->from_journal);
  fprintf(f, "memory  %s of files, %s of its own (cache %s, workspace %s), peak %s\n",
          nb_bytes_text(a, m->memory.most.file_bytes), nb_bytes_text(b, m->memory.most.anon_bytes),
          nb_bytes_text(c, m->kv_bytes), nb_bytes_text(d, m->session_bytes),
          nb_bytes_text(e, m->memory.most.peak_bytes));
}

nb_status report_text(const nb_result *r, FILE *f, nb_err *err) {
  nb_summary s;
  const nb_protocol *p = &r->protocol;
  char bytes[CLI_TEXT];
  NB_TRY(nb_summary_make(r, &s, err));
  fprintf(f, "%s: %s, %.2f bits a weight\n%s%s%s, split %s, %zu shots, %zu questions%s%s\n\n", r->model.name,
          nb_bytes_text(bytes, r->model.file_bytes), r->model.bits, p->task, *p->preset ? " " : "", p->preset, p->split,
          p->shots, r->n, nb_protocol_stopped_early(p) ? " (stopped early)" : "",
          p->chat == NB_CHAT_NO       ? ""
          : p->chat == NB_CHAT_SINGLE ? ", chat"
                                      : ", chat in turns");
  print_scores(r, &s, f);
  double n = (double)s.total.n;
  if (p->score == NB_SCORE_GENERATE) fprintf(f, "\nmean of subjects %.2f\n", 100 * s.macro);
  else
    fprintf(f, "\nmean of subjects %.2f, Brier score %.4f, calibration error %.4f\n", 100 * s.macro, s.total.brier / n,
            nb_scores_ece(&s.total));
  if (nb_result_calibrated_on(r))
    fprintf(f, "%zu questions stand in the text that the model was calibrated on\n", nb_result_calibrated_on(r));
  if (nb_result_approximate(r))
    fprintf(f,
            "the marks of %zu answers may be other ones in lm-evaluation-harness: they rest on their language or on a "
            "number of sentences that is not certain (formats/TASKS.md)\n",
            nb_result_approximate(r));
  if (r->has_measured) print_measured(r, f);
  nb_summary_free(&s);
  return NB_OK;
}

/* ---- comparisons ---- */

static void print_subjects(const nb_comparison *c, FILE *f) {
  cli_table t;
  cli_table_begin(&t, "lrrrrrrrrr");
  const char *head[] = {"subject", "questions", "baseline", "candidate", "change", "gained", "lost", "p", "Holm", "BH"};
  for (size_t i = 0; i < sizeof head / sizeof *head; i++) cli_table_cell(&t, "%s", head[i]);
  cli_table_rule(&t);
  for (size_t i = 0; i < c->n_subjects; i++) {
    const nb_subject_change *s = &c->subject[i];
    cli_table_cell(&t, "%s", *s->name ? s->name : "all");
    cli_table_cell(&t, "%zu", s->n);
    cli_table_cell(&t, "%.2f", 100 * s->base);
    cli_table_cell(&t, "%.2f", 100 * s->cand);
    cli_table_cell(&t, "%+.2f", 100 * (s->cand - s->base));
    cli_table_cell(&t, "%zu", s->gained);
    cli_table_cell(&t, "%zu", s->lost);
    cli_table_cell(&t, "%.3g", s->p);
    cli_table_cell(&t, "%.3g", s->holm);
    cli_table_cell(&t, "%.3g", s->bh);
  }
  cli_table_end(&t, f);
}

static void print_comparison(const nb_comparison *c, const nb_gates *g, FILE *f) {
  const nb_protocol *p = &c->base->protocol;
  fprintf(f, "baseline   %s\ncandidate  %s\n%s%s%s, %zu shots, %zu questions\n\n", c->base->model.name,
          c->cand->model.name, p->task, *p->preset ? " " : "", p->preset, p->shots, c->n);
  if (c->n_base_only || c->n_cand_only)
    fprintf(f, "paired     %zu questions; %zu only in the baseline, %zu only in the candidate\n\n", c->n,
            c->n_base_only, c->n_cand_only);
  if (c->n_subjects > 1) print_subjects(c, f), fputs("\n", f);
  double level = 100 * (1 - 2 * g->alpha);
  fprintf(
      f,
      "%-10s %.2f -> %.2f, change %+.2f points (%g %% interval %+.2f to %+.2f; whole subjects drawn %+.2f to %+.2f)\n",
      nb_protocol_metric(p), 100 * c->base_score, 100 * c->cand_score, 100 * c->diff, level, 100 * c->low,
      100 * c->high, 100 * c->clustered.low, 100 * c->clustered.high);
  fprintf(f, "flips      %zu gained, %zu lost, exact McNemar p = %.3g; the same pick on %.2f %%\n", c->gained, c->lost,
          c->mcnemar_p, 100 * (double)c->same_pick / (double)c->n);
  if (p->score != NB_SCORE_GENERATE)
    fprintf(
        f,
        "answers    KL divergence mean %.5f (%.5f to %.5f), median %.5f, 99 %% %.4f, max %.3f; total variation %.4f\n",
        c->kl.mean, c->kl.low, c->kl.high, c->kl_median, c->kl_p99, c->kl_max, c->tv_mean);
  fprintf(f, "power      %.1f %% to show a drop below %g points if there is none", 100 * c->test.power, g->margin);
  if (isfinite(c->test.needed)) fprintf(f, "; 80 %% takes %.0f questions", c->test.needed);
  fputs("\n\n", f);
  const nb_protocol *of[2] = {p, &c->cand->protocol};
  for (size_t i = 0; i < 2; i++)
    if (nb_protocol_stopped_early(of[i]))
      fprintf(f, "the %s stopped early, after %zu of %zu questions: the intervals above do not allow for that\n",
              i ? "candidate" : "baseline", of[i]->stopped_at, of[i]->questions);
}

void report_judgement(const nb_judgement *j, const nb_gates *g, FILE *f) {
  if (j->against) print_comparison(j->against, g, f);
  for (size_t i = 0; i < j->n; i++)
    fprintf(f, "%-9s  %s: %s\n", nb_verdict_name(j->gate[i].verdict), j->gate[i].name, j->gate[i].text);
  if (j->n) fprintf(f, "%s\n", nb_verdict_name(j->verdict));
}

/* ---- suites ---- */

static void number_cell(cli_table *t, double x) {
  if (isnan(x)) cli_table_cell(t, "%s", "");
  else cli_table_cell(t, "%.1f", x);
}

static void suite_line(cli_table *t, const nb_suite_table *s, const nb_suite_line *l) {
  nb_suite_cell c;
  cli_table_cell(t, "%s", l->row->name);
  if (l->result) {
    nb_suite_line_cell(l, &c);
    cli_table_cell(t, "%s", c.shots);
    cli_table_cell(t, "%zu", c.questions);
    cli_table_cell(t, "%.1f", c.score);
    cli_table_cell(t, "%.1f - %.1f", c.low, c.high);
  } else {
    const char *const cells[] = {"", "not run", "", ""};
    for (size_t i = 0; i < 4; i++) cli_table_cell(t, "%s", cells[i]);
  }
  for (size_t m = 0; m < nb_suite_n_published(s->suite); m++) {
    double x = nb_suite_published(s->suite, l->row, m, NULL);
    if (nb_suite_unconfirmed(s->suite, l->row, m)) cli_table_cell(t, "%.1f?", x);
    else number_cell(t, x);
  }
}

void report_suite(const nb_suite_table *s, FILE *f) {
  enum { MOST = 64 };
  char columns[8 + MOST] = "lrrrr";
  const char *const head[] = {"set", "shots", "questions", "score", "95 % interval"};
  size_t n_models = nb_suite_n_published(s->suite);
  double mean;
  size_t run = nb_suite_table_mean(s, &mean);
  cli_table t;
  for (size_t m = 0; m < n_models; m++) strcat(columns, "r");
  fprintf(f, "%s: %s, %zu of %zu rows run\n\n", s->suite->name, s->model->name, run, s->n);
  cli_table_begin(&t, columns);
  for (size_t i = 0; i < 5; i++) cli_table_cell(&t, "%s", head[i]);
  for (size_t m = 0; m < n_models; m++) cli_table_cell(&t, "%s", nb_suite_published_model(s->suite, m));
  cli_table_rule(&t);
  for (size_t i = 0; i < s->n; i++) suite_line(&t, s, &s->line[i]);
  cli_table_rule(&t);
  cli_table_cell(&t, "mean of the rows run");
  for (size_t i = 0; i < 2; i++) cli_table_cell(&t, "%s", "");
  number_cell(&t, run ? mean : NAN);
  cli_table_cell(&t, "%s", "");
  for (size_t m = 0; m < n_models; m++) number_cell(&t, nb_suite_table_published_mean(s, m));
  cli_table_end(&t, f);
  if (n_models) fputs("\n" NB_SUITE_PUBLISHED_NOTE "\n", f);
  for (size_t i = 0; i < s->n; i++)
    if (!s->line[i].result) fprintf(f, "not run: %s: %s\n", s->line[i].row->name, s->line[i].why);
  for (size_t i = 0; i < s->n; i++) {
    const nb_judgement *j = s->line[i].judged;
    for (size_t k = 0; j && k < j->n; k++)
      fprintf(f, "%s%-9s  %s, %s: %s\n", k ? "" : "\n", nb_verdict_name(j->gate[k].verdict), s->line[i].row->name,
              j->gate[k].name, j->gate[k].text);
  }
}
