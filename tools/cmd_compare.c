/* SPDX-License-Identifier: MIT */
/* nibble compare: a candidate's run against a baseline's. */
#include "tools/commands.h"
#include "tools/judge.h"

#include <math.h>

enum { MAX_ALSO = 32 };

typedef struct options {
  judge_options judge;
  cli_list also;
  uint64_t seed;
  int reps;
  bool common, any_model;
} options;

static nb_status save_html(const options *o, const nb_judgement *j, nb_err *err) {
  nb_result also[MAX_ALSO] = {{.n = 0}};
  const nb_result *others[MAX_ALSO];
  nb_status st = NB_OK;
  for (size_t i = 0; i < o->also.n; i++) {
    NB_GOTO(nb_result_load(o->also.items[i], &also[i], err));
    others[i] = &also[i];
  }
  NB_GOTO(judge_save_html(&o->judge, j, others, o->also.n, err));
fail:
  for (size_t i = 0; i < o->also.n; i++) nb_result_free(&also[i]);
  return st;
}

static nb_status print_json(const nb_judgement *j, nb_err *err) {
  nb_text text = {0};
  nb_status st = nb_report_json(j, 1, &text, err);
  if (st == NB_OK) fwrite(text.s, 1, text.n, stdout);
  nb_text_free(&text);
  return st;
}

static nb_status compare(const options *o, bool json, const char *base_path, const char *cand_path, int *code,
                         nb_err *err) {
  nb_result base = {.n = 0}, cand = {.n = 0};
  nb_comparison c = {.n = 0};
  nb_gates g;
  nb_judgement j;
  nb_status st;
  NB_GOTO(judge_gates(&o->judge, &g, err));
  NB_GOTO(nb_result_load(base_path, &base, err));
  NB_GOTO(nb_result_load(cand_path, &cand, err));
  nb_compare_opts co = {.alpha = g.alpha,
                        .margin = isnan(g.margin) ? 0.01 : g.margin / 100,
                        .common = o->common,
                        .any_model = o->any_model,
                        .reps = (size_t)o->reps,
                        .seed = o->seed};
  NB_GOTO(nb_compare(&base, &cand, &co, &c, err));
  nb_gates_judge(&g, &cand, &c, &j);
  NB_GOTO(judge_save(&o->judge, &j, 1, err));
  NB_GOTO(save_html(o, &j, err));
  NB_GOTO(json ? print_json(&j, err) : judge_print(&o->judge, &g, &j, 1, err));
  *code = judge_exit(&j, 1);
fail:
  nb_comparison_free(&c);
  nb_result_free(&base), nb_result_free(&cand);
  return st;
}

int cmd_compare(int argc, char **argv) {
  options o = {.judge = JUDGE_NOTHING, .reps = 10000, .seed = 1};
  const cli_opt opts[] = {
      JUDGE_OPTIONS(o.judge),
      CLI_FLAG("common", 0, &o.common, "compare the questions that both runs have"),
      CLI_FLAG("any-model", 0, &o.any_model, "compare models of different checkpoints"),
      CLI_INT("resamples", 0, "N", 100, 1e6, &o.reps, "of the bootstrap (10000)"),
      CLI_U64("seed", 0, "N", &o.seed, "of the bootstrap (1)"),
      CLI_PATHS("also", 0, "RUN", CLI_READ, &o.also, "another run for the report's chart of size against score"),
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
  int code = 0;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.also.n > MAX_ALSO) return cli_usage(&cmd, "--also: at most %d runs", MAX_ALSO);
  nb_status st = compare(&o, common.json, args.items[0], args.items[1], &code, &err);
  return st == NB_OK ? code : cli_fail(st, &err);
}
