/* SPDX-License-Identifier: MIT */
/* nibble eval: accuracy on multiple-choice sets and on written answers, of one task or of a suite. */
#include "eval/merge.h"
#include "formats/archive_write.h"
#include "tools/commands.h"
#include "tools/evaluating.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "2/8" (from 1) -> 1 of 8. */
static bool parse_shard(const char *text, nb_selection *s) {
  char *end;
  unsigned long i = strtoul(text, &end, 10), n = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
  if (*end || i < 1 || i > n || n > 1000000) return false;
  s->shard = i - 1, s->shards = n;
  return true;
}

/* Which questions are asked. */
static nb_status choose(const eval_options *o, const cli_common *common, nb_selection *out, nb_err *err) {
  *out =
      (nb_selection){.subjects = o->subjects, .limit = (size_t)o->limit, .sample = (size_t)o->sample, .seed = o->seed};
  if (!o->shard) return NB_OK;
  if (strcmp(o->shard, "auto") != 0)
    return parse_shard(o->shard, out) ? NB_OK
                                      : nb_fail(err, NB_ERR_ARG, "--shard '%s': want I/N, 1 <= I <= N", o->shard);
  const char *source;
  NB_TRY(nb_merge_shard_auto(getenv, &out->shard, &out->shards, &source, err));
  cli_note(common, "shard %zu of %zu (%s)", out->shard + 1, out->shards, source);
  return NB_OK;
}

static nb_status run_task(const eval_options *o, const cli_common *common, const nb_selection *select,
                          const cli_args *args, int *code, nb_err *err) {
  nb_evaluation_opts eo = eval_prepared(o, select);
  nb_evaluation e = {.n = 0};
  eval_model model[EVAL_MAX_MODELS] = {{.name = NULL}};
  eval_runs runs = {.n = 0};
  size_t n = (size_t)args->n;
  nb_status st;
  NB_GOTO(nb_evaluation_prepare(&eo, &e, err));
  for (size_t i = 0; i < n; i++) NB_GOTO(eval_load(o, common, args->items[i], &model[i], err));
  NB_GOTO(eval_run(o, common, &e, model, n, &runs, err));
  NB_GOTO(eval_report(&runs, err));
  if (o->journal) remove(o->journal);
  if (judge_asked(&o->judge) || o->sequential) *code = judge_exit(runs.judged, runs.n_judged);
fail:
  eval_runs_free(&runs);
  for (size_t i = 0; i < n; i++) nb_opened_free(&model[i].model);
  nb_evaluation_free(&e);
  return st;
}

int cmd_eval(int argc, char **argv) {
  eval_options o = {.bos = "auto", .overlong = "fail", .shots = -1, .seed = 1, .judge = JUDGE_NOTHING};
  const cli_opt opts[] = {
      CLI_PATH("task", 0, "NAME|FILE", NB_PATH_READ, &o.task, "a built-in task or a task file (mmlu)"),
      CLI_PATH("suite", 0, "NAME|FILE", NB_PATH_READ, &o.suite,
               "several tasks and one table: a built-in suite (phi3-report) or a suite file, instead of --task"),
      CLI_STRING("preset", 0, "NAME", &o.preset, "the task's variant; mmlu: hendrycks, lm-eval, phi, cloze"),
      CLI_PATH_REQUIRED("data", 0, "PATH", NB_PATH_READ, &o.data, "directory, .zip or file with the questions"),
      CLI_STRING("split", 0, "NAME", &o.split, "which part of the data (the task says)"),
      CLI_INT("shots", 0, "N", 0, 64, &o.shots, "examples before each question (the task says; mmlu: 5)"),
      CLI_STRING("shots-from", 0, "SPLIT", &o.shots_from, "which part of the data examples come from (the task says)"),
      CLI_STRING("subjects", 0, "A,B", &o.subjects, "only these subjects"),
      CLI_INT("limit", 0, "N", 1, 1e9, &o.limit, "only the first N questions of each subject"),
      CLI_INT("sample", 0, "N", 1, 1e9, &o.sample,
              "N questions in all, drawn in proportion, from every subject one at least"),
      CLI_U64("seed", 0, "N", &o.seed, "of the drawing, and of the order of --sequential (1)"),
      CLI_STRING("shard", 0, "I/N|auto", &o.shard,
                 "only the I-th of N parts, for `nibble merge`; auto: from Slurm, MPI or CI"),
      CLI_PATHS("out", 'o', "FILE", NB_FILE_RESULT, &o.out,
                "write the result file, for `nibble compare` (once for each model)"),
      CLI_CHOICE("out-format", 0, "nibble|lm-eval", &o.out_format,
                 "of --out: a result file, or samples as lm-evaluation-harness logs them (JSON lines)"),
      CLI_FLAG("texts", 0, &o.texts, "put the questions' texts into results"),
      CLI_PATH("journal", 0, "FILE", NB_FILE_JOURNAL, &o.journal,
               "keep answers here; a run that was killed goes on from it"),
      CLI_PATH("against", 0, "RUN", NB_PATH_READ, &o.against,
               "compare with this result file, on the questions that both have"),
      CLI_FLAG("sequential", 0, &o.sequential,
               "with --against: questions in random order, until the verdict is certain"),
      JUDGE_OPTIONS(o.judge),
      CLI_PATHS("bundle", 0, "FILE", NB_FILE_BUNDLE, &o.bundle,
                "write a .zip of result, report and predictions (once for each model)"),
      CLI_WORD("chat", 0, "single|multiturn", &o.chat,
               "put prompts through the model's chat template, examples in the user's turn (single) or as turns"),
      CLI_STRING("system", 0, "TEXT", &o.system,
                 "what stands before the task's own header, or with --chat its system message"),
      CLI_BYTES("kv-memory", 0, "SIZE", &o.kv_memory,
                "memory for the texts that are written at a time (a quarter of the machine's)"),
      CLI_CHOICE("bos", 0, "auto|no", &o.bos, "begin prompts as the tokenizer's template says (auto), or with nothing"),
      CLI_CHOICE("overlong", 0, "fail|wrong|truncate", &o.overlong,
                 "prompts longer than the model takes: end before the first question (fail), count as wrong, or lose "
                 "their beginning"),
      CLI_KV(&o.kv, "type of the cache"),
      CLI_INT("batch", 0, "N", 16, 8192, &o.batch,
              "tokens run at a time (512, fewer of a wide model); results do not depend on it"),
      CLI_FLAG("alone", 0, &o.alone, "share no prompt beginnings and batch nothing (the same results, slowly)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "eval",
      .args = "MODEL... --data PATH",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
      .about =
          "Measures accuracy on a multiple-choice set such as MMLU, or on written answers (gsm8k, ifeval). MODEL is a "
          ".nbl file or a checkpoint's directory;\n"
          "several are run one after another over the same questions and compared with the only checkpoint\n"
          "among them, else the first. With a limit (--gate, --margin, --min-accuracy, --max-memory) every run but\n"
          "the baseline's is judged as by `nibble compare`: exit 3 is a fail, 4 undecided. A run that goes above\n"
          "--max-memory or --max-total-memory ends there, with 3. Every question counts: one that cannot be read or\n"
          "does not fit is named, and the run fails.\n\n"
          "With --suite, --data is a folder with the sets of all rows, and --out, --journal and --against are folders\n"
          "with a file for each row; rows without data are named and not run.",
      .min_args = 1,
      .max_args = EVAL_MAX_MODELS,
      .more = "Examples:\n  nibble eval phi3.nbl --data mmlu --out base.json\n"
              "  nibble eval phi3.nbl --task arc_easy --data ARC-V1-Feb2018.zip\n"
              "  nibble eval phi3.nbl --task custom --data mine.jsonl\n"
              "  nibble eval phi3.nbl --suite phi3-report --data sets --out runs --html report.html\n"
              "  nibble eval phi3.nbl phi3-small.nbl phi3/ --data mmlu --margin 1 --html report.html\n"};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (o.out.n && o.out.n != (size_t)args.n)
    return cli_usage(&cmd, "%zu times --out for %d models: give one for each", o.out.n, args.n);
  if (o.bundle.n && o.bundle.n != (size_t)args.n)
    return cli_usage(&cmd, "%zu times --bundle for %d models: give one for each", o.bundle.n, args.n);
  if (o.suite && (o.task || o.preset || o.split || o.shots >= 0 || o.shots_from || o.subjects || o.bundle.n ||
                  o.out_format || args.n > 1))
    return cli_usage(&cmd, "--suite is for one model, and its rows say what --task, --preset, --split, --shots, "
                           "--shots-from and --subjects would; there is no --bundle and no --out-format");
  if (o.sequential && (!o.against || args.n > 1 || o.shard))
    return cli_usage(&cmd, "--sequential needs --against and one model, and has no --shard");
  if (judge_compares(&o.judge) && !o.against && args.n < 2)
    return cli_usage(&cmd, "limits on a comparison need --against or a second model");
  if (o.bundle.n && !nb_archive_writes()) return cli_usage(&cmd, "--bundle: this nibble was built without libzip");
  if (o.seed > (uint64_t)1 << 53) return cli_usage(&cmd, "--seed: at most 2^53, which JSON keeps exactly");
  if (o.journal && args.n > 1) return cli_usage(&cmd, "--journal is for one model");
  nb_err err;
  nb_selection select;
  nb_status st = choose(&o, &common, &select, &err);
  int code = 0;
  if (st == NB_OK && o.suite) st = eval_suite(&o, &common, &select, args.items[0], &code, &err);
  else if (st == NB_OK) st = run_task(&o, &common, &select, &args, &code, &err);
  return st == NB_OK ? code : cli_fail(st, &err);
}
