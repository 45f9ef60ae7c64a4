/* SPDX-License-Identifier: MIT */
/* A comparison as JSON, and as the page that shows it. */
#include "report.h"

#include "item.h"
#include "page.h"

#include <math.h>

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

static nb_status write_run(nb_jsonout *j, const char *key, const nb_result *r) {
  nb_summary s;
  double low, high;
  NB_TRY(nb_summary_make(r, &s, j->err));
  double n = (double)s.total.n, k = nb_scores_sum(&s.total, r->protocol.metric);
  nb_wilson(k, n, 0.95, &low, &high);
  nb_jsonout_open(j, key, '{');
  nb_jsonout_string(j, "name", r->model.name);
  nb_jsonout_string(j, "weights_xxh3", r->model.hash);
  nb_jsonout_u64(j, "file_bytes", r->model.file_bytes);
  nb_jsonout_fixed(j, "bits_a_weight", r->model.bits, 4);
  nb_jsonout_u64(j, "n", s.total.n);
  nb_jsonout_fixed(j, "score", k / n, 6);
  nb_jsonout_fixed(j, "low", low, 6);
  nb_jsonout_fixed(j, "high", high, 6);
  nb_jsonout_fixed(j, "brier", s.total.brier / n, 6);
  nb_jsonout_fixed(j, "ece", nb_scores_ece(&s.total), 6);
  write_bins(j, "calibration", &s.total);
  if (r->has_measured) {
    const nb_measured *m = &r->measured;
    nb_jsonout_string(j, "cpu", m->cpu);
    nb_jsonout_u64(j, "threads", (uint64_t)m->threads);
    nb_jsonout_fixed(j, "seconds", m->seconds, 3);
    nb_jsonout_u64(j, "tokens", m->tokens);
    nb_jsonout_u64(j, "file_backed_bytes", m->memory.most.file_bytes);
    nb_jsonout_u64(j, "anonymous_bytes", m->memory.most.anon_bytes);
    nb_jsonout_u64(j, "kv_bytes", m->kv_bytes);
    nb_jsonout_u64(j, "session_bytes", m->session_bytes);
    nb_jsonout_u64(j, "peak_bytes", m->memory.most.peak_bytes);
    nb_jsonout_open(j, "memory_series", '[');
    for (size_t i = 0; i < m->memory.n_series; i++) {
      nb_jsonout_open(j, NULL, '[');
      nb_jsonout_u64(j, NULL, m->memory.series[i].done);
      nb_jsonout_u64(j, NULL, m->memory.series[i].file_bytes);
      nb_jsonout_u64(j, NULL, m->memory.series[i].anon_bytes);
      nb_jsonout_close(j, ']');
    }
    nb_jsonout_close(j, ']');
  }
  nb_jsonout_close(j, '}');
  nb_summary_free(&s);
  return NB_OK;
}

/* ---- the comparison ---- */

static void write_gates(nb_jsonout *j, const nb_gate_report *g) {
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

static void write_statistics(nb_jsonout *j, const nb_comparison *c) {
  const nb_noninferiority *t = &c->test;
  const struct { const char *key; double value; } number[] = {
      {"base_score", c->base_score}, {"cand_score", c->cand_score}, {"diff", c->diff}, {"low", c->low},
      {"high", c->high}, {"clustered_se", c->clustered.se}, {"clustered_low", c->clustered.low},
      {"clustered_high", c->clustered.high}, {"mcnemar_p", c->mcnemar_p}, {"z", t->z}, {"p_pass", t->p_pass},
      {"p_fail", t->p_fail}, {"questions_needed", t->needed}, {"questions_needed_as_observed", t->needed_observed},
      {"power", t->power}, {"kl_mean", c->kl.mean}, {"kl_low", c->kl.low}, {"kl_high", c->kl.high},
      {"kl_median", c->kl_median}, {"kl_p90", c->kl_p90}, {"kl_p99", c->kl_p99}, {"kl_max", c->kl_max},
      {"tv_mean", c->tv_mean}};
  nb_jsonout_open(j, "statistics", '{');
  nb_jsonout_u64(j, "n", c->n);
  nb_jsonout_u64(j, "base_only", c->n_base_only);
  nb_jsonout_u64(j, "cand_only", c->n_cand_only);
  nb_jsonout_u64(j, "gained", c->gained);
  nb_jsonout_u64(j, "lost", c->lost);
  nb_jsonout_u64(j, "same_pick", c->same_pick);
  nb_jsonout_bool(j, "same_checkpoint", c->same_checkpoint);
  nb_jsonout_bool(j, "sequential", c->sequential);
  for (size_t i = 0; i < sizeof number / sizeof *number; i++) nb_jsonout_double(j, number[i].key, number[i].value);
  nb_jsonout_close(j, '}');
}

static void write_subjects(nb_jsonout *j, const nb_comparison *c) {
  nb_jsonout_open(j, "subjects", '[');
  for (size_t i = 0; i < c->n_subjects; i++) {
    const nb_subject_change *s = &c->subject[i];
    double n = (double)s->n, low[2], high[2];
    nb_wilson(s->base * n, n, 0.95, &low[0], &high[0]);
    nb_wilson(s->cand * n, n, 0.95, &low[1], &high[1]);
    nb_jsonout_open(j, NULL, '{');
    nb_jsonout_string(j, "name", s->name);
    nb_jsonout_string(j, "category", s->category);
    nb_jsonout_u64(j, "n", s->n);
    nb_jsonout_fixed(j, "base", s->base, 6);
    nb_jsonout_fixed(j, "base_low", low[0], 6);
    nb_jsonout_fixed(j, "base_high", high[0], 6);
    nb_jsonout_fixed(j, "cand", s->cand, 6);
    nb_jsonout_fixed(j, "cand_low", low[1], 6);
    nb_jsonout_fixed(j, "cand_high", high[1], 6);
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
  nb_choice_probs(r->answer.logprob, r->item.n_choices, p);
  nb_jsonout_open(j, key, '[');
  for (size_t i = 0; i < r->item.n_choices; i++) nb_jsonout_fixed(j, NULL, p[i], 5);
  nb_jsonout_close(j, ']');
}

static void write_flips(nb_jsonout *j, const nb_comparison *c) {
  nb_jsonout_open(j, "flips", '[');
  for (size_t i = 0; i < c->n; i++) {
    const nb_pair *p = &c->pair[i];
    bool was = p->base_score >= 0.5, is = p->cand_score >= 0.5;
    if (was == is) continue;
    const nb_item *it = &p->base->item;
    const nb_item *text = c->base->texts ? &p->base->item : c->cand->texts ? &p->cand->item : NULL;
    nb_jsonout_open(j, NULL, '{');
    nb_jsonout_string(j, "id", it->id);
    nb_jsonout_string(j, "subject", it->subject);
    nb_jsonout_string(j, "flip", is ? "gained" : "lost");
    nb_jsonout_u64(j, "right", it->answer);
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

static nb_status write_all(const nb_comparison *c, const nb_gate_report *g, const nb_result *const *others, size_t n,
                           nb_text *out, nb_err *err) {
  nb_jsonout j = {.out = out, .err = err};
  const nb_protocol *p = &c->base->protocol;
  nb_jsonout_open(&j, NULL, '{');
  nb_jsonout_string(&j, "format", "nibble-comparison");
  nb_jsonout_u64(&j, "format_version", 1);
  write_gates(&j, g);
  nb_jsonout_string(&j, "task", p->task);
  nb_jsonout_string(&j, "preset", p->preset);
  nb_jsonout_u64(&j, "shots", p->shots);
  nb_jsonout_string(&j, "metric", nb_metric_name(p->metric));
  NB_TRY(write_run(&j, "baseline", c->base));
  NB_TRY(write_run(&j, "candidate", c->cand));
  nb_jsonout_open(&j, "others", '[');
  for (size_t i = 0; i < n; i++) NB_TRY(write_run(&j, NULL, others[i]));
  nb_jsonout_close(&j, ']');
  write_statistics(&j, c);
  write_subjects(&j, c);
  write_histogram(&j, c);
  write_flips(&j, c);
  nb_jsonout_close(&j, '}');
  return j.st;
}

nb_status nb_report_json(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err) {
  NB_TRY(write_all(c, g, NULL, 0, out, err));
  return nb_text_append_str(out, "\n", err);
}

/* ---- the page ---- */

nb_status nb_report_html(const nb_comparison *c, const nb_gate_report *g, const nb_result *const *others,
                         size_t n_others, nb_text *out, nb_err *err) {
  nb_text json = {0};
  nb_status st = write_all(c, g, others, n_others, &json, err);
  if (st == NB_OK) st = nb_page_fill("report", json.s, json.n, out, err);
  nb_text_free(&json);
  return st;
}
