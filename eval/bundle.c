/* SPDX-License-Identifier: MIT */
#include "bundle.h"

#include "archive_write.h"
#include "item.h"
#include "stats.h"

#include <stdio.h>

static void write_prediction(nb_jsonout *j, const nb_result *r, const nb_row *row) {
  double prob[NB_MAX_CHOICES];
  nb_grade g;
  size_t n = row->item.n_choices;
  nb_grade_answer(&row->item, &row->answer, r->protocol.ties_wrong, &g);
  nb_choice_probs(row->answer.logprob, n, prob);
  j->comma = false;
  nb_jsonout_open(j, NULL, '{');
  nb_jsonout_string(j, "id", row->item.id);
  nb_jsonout_string(j, "subject", row->item.subject);
  nb_jsonout_u64(j, "right", row->item.answer);
  nb_jsonout_u64(j, "pick", g.pick);
  nb_jsonout_fixed(j, "score", nb_grade_value(&g, r->protocol.metric), 6);
  nb_jsonout_open(j, "probabilities", '[');
  for (size_t c = 0; c < n; c++) nb_jsonout_fixed(j, NULL, prob[c], 6);
  nb_jsonout_close(j, ']');
  if (r->texts) nb_item_write_texts(j, &row->item);
  nb_jsonout_close(j, '}');
}

static nb_status write_predictions(const nb_result *r, nb_text *out, nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  for (size_t i = 0; i < r->n; i++) {
    write_prediction(&j, r, &r->row[i]);
    NB_TRY(j.st);
    NB_TRY(nb_text_append_str(out, "\n", err));
  }
  return NB_OK;
}

/* A CSV field: in quotes, quotes in it doubled. */
static nb_status put_field(const char *s, nb_text *out, nb_err *err) {
  NB_TRY(nb_text_append_str(out, "\"", err));
  for (; *s; s++) NB_TRY(nb_text_append(out, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1, err));
  return nb_text_append_str(out, "\",", err);
}

static nb_status write_subjects(const nb_result *r, nb_text *out, nb_err *err) {
  nb_summary s;
  char line[200];
  nb_status st;
  NB_TRY(nb_summary_make(r, &s, err));
  NB_GOTO(nb_text_append_str(out, "subject,category,questions,score,low,high,acc,acc_norm,acc_bytes,mass,brier,ece\n",
                             err));
  for (size_t i = 0; i < s.n_subjects; i++) {
    const nb_scores *v = &s.subject[i].scores;
    double n = (double)v->n, score = nb_scores_sum(v, r->protocol.metric), low, high;
    nb_wilson(score, n, 0.95, &low, &high);
    NB_GOTO(put_field(s.subject[i].name, out, err));
    NB_GOTO(put_field(s.subject[i].category, out, err));
    snprintf(line, sizeof line, "%zu,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f\n", v->n, score / n, low, high,
             v->acc / n, v->acc_norm / n, v->acc_bytes / n, v->mass / n, v->brier / n, nb_scores_ece(v));
    NB_GOTO(nb_text_append_str(out, line, err));
  }
fail:
  nb_summary_free(&s);
  return st;
}

nb_status nb_bundle_save(const char *path, const nb_result *r, const nb_text *report, nb_err *err) {
  nb_text result = {0}, predictions = {0}, subjects = {0};
  nb_status st;
  NB_GOTO(nb_result_write(r, &result, err));
  NB_GOTO(write_predictions(r, &predictions, err));
  NB_GOTO(write_subjects(r, &subjects, err));
  const nb_archive_file file[] = {{"result.json", result.s, result.n},
                                  {"predictions.jsonl", predictions.s, predictions.n},
                                  {"subjects.csv", subjects.s, subjects.n},
                                  {"report.html", report ? report->s : NULL, report ? report->n : 0}};
  NB_GOTO(nb_archive_save(path, file, report ? 4 : 3, err));
fail:
  nb_text_free(&result), nb_text_free(&predictions), nb_text_free(&subjects);
  return st;
}
