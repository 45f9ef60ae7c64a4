/* SPDX-License-Identifier: MIT */
/* What was judged as JSON, and as the page that shows it. */
#include "eval/report.h"

#include "eval/item.h"
#include "eval/page.h"
#include "eval/report_written.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- runs ---- */

static void write_bins(nb_jsonout *j, const char *key, const nb_scores *s) {
  nb_jsonout_open(j, key, '[');
  for (size_t b = 0; b < NB_CALIBRATION_BINS; b++) {
    double n = (double)s->bin[b].n;
    nb_jsonout_open(j, NULL, '{');
    nb_jsonout_u64(j, "n", s->bin[b].n);
    nb_jsonout_fixed(j, "confidence", n > 0 ? s->bin[b].confidence / n : NAN, 6);
    nb_jsonout_fixed(j, "right", n > 0 ? s->bin[b].right / n : NAN, 6);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, ']');
}

/* The parts of its result file that are about the whole, and the divergence where it was compared (else c is NULL). */
static nb_status write_run(nb_jsonout *j, const char *key, const nb_result *r, const nb_comparison *c) {
  nb_summary s;
  NB_TRY(nb_summary_make(r, &s, j->err));
  nb_jsonout_open(j, key, '{');
  nb_result_write_model(j, &r->model);
  nb_result_write_scores(j, "total", NULL, &s.total, &r->protocol);
  if (r->protocol.score != NB_SCORE_GENERATE) write_bins(j, "calibration", &s.total);
  if (r->has_measured) nb_result_write_measured(j, &r->measured);
  if (c && r->protocol.score != NB_SCORE_GENERATE) {
    nb_jsonout_open(j, "divergence", '{');
    nb_jsonout_fixed(j, "mean", c->kl.mean, 6);
    nb_jsonout_fixed(j, "low", c->kl.low, 6);
    nb_jsonout_fixed(j, "high", c->kl.high, 6);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, '}');
  nb_summary_free(&s);
  return NB_OK;
}

static void write_gates(nb_jsonout *j, const nb_judgement *g) {
  nb_jsonout_string(j, "verdict", nb_verdict_name(g->verdict));
  nb_jsonout_open(j, "gates", '[');
  for (size_t i = 0; i < g->n; i++) {
    nb_jsonout_open(j, NULL, '{');
    nb_jsonout_string(j, "name", g->gate[i].name);
    nb_jsonout_string(j, "verdict", nb_verdict_name(g->gate[i].verdict));
    nb_jsonout_string(j, "text", g->gate[i].text);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, ']');
}

/* ---- a comparison ---- */

static void write_statistics(nb_jsonout *j, const nb_comparison *c) {
  const nb_noninferiority *t = &c->test;
  const struct {
    const char *key;
    double value;
  } number[] = {{"base_score", c->base_score},
                {"cand_score", c->cand_score},
                {"diff", c->diff},
                {"low", c->low},
                {"high", c->high},
                {"clustered_se", c->clustered.se},
                {"clustered_low", c->clustered.low},
                {"clustered_high", c->clustered.high},
                {"mcnemar_p", c->mcnemar_p},
                {"z", t->z},
                {"p_pass", t->p_pass},
                {"p_fail", t->p_fail},
                {"questions_needed", t->needed},
                {"questions_needed_as_observed", t->needed_observed},
                {"power", t->power},
                {"kl_mean", c->kl.mean},
                {"kl_low", c->kl.low},
                {"kl_high", c->kl.high},
                {"kl_median", c->kl_median},
                {"kl_p90", c->kl_p90},
                {"kl_p99", c->kl_p99},
                {"kl_max", c->kl_max},
                {"tv_mean", c->tv_mean}};
  nb_jsonout_open(j, "statistics", '{');
  nb_jsonout_u64(j, "n", c->n);
  nb_jsonout_u64(j, "base_only", c->n_base_only);
  nb_jsonout_u64(j, "cand_only", c->n_cand_only);
  nb_jsonout_double(j, "paired", c->paired);
  nb_jsonout_u64(j, "gained", c->gained);
  nb_jsonout_u64(j, "lost", c->lost);
  nb_jsonout_u64(j, "same_pick", c->same_pick);
  nb_jsonout_bool(j, "same_checkpoint", c->same_checkpoint);
  nb_jsonout_bool(j, "sequential", c->sequential);
  for (size_t i = 0; i < sizeof number / sizeof *number; i++) nb_jsonout_double(j, number[i].key, number[i].value);
  nb_jsonout_close(j, '}');
}

/* A score with its interval as PREFIX, PREFIX_low, PREFIX_high. */
static void write_score(nb_jsonout *j, const char *prefix, double score, double n) {
  char key[32];
  double low, high;
  nb_stats_wilson(score * n, n, 0.95, &low, &high);
  nb_jsonout_fixed(j, prefix, score, 6);
  snprintf(key, sizeof key, "%s_low", prefix);
  nb_jsonout_fixed(j, key, low, 6);
  snprintf(key, sizeof key, "%s_high", prefix);
  nb_jsonout_fixed(j, key, high, 6);
}

static void open_subject(nb_jsonout *j, const char *name, const char *category, size_t n) {
  nb_jsonout_open(j, NULL, '{');
  nb_jsonout_string(j, "name", name);
  nb_jsonout_string(j, "category", category);
  nb_jsonout_u64(j, "n", n);
}

static void write_changes(nb_jsonout *j, const nb_comparison *c) {
  nb_jsonout_open(j, "subjects", '[');
  for (size_t i = 0; i < c->n_subjects; i++) {
    const nb_subject_change *s = &c->subject[i];
    open_subject(j, s->name, s->category, s->n);
    write_score(j, "base", s->base, (double)s->n);
    write_score(j, "cand", s->cand, (double)s->n);
    nb_jsonout_u64(j, "gained", s->gained);
    nb_jsonout_u64(j, "lost", s->lost);
    nb_jsonout_fixed(j, "kl", s->kl, 6);
    nb_jsonout_double(j, "p", s->p);
    nb_jsonout_double(j, "holm", s->holm);
    nb_jsonout_double(j, "bh", s->bh);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, ']');
}

static void write_probs(nb_jsonout *j, const char *key, const nb_row *r) {
  double p[NB_MAX_CHOICES];
  nb_grade_choice_probs(r->answer.logprob, r->item.n_choices, p);
  nb_jsonout_open(j, key, '[');
  for (size_t i = 0; i < r->item.n_choices; i++) nb_jsonout_fixed(j, NULL, p[i], 5);
  nb_jsonout_close(j, ']');
}

static void open_question(nb_jsonout *j, const nb_item *it) {
  nb_jsonout_open(j, NULL, '{');
  nb_jsonout_string(j, "id", it->id);
  nb_jsonout_string(j, "subject", it->subject);
  nb_jsonout_u64(j, "right", it->answer);
}

static void write_flips(nb_jsonout *j, const nb_comparison *c) {
  nb_jsonout_open(j, "flips", '[');
  for (size_t i = 0; i < c->n; i++) {
    const nb_pair *p = &c->pair[i];
    bool was = p->base_score >= 0.5, is = p->cand_score >= 0.5;
    if (was == is) continue;
    const nb_item *text = c->base->texts ? &p->base->item : c->cand->texts ? &p->cand->item : NULL;
    open_question(j, &p->base->item);
    nb_jsonout_string(j, "flip", is ? "gained" : "lost");
    nb_jsonout_u64(j, "base_pick", p->base_grade.pick);
    nb_jsonout_u64(j, "cand_pick", p->cand_grade.pick);
    nb_jsonout_fixed(j, "kl", p->kl, 5);
    write_probs(j, "base", p->base);
    write_probs(j, "cand", p->cand);
    if (text) nb_item_write_texts(j, text);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, ']');
}

/* Counts of the questions' KL by decades and thirds of them, from 1e-6 on; the first also holds what is below. */
static void write_histogram(nb_jsonout *j, const nb_comparison *c) {
  enum { BINS = 24 };
  size_t count[BINS] = {0};
  for (size_t i = 0; i < c->n; i++) {
    double at = c->pair[i].kl > 1e-6 ? 3 * (log10(c->pair[i].kl) + 6) : 0;
    count[at >= BINS - 1 ? BINS - 1 : (size_t)at]++;
  }
  nb_jsonout_open(j, "kl_histogram", '[');
  for (size_t b = 0; b < BINS; b++) nb_jsonout_u64(j, NULL, count[b]);
  nb_jsonout_close(j, ']');
}

static void write_comparison(nb_jsonout *j, const nb_comparison *c) {
  write_statistics(j, c);
  write_changes(j, c);
  if (c->base->protocol.score == NB_SCORE_GENERATE) {
    nb_report_written(j, c->cand, c);
    return;
  }
  write_histogram(j, c);
  write_flips(j, c);
}

/* ---- a run alone ---- */

typedef struct wrong_answer {
  const nb_row *row;
  nb_grade grade;
} wrong_answer;

static int by_confidence(const void *a, const void *b) {
  const wrong_answer *x = a, *y = b;
  if (x->grade.confidence != y->grade.confidence) return x->grade.confidence < y->grade.confidence ? 1 : -1;
  return (x->row > y->row) - (x->row < y->row);
}

/* Those of which the model was surest: a page of all of a large set's would be too large. */
static nb_status write_wrong(nb_jsonout *j, const nb_result *r) {
  enum { MOST = 500 };
  wrong_answer *w;
  size_t n = 0;
  NB_TRY(nb_new(&w, r->n, sizeof *w, "wrong answers", j->err));
  for (size_t i = 0; i < r->n; i++) {
    w[n].row = &r->row[i];
    nb_grade_answer(&r->row[i].item, &r->row[i].answer, r->protocol.ties_wrong, &w[n].grade);
    n += nb_grade_value(&w[n].grade, r->protocol.metric) < 0.5;
  }
  qsort(w, n, sizeof *w, by_confidence);
  nb_jsonout_u64(j, "wrong_in_all", n);
  nb_jsonout_open(j, "wrong", '[');
  for (size_t i = 0; i < n && i < MOST; i++) {
    open_question(j, &w[i].row->item);
    nb_jsonout_u64(j, "cand_pick", w[i].grade.pick);
    write_probs(j, "cand", w[i].row);
    if (r->texts) nb_item_write_texts(j, &w[i].row->item);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, ']');
  nb_free(w);
  return NB_OK;
}

static nb_status write_alone(nb_jsonout *j, const nb_result *r) {
  nb_summary s;
  NB_TRY(nb_summary_make(r, &s, j->err));
  nb_jsonout_open(j, "subjects", '[');
  for (size_t i = 0; i < s.n_subjects; i++) {
    const nb_scores *v = &s.subject[i].scores;
    open_subject(j, s.subject[i].name, s.subject[i].category, v->n);
    write_score(j, "cand", nb_scores_sum(v, r->protocol.metric) / (double)v->n, (double)v->n);
    nb_jsonout_close(j, '}');
  }
  nb_jsonout_close(j, ']');
  nb_summary_free(&s);
  if (r->protocol.score != NB_SCORE_GENERATE) return write_wrong(j, r);
  nb_report_written(j, r, NULL);
  return NB_OK;
}

/* ---- both ---- */

static nb_status write_judgement(const nb_judgement *g, const nb_judgement *others, size_t n, nb_text *out,
                                 nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  const nb_protocol *p = &g->run->protocol;
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_string(&j, "format", "nibble-comparison");
  nb_jsonout_u64(&j, "format_version", 1);
  write_gates(&j, g);
  nb_jsonout_string(&j, "task", p->task);
  nb_jsonout_string(&j, "preset", p->preset);
  nb_jsonout_u64(&j, "shots", p->shots);
  nb_jsonout_string(&j, "metric", nb_metric_name(p->metric));
  nb_jsonout_string(&j, "score", nb_score_words[p->score]);
  nb_jsonout_string(&j, "chat", nb_chat_words[p->chat]);
  nb_jsonout_string(&j, "system", p->system ? p->system : "");
  nb_jsonout_open(&j, "marks", '[');
  for (size_t i = 0; i < p->n_marks; i++) nb_jsonout_string(&j, NULL, p->marks[i]);
  nb_jsonout_close(&j, ']');
  if (g->against) NB_TRY(write_run(&j, "baseline", g->against->base, NULL));
  NB_TRY(write_run(&j, "candidate", g->run, g->against));
  nb_jsonout_open(&j, "others", '[');
  for (size_t i = 0; i < n; i++) NB_TRY(write_run(&j, NULL, others[i].run, others[i].against));
  nb_jsonout_close(&j, ']');
  if (g->against) write_comparison(&j, g->against);
  else NB_TRY(write_alone(&j, g->run));
  nb_jsonout_close(&j, '}');
  return j.st;
}

nb_status nb_report_json(const nb_judgement *j, size_t n, nb_text *out, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    if (i) NB_TRY(nb_text_append_str(out, ",\n", err));
    NB_TRY(write_judgement(&j[i], NULL, 0, out, err));
  }
  return nb_text_append_str(out, "\n", err);
}

nb_status nb_report_html(const nb_judgement *j, const nb_judgement *others, size_t n_others, nb_text *out,
                         nb_err *err) {
  nb_text json = {0};
  nb_status st = write_judgement(j, others, n_others, &json, err);
  if (st == NB_OK) st = nb_page_fill("report", json.s, json.n, out, err);
  nb_text_free(&json);
  return st;
}
