/* SPDX-License-Identifier: MIT */
/* nibble compare: a candidate's run against a baseline's. */
#include "eval/lmeval.h"
#include "tools/commands.h"
#include "tools/compare_folder.h"
#include "tools/judge.h"

#include <sys/stat.h>

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
  nb_judgement others[MAX_ALSO];
  nb_status st = NB_OK;
  for (size_t i = 0; i < o->also.n; i++) {
    NB_GOTO(nb_result_load(o->also.items[i], &also[i], err));
    others[i] = (nb_judgement){.run = &also[i]};
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

/* A run of nibble's, or of lm-evaluation-harness; like: the other run, where that is nibble's. */
static nb_status load(const cli_common *common, const char *path, const nb_result *like, nb_result *out, nb_err *err) {
  nb_lmeval_found f;
  if (!nb_lmeval_named(path)) return nb_result_load(path, out, err);
  NB_TRY(nb_lmeval_load(path, like, out, &f, err));
  if (like)
    cli_note(
        common,
        "%s: lm-evaluation-harness, %zu documents, of which %zu have a prompt of %s's %zu, byte for byte; these are "
        "compared",
        path, f.documents, f.matched, like->model.name, like->n);
  else cli_note(common, "%s: lm-evaluation-harness, %zu documents", path, f.documents);
  return NB_OK;
}

/* Nibble's own run first: it says what the questions of the other one are called. */
static nb_status load_both(const cli_common *common, const char *base_path, const char *cand_path, nb_result *base,
                           nb_result *cand, nb_err *err) {
  bool base_theirs = nb_lmeval_named(base_path), cand_theirs = nb_lmeval_named(cand_path);
  if (!base_theirs) NB_TRY(load(common, base_path, NULL, base, err));
  NB_TRY(load(common, cand_path, cand_theirs && !base_theirs ? base : NULL, cand, err));
  return base_theirs ? load(common, base_path, cand_theirs ? NULL : cand, base, err) : NB_OK;
}

static nb_status compare(const options *o, const cli_common *common, const char *base_path, const char *cand_path,
                         int *code, nb_err *err) {
  nb_result base = {.n = 0}, cand = {.n = 0};
  nb_comparison c = {.n = 0};
  nb_gates g;
  nb_judgement j;
  nb_status st;
  NB_GOTO(judge_gates(&o->judge, &g, err));
  NB_GOTO(load_both(common, base_path, cand_path, &base, &cand, err));
  bool theirs = nb_lmeval_named(base_path) || nb_lmeval_named(cand_path);
  nb_compare_opts co = {.alpha = g.alpha,
                        .margin = nb_gates_margin(&g),
                        .common = o->common || theirs,
                        .any_model = o->any_model,
                        .reps = (size_t)o->reps,
                        .seed = o->seed};
  NB_GOTO(nb_compare(&base, &cand, &co, &c, err));
  nb_gates_judge(&g, &cand, &c, &j);
  NB_GOTO(judge_save(&o->judge, &j, 1, err));
  NB_GOTO(save_html(o, &j, err));
  NB_GOTO(common->json ? print_json(&j, err) : judge_print(&o->judge, &g, &j, 1, err));
  *code = judge_exit(&j, 1);
fail:
  nb_comparison_free(&c);
  nb_result_free(&base), nb_result_free(&cand);
  return st;
}

static bool is_directory(const char *path) {
  struct stat s;
  return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static nb_status compare_all(const options *o, const cli_common *common, const char *base, const char *dir, int *code,
                             nb_err *err) {
  const compare_folder_opts fo = {&o->judge,
                                  /* other tools' files of a model are other checkpoints by their bytes */
                                  {.common = o->common, .any_model = true, .reps = (size_t)o->reps, .seed = o->seed},
                                  common->json};
  return compare_folder(&fo, base, dir, code, err);
}

int cmd_compare(int argc, char **argv) {
  options o = {.judge = JUDGE_NOTHING, .reps = 10000, .seed = 1};
  const cli_opt opts[] = {
      JUDGE_OPTIONS(o.judge),
      CLI_FLAG("common", 0, &o.common, "compare the questions that both runs have"),
      CLI_FLAG("any-model", 0, &o.any_model, "compare models of different checkpoints"),
      CLI_INT("resamples", 0, "N", 100, 1e6, &o.reps, "of the bootstrap (10000)"),
      CLI_U64("seed", 0, "N", &o.seed, "of the bootstrap (1)"),
      CLI_PATHS("also", 0, "RUN", NB_PATH_READ, &o.also, "another run for the report's chart of size against score"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "compare",
      .args = "BASE CAND|FOLDER",
      .opts = opts,
      .common = CLI_JSON,
      .about =
          "Judges a candidate's result file (`nibble eval --out`) against a baseline's, question by question.\n"
          "Either may be a run of lm-evaluation-harness (samples_*.jsonl, or the results_*.json that they lie "
          "beside):\n"
          "its documents pair with the questions that have the same prompt, byte for byte.\n"
          "With a folder, every result file in it is judged against the same baseline: one table, and one chart with\n"
          "--html.\n"
          "Exit status: 0 pass, 3 fail, 4 undecided (too few questions to tell), 1 or 2 when they cannot be compared.",
      .min_args = 2,
      .max_args = 2};
  cli_common common;
  cli_args args;
  nb_err err;
  int code = 0;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.also.n > MAX_ALSO) return cli_usage(&cmd, "--also: at most %d runs", MAX_ALSO);
  bool folder = is_directory(args.items[1]);
  if (folder && o.also.n) return cli_usage(&cmd, "--also is of no use with a folder: put the runs into it");
  nb_status st = (folder ? compare_all : compare)(&o, &common, args.items[0], args.items[1], &code, &err);
  return st == NB_OK ? code : cli_fail(st, &err);
}
