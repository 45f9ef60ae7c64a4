/* SPDX-License-Identifier: MIT */
/* nibble eval: accuracy on multiple-choice sets. */
#include "bundle.h"
#include "commands.h"
#include "judge.h"
#include "merge.h"
#include "outfile.h"
#include "progress_cli.h"
#include "report_text.h"
#include "stopping.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_MODELS = 16 };

typedef struct options {
  const char *task, *preset, *data, *split, *subjects, *kv, *journal, *shard, *bos, *against, *html;
  cli_list out, bundle;
  judge_limits limits;
  int shots, limit, sample, batch;
  uint64_t seed, max_anonymous, max_total;
  double min_accuracy;
  bool texts, alone, sequential;
} options;

/* "2/8" (from 1) -> 1 of 8. */
static bool parse_shard(const char *text, nb_selection *s) {
  char *end;
  unsigned long i = strtoul(text, &end, 10), n = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
  if (*end || i < 1 || i > n || n > 1000000) return false;
  s->shard = i - 1, s->shards = n;
  return true;
}

/* ---- one model ---- */

typedef struct running {
  cli_progress *progress;
  const nb_evaluation *e;
  nb_scores scores;
  nb_stopping *stopping; /* NULL: every question is answered */
} running;

static nb_status on_answer(void *ctx, size_t index, const nb_item *item, const nb_answer *a, nb_err *err) {
  running *r = ctx;
  nb_grade g;
  nb_grade_answer(item, a, r->e->task.ties_wrong, &g);
  nb_scores_add(&r->scores, &g);
  cli_progress_detail(r->progress, "%.1f %% right",
                      100 * nb_scores_sum(&r->scores, r->e->task.metric) / (double)r->scores.n);
  return r->stopping ? nb_stopping_answered(r->stopping, index, item, a, err) : NB_OK;
}

static size_t on_enough(void *ctx) {
  running *r = ctx;
  return r->stopping ? nb_stopping_enough(r->stopping) : 0;
}

typedef struct loaded {
  const char *name;
  nb_opened model;
  nb_kv_type kv;
} loaded;

static nb_status load(const options *o, const cli_common *common, const char *name, loaded *m, nb_err *err) {
  m->name = name;
  NB_TRY(nb_open(name, 0, common->threads, &m->model, err));
  if (!m->model.tokenizer) return nb_fail(err, NB_ERR_ARG, "%s has no tokenizer", name);
  m->kv = m->model.kv;
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &m->kv, err));
  return NB_OK;
}

/* A score on text that the bits were fitted to says little. */
static nb_status warn_of_overlap(const nb_evaluation *e, const loaded *m, nb_err *err) {
  size_t n;
  NB_TRY(nb_evaluation_overlap(e, &m->model, m->name, NULL, &n, err));
  if (n)
    cli_warn("%s was calibrated on text of %zu of the %zu questions: its score is not to be trusted", m->name, n, e->n);
  return NB_OK;
}

/* The session lives for this run only: another model's workspace is none of its memory. */
static nb_status answer(const options *o, const cli_common *common, const nb_evaluation *e, const loaded *m,
                        nb_stopping *stopping, nb_result *out, nb_err *err) {
  nb_session_opts so = {.threads = common->threads, .max_tokens = (size_t)o->batch, .cpu_features = common->features};
  nb_session *session;
  NB_TRY(nb_session_create(&m->model.model.config, &so, &session, err));
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "evaluating", "questions");
  running r = {.progress = &p, .e = e, .stopping = stopping};
  nb_evaluation_run run = {.name = m->name, .model = &m->model, .session = session, .kv = m->kv,
                           .threads = common->threads, .alone = o->alone, .journal = o->journal,
                           .max_anonymous = o->max_anonymous, .max_total = o->max_total, .progress = &cb,
                           .answered = on_answer, .enough = on_enough, .ctx = &r};
  nb_status st = nb_evaluation_answer(e, &run, out, err);
  cli_progress_end(&p);
  nb_session_free(session);
  return st == NB_OK ? st : nb_fail_in(err, st, "%s", m->name);
}

static nb_status check_accuracy(const options *o, const nb_result *r, nb_err *err) {
  nb_summary s;
  if (o->min_accuracy <= 0) return NB_OK;
  NB_TRY(nb_summary_make(r, &s, err));
  double got = 100 * nb_scores_sum(&s.total, r->protocol.metric) / (double)s.total.n;
  nb_summary_free(&s);
  if (got >= o->min_accuracy) return NB_OK;
  return nb_fail(err, NB_ERR_GATE, "%s: %s is %.2f %%, below the %.2f %% asked for", r->model.name,
                 nb_metric_name(r->protocol.metric), got, o->min_accuracy);
}

/* ---- against a baseline ---- */

/* The runs of a command and what is said about them. */
typedef struct judging {
  const options *o;
  const cli_common *common;
  nb_gates gates;
  const nb_result *base;  /* NULL: there is nothing to compare with */
  const nb_result *result;
  size_t n;
  nb_text json;           /* the comparisons, with commas between them */
  nb_verdict verdict;     /* the worst */
} judging;

/* The page about a comparison; the command's other runs go into its chart. */
static nb_status write_page(const judging *j, const nb_comparison *c, const nb_gate_report *report, nb_text *out,
                            nb_err *err) {
  const nb_result *others[MAX_MODELS];
  size_t n = 0;
  for (size_t i = 0; i < j->n; i++)
    if (&j->result[i] != c->base && &j->result[i] != c->cand) others[n++] = &j->result[i];
  return nb_report_html(c, report, others, n, out, err);
}

static nb_status write_comparison(judging *j, size_t i, const nb_comparison *c, const nb_gate_report *report,
                                  nb_text *page, nb_err *err) {
  const options *o = j->o;
  bool first = i == 0 || (i == 1 && j->base == &j->result[0]);
  if (!j->common->json) {
    fputs("\n", stdout);
    report_comparison(c, &j->gates, report, stdout);
  } else {
    if (j->json.n) NB_TRY(nb_text_append_str(&j->json, ",\n", err));
    NB_TRY(nb_report_json(c, report, &j->json, err));
  }
  if (!(o->html && first) && !o->bundle.n) return NB_OK;
  NB_TRY(write_page(j, c, report, page, err));
  return o->html && first ? nb_outfile_save(o->html, page->s, page->n, err) : NB_OK;
}

/* Compares run i with the baseline, if there is another, and writes what was asked for. */
static nb_status judge(judging *j, size_t i, nb_err *err) {
  const options *o = j->o;
  const nb_result *cand = &j->result[i];
  nb_comparison c = {.n = 0};
  nb_gate_report report;
  nb_text page = {0};
  nb_status st = NB_OK;
  if (j->base && j->base != cand) {
    nb_compare_opts co = {.alpha = j->gates.alpha, .margin = j->gates.margin >= 0 ? j->gates.margin / 100 : 0.01,
                          .common = o->against != NULL, .any_model = true, .sequential = o->sequential, .seed = 1};
    NB_GOTO(nb_compare(j->base, cand, &co, &c, err));
    nb_gates_judge(&j->gates, &c, &report);
    if (j->verdict != NB_VERDICT_FAIL && report.verdict != NB_VERDICT_PASS) j->verdict = report.verdict;
    NB_GOTO(write_comparison(j, i, &c, &report, &page, err));
  }
  if (o->bundle.n) NB_GOTO(nb_bundle_save(o->bundle.items[i], cand, page.n ? &page : NULL, err));
fail:
  nb_text_free(&page);
  nb_comparison_free(&c);
  return st;
}

/* The run that the others are compared with: the only checkpoint among .nbl files, else the first. */
static size_t choose_base(const loaded *m, size_t n) {
  size_t dense = 0, base = 0;
  for (size_t i = 0; i < n; i++)
    if (!m[i].model.coded) dense++, base = i;
  return dense == 1 ? base : 0;
}

/* One run alone is its result file; several, or a comparison, are an object with both. */
static nb_status print_json(const judging *j, nb_err *err) {
  nb_text text = {0};
  nb_status st = NB_OK;
  bool many = j->n > 1 || j->base;
  if (many) NB_GOTO(nb_text_append_str(&text, "{\"runs\": [\n", err));
  for (size_t i = 0; i < j->n; i++) {
    if (i) NB_GOTO(nb_text_append_str(&text, ",\n", err));
    NB_GOTO(nb_result_write(&j->result[i], &text, err));
  }
  if (many) {
    NB_GOTO(nb_text_append_str(&text, "],\n\"comparisons\": [\n", err));
    NB_GOTO(nb_text_append(&text, j->json.s, j->json.n, err));
    NB_GOTO(nb_text_append_str(&text, "]}\n", err));
  }
  fwrite(text.s, 1, text.n, stdout);
  if (fflush(stdout)) NB_GOTO(nb_fail(err, NB_ERR_IO, "standard output: cannot be written"));
fail:
  nb_text_free(&text);
  return st;
}

/* ---- all ---- */

static void print_stopping(const nb_stopping *s, const nb_evaluation *e) {
  printf("\n%s after %zu of %zu questions: margin %g points, evidence for pass %.3g, for fail %.3g (%g decides)\n",
         nb_verdict_name(s->test.verdict), s->looked, e->n, 100 * s->test.margin, nb_sequential_pass(&s->test),
         nb_sequential_fail(&s->test), 1 / s->test.alpha);
}

/* Runs every model and saves its result at once: what was computed is not lost when something fails later. */
static nb_status answer_all(const judging *j, nb_evaluation *e, const loaded *model, nb_result *result, nb_err *err) {
  const options *o = j->o;
  nb_stopping stopping = {.e = NULL};
  nb_status st = NB_OK;
  if (o->sequential)
    NB_GOTO(nb_stopping_begin(e, j->base, j->gates.margin / 100, j->gates.alpha, o->seed, &stopping, err));
  for (size_t i = 0; i < j->n; i++) {
    NB_GOTO(answer(o, j->common, e, &model[i], o->sequential ? &stopping : NULL, &result[i], err));
    if (i < o->out.n) NB_GOTO(nb_result_save(&result[i], o->out.items[i], err));
    if (j->common->json) continue;
    if (i) fputs("\n", stdout);
    NB_GOTO(report_text(&result[i], stdout, err));
    if (o->sequential) print_stopping(&stopping, e);
  }
fail:
  nb_stopping_free(&stopping);
  return st;
}

static nb_status run_all(const options *o, const cli_common *common, nb_evaluation *e, const cli_args *args,
                         nb_verdict *verdict, nb_err *err) {
  loaded model[MAX_MODELS] = {{.name = NULL}};
  nb_result result[MAX_MODELS] = {{.n = 0}}, base = {.n = 0};
  size_t n = (size_t)args->n;
  judging j = {.o = o, .common = common, .result = result, .n = n, .verdict = NB_VERDICT_PASS};
  nb_status st = NB_OK;
  NB_GOTO(judge_gates(&o->limits, &j.gates, err));
  if (o->against) NB_GOTO(nb_result_load(o->against, &base, err));
  if (o->against) NB_GOTO(nb_compare_protocols(&base.protocol, &e->protocol, err));
  for (size_t i = 0; i < n; i++) NB_GOTO(load(o, common, args->items[i], &model[i], err));
  for (size_t i = 0; i < n; i++) NB_GOTO(warn_of_overlap(e, &model[i], err));
  j.base = o->against ? &base : n > 1 ? &result[choose_base(model, n)] : NULL;
  NB_GOTO(answer_all(&j, e, model, result, err));
  for (size_t i = 0; i < n; i++) NB_GOTO(judge(&j, i, err));
  if (common->json) NB_GOTO(print_json(&j, err));
  if (o->journal) remove(o->journal);
  for (size_t i = 0; i < n; i++) NB_GOTO(check_accuracy(o, &result[i], err));
  *verdict = j.verdict;
fail:
  for (size_t i = 0; i < n; i++) {
    nb_result_free(&result[i]);
    nb_close(&model[i].model);
  }
  nb_result_free(&base);
  nb_text_free(&j.json);
  return st;
}

int cmd_eval(int argc, char **argv) {
  options o = {.task = "mmlu", .bos = "auto", .shots = -1, .batch = 512, .seed = 1, .limits = JUDGE_NO_LIMITS};
  const cli_opt opts[] = {
      CLI_STRING("task", 0, "NAME|FILE", &o.task, "a built-in task or a task file (mmlu)"),
      CLI_STRING("preset", 0, "NAME", &o.preset, "the task's variant; mmlu: hendrycks, lm-eval, phi, cloze"),
      CLI_STRING("data", 0, "PATH", &o.data, "directory, .zip or file with the questions (required)"),
      CLI_STRING("split", 0, "NAME", &o.split, "which part of the data (the task says)"),
      CLI_INT("shots", 0, "N", 0, 64, &o.shots, "examples before each question (the task says; mmlu: 5)"),
      CLI_STRING("subjects", 0, "A,B", &o.subjects, "only these subjects"),
      CLI_INT("limit", 0, "N", 1, 1e9, &o.limit, "only the first N questions of each subject"),
      CLI_INT("sample", 0, "N", 1, 1e9, &o.sample, "N questions in all, drawn from every subject in proportion"),
      CLI_U64("seed", 0, "N", &o.seed, "of the drawing, and of the order of --sequential (1)"),
      CLI_STRING("shard", 0, "I/N|auto", &o.shard,
                 "only the I-th of N parts, for `nibble merge`; auto: from Slurm, MPI or CI"),
      CLI_LIST("out", 'o', "FILE", &o.out, "write the result file, for `nibble compare` (once for each model)"),
      CLI_FLAG("texts", 0, &o.texts, "put the questions' texts into results"),
      CLI_STRING("journal", 0, "FILE", &o.journal, "keep answers here; a run that was killed goes on from it"),
      CLI_DOUBLE("min-accuracy", 0, "PERCENT", 0, 100, &o.min_accuracy, "exit 3 when the score is below"),
      CLI_STRING("against", 0, "RUN", &o.against, "compare with this result file, on the questions that both have"),
      CLI_FLAG("sequential", 0, &o.sequential,
               "with --against: questions in random order, until the verdict is certain"),
      JUDGE_OPTIONS(o.limits),
      CLI_STRING("html", 0, "FILE", &o.html, "write the first comparison for the browser, one file"),
      CLI_LIST("bundle", 0, "FILE", &o.bundle,
               "write a .zip of result, report and predictions (once for each model)"),
      CLI_BYTES("max-memory", 0, "BYTES", &o.max_anonymous, "end the run with 3 when its own memory is above"),
      CLI_BYTES("max-total-memory", 0, "BYTES", &o.max_total, "the same with the files' pages"),
      CLI_CHOICE("bos", 0, "auto|no", &o.bos, "begin prompts as the tokenizer's template says (auto), or with nothing"),
      CLI_CHOICE("kv", 0, "f32|f16|q16|q8", &o.kv, "type of the cache (q16 for .nbl files, f32 for checkpoints)"),
      CLI_INT("batch", 0, "N", 16, 8192, &o.batch, "tokens run at a time (512); results do not depend on it"),
      CLI_FLAG("alone", 0, &o.alone, "share no prompt beginnings and batch nothing (the same results, slowly)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "eval",
      .args = "MODEL... --data PATH",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU,
      .about =
          "Measures accuracy on a multiple-choice set such as MMLU. MODEL is a .nbl file or a checkpoint's directory;\n"
          "several are run one after another over the same questions and compared with the only checkpoint\n"
          "among them, else the first. With a limit (--margin, --max-drop, --max-kld, --gate) the comparison is judged\n"
          "as by `nibble compare`: exit 3 is a fail, 4 undecided. Every question counts: one that cannot be read or\n"
          "does not fit is named, and the run fails.",
      .min_args = 1,
      .max_args = MAX_MODELS,
      .more = "Examples:\n  nibble eval phi3.nbl --data mmlu --out base.json\n"
              "  nibble eval phi3.nbl --task arc_easy --data ARC-V1-Feb2018.zip\n"
              "  nibble eval phi3.nbl --task custom --data mine.jsonl\n"
              "  nibble eval phi3.nbl phi3-small.nbl phi3/ --data mmlu --margin 1 --html report.html\n"};
  cli_common common;
  cli_args args;
  if (!cli_parse(&cmd, argc, argv, &common, &args)) return args.exit_code;
  if (!o.data) return cli_usage(&cmd, "--data PATH is missing");
  if (o.out.n && o.out.n != (size_t)args.n)
    return cli_usage(&cmd, "%zu times --out for %d models: give one for each", o.out.n, args.n);
  if (o.bundle.n && o.bundle.n != (size_t)args.n)
    return cli_usage(&cmd, "%zu times --bundle for %d models: give one for each", o.bundle.n, args.n);
  if (o.sequential && (!o.against || args.n > 1 || o.shard))
    return cli_usage(&cmd, "--sequential needs --against and one model, and has no --shard");
  if (o.html && !o.against && args.n < 2) return cli_usage(&cmd, "--html needs --against or a second model");
  if (judge_asked(&o.limits) && !o.against && args.n < 2)
    return cli_usage(&cmd, "limits on a comparison need --against or a second model");
  if (o.journal && args.n > 1) return cli_usage(&cmd, "--journal is for one model");
  nb_evaluation_opts eo = {.task = o.task, .preset = o.preset, .data = o.data, .split = o.split, .shots = o.shots,
                           .plain = o.bos[0] == 'n', .texts = o.texts,
                           .select = {.subjects = o.subjects, .limit = (size_t)o.limit, .sample = (size_t)o.sample,
                                      .seed = o.seed}};
  nb_err err;
  if (o.shard && !strcmp(o.shard, "auto")) {
    const char *source;
    nb_status found = nb_shard_auto(getenv, &eo.select.shard, &eo.select.shards, &source, &err);
    if (found != NB_OK) return cli_fail(found, &err);
    cli_note(&common, "shard %zu of %zu (%s)", eo.select.shard + 1, eo.select.shards, source);
  } else if (o.shard && !parse_shard(o.shard, &eo.select))
    return cli_usage(&cmd, "--shard '%s': want I/N, 1 <= I <= N", o.shard);
  nb_evaluation e = {.n = 0};
  nb_status st = nb_evaluation_prepare(&eo, &e, &err);
  nb_verdict verdict = NB_VERDICT_PASS;
  if (st == NB_OK) st = run_all(&o, &common, &e, &args, &verdict, &err);
  nb_evaluation_free(&e);
  if (st != NB_OK) return cli_fail(st, &err);
  return judge_asked(&o.limits) || o.sequential ? judge_exit(verdict) : 0;
}
