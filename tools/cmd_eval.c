/* SPDX-License-Identifier: MIT */
/* nibble eval: accuracy on multiple-choice sets. */
#include "formats/archive_write.h"
#include "eval/bundle.h"
#include "eval/lmeval.h"
#include "tools/commands.h"
#include "tools/judge.h"
#include "eval/memory.h"
#include "eval/merge.h"
#include "formats/outfile.h"
#include "tools/progress_cli.h"
#include "tools/report_text.h"
#include "eval/stopping.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MODELS = 16 };

typedef struct options {
  const char *task, *preset, *data, *split, *subjects, *kv, *journal, *shard, *bos, *chat, *system, *against,
      *out_format, *overlong;
  cli_list out, bundle;
  judge_options judge;
  int shots, limit, sample, batch;
  uint64_t seed, kv_memory;
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
  nb_plan plan; /* of its prompts */
} loaded;

static nb_status load(const options *o, const cli_common *common, const char *name, loaded *m, nb_err *err) {
  m->name = name;
  NB_TRY(cli_open(name, 0, common, &m->model, err));
  if (!m->model.tokenizer) return nb_fail(err, NB_ERR_ARG, "%s has no tokenizer", name);
  m->kv = m->model.kv;
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &m->kv, err));
  return NB_OK;
}

/* Builds all the prompts before the first is run; those that do not fit are named. */
static nb_status check_prompts(const cli_common *common, const nb_evaluation *e, loaded *m, nb_err *err) {
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "checking the prompts", "questions");
  nb_status st = nb_evaluation_plan(e, &m->model, common->threads, &cb, &m->plan, err);
  cli_progress_end(&p);
  if (st != NB_OK) return nb_fail_in(err, st, "%s", m->name);
  for (size_t i = 0; i < m->plan.n && m->plan.n_not; i++)
    if (m->plan.question[i].fit == NB_FIT_NOT)
      cli_note(common, "question %s has %u tokens, %s takes %zu", e->item[i]->id, m->plan.question[i].n_tokens, m->name,
               m->plan.max_tokens);
  if (m->plan.n_cut)
    cli_warn("%zu of %zu prompts are too long for %s and lose their beginning", m->plan.n_cut, e->n, m->name);
  st = nb_evaluation_accept(e, &m->model, &m->plan, err);
  if (st != NB_OK) return nb_fail_in(err, st, "%s", m->name);
  if (m->plan.n_not)
    cli_warn("%zu of %zu prompts are too long for %s and count as wrong", m->plan.n_not, e->n, m->name);
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

/* What may end a run before its last question. */
typedef struct ending {
  const nb_gates *ceilings; /* NULL: none holds */
  nb_stopping *stopping;    /* NULL: every question is answered */
  const char *gate;         /* receives the ceiling that ended the run */
} ending;

/* The session lives for this run only: another model's workspace is none of its memory. */
static nb_status answer(const options *o, const cli_common *common, const nb_evaluation *e, const loaded *m, ending *by,
                        nb_result *out, nb_err *err) {
  nb_session_opts so = {.threads = common->threads, .max_tokens = (size_t)o->batch, .cpu_features = common->features};
  nb_session *session;
  NB_TRY(nb_session_create(&m->model.model.config, &so, &session, err));
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "evaluating", "questions");
  running r = {.progress = &p, .e = e, .stopping = by->stopping};
  nb_evaluation_run run = {.name = m->name,
                           .model = &m->model,
                           .plan = &m->plan,
                           .session = session,
                           .kv = m->kv,
                           .kv_bytes = o->kv_memory ? (size_t)o->kv_memory : nb_memory_of_machine() / 4,
                           .threads = common->threads,
                           .alone = o->alone,
                           .journal = o->journal,
                           .max_anonymous = by->ceilings ? by->ceilings->max_memory : 0,
                           .max_total = by->ceilings ? by->ceilings->max_total_memory : 0,
                           .ended_by = &by->gate,
                           .progress = &cb,
                           .answered = on_answer,
                           .enough = on_enough,
                           .ctx = &r};
  nb_status st = nb_evaluation_answer(e, &run, out, err);
  cli_progress_end(&p);
  nb_session_free(session);
  return st == NB_OK ? st : nb_fail_in(err, st, "%s", m->name);
}

/* ---- all models ---- */

typedef struct one_run {
  nb_result result;
  nb_comparison comparison; /* n 0: none */
} one_run;

/* The runs of a command, and what is said about those that are judged: all but a baseline among them. */
typedef struct runs {
  const options *o;
  const cli_common *common;
  nb_gates gates;
  const nb_result *base; /* NULL: there is nothing to compare with */
  one_run *run;
  size_t n;
  nb_judgement judged[MAX_MODELS];
  size_t n_judged;
} runs;

/* The run that the others are compared with: the only checkpoint among .nbl files, else the first. */
static size_t choose_base(const loaded *m, size_t n) {
  size_t dense = 0, base = 0;
  for (size_t i = 0; i < n; i++)
    if (!m[i].model.coded) dense++, base = i;
  return dense == 1 ? base : 0;
}

static nb_status judge(runs *r, one_run *cand, nb_err *err) {
  const nb_gates *g = &r->gates;
  if (r->base) {
    nb_compare_opts co = {.alpha = g->alpha,
                          .margin = isnan(g->margin) ? 0.01 : g->margin / 100,
                          .common = r->o->against != NULL,
                          .any_model = true,
                          .sequential = r->o->sequential,
                          .seed = 1};
    NB_TRY(nb_compare(r->base, &cand->result, &co, &cand->comparison, err));
  }
  nb_gates_judge(g, &cand->result, r->base ? &cand->comparison : NULL, &r->judged[r->n_judged++]);
  return NB_OK;
}

/* The page about one run; the command's other runs go into its chart. */
static nb_status save_page(const runs *r, const nb_judgement *j, nb_err *err) {
  const nb_result *others[MAX_MODELS];
  size_t n = 0;
  for (size_t i = 0; i < r->n; i++)
    if (&r->run[i].result != j->run && &r->run[i].result != r->base) others[n++] = &r->run[i].result;
  return judge_save_html(&r->o->judge, j, others, n, err);
}

static nb_status save_bundle(const char *path, const nb_result *result, const nb_judgement *j, nb_err *err) {
  nb_text page = {0};
  nb_status st = nb_report_html(j, NULL, 0, &page, err);
  if (st == NB_OK) st = nb_bundle_save(path, result, &page, err);
  nb_text_free(&page);
  return st;
}

static nb_status save_bundles(const runs *r, nb_err *err) {
  for (size_t i = 0, k = 0; i < r->o->bundle.n; i++) {
    const nb_result *result = &r->run[i].result;
    nb_judgement alone = {.run = result};
    const nb_judgement *j = result == r->base ? &alone : &r->judged[k++];
    NB_TRY(save_bundle(r->o->bundle.items[i], result, j, err));
  }
  return NB_OK;
}

/* One run alone is its result file; several, or judged ones, are an object with results and verdicts. */
static nb_status print_json(const runs *r, nb_err *err) {
  nb_text text = {0};
  nb_status st = NB_OK;
  bool many = r->n > 1 || r->base || r->judged[0].n;
  if (many) NB_GOTO(nb_text_append_str(&text, "{\"runs\": [\n", err));
  for (size_t i = 0; i < r->n; i++) {
    if (i) NB_GOTO(nb_text_append_str(&text, ",\n", err));
    NB_GOTO(nb_result_write(&r->run[i].result, &text, err));
  }
  if (many) {
    NB_GOTO(nb_text_append_str(&text, "],\n\"verdicts\": [\n", err));
    NB_GOTO(nb_report_json(r->judged, r->n_judged, &text, err));
    NB_GOTO(nb_text_append_str(&text, "]}\n", err));
  }
  fwrite(text.s, 1, text.n, stdout);
  if (fflush(stdout)) NB_GOTO(nb_fail(err, NB_ERR_IO, "standard output: cannot be written"));
fail:
  nb_text_free(&text);
  return st;
}

/* Everything that was asked for beside the result files and the tables of scores. */
static nb_status report(const runs *r, nb_err *err) {
  const judge_options *o = &r->o->judge;
  NB_TRY(judge_save(o, r->judged, r->n_judged, err));
  NB_TRY(save_page(r, &r->judged[0], err));
  NB_TRY(save_bundles(r, err));
  if (r->common->json) return print_json(r, err);
  if (r->base || r->judged[0].n) fputs("\n", stdout);
  return judge_print(o, &r->gates, r->judged, r->n_judged, err);
}

static void print_stopping(const nb_stopping *s, const nb_evaluation *e) {
  printf("\nmargin: %s after %zu of %zu questions: %g points, evidence for pass %.3g, for fail %.3g (%g decides)\n",
         nb_verdict_name(s->test.verdict), s->looked, e->n, 100 * s->test.margin, nb_sequential_pass(&s->test),
         nb_sequential_fail(&s->test), 1 / s->test.alpha);
}

/* A run that was ended at a ceiling, or could not begin, has no result; CI gets its failed gate all the same. why: what
 * ended it. */
static nb_status report_ended(const runs *r, const nb_evaluation *e, const char *model, const char *gate,
                              const nb_err *why, nb_err *err) {
  nb_result none = {.protocol = e->protocol, .model.name = model};
  nb_judgement j = {.run = &none, .n = 1, .verdict = NB_VERDICT_FAIL};
  judge_options o = r->o->judge;
  o.summary = NULL; /* it is about scores */
  j.gate[0].name = gate, j.gate[0].verdict = NB_VERDICT_FAIL;
  snprintf(j.gate[0].text, sizeof j.gate[0].text, "%.300s", why->msg);
  NB_TRY(judge_save(&o, &j, 1, err));
  return o.github ? judge_print(&o, &r->gates, &j, 1, err) : NB_OK;
}

/* Runs every model and saves its result at once: what was computed is not lost when something fails later. */
static nb_status answer_all(const runs *r, nb_evaluation *e, const loaded *model, nb_err *err) {
  const options *o = r->o;
  nb_stopping stopping = {.e = NULL};
  nb_status st = NB_OK;
  if (o->sequential)
    NB_GOTO(nb_stopping_begin(e, r->base, r->gates.margin / 100, r->gates.alpha, o->seed, &stopping, err));
  for (size_t i = 0; i < r->n; i++) {
    nb_result *result = &r->run[i].result;
    ending end = {result == r->base ? NULL : &r->gates, o->sequential ? &stopping : NULL, NULL};
    st = answer(o, r->common, e, &model[i], &end, result, err);
    if (st == NB_ERR_GATE) {
      nb_err other;
      if (report_ended(r, e, model[i].name, end.gate, err, &other) != NB_OK) cli_warn("%s", other.msg);
    }
    if (st != NB_OK) goto fail;
    bool samples = o->out_format && !strcmp(o->out_format, "lm-eval");
    if (i < o->out.n)
      NB_GOTO(samples ? nb_lmeval_save(e, result, o->out.items[i], err) : nb_result_save(result, o->out.items[i], err));
    if (r->common->json) continue;
    if (i) fputs("\n", stdout);
    NB_GOTO(report_text(result, stdout, err));
    if (o->sequential) print_stopping(&stopping, e);
  }
fail:
  nb_stopping_free(&stopping);
  return st;
}

/* With few questions in common the verdict will be none, and one that is looked for as the run goes must not be found;
 * with other prompts there is nothing to compare. */
static nb_status check_against(const options *o, const runs *r, const nb_evaluation *e, const nb_plan *plan,
                               nb_err *err) {
  double paired;
  NB_TRY(nb_compare_ahead(r->base, e->item, plan, &paired, err));
  if (100 * paired >= r->gates.min_paired - 1e-9) return NB_OK;
  if (o->sequential)
    return nb_fail(err, NB_ERR_ARG,
                   "%.1f %% of the questions are in both %s and this run: too few for --sequential; --min-paired says "
                   "how many are enough (%g)",
                   100 * paired, o->against, r->gates.min_paired);
  cli_warn("%.1f %% of the questions are in both %s and this run; below %g (--min-paired) the verdict is undecided",
           100 * paired, o->against, r->gates.min_paired);
  return NB_OK;
}

/* Models whose prompts differ, because other examples or other parts of them fit, cannot be compared. */
static nb_status check_alike(const nb_evaluation *e, const loaded *a, const loaded *b, nb_err *err) {
  for (size_t i = 0; i < e->n; i++) {
    const nb_planned *p = &a->plan.question[i], *q = &b->plan.question[i];
    if (p->prompt_hash != q->prompt_hash || p->fit != q->fit || (p->fit == NB_FIT_CUT && p->n_tokens != q->n_tokens))
      return nb_fail(err, NB_ERR_ARG,
                     "not comparable: of question %s another prompt, or part of it, fits into %s than into %s; use "
                     "fewer --shots, or models of one length",
                     e->item[i]->id, b->name, a->name);
  }
  return NB_OK;
}

/* Everything that is known to go wrong before the first question is run. */
static nb_status check_all(const options *o, const runs *r, const nb_evaluation *e, loaded *model, nb_err *err) {
  for (size_t i = 0; i < r->n; i++) NB_TRY(warn_of_overlap(e, &model[i], err));
  for (size_t i = 0; i < r->n; i++) {
    nb_status st = check_prompts(r->common, e, &model[i], err);
    nb_err other;
    if (st == NB_ERR_ARG && report_ended(r, e, model[i].name, "prompts", err, &other) != NB_OK)
      cli_warn("%s", other.msg);
    NB_TRY(st);
    if (i) NB_TRY(check_alike(e, &model[0], &model[i], err));
    if (o->against) NB_TRY(check_against(o, r, e, &model[i].plan, err));
  }
  return NB_OK;
}

static nb_status run_all(const options *o, const cli_common *common, nb_evaluation *e, const cli_args *args, int *code,
                         nb_err *err) {
  loaded model[MAX_MODELS] = {{.name = NULL}};
  one_run run[MAX_MODELS] = {{.result.n = 0}};
  nb_result against = {.n = 0};
  size_t n = (size_t)args->n;
  runs r = {.o = o, .common = common, .run = run, .n = n};
  nb_status st = NB_OK;
  NB_GOTO(judge_gates(&o->judge, &r.gates, err));
  if (o->against) NB_GOTO(nb_result_load(o->against, &against, err));
  if (o->against) NB_GOTO(nb_compare_protocols(&against.protocol, &e->protocol, err));
  for (size_t i = 0; i < n; i++) NB_GOTO(load(o, common, args->items[i], &model[i], err));
  r.base = o->against ? &against : n > 1 ? &run[choose_base(model, n)].result : NULL;
  NB_GOTO(check_all(o, &r, e, model, err));
  NB_GOTO(answer_all(&r, e, model, err));
  for (size_t i = 0; i < n; i++)
    if (&run[i].result != r.base) NB_GOTO(judge(&r, &run[i], err));
  NB_GOTO(report(&r, err));
  if (o->journal) remove(o->journal);
  *code = judge_exit(r.judged, r.n_judged);
fail:
  for (size_t i = 0; i < n; i++) {
    nb_comparison_free(&run[i].comparison);
    nb_result_free(&run[i].result);
    nb_plan_free(&model[i].plan);
    nb_opened_free(&model[i].model);
  }
  nb_result_free(&against);
  return st;
}

int cmd_eval(int argc, char **argv) {
  options o = {.task = "mmlu", .bos = "auto", .overlong = "fail", .shots = -1, .seed = 1, .judge = JUDGE_NOTHING};
  const cli_opt opts[] = {
      CLI_PATH("task", 0, "NAME|FILE", NB_PATH_READ, &o.task, "a built-in task or a task file (mmlu)"),
      CLI_STRING("preset", 0, "NAME", &o.preset, "the task's variant; mmlu: hendrycks, lm-eval, phi, cloze"),
      CLI_PATH("data", 0, "PATH", NB_PATH_READ, &o.data, "directory, .zip or file with the questions (required)"),
      CLI_STRING("split", 0, "NAME", &o.split, "which part of the data (the task says)"),
      CLI_INT("shots", 0, "N", 0, 64, &o.shots, "examples before each question (the task says; mmlu: 5)"),
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
      CLI_CHOICE("kv", 0, "f32|f16|q16|q8", &o.kv, "type of the cache (q16 for .nbl files, f32 for checkpoints)"),
      CLI_INT("batch", 0, "N", 16, 8192, &o.batch,
              "tokens run at a time (512, fewer of a wide model); results do not depend on it"),
      CLI_FLAG("alone", 0, &o.alone, "share no prompt beginnings and batch nothing (the same results, slowly)"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "eval",
      .args = "MODEL... --data PATH",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU,
      .about =
          "Measures accuracy on a multiple-choice set such as MMLU, or on written answers (gsm8k, ifeval). MODEL is a "
          ".nbl file or a checkpoint's directory;\n"
          "several are run one after another over the same questions and compared with the only checkpoint\n"
          "among them, else the first. With a limit (--gate, --margin, --min-accuracy, --max-memory) every run but\n"
          "the baseline's is judged as by `nibble compare`: exit 3 is a fail, 4 undecided. A run that goes above\n"
          "--max-memory or --max-total-memory ends there, with 3. Every question counts: one that cannot be read or\n"
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
  if (judge_compares(&o.judge) && !o.against && args.n < 2)
    return cli_usage(&cmd, "limits on a comparison need --against or a second model");
  if (o.bundle.n && !nb_archive_writes()) return cli_usage(&cmd, "--bundle: this nibble was built without libzip");
  if (o.seed > (uint64_t)1 << 53) return cli_usage(&cmd, "--seed: at most 2^53, which JSON keeps exactly");
  if (o.journal && args.n > 1) return cli_usage(&cmd, "--journal is for one model");
  nb_evaluation_opts eo = {
      .task = o.task,
      .preset = o.preset,
      .data = o.data,
      .split = o.split,
      .shots = o.shots,
      .plain = o.bos[0] == 'n',
      .texts = o.texts,
      .chat = !o.chat            ? NB_CHAT_NO
              : o.chat[0] == 's' ? NB_CHAT_SINGLE
                                 : NB_CHAT_MULTITURN,
      .system = o.system,
      .overlong = o.overlong[0] == 'w'   ? NB_OVERLONG_WRONG
                  : o.overlong[0] == 't' ? NB_OVERLONG_TRUNCATE
                                         : NB_OVERLONG_FAIL,
      .select = {.subjects = o.subjects, .limit = (size_t)o.limit, .sample = (size_t)o.sample, .seed = o.seed}};
  nb_err err;
  if (o.shard && !strcmp(o.shard, "auto")) {
    const char *source;
    nb_status found = nb_merge_shard_auto(getenv, &eo.select.shard, &eo.select.shards, &source, &err);
    if (found != NB_OK) return cli_fail(found, &err);
    cli_note(&common, "shard %zu of %zu (%s)", eo.select.shard + 1, eo.select.shards, source);
  } else if (o.shard && !parse_shard(o.shard, &eo.select))
    return cli_usage(&cmd, "--shard '%s': want I/N, 1 <= I <= N", o.shard);
  nb_evaluation e = {.n = 0};
  nb_status st = nb_evaluation_prepare(&eo, &e, &err);
  int code = 0;
  if (st == NB_OK) st = run_all(&o, &common, &e, &args, &code, &err);
  nb_evaluation_free(&e);
  if (st != NB_OK) return cli_fail(st, &err);
  return judge_asked(&o.judge) || o.sequential ? code : 0;
}
