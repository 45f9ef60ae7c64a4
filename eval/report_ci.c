/* SPDX-License-Identifier: MIT */
/* Reports for CI: Markdown, JUnit XML, GitHub annotations. */
#include "eval/report.h"

#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- writing ---- */

typedef struct writer {
  nb_text *out;
  nb_err *err;
  nb_status st; /* the first failure */
} writer;

static void print_ci(writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void print_ci(writer *w, const char *fmt, ...) {
  char buf[1024];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(buf, sizeof buf, fmt, ap);
  va_end(ap);
  if (n < 0) return;
  if ((size_t)n >= sizeof buf) n = sizeof buf - 1;
  if (w->st == NB_OK) w->st = nb_text_append(w->out, buf, (size_t)n, w->err);
}

/* Text in which the characters of `special` are replaced by what `with` says, one each; control characters become
 * blanks, and what is not UTF-8, or what XML cannot hold (U+FFFE, U+FFFF), becomes U+FFFD. */
static void put_escaped(writer *w, const char *s, const char *special, const char *const *with) {
  for (const char *end = s + strlen(s); s < end;) {
    uint32_t cp = 0;
    size_t bad = 1, n = nb_utf8_check(s, (size_t)(end - s), &cp, &bad);
    const char *hit = n == 1 ? strchr(special, *s) : NULL;
    if (hit) print_ci(w, "%s", with[hit - special]);
    else if (!n || cp == 0xfffe || cp == 0xffff) print_ci(w, "\xef\xbf\xbd");
    else if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) print_ci(w, " ");
    else print_ci(w, "%.*s", (int)n, s);
    s += n ? n : bad;
  }
}

static void put_xml(writer *w, const char *s) {
  static const char *const with[] = {"&amp;", "&lt;", "&gt;", "&quot;"};
  put_escaped(w, s, "&<>\"", with);
}

static void put_cell(writer *w, const char *s) {
  static const char *const with[] = {"\\|", "&lt;", "&amp;", "\\`", "\\*", "\\_", "\\["};
  put_escaped(w, s, "|<&`*_[", with);
}

/* ---- Markdown ---- */

/* One line of the list of subjects. */
typedef struct subject_line {
  const char *name;
  double key;                      /* the smallest first */
  const nb_subject_change *change; /* or */
  const nb_scores *scores;
} subject_line;

static int by_key(const void *a, const void *b) {
  const subject_line *x = a, *y = b;
  return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : strcmp(x->name, y->name);
}

static void put_subject(writer *w, const subject_line *l, nb_metric metric) {
  const nb_subject_change *s = l->change;
  double mean[NB_MEANS];
  print_ci(w, "| ");
  put_cell(w, l->name);
  if (s) {
    print_ci(w, " | %zu | %.2f | %.2f | %+.2f | %zu | %zu | %.3g | %.3g |\n", s->n, 100 * s->base, 100 * s->cand,
             100 * (s->cand - s->base), s->gained, s->lost, s->p, s->holm);
    return;
  }
  nb_scores_means(l->scores, metric, mean);
  print_ci(w, " | %zu | %.2f | %.2f to %.2f |\n", l->scores->n, 100 * mean[NB_MEAN_SCORE], 100 * mean[NB_MEAN_LOW],
           100 * mean[NB_MEAN_HIGH]);
}

static void put_subjects(writer *w, const nb_judgement *j, const nb_summary *sum) {
  enum { SHOWN = 10 };
  const nb_comparison *c = j->against;
  nb_metric metric = j->run->protocol.metric;
  size_t n = c ? c->n_subjects : sum->n_subjects;
  if (n < 2) return;
  subject_line *s = calloc(n, sizeof *s);
  if (!s) {
    w->st = nb_fail(w->err, NB_ERR_MEMORY, "out of memory: a report");
    return;
  }
  for (size_t i = 0; i < n; i++)
    if (c)
      s[i] = (subject_line){c->subject[i].name, -fabs(c->subject[i].cand - c->subject[i].base), &c->subject[i], NULL};
    else
      s[i] = (subject_line){sum->subject[i].name,
                            nb_scores_sum(&sum->subject[i].scores, metric) / (double)sum->subject[i].scores.n, NULL,
                            &sum->subject[i].scores};
  qsort(s, n, sizeof *s, by_key);
  if (c)
    print_ci(w,
             "\nSubjects that changed most (p: exact McNemar; Holm: adjusted for %zu subjects):\n\n"
             "| subject | questions | baseline | candidate | change | gained | lost | p | Holm |\n"
             "|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
             n);
  else
    print_ci(w,
             "\nSubjects with the lowest scores, of %zu:\n\n"
             "| subject | questions | %s | 95 %% interval |\n|---|--:|--:|--:|\n",
             n, nb_protocol_metric(&j->run->protocol));
  for (size_t i = 0; i < n && i < SHOWN; i++) put_subject(w, &s[i], metric);
  free(s);
}

/* A row of the table of facts: the baseline's value, where there is one, and the run's. */
static void put_fact(writer *w, const char *name, const char *format, const nb_comparison *c, double base, double run) {
  print_ci(w, "| %s | ", name);
  if (c) print_ci(w, format, base), print_ci(w, " | ");
  print_ci(w, format, run);
  print_ci(w, " |\n");
}

static void put_facts(writer *w, const nb_judgement *j) {
  const nb_comparison *c = j->against;
  const nb_result *r = j->run, *b = c ? c->base : r;
  double score = c ? c->cand_score : nb_result_score(r);
  print_ci(w, c ? "\n| | baseline | candidate |\n|---|--:|--:|\n" : "\n| | |\n|---|--:|\n");
  put_fact(w, nb_protocol_metric(&r->protocol), "%.2f %%", c, c ? 100 * c->base_score : 0, 100 * score);
  put_fact(w, "file", "%.2f MB", c, (double)b->model.file_bytes / 1e6, (double)r->model.file_bytes / 1e6);
  put_fact(w, "bits a weight", "%.2f", c, b->model.bits, r->model.bits);
  if (!b->has_measured || !r->has_measured) return;
  const nb_memory *m = &b->measured.memory.most, *k = &r->measured.memory.most;
  put_fact(w, "memory, own", "%.1f MB", c, (double)m->anon_bytes / 1e6, (double)k->anon_bytes / 1e6);
  put_fact(w, "memory, files", "%.1f MB", c, (double)m->file_bytes / 1e6, (double)k->file_bytes / 1e6);
}

/* " in both runs (N only in the baseline, N only in the candidate)", where there are some. */
static void put_unpaired(writer *w, const nb_comparison *c) {
  if (c->n_base_only || c->n_cand_only)
    print_ci(w, " in both runs (%zu only in the baseline, %zu only in the candidate)", c->n_base_only, c->n_cand_only);
}

static void put_markdown(writer *w, const nb_judgement *j, const nb_summary *sum) {
  static const char *const signs[] = {"PASS", "FAIL", "UNDECIDED"};
  const nb_comparison *c = j->against;
  const nb_protocol *p = &j->run->protocol;
  print_ci(w, "## nibble: %s\n\n", j->n ? signs[j->verdict] : "a run");
  put_cell(w, j->run->model.name);
  if (c) print_ci(w, " against "), put_cell(w, c->base->model.name);
  print_ci(w, ": ");
  put_cell(w, p->task);
  print_ci(w, "%s%s, %zu shots, %zu questions", *p->preset ? " " : "", p->preset, p->shots, c ? c->n : j->run->n);
  if (c) put_unpaired(w, c);
  print_ci(w, ".\n");
  if (j->n) print_ci(w, "\n| gate | verdict | |\n|---|---|---|\n");
  for (size_t i = 0; i < j->n; i++) {
    print_ci(w, "| %s | %s | ", j->gate[i].name, signs[j->gate[i].verdict]);
    put_cell(w, j->gate[i].text);
    print_ci(w, " |\n");
  }
  put_facts(w, j);
  if (c)
    print_ci(
        w,
        "\nFlips: %zu gained, %zu lost (exact McNemar p = %.3g). Same pick: %.2f %%. KL divergence of the answers: "
        "mean "
        "%.5f, 99 %% below %.4f. Total variation: mean %.4f.\n",
        c->gained, c->lost, c->mcnemar_p, 100 * (double)c->same_pick / (double)c->n, c->kl.mean, c->kl_p99, c->tv_mean);
  put_subjects(w, j, sum);
}

nb_status nb_report_markdown(const nb_judgement *j, size_t n, nb_text *out, nb_err *err) {
  writer w = {.out = out, .err = err};
  for (size_t i = 0; i < n; i++) {
    nb_summary sum;
    NB_TRY(nb_summary_make(j[i].run, &sum, err));
    if (i) print_ci(&w, "\n");
    put_markdown(&w, &j[i], &sum);
    nb_summary_free(&sum);
  }
  return w.st;
}

/* ---- JUnit ---- */

static void count(const nb_judgement *j, size_t n, size_t total[3]) {
  total[0] = total[1] = total[2] = 0;
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < j[i].n; k++) total[j[i].gate[k].verdict]++;
  total[0] += total[1] + total[2];
}

static void put_suite(writer *w, const nb_judgement *j) {
  size_t total[3];
  count(j, 1, total);
  if (j->not_run) {
    print_ci(w, "  <testsuite name=\"");
    put_xml(w, j->run->model.name);
    print_ci(w, "\" tests=\"1\" skipped=\"1\">\n    <testcase classname=\"nibble.");
    put_xml(w, j->run->protocol.task);
    print_ci(w, "\" name=\"run\">\n      <skipped message=\"");
    put_xml(w, j->not_run);
    print_ci(w, "\"/>\n    </testcase>\n  </testsuite>\n");
    return;
  }
  print_ci(w, "  <testsuite name=\"");
  put_xml(w, j->run->model.name);
  print_ci(w, "\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%.3f\">\n", total[0], total[NB_VERDICT_FAIL],
           total[NB_VERDICT_UNDECIDED], j->run->measured.seconds);
  for (size_t i = 0; i < j->n; i++) {
    const nb_gate_result *g = &j->gate[i];
    print_ci(w, "    <testcase classname=\"nibble.");
    put_xml(w, j->run->protocol.task);
    print_ci(w, "\" name=\"%s\">\n", g->name);
    if (g->verdict == NB_VERDICT_PASS) {
      print_ci(w, "      <system-out>");
      put_xml(w, g->text);
      print_ci(w, "</system-out>\n");
    } else {
      print_ci(w, "      <%s message=\"", g->verdict == NB_VERDICT_FAIL ? "failure" : "error");
      put_xml(w, g->text);
      print_ci(w, "\" type=\"%s\"/>\n", nb_verdict_name(g->verdict));
    }
    print_ci(w, "    </testcase>\n");
  }
  print_ci(w, "  </testsuite>\n");
}

nb_status nb_report_junit(const nb_judgement *j, size_t n, nb_text *out, nb_err *err) {
  writer w = {.out = out, .err = err};
  size_t total[3];
  count(j, n, total);
  print_ci(&w,
           "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"%zu\" failures=\"%zu\" errors=\"%zu\">\n",
           total[0], total[NB_VERDICT_FAIL], total[NB_VERDICT_UNDECIDED]);
  for (size_t i = 0; i < n; i++) put_suite(&w, &j[i]);
  print_ci(&w, "</testsuites>\n");
  return w.st;
}

/* ---- GitHub ---- */

static void put_command(writer *w, const char *s) {
  static const char *const with[] = {"%25"};
  put_escaped(w, s, "%", with);
}

static void put_annotations(writer *w, const nb_judgement *j) {
  const nb_comparison *c = j->against;
  const nb_result *r = j->run;
  for (size_t i = 0; i < j->n; i++) {
    const nb_gate_result *g = &j->gate[i];
    if (g->verdict == NB_VERDICT_PASS) continue;
    print_ci(w, "::%s title=nibble %s %s::", g->verdict == NB_VERDICT_FAIL ? "error" : "warning", g->name,
             nb_verdict_name(g->verdict));
    put_command(w, g->text);
    print_ci(w, "\n");
  }
  print_ci(w, "::notice title=nibble %s::", j->n ? nb_verdict_name(j->verdict) : "run");
  put_command(w, r->model.name);
  if (c)
    print_ci(w, ": %s %.2f %%25 to %.2f %%25 on %zu questions", nb_protocol_metric(&r->protocol), 100 * c->base_score,
             100 * c->cand_score, c->n);
  if (c) put_unpaired(w, c);
  if (c) print_ci(w, ", %zu gained, %zu lost, KL %.5f\n", c->gained, c->lost, c->kl.mean);
  else
    print_ci(w, ": %s %.2f %%25 on %zu questions\n", nb_protocol_metric(&r->protocol), 100 * nb_result_score(r), r->n);
}

nb_status nb_report_github(const nb_judgement *j, size_t n, nb_text *out, nb_err *err) {
  writer w = {.out = out, .err = err};
  for (size_t i = 0; i < n; i++) put_annotations(&w, &j[i]);
  return w.st;
}
