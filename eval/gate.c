/* SPDX-License-Identifier: MIT */
#include "eval/gate.h"

#include "formats/json.h"
#include "formats/mapfile.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

nb_gates nb_gates_default(void) {
  return (nb_gates){.margin = 1, .max_drop = NAN, .max_kld = NAN, .min_accuracy = NAN, .min_paired = 90, .alpha = 0.05};
}

/* ---- reading ---- */

static nb_status in_range(const char *file, const char *key, double v, double low, double high, nb_err *err) {
  if (isnan(v) || (v >= low && v <= high)) return NB_OK;
  return nb_fail(err, NB_ERR_FORMAT, "%s: \"%s\" is %g; want %g to %g", file, key, v, low, high);
}

double nb_gates_margin(const nb_gates *g) { return isnan(g->margin) ? 0.01 : g->margin / 100; }

nb_status nb_gates_parse(const char *json, size_t n, const char *file, nb_gates *out, nb_err *err) {
  cJSON *root;
  nb_status st = NB_OK;
  double memory = (double)out->max_memory, total = (double)out->max_total_memory;
  const struct {
    const char *key;
    double *to, low, high;
  } known[] = {{"margin", &out->margin, 0, 99},          {"max_drop", &out->max_drop, 0, 100},
               {"max_kld", &out->max_kld, 0, 1e6},       {"min_accuracy", &out->min_accuracy, 0, 100},
               {"min_paired", &out->min_paired, 0, 100}, {"alpha", &out->alpha, 1e-6, 0.4},
               {"max_memory", &memory, 1, 1e15},         {"max_total_memory", &total, 1, 1e15}};
  enum { KNOWN = sizeof known / sizeof *known };
  NB_TRY(nb_json_parse(json, n, file, &root, err));
  if (!cJSON_IsObject(root)) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: want an object", file));
  for (const cJSON *m = root->child; m; m = m->next) {
    size_t k = 0;
    while (k < KNOWN && strcmp(known[k].key, m->string)) k++;
    if (k == KNOWN) NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: unknown key \"%s\"", file, m->string));
    NB_GOTO(nb_json_as_f64(m, file, m->string, known[k].to, err));
    NB_GOTO(in_range(file, m->string, *known[k].to, known[k].low, known[k].high, err));
  }
  out->max_memory = (uint64_t)memory, out->max_total_memory = (uint64_t)total;
fail:
  cJSON_Delete(root);
  return st;
}

nb_status nb_gates_load(const char *path, nb_gates *out, nb_err *err) {
  char *bytes;
  size_t n;
  NB_TRY(nb_mapfile_read(path, 1 << 20, &bytes, &n, err));
  nb_status st = nb_gates_parse(bytes, n, path, out, err);
  free(bytes);
  return st;
}

/* ---- judging ---- */

static void add(nb_judgement *r, const char *name, nb_verdict v, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void add(nb_judgement *r, const char *name, nb_verdict v, const char *fmt, ...) {
  nb_gate_result *g = &r->gate[r->n++];
  va_list ap;
  g->name = name, g->verdict = v;
  va_start(ap, fmt);
  vsnprintf(g->text, sizeof g->text, fmt, ap);
  va_end(ap);
  if (v == NB_VERDICT_FAIL || r->verdict == NB_VERDICT_PASS) r->verdict = v;
}

/* For points computed from counts: 29 of 100 are 29 points, which 100 * 0.29 is not. */
static nb_verdict at_most(double have, double limit) {
  return have <= limit + 1e-9 ? NB_VERDICT_PASS : NB_VERDICT_FAIL;
}

static void judge_margin(const nb_gates *g, const nb_comparison *c, nb_judgement *r) {
  const nb_noninferiority *t = &c->test;
  char range[120], enough[80] = "no number would if there is no true drop";
  const char *what = "";
  snprintf(range, sizeof range, "change %+.2f points, %g %% interval %+.2f to %+.2f", 100 * c->diff,
           100 * (1 - 2 * g->alpha), 100 * c->low, 100 * c->high);
  if (t->verdict == NB_VERDICT_PASS) what = "the drop is shown to be below";
  if (t->verdict == NB_VERDICT_FAIL) what = "the drop is shown to be above";
  const char *how = c->sequential ? "; by the sequential test" : "";
  if (isfinite(t->needed)) snprintf(enough, sizeof enough, "about %.0f would if there is no true drop", t->needed);
  if (t->verdict != NB_VERDICT_UNDECIDED)
    add(r, "margin", t->verdict, "%s %g points (%s%s)", what, g->margin, range, how);
  else
    add(r, "margin", t->verdict, "%zu questions do not show on which side of %g points the drop is (%s%s); %s", c->n,
        g->margin, range, how, enough);
}

static void judge_kld(const nb_gates *g, const nb_comparison *c, nb_judgement *r) {
  if (c->base->protocol.score == NB_SCORE_GENERATE) {
    add(r, "max_kld", NB_VERDICT_UNDECIDED, "written answers have no distribution; a task of choices has one");
    return;
  }
  nb_verdict v = c->kl.high <= g->max_kld ? NB_VERDICT_PASS
                 : c->kl.low > g->max_kld ? NB_VERDICT_FAIL
                                          : NB_VERDICT_UNDECIDED;
  add(r, "max_kld", v, "mean KL divergence of the answers %.5f (%g %% interval %.5f to %.5f), limit %g", c->kl.mean,
      100 * (1 - 2 * g->alpha), c->kl.low, c->kl.high, g->max_kld);
}

static void judge_memory(const char *name, const char *what, uint64_t have, uint64_t limit, bool measured,
                         nb_judgement *r) {
  if (!measured || !have) add(r, name, NB_VERDICT_UNDECIDED, "the run says nothing about memory");
  else
    add(r, name, have <= limit ? NB_VERDICT_PASS : NB_VERDICT_FAIL, "%s %.1f MB, limit %.1f MB", what,
        (double)have / 1e6, (double)limit / 1e6);
}

/* A part of the questions, which someone chose, shows nothing about all of them: whatever was said is taken back. */
static void judge_paired(const nb_gates *g, const nb_comparison *c, nb_judgement *r) {
  if (!c->n_base_only && !c->n_cand_only) return;
  bool enough = 100 * c->paired >= g->min_paired - 1e-9;
  for (size_t i = 0; i < r->n && !enough; i++) {
    char text[NB_GATE_TEXT];
    snprintf(text, sizeof text, "%s", r->gate[i].text);
    snprintf(r->gate[i].text, NB_GATE_TEXT, "of the questions in both runs: %.*s", NB_GATE_TEXT - 40, text);
    r->gate[i].verdict = r->verdict = NB_VERDICT_UNDECIDED;
  }
  add(r, "min_paired", enough ? NB_VERDICT_PASS : NB_VERDICT_UNDECIDED,
      "%zu questions are in both runs, %zu only in the baseline, %zu only in the candidate: %.1f %%, at least %g asked "
      "for",
      c->n, c->n_base_only, c->n_cand_only, 100 * c->paired, g->min_paired);
}

static void judge_change(const nb_gates *g, const nb_comparison *c, nb_judgement *r) {
  if (!isnan(g->margin)) judge_margin(g, c, r);
  if (!isnan(g->max_drop))
    add(r, "max_drop", at_most(-100 * c->diff, g->max_drop), "observed drop %.2f points, limit %g", 0 - 100 * c->diff,
        g->max_drop);
  if (!isnan(g->max_kld)) judge_kld(g, c, r);
  judge_paired(g, c, r);
}

void nb_gates_judge(const nb_gates *g, const nb_result *run, const nb_comparison *c, nb_judgement *out) {
  *out = (nb_judgement){.run = run, .against = c, .verdict = NB_VERDICT_PASS};
  if (c) judge_change(g, c, out);
  if (!isnan(g->min_accuracy)) {
    double score = 100 * (c && !c->n_cand_only ? c->cand_score : nb_result_score(run));
    add(out, "min_accuracy", at_most(g->min_accuracy, score), "%s %.2f %%, at least %g asked for",
        nb_protocol_metric(&run->protocol), score, g->min_accuracy);
  }
  const nb_memory *m = &run->measured.memory.most;
  if (g->max_memory)
    judge_memory("max_memory", "memory of the process's own", m->anon_bytes, g->max_memory, run->has_measured, out);
  if (g->max_total_memory)
    judge_memory("max_total_memory", "memory with files' pages", m->peak_bytes, g->max_total_memory, run->has_measured,
                 out);
}
