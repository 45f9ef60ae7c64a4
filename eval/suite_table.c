/* SPDX-License-Identifier: MIT */
#include "eval/suite_table.h"

#include "eval/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void nb_suite_line_cell(const nb_suite_line *l, nb_suite_cell *out) {
  const nb_result *r = l->result;
  nb_scores scores = {.n = 0};
  double mean[NB_MEANS];
  for (size_t i = 0; i < r->n; i++) {
    nb_grade g;
    nb_grade_answer(&r->row[i].item, &r->row[i].answer, r->protocol.ties_wrong, &g);
    nb_scores_add(&scores, &g);
  }
  nb_scores_means(&scores, r->protocol.metric, mean);
  *out = (nb_suite_cell){.questions = r->n,
                         .score = 100 * mean[NB_MEAN_SCORE],
                         .low = 100 * mean[NB_MEAN_LOW],
                         .high = 100 * mean[NB_MEAN_HIGH]};
  const char *from = r->protocol.examples ? r->protocol.examples : "";
  snprintf(out->shots, sizeof out->shots, *from ? "%zu (%.16s)" : "%zu", r->protocol.shots, from);
}

size_t nb_suite_table_mean(const nb_suite_table *t, double *mean) {
  size_t n = 0;
  *mean = 0;
  for (size_t i = 0; i < t->n; i++)
    if (t->line[i].result) *mean += 100 * nb_result_score(t->line[i].result), n++;
  if (n) *mean /= (double)n;
  return n;
}

double nb_suite_table_published_mean(const nb_suite_table *t, size_t model) {
  size_t n = 0;
  double sum = 0;
  for (size_t i = 0; i < t->n; i++)
    if (t->line[i].result) sum += nb_suite_published(t->suite, t->line[i].row, model, NULL), n++;
  return n ? sum / (double)n : NAN;
}

/* ---- Markdown ---- */

typedef struct writer {
  nb_text *out;
  nb_err *err;
  nb_status st;
} writer;

static void put(writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(writer *w, const char *fmt, ...) {
  char buf[1024];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(buf, sizeof buf, fmt, ap);
  va_end(ap);
  if (n < 0 || w->st != NB_OK) return;
  w->st = nb_text_append(w->out, buf, nb_min((size_t)n, sizeof buf - 1), w->err);
}

/* A cell's text: what would end it, or be markup, is escaped; control characters are blanks. */
static void put_cell(writer *w, const char *s) {
  for (; *s; s++)
    if (strchr("|<&`*_[\\", *s)) put(w, "\\%c", *s);
    else if ((unsigned char)*s < 0x20 || *s == 0x7f) put(w, " ");
    else put(w, "%c", *s);
}

static void put_number(writer *w, double x) {
  if (isnan(x)) put(w, " |");
  else put(w, " %.1f |", x);
}

static void put_line(writer *w, const nb_suite_table *t, const nb_suite_line *l) {
  nb_suite_cell c;
  put(w, "| ");
  put_cell(w, l->row->name);
  if (l->result) {
    nb_suite_line_cell(l, &c);
    put(w, " | %s | %zu | **%.1f** | %.1f to %.1f |", c.shots, c.questions, c.score, c.low, c.high);
  } else {
    put(w, " | | not run | | |");
  }
  for (size_t m = 0; m < nb_suite_n_published(t->suite); m++) {
    double x = nb_suite_published(t->suite, l->row, m, NULL);
    if (nb_suite_unconfirmed(t->suite, l->row, m)) put(w, " %.1f? |", x);
    else put_number(w, x);
  }
  put(w, "\n");
}

nb_status nb_suite_table_markdown(const nb_suite_table *t, nb_text *out, nb_err *err) {
  writer w = {.out = out, .err = err};
  size_t n_models = nb_suite_n_published(t->suite);
  double mean;
  size_t run = nb_suite_table_mean(t, &mean);
  put(&w, "## nibble: ");
  put_cell(&w, t->suite->name);
  put(&w, "\n\n");
  put_cell(&w, t->model->name);
  put(&w, ": %zu of %zu rows run.\n\n| set | shots | questions | score | 95 %% interval |", run, t->n);
  for (size_t m = 0; m < n_models; m++)
    put(&w, " "), put_cell(&w, nb_suite_published_model(t->suite, m)), put(&w, " |");
  put(&w, "\n|---|--:|--:|--:|--:|");
  for (size_t m = 0; m < n_models; m++) put(&w, "--:|");
  put(&w, "\n");
  for (size_t i = 0; i < t->n; i++) put_line(&w, t, &t->line[i]);
  if (run) {
    put(&w, "| mean of the rows run | | | %.1f | |", mean);
    for (size_t m = 0; m < n_models; m++) put_number(&w, nb_suite_table_published_mean(t, m));
    put(&w, "\n");
  }
  if (n_models) put(&w, "\n" NB_SUITE_PUBLISHED_NOTE "\n");
  for (size_t i = 0; i < t->n; i++)
    if (!t->line[i].result) {
      put(&w, "\nNot run: ");
      put_cell(&w, t->line[i].row->name), put(&w, ": "), put_cell(&w, t->line[i].why), put(&w, "\n");
    }
  return w.st;
}

/* ---- JSON ---- */

static void write_line(nb_jsonout *j, const nb_suite_table *t, const nb_suite_line *l) {
  nb_suite_cell c;
  size_t shots = 0, n_models = nb_suite_n_published(t->suite);
  nb_jsonout_open(j, NULL, '{');
  j->lines = false;
  nb_jsonout_string(j, "name", l->row->name);
  nb_jsonout_string(j, "id", l->row->id);
  if (l->result) {
    nb_suite_line_cell(l, &c);
    nb_jsonout_string(j, "task", l->result->protocol.task);
    nb_jsonout_string(j, "metric", nb_protocol_metric(&l->result->protocol));
    nb_jsonout_u64(j, "shots", l->result->protocol.shots);
    nb_jsonout_string(j, "examples", l->result->protocol.examples);
    nb_jsonout_u64(j, "questions", c.questions);
    nb_jsonout_fixed(j, "score", c.score, 4);
    nb_jsonout_fixed(j, "low", c.low, 4);
    nb_jsonout_fixed(j, "high", c.high, 4);
  } else {
    nb_jsonout_string(j, "not_run", l->why);
  }
  if (l->judged && l->judged->n) nb_jsonout_string(j, "verdict", nb_verdict_name(l->judged->verdict));
  if (n_models) {
    nb_jsonout_open(j, "published", '[');
    for (size_t m = 0; m < n_models; m++) nb_jsonout_f64(j, NULL, nb_suite_published(t->suite, l->row, m, &shots));
    nb_jsonout_close(j, ']');
    nb_jsonout_u64(j, "published_shots", shots);
    nb_jsonout_open(j, "published_unconfirmed", '[');
    for (size_t m = 0; m < n_models; m++)
      if (nb_suite_unconfirmed(t->suite, l->row, m)) nb_jsonout_string(j, NULL, nb_suite_published_model(t->suite, m));
    nb_jsonout_close(j, ']');
  }
  nb_jsonout_close(j, '}');
  j->lines = true;
}

nb_status nb_suite_table_json(const nb_suite_table *t, nb_text *out, nb_err *err) {
  double mean;
  size_t run = nb_suite_table_mean(t, &mean), n_models = nb_suite_n_published(t->suite);
  nb_jsonout j = {.out = out, .err = err};
  nb_jsonout_open(&j, NULL, '{');
  j.lines = true;
  nb_jsonout_string(&j, "format", "nibble-suite");
  nb_jsonout_u64(&j, "version", 1);
  nb_jsonout_string(&j, "suite", t->suite->name);
  nb_jsonout_string(&j, "about", t->suite->about);
  nb_jsonout_string(&j, "source", t->suite->source);
  nb_result_write_model(&j, t->model);
  nb_jsonout_u64(&j, "run", run);
  nb_jsonout_u64(&j, "not_run", t->n - run);
  if (run) nb_jsonout_fixed(&j, "mean", mean, 4);
  nb_jsonout_open(&j, "published_models", '[');
  j.lines = false;
  for (size_t m = 0; m < n_models; m++) nb_jsonout_string(&j, NULL, nb_suite_published_model(t->suite, m));
  nb_jsonout_close(&j, ']');
  j.lines = true;
  nb_jsonout_open(&j, "rows", '[');
  for (size_t i = 0; i < t->n; i++) write_line(&j, t, &t->line[i]);
  nb_jsonout_close(&j, ']');
  nb_jsonout_close(&j, '}');
  if (j.st == NB_OK) j.st = nb_text_append_str(out, "\n", err);
  return j.st;
}

nb_status nb_suite_table_html(const nb_suite_table *t, nb_text *out, nb_err *err) {
  nb_text json = {0};
  nb_status st = nb_suite_table_json(t, &json, err);
  if (st == NB_OK) st = nb_page_fill("suite", json.s, json.n, out, err);
  nb_text_free(&json);
  return st;
}
