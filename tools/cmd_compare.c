/* SPDX-License-Identifier: MIT */
/* nibble compare: a candidate's run against a baseline's. */
#include "commands.h"
#include "judge.h"
#include "report_text.h"

#include <math.h>
#include <string.h>

enum { MAX_ALSO = 32 };

typedef struct options {
  judge_limits limits;
  const char *junit, *summary, *html;
  cli_list also;
  double min_accuracy, alpha;
  uint64_t max_memory, max_total, seed;
  int reps;
  bool github, common, any_model;
} options;

static nb_status gather_gates(const options *o, nb_gates *g, nb_err *err) {
  NB_TRY(judge_gates(&o->limits, g, err));
  if (o->min_accuracy >= 0) g->min_accuracy = o->min_accuracy;
  if (o->alpha > 0) g->alpha = o->alpha;
  if (o->max_memory) g->max_memory = o->max_memory;
  if (o->max_total) g->max_total_memory = o->max_total;
  return NB_OK;
}

static nb_status print(judge_writer write, const nb_comparison *c, const nb_gate_report *g, nb_err *err) {
  nb_text text = {0};
  nb_status st = write(c, g, &text, err);
  if (st == NB_OK) fwrite(text.s, 1, text.n, stdout);
  nb_text_free(&text);
  return st;
}

static nb_status save_html(const options *o, const nb_comparison *c, const nb_gate_report *g, nb_err *err) {
  nb_result also[MAX_ALSO] = {{.n = 0}};
  const nb_result *others[MAX_ALSO];
  nb_status st = NB_OK;
  for (size_t i = 0; i < o->also.n; i++) {
    NB_GOTO(nb_result_load(o->also.items[i], &also[i], err));
    others[i] = &also[i];
  }
  NB_GOTO(judge_save_html(o->html, c, g, others, o->also.n, err));
fail:
  for (size_t i = 0; i < o->also.n; i++) nb_result_free(&also[i]);
  return st;
}

static nb_status compare(const options *o, bool json, const char *base_path, const char *cand_path, nb_verdict *verdict,
                         nb_err *err) {
  nb_result base = {.n = 0}, cand = {.n = 0};
  nb_comparison c = {.n = 0};
  nb_gates g;
  nb_gate_report report;
  nb_status st;
  NB_GOTO(gather_gates(o, &g, err));
  NB_GOTO(nb_result_load(base_path, &base, err));
  NB_GOTO(nb_result_load(cand_path, &cand, err));
  nb_compare_opts co = {.alpha = g.alpha, .margin = isnan(g.margin) ? 0.01 : g.margin / 100, .common = o->common,
                        .any_model = o->any_model, .reps = (size_t)o->reps, .seed = o->seed};
  NB_GOTO(nb_compare(&base, &cand, &co, &c, err));
  nb_gates_judge(&g, &c, &report);
  NB_GOTO(judge_save(o->junit, nb_report_junit, &c, &report, err));
  NB_GOTO(judge_save(o->summary, nb_report_markdown, &c, &report, err));
  NB_GOTO(save_html(o, &c, &report, err));
  if (json) NB_GOTO(print(nb_report_json, &c, &report, err));
  else if (o->github) NB_GOTO(print(nb_report_github, &c, &report, err));
  else report_comparison(&c, &g, &report, stdout);
  *verdict = report.verdict;
fail:
  nb_comparison_free(&c);
  nb_result_free(&base), nb_result_free(&cand);
  return st;
}

int cmd_compare(int argc, char **argv) {
  options o = {.limits = JUDGE_NO_LIMITS, .min_accuracy = -1, .alpha = -1, .reps = 10000, .seed = 1};
  const cli_opt opts[] = {
      JUDGE_OPTIONS(o.limits),
      CLI_DOUBLE("min-accuracy", 0, "PERCENT", 0, 100, &o.min_accuracy, "the candidate's lowest score"),
      CLI_BYTES("max-memory", 0, "BYTES", &o.max_memory, "the candidate's memory of its own"),
      CLI_BYTES("max-total-memory", 0, "BYTES", &o.max_total, "the candidate's memory with files' pages"),
      CLI_DOUBLE("alpha", 0, "P", 1e-6, 0.4, &o.alpha, "chance of a wrong pass, or a wrong fail (0.05)"),
      CLI_FLAG("common", 0, &o.common, "compare the questions that both runs have"),
      CLI_FLAG("any-model", 0, &o.any_model, "compare models of different checkpoints"),
      CLI_INT("resamples", 0, "N", 100, 1e6, &o.reps, "of the bootstrap (10000)"),
      CLI_U64("seed", 0, "N", &o.seed, "of the bootstrap (1)"),
      CLI_STRING("html", 0, "FILE", &o.html, "write a report for the browser, one file"),
      CLI_LIST("also", 0, "RUN", &o.also, "another run for the report's chart of size against score"),
      CLI_STRING("junit", 0, "FILE", &o.junit, "write JUnit XML, a test a gate"),
      CLI_STRING("summary", 0, "FILE", &o.summary, "write a Markdown summary ($GITHUB_STEP_SUMMARY)"),
      CLI_FLAG("github", 0, &o.github, "print GitHub Actions annotations instead of text"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "compare",
      .args = "BASE CAND",
      .opts = opts,
      .common = CLI_JSON,
      .about =
          "Judges a candidate's result file (`nibble eval --out`) against a baseline's, question by question.\n"
          "Exit status: 0 pass, 3 fail, 4 undecided (too few questions to tell), 1 or 2 when they cannot be compared.",
      .min_args = 2,
      .max_args = 2};
  cli_common common;
  cli_args args;
  nb_err err;
  nb_verdict verdict = NB_VERDICT_PASS;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.also.n > MAX_ALSO) return cli_usage(&cmd, "--also: at most %d runs", MAX_ALSO);
  nb_status st = compare(&o, common.json, args.items[0], args.items[1], &verdict, &err);
  if (st != NB_OK) return cli_fail(st, &err);
  return judge_exit(verdict);
}
