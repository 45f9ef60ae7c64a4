/* SPDX-License-Identifier: MIT */
/* Reports for CI: Markdown, JUnit XML, GitHub annotations. */
#include "report.h"

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

static void put(writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(writer *w, const char *fmt, ...) {
  char buf[1024];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(buf, sizeof buf, fmt, ap);
  va_end(ap);
  if (n < 0) return;
  if ((size_t)n >= sizeof buf) n = sizeof buf - 1;
  if (w->st == NB_OK) w->st = nb_text_append(w->out, buf, (size_t)n, w->err);
}

/* Text in which the characters of `special` are replaced by what `with` says, one each; control characters go. */
static void put_escaped(writer *w, const char *s, const char *special, const char *const *with) {
  for (; *s; s++) {
    const char *hit = strchr(special, *s);
    if (hit) put(w, "%s", with[hit - special]);
    else if ((unsigned char)*s >= 0x20) put(w, "%c", *s);
    else put(w, " ");
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

static const char *const signs[] = {"PASS", "FAIL", "UNDECIDED"};

/* ---- Markdown ---- */

static int by_change(const void *a, const void *b) {
  const nb_subject_change *x = *(const nb_subject_change *const *)a, *y = *(const nb_subject_change *const *)b;
  double dx = fabs(x->cand - x->base), dy = fabs(y->cand - y->base);
  return dx != dy ? (dx < dy) - (dx > dy) : strcmp(x->name, y->name);
}

static void put_subjects(writer *w, const nb_comparison *c) {
  enum { SHOWN = 10 };
  if (c->n_subjects < 2) return;
  const nb_subject_change **s = calloc(c->n_subjects, sizeof *s);
  if (!s) {
    w->st = nb_fail(w->err, NB_ERR_MEMORY, "out of memory: a report");
    return;
  }
  for (size_t i = 0; i < c->n_subjects; i++) s[i] = &c->subject[i];
  qsort(s, c->n_subjects, sizeof *s, by_change);
  put(w, "\nSubjects that changed most (p: exact McNemar; Holm: adjusted for %zu subjects):\n\n"
         "| subject | questions | baseline | candidate | change | gained | lost | p | Holm |\n"
         "|---|--:|--:|--:|--:|--:|--:|--:|--:|\n", c->n_subjects);
  for (size_t i = 0; i < c->n_subjects && i < SHOWN; i++) {
    put(w, "| ");
    put_cell(w, s[i]->name);
    put(w, " | %zu | %.2f | %.2f | %+.2f | %zu | %zu | %.3g | %.3g |\n", s[i]->n, 100 * s[i]->base, 100 * s[i]->cand,
        100 * (s[i]->cand - s[i]->base), s[i]->gained, s[i]->lost, s[i]->p, s[i]->holm);
  }
  free(s);
}

nb_status nb_report_markdown(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err) {
  writer w = {.out = out, .err = err};
  const nb_protocol *p = &c->base->protocol;
  put(&w, "## nibble: %s\n\n", signs[g->verdict]);
  put_cell(&w, c->cand->model.name);
  put(&w, " against ");
  put_cell(&w, c->base->model.name);
  put(&w, ": ");
  put_cell(&w, p->task);
  put(&w, "%s%s, %zu shots, %zu questions.\n\n| gate | verdict | |\n|---|---|---|\n", *p->preset ? " " : "", p->preset,
      p->shots, c->n);
  for (size_t i = 0; i < g->n; i++) {
    put(&w, "| %s | %s | ", g->gate[i].name, signs[g->gate[i].verdict]);
    put_cell(&w, g->gate[i].text);
    put(&w, " |\n");
  }
  put(&w, "\n| | baseline | candidate |\n|---|--:|--:|\n| %s | %.2f %% | %.2f %% |\n", nb_metric_name(p->metric),
      100 * c->base_score, 100 * c->cand_score);
  put(&w, "| file | %.2f MB | %.2f MB |\n| bits a weight | %.2f | %.2f |\n", (double)c->base->model.file_bytes / 1e6,
      (double)c->cand->model.file_bytes / 1e6, c->base->model.bits, c->cand->model.bits);
  if (c->base->has_measured && c->cand->has_measured)
    put(&w, "| memory, own | %.1f MB | %.1f MB |\n| memory, files | %.1f MB | %.1f MB |\n",
        (double)c->base->measured.memory.most.anon_bytes / 1e6, (double)c->cand->measured.memory.most.anon_bytes / 1e6,
        (double)c->base->measured.memory.most.file_bytes / 1e6, (double)c->cand->measured.memory.most.file_bytes / 1e6);
  put(&w,
      "\nFlips: %zu gained, %zu lost (exact McNemar p = %.3g). Same pick: %.2f %%. KL divergence of the answers: mean "
      "%.5f, 99 %% below %.4f. Total variation: mean %.4f.\n",
      c->gained, c->lost, c->mcnemar_p, 100 * (double)c->same_pick / (double)c->n, c->kl.mean, c->kl_p99, c->tv_mean);
  put_subjects(&w, c);
  return w.st;
}

/* ---- JUnit ---- */

nb_status nb_report_junit(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err) {
  writer w = {.out = out, .err = err};
  size_t failures = 0, errors = 0;
  for (size_t i = 0; i < g->n; i++)
    failures += g->gate[i].verdict == NB_VERDICT_FAIL, errors += g->gate[i].verdict == NB_VERDICT_UNDECIDED;
  put(&w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"%zu\" failures=\"%zu\" errors=\"%zu\">\n",
      g->n, failures, errors);
  put(&w, "  <testsuite name=\"nibble compare\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" time=\"%.3f\">\n", g->n,
      failures, errors, c->cand->measured.seconds);
  for (size_t i = 0; i < g->n; i++) {
    const nb_gate_result *r = &g->gate[i];
    put(&w, "    <testcase classname=\"nibble.");
    put_xml(&w, c->base->protocol.task);
    put(&w, "\" name=\"%s\">\n", r->name);
    if (r->verdict == NB_VERDICT_PASS) {
      put(&w, "      <system-out>");
      put_xml(&w, r->text);
      put(&w, "</system-out>\n");
    } else {
      const char *tag = r->verdict == NB_VERDICT_FAIL ? "failure" : "error";
      put(&w, "      <%s message=\"", tag);
      put_xml(&w, r->text);
      put(&w, "\" type=\"%s\"/>\n", nb_verdict_name(r->verdict));
    }
    put(&w, "    </testcase>\n");
  }
  put(&w, "  </testsuite>\n</testsuites>\n");
  return w.st;
}

/* ---- GitHub ---- */

static void put_command(writer *w, const char *s) {
  static const char *const with[] = {"%25"};
  put_escaped(w, s, "%", with);
}

nb_status nb_report_github(const nb_comparison *c, const nb_gate_report *g, nb_text *out, nb_err *err) {
  writer w = {.out = out, .err = err};
  for (size_t i = 0; i < g->n; i++) {
    const nb_gate_result *r = &g->gate[i];
    if (r->verdict == NB_VERDICT_PASS) continue;
    put(&w, "::%s title=nibble %s %s::", r->verdict == NB_VERDICT_FAIL ? "error" : "warning", r->name,
        nb_verdict_name(r->verdict));
    put_command(&w, r->text);
    put(&w, "\n");
  }
  put(&w, "::notice title=nibble %s::%s %.2f %%25 to %.2f %%25 on %zu questions, %zu gained, %zu lost, KL %.5f\n",
      nb_verdict_name(g->verdict), nb_metric_name(c->base->protocol.metric), 100 * c->base_score, 100 * c->cand_score,
      c->n, c->gained, c->lost, c->kl.mean);
  return w.st;
}
