/* SPDX-License-Identifier: MIT */
#include "eval/bundle.h"

#include "formats/archive_write.h"
#include "eval/item.h"
#include "eval/written.h"

#include <stdio.h>

static void write_prediction(nb_jsonout *j, const nb_result *r, const nb_row *row) {
  double prob[NB_MAX_CHOICES];
  nb_grade g;
  size_t n = row->item.n_choices;
  nb_grade_answer(&row->item, &row->answer, r->protocol.ties_wrong, &g);
  if (!row->answer.written) nb_grade_choice_probs(row->answer.logprob, n, prob);
  j->comma = false;
  nb_jsonout_open(j, NULL, '{');
  nb_jsonout_string(j, "id", row->item.id);
  nb_jsonout_string(j, "subject", row->item.subject);
  if (row->answer.written) {
    nb_jsonout_fixed(j, "score", nb_grade_value(&g, r->protocol.metric), 6);
    nb_written_write(j, row->answer.written);
  } else {
    nb_jsonout_u64(j, "right", row->item.answer);
    nb_jsonout_u64(j, "pick", g.pick);
    nb_jsonout_fixed(j, "score", nb_grade_value(&g, r->protocol.metric), 6);
    nb_jsonout_open(j, "probabilities", '[');
    for (size_t c = 0; c < n; c++) nb_jsonout_fixed(j, NULL, prob[c], 6);
    nb_jsonout_close(j, ']');
  }
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

static nb_status put_number(const char *format, double v, nb_text *out, nb_err *err) {
  char text[400];
  snprintf(text, sizeof text, format, v);
  return nb_text_append_str(out, text, err);
}

static nb_status write_subjects(const nb_result *r, nb_text *out, nb_err *err) {
  nb_summary s;
  nb_status st;
  NB_TRY(nb_summary_make(r, &s, err));
  NB_GOTO(nb_text_append_str(out, "subject,category,questions", err));
  for (size_t k = 0; k < NB_MEANS; k++) {
    NB_GOTO(nb_text_append_str(out, ",", err));
    NB_GOTO(nb_text_append_str(out, nb_mean_names[k], err));
  }
  for (size_t i = 0; i < s.n_subjects; i++) {
    double mean[NB_MEANS];
    nb_scores_means(&s.subject[i].scores, r->protocol.metric, mean);
    NB_GOTO(nb_text_append_str(out, "\n", err));
    NB_GOTO(put_field(s.subject[i].name, out, err));
    NB_GOTO(put_field(s.subject[i].category, out, err));
    NB_GOTO(put_number("%.0f", (double)s.subject[i].scores.n, out, err));
    for (size_t k = 0; k < NB_MEANS; k++) NB_GOTO(put_number(",%.6f", mean[k], out, err));
  }
  NB_GOTO(nb_text_append_str(out, "\n", err));
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
