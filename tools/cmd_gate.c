/* SPDX-License-Identifier: MIT */
/* nibble gate: a verdict about a candidate in minutes, from cheap questions to dear ones (eval/stages.h). */
#include "eval/merge.h"
#include "eval/stages.h"
#include "formats/paths.h"
#include "tools/commands.h"
#include "tools/evaluating.h"
#include "tools/progress_cli.h"

#include <cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A baseline's run and the same questions for the candidate. */
typedef struct asked {
  nb_result base;
  nb_evaluation e;
} asked;

typedef struct gating {
  eval_options o;
  const char *written, *written_data, *written_task; /* the second baseline, its questions and task file; NULL: none */
  cli_common common;
  asked choices, texts;
  eval_model model;
  nb_stages stages;
  nb_text journal[NB_STAGES]; /* each stage's, in the folder of --journal; empty: none */
  nb_result part[NB_STAGES];  /* what each stage that asked something got */
} gating;

/* Everything about the questions is as in the baseline's run, which decides nothing else. */
static nb_status prepare(const gating *g, const char *base, const char *data, asked *out, nb_err *err) {
  NB_TRY(nb_result_load(base, &out->base, err));
  const nb_protocol *p = &out->base.protocol;
  if (nb_protocol_stopped_early(p))
    return nb_fail(err, NB_ERR_ARG, "%s stopped early: a baseline has answered all of its questions", base);
  if (p->shards) return nb_fail(err, NB_ERR_ARG, "%s is one shard of a run; join them with nibble merge", base);
  eval_options o = g->o;
  const char *file = out == &g->choices ? o.task : g->written_task;
  o.task = file ? file : p->task;
  o.preset = *p->preset ? p->preset : NULL, o.split = p->split, o.shots = (int)p->shots, o.data = data;
  o.shots_from = p->examples && *p->examples ? p->examples : NULL;
  o.bos = p->plain ? "no" : "auto", o.system = p->system && *p->system ? p->system : NULL;
  o.overlong = nb_overlong_words[p->overlong];
  const nb_selection select = {.subjects = *p->subjects ? p->subjects : NULL,
                               .limit = p->limit,
                               .sample = p->sample,
                               .seed = p->seed ? p->seed : 1};
  nb_evaluation_opts eo = eval_prepared(&o, &select);
  eo.chat = p->chat;
  NB_TRY(nb_evaluation_prepare(&eo, &out->e, err));
  NB_TRY(nb_compare_protocols(p, &out->e.protocol, err));
  if (out->e.n == out->base.n && !strcmp(out->e.protocol.data_hash, p->data_hash)) return NB_OK;
  return nb_fail(err, NB_ERR_ARG,
                 "%s answered other questions (%zu, data %.8s) than %s holds (%zu, data %.8s): give the data of that "
                 "run, or run it again on these",
                 base, out->base.n, p->data_hash, data, out->e.n, out->e.protocol.data_hash);
}

/* That all prompts fit, and are those that the baseline answered, is known before the first is run. */
static nb_status check_prompts(gating *g, const nb_gates *limits, const char *base, asked *a, nb_err *err) {
  const eval_runs r = {.o = &g->o, .common = &g->common, .gates = *limits};
  double paired;
  nb_status st = eval_prompts(&r, &a->e, &g->model, err);
  if (st == NB_OK) st = nb_compare_ahead(&a->base, a->e.item, &g->model.plan, &paired, err);
  nb_plan_free(&g->model.plan);
  return st == NB_OK ? st : nb_fail_in(err, st, "asked as in %s", base);
}

/* ---- answering ---- */

static nb_status on_answer(void *ctx, size_t index, const nb_item *item, const nb_answer *a, nb_err *err) {
  return nb_stopping_answered(ctx, index, item, a, err);
}

static size_t on_enough(void *ctx) { return nb_stopping_enough(ctx); }

/* A journal a stage: each is of a run of its own, which its key tells from every other (run_key.h). */
static nb_status name_journals(gating *g, nb_err *err) {
  const char *folder = g->o.journal;
  nb_path paths[NB_STAGES + 2] = {{g->o.data, "data", NB_PATH_READ}, {g->written_data, "written-data", NB_PATH_NONE}};
  if (!folder) return NB_OK;
  if (g->written_data) paths[1].file = NB_PATH_READ;
  for (nb_stage_kind k = 0; k < NB_STAGES; k++) {
    NB_TRY(eval_file_in(folder, nb_stage_names[k], ".journal", &g->journal[k], err));
    paths[2 + k] = (nb_path){g->journal[k].s, "journal", NB_FILE_JOURNAL};
  }
  NB_TRY(nb_path_check(paths, NB_STAGES + 2, false, err));
  return eval_make_folder(folder, err);
}

/* A stage's questions: those of the order that were not looked at yet, up to the pause. */
static nb_status answer(void *ctx, nb_stopping *s, nb_err *err) {
  gating *g = ctx;
  const eval_options *o = &g->o;
  nb_evaluation part = *s->e;
  part.item += s->from;
  part.n = (s->pause ? nb_min(s->pause, part.n) : part.n) - s->from;
  nb_session_opts so = {
      .threads = g->common.threads, .max_tokens = (size_t)o->batch, .cpu_features = g->common.features};
  nb_session *session;
  NB_TRY(nb_session_create(&g->model.model.model.config, &so, &session, err));
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, &g->common, nb_stage_names[g->stages.at], "questions");
  nb_evaluation_run run = {.name = g->model.name,
                           .model = &g->model.model,
                           .session = session,
                           .kv = g->model.kv,
                           .kv_bytes = (size_t)o->kv_memory,
                           .threads = g->common.threads,
                           .journal = g->journal[g->stages.at].s,
                           .progress = &cb,
                           .answered = on_answer,
                           .enough = on_enough,
                           .ctx = s};
  nb_status st = nb_evaluation_answer(&part, &run, &g->part[g->stages.at], err);
  cli_progress_end(&p);
  nb_session_free(session);
  return st;
}

/* ---- reporting ---- */

static nb_verdict stage_verdict(const nb_stages *s, nb_stage_kind k) {
  if (s->verdict == NB_VERDICT_FAIL && s->at == k) return NB_VERDICT_FAIL;
  if (k == NB_STAGE_ACCURACY) return s->verdict;
  return NB_VERDICT_PASS; /* it did not refuse */
}

static bool reached(const nb_stages *s, nb_stage_kind k) {
  return s->stage[k].questions || (k == NB_STAGE_ACCURACY && s->at == k);
}

static double seconds(const nb_stages *s) {
  double sum = 0;
  for (nb_stage_kind k = 0; k < NB_STAGES; k++) sum += s->stage[k].seconds;
  return sum;
}

static uint64_t from_journal(const gating *g, nb_stage_kind k) { return g->part[k].measured.from_journal; }

static void print_text(const gating *g) {
  const nb_stages *s = &g->stages;
  char text[NB_GATE_TEXT], time[CLI_TEXT];
  printf("baseline   %s\ncandidate  %s\n\n", g->choices.base.model.name, g->model.name);
  for (nb_stage_kind k = 0; k < NB_STAGES; k++) {
    if (!reached(s, k)) continue;
    nb_stages_text(s, k, text, sizeof text);
    nb_verdict v = stage_verdict(s, k);
    printf("%-11s %s: %s; %zu questions in %s", nb_stage_names[k],
           v == NB_VERDICT_PASS && k != NB_STAGE_ACCURACY ? "not refused" : nb_verdict_name(v), text,
           s->stage[k].questions, cli_seconds_text(time, s->stage[k].seconds));
    if (from_journal(g, k)) printf(", %llu of them from the journal", (unsigned long long)from_journal(g, k));
    putchar('\n');
  }
  printf("\n%s after %s\n", nb_verdict_name(s->verdict), cli_seconds_text(time, seconds(s)));
}

static int print_json(const gating *g) {
  const nb_stages *s = &g->stages;
  char text[NB_GATE_TEXT];
  cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "stages");
  for (nb_stage_kind k = 0; k < NB_STAGES; k++) {
    if (!reached(s, k)) continue;
    nb_stages_text(s, k, text, sizeof text);
    cJSON *e = cJSON_CreateObject();
    cJSON_AddItemToArray(list, e);
    cJSON_AddStringToObject(e, "stage", nb_stage_names[k]);
    cJSON_AddStringToObject(e, "verdict", nb_verdict_name(stage_verdict(s, k)));
    cJSON_AddNumberToObject(e, "questions", (double)s->stage[k].questions);
    cJSON_AddNumberToObject(e, "from_journal", (double)from_journal(g, k));
    cJSON_AddNumberToObject(e, "seconds", s->stage[k].seconds);
    cJSON_AddStringToObject(e, "text", text);
  }
  cJSON_AddStringToObject(o, "baseline", g->choices.base.model.name);
  cJSON_AddStringToObject(o, "candidate", g->model.name);
  cJSON_AddStringToObject(o, "verdict", nb_verdict_name(s->verdict));
  cJSON_AddNumberToObject(o, "seconds", seconds(s));
  return cli_print_json(o);
}

/* For CI: a test a stage. */
static nb_status save_junit(const gating *g, nb_err *err) {
  const nb_stages *s = &g->stages;
  nb_result run = {.protocol = g->choices.e.protocol, .model.name = g->model.name, .measured.seconds = seconds(s)};
  nb_judgement j = {.run = &run, .verdict = s->verdict};
  judge_options o = {.junit = g->o.judge.junit};
  for (nb_stage_kind k = 0; k < NB_STAGES; k++) {
    if (!reached(s, k)) continue;
    nb_gate_result *r = &j.gate[j.n++];
    r->name = nb_stage_names[k], r->verdict = stage_verdict(s, k);
    nb_stages_text(s, k, r->text, sizeof r->text);
  }
  return judge_save(&o, &j, 1, err);
}

/* The answers of the first run's questions, and of the second's, as results of runs that stopped early. */
static nb_status save_results(const gating *g, nb_err *err) {
  const cli_list *out = &g->o.out;
  nb_result parts[2], whole;
  size_t n = 0;
  if (out->n) {
    parts[n++] = g->part[NB_STAGE_DIVERGENCE];
    if (g->part[NB_STAGE_ACCURACY].n) parts[n++] = g->part[NB_STAGE_ACCURACY];
    NB_TRY(nb_merge_parts(&g->choices.e, parts, n, &whole, err));
    nb_status st = nb_result_save(&whole, out->items[0], err);
    nb_result_free(&whole);
    NB_TRY(st);
  }
  if (out->n < 2) return NB_OK;
  if (g->part[NB_STAGE_TEXTS].n) return nb_result_save(&g->part[NB_STAGE_TEXTS], out->items[1], err);
  cli_warn("%s is not written: the gate ended before the written questions", out->items[1]);
  return NB_OK;
}

static nb_status save_all(const gating *g, nb_err *err) {
  NB_TRY(save_results(g, err));
  NB_TRY(save_junit(g, err));
  for (nb_stage_kind k = 0; k < NB_STAGES; k++)
    if (g->journal[k].n) remove(g->journal[k].s);
  return NB_OK;
}

static nb_status run(gating *g, const char *model, nb_err *err) {
  const eval_options *o = &g->o;
  nb_gates limits;
  NB_TRY(judge_gates(&o->judge, &limits, err));
  NB_TRY(prepare(g, o->against, o->data, &g->choices, err));
  if (g->choices.e.task.score == NB_SCORE_GENERATE)
    return nb_fail(err, NB_ERR_ARG, "%s is of a written task: the first baseline must be of one with choices",
                   o->against);
  if (g->written) NB_TRY(prepare(g, g->written, g->written_data, &g->texts, err));
  if (g->written && g->texts.e.task.score != NB_SCORE_GENERATE)
    return nb_fail(err, NB_ERR_ARG, "%s (--written) is not of a written task", g->written);
  NB_TRY(name_journals(g, err));
  NB_TRY(eval_load(o, &g->common, model, &g->model, err));
  NB_TRY(check_prompts(g, &limits, o->against, &g->choices, err));
  if (g->written) NB_TRY(check_prompts(g, &limits, g->written, &g->texts, err));
  const nb_stage_limits sl = {.margin = limits.margin / 100,
                              .alpha = limits.alpha,
                              .max_kld = isnan(limits.max_kld) ? 0.05 : limits.max_kld,
                              .seed = o->seed};
  if (isnan(sl.margin) || sl.max_kld <= 0)
    return nb_fail(err, NB_ERR_ARG, "a margin, and a --max-kld above 0, are wanted");
  NB_TRY(nb_stages_begin(&g->choices.e, &g->choices.base, g->written ? &g->texts.e : NULL, &g->texts.base, &sl,
                         &g->stages, err));
  return nb_stages_run(&g->stages, answer, g, err);
}

int cmd_gate(int argc, char **argv) {
  gating g = {.o = {.bos = "auto", .overlong = "fail", .shots = -1, .seed = 1, .judge = JUDGE_NOTHING}};
  judge_options *j = &g.o.judge;
  const cli_opt opts[] = {
      CLI_PATH_REQUIRED("against", 0, "RUN", NB_PATH_READ, &g.o.against,
                        "the accepted build's result file, of a task with choices"),
      CLI_PATH_REQUIRED("data", 0, "PATH", NB_PATH_READ, &g.o.data, "the questions of that run"),
      CLI_PATH("task", 0, "FILE", NB_PATH_READ, &g.o.task, "the task's file, when it is not a built-in one"),
      CLI_PATH("written", 0, "RUN", NB_PATH_READ, &g.written,
               "a result file of a written task (gsm8k), for a second stage"),
      CLI_PATH("written-data", 0, "PATH", NB_PATH_READ, &g.written_data, "the questions of that run"),
      CLI_PATH("written-task", 0, "FILE", NB_PATH_READ, &g.written_task,
               "its task's file, when it is not a built-in one"),
      CLI_PATH("gate", 0, "FILE", NB_PATH_READ, &j->gate_file,
               "limits in a file (nibble-gate.json); options go before it"),
      CLI_DOUBLE("margin", 0, "POINTS", 0, 99, &j->margin, "the drop that would be accepted (1)"),
      CLI_DOUBLE("max-kld", 0, "NATS", 1e-9, 1e6, &j->max_kld, "the largest mean KL divergence of the answers (0.05)"),
      CLI_DOUBLE("alpha", 0, "P", 1e-6, 0.4, &j->alpha, "chance of a wrong pass, and of a wrong fail (0.05)"),
      CLI_PATHS("out", 'o', "FILE", NB_FILE_RESULT, &g.o.out,
                "write what was answered as a result file, for `nibble compare` (a second time: of --written)"),
      CLI_PATH("journal", 0, "DIR", NB_FILE_JOURNAL, &g.o.journal,
               "keep answers in this folder, a file a stage; a gate that was killed goes on from them"),
      CLI_PATH("junit", 0, "FILE", NB_FILE_JUNIT, &j->junit, "write JUnit XML, a test a stage"),
      CLI_U64("seed", 0, "N", &g.o.seed, "of the questions' order (1)"),
      CLI_KV(&g.o.kv, "type of the cache"),
      CLI_INT("batch", 0, "N", 16, 8192, &g.o.batch,
              "tokens run at a time (512, fewer of a wide model); results do not depend on it"),
      CLI_END,
  };
  const cli_command cmd = {
      .name = "gate",
      .args = "MODEL --against RUN --data PATH",
      .opts = opts,
      .common = CLI_JSON | CLI_THREADS | CLI_CPU | CLI_TOKENIZER,
      .about =
          "Accepts or refuses a candidate in minutes, in stages from cheap to dear: the divergence of its answers\n"
          "on 300 questions from those of the accepted build's run, 200 questions of a written task where there is\n"
          "a run of one, then more questions until a drop of the margin is ruled out or shown. Each stage may\n"
          "refuse, the last accepts; what the stages may err together is held (docs/gate.md).\n"
          "Exit status: 0 pass, 3 fail, 4 undecided.",
      .min_args = 1,
      .max_args = 1};
  cli_args args;
  nb_err err;
  if (!cli_parse(&cmd, argc, argv, &g.common, &args)) return args.exit_code;
  if (!g.written != !g.written_data) return cli_usage(&cmd, "--written and --written-data go together");
  if (g.o.out.n > (g.written ? 2 : 1))
    return cli_usage(&cmd, "%zu times --out: once, and with --written a second time", g.o.out.n);
  g.model.name = args.items[0];
  nb_status st = run(&g, args.items[0], &err);
  if (st == NB_OK) st = save_all(&g, &err);
  int code = g.stages.verdict == NB_VERDICT_PASS ? 0 : g.stages.verdict == NB_VERDICT_FAIL ? 3 : JUDGE_UNDECIDED;
  if (st != NB_OK) code = cli_fail(st, &err);
  else if (g.common.json && print_json(&g)) code = 1;
  else if (!g.common.json) print_text(&g);
  for (nb_stage_kind k = 0; k < NB_STAGES; k++) nb_result_free(&g.part[k]), nb_text_free(&g.journal[k]);
  nb_stages_free(&g.stages);
  nb_opened_free(&g.model.model);
  nb_evaluation_free(&g.choices.e), nb_evaluation_free(&g.texts.e);
  nb_result_free(&g.choices.base), nb_result_free(&g.texts.base);
  return code;
}
