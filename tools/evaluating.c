/* SPDX-License-Identifier: MIT */
#include "tools/evaluating.h"

#include "eval/bundle.h"
#include "eval/lmeval.h"
#include "eval/memory.h"
#include "eval/stopping.h"
#include "tools/progress_cli.h"
#include "tools/report_text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

nb_evaluation_opts eval_prepared(const eval_options *o, const nb_selection *select) {
  return (nb_evaluation_opts){.task = o->task ? o->task : "mmlu",
                              .preset = o->preset,
                              .data = o->data,
                              .split = o->split,
                              .shots = o->shots,
                              .shots_from = o->shots_from,
                              .plain = o->bos[0] == 'n',
                              .texts = o->texts,
                              .chat = !o->chat            ? NB_CHAT_NO
                                      : o->chat[0] == 's' ? NB_CHAT_SINGLE
                                                          : NB_CHAT_MULTITURN,
                              .system = o->system,
                              .overlong = o->overlong[0] == 'w'   ? NB_OVERLONG_WRONG
                                          : o->overlong[0] == 't' ? NB_OVERLONG_TRUNCATE
                                                                  : NB_OVERLONG_FAIL,
                              .select = *select};
}

nb_status eval_file_in(const char *folder, const char *id, const char *ending, nb_text *out, nb_err *err) {
  if (!folder) return NB_OK;
  NB_TRY(nb_text_append_str(out, folder, err));
  NB_TRY(nb_text_append_str(out, "/", err));
  NB_TRY(nb_text_append_str(out, id, err));
  return nb_text_append_str(out, ending, err);
}

nb_status eval_make_folder(const char *path, nb_err *err) {
  struct stat s;
  if (!path) return NB_OK;
  if (mkdir(path, 0777) && (stat(path, &s) || !S_ISDIR(s.st_mode)))
    return nb_fail(err, NB_ERR_IO, "%s: the files of several runs need a folder, which cannot be made there", path);
  return NB_OK;
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

nb_status eval_load(const eval_options *o, const cli_common *common, const char *name, eval_model *m, nb_err *err) {
  m->name = name;
  NB_TRY(cli_open(name, 0, common, &m->model, err));
  if (!m->model.tokenizer) return nb_fail(err, NB_ERR_ARG, "%s has no tokenizer", name);
  m->kv = m->model.kv;
  if (o->kv) NB_TRY(nb_kv_type_parse(o->kv, &m->kv, err));
  return NB_OK;
}

/* Builds all the prompts before the first is run; those that do not fit are named. */
static nb_status check_prompts(const cli_common *common, const nb_evaluation *e, eval_model *m, nb_err *err) {
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
static nb_status warn_of_overlap(const nb_evaluation *e, const eval_model *m, nb_err *err) {
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
static nb_status answer(const eval_options *o, const cli_common *common, const nb_evaluation *e, const eval_model *m,
                        ending *by, nb_result *out, nb_err *err) {
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

/* The run that the others are compared with: the only checkpoint among .nbl files, else the first. */
static size_t choose_base(const eval_model *m, size_t n) {
  size_t dense = 0, base = 0;
  for (size_t i = 0; i < n; i++)
    if (!m[i].model.coded) dense++, base = i;
  return dense == 1 ? base : 0;
}

static nb_status judge(eval_runs *r, eval_one *cand, nb_err *err) {
  const nb_gates *g = &r->gates;
  if (r->base) {
    nb_compare_opts co = {.alpha = g->alpha,
                          .margin = nb_gates_margin(g),
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
static nb_status save_page(const eval_runs *r, const nb_judgement *j, nb_err *err) {
  nb_judgement others[EVAL_MAX_MODELS];
  size_t n = 0;
  for (size_t i = 0; i < r->n; i++) {
    const eval_one *x = &r->run[i];
    if (&x->result == j->run || &x->result == r->base) continue;
    others[n++] = (nb_judgement){.run = &x->result, .against = x->comparison.n ? &x->comparison : NULL};
  }
  return judge_save_html(&r->o->judge, j, others, n, err);
}

static nb_status save_bundle(const char *path, const nb_result *result, const nb_judgement *j, nb_err *err) {
  nb_text page = {0};
  nb_status st = nb_report_html(j, NULL, 0, &page, err);
  if (st == NB_OK) st = nb_bundle_save(path, result, &page, err);
  nb_text_free(&page);
  return st;
}

static nb_status save_bundles(const eval_runs *r, nb_err *err) {
  for (size_t i = 0, k = 0; i < r->o->bundle.n; i++) {
    const nb_result *result = &r->run[i].result;
    nb_judgement alone = {.run = result};
    const nb_judgement *j = result == r->base ? &alone : &r->judged[k++];
    NB_TRY(save_bundle(r->o->bundle.items[i], result, j, err));
  }
  return NB_OK;
}

/* One run alone is its result file; several, or judged ones, are an object with results and verdicts. */
static nb_status print_json(const eval_runs *r, nb_err *err) {
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
nb_status eval_report(const eval_runs *r, nb_err *err) {
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
static nb_status report_ended(const eval_runs *r, const nb_evaluation *e, const char *model, const char *gate,
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
static nb_status answer_all(eval_runs *r, nb_evaluation *e, const eval_model *model, nb_err *err) {
  const eval_options *o = r->o;
  nb_stopping stopping = {.e = NULL};
  nb_status st = NB_OK;
  if (o->sequential)
    NB_GOTO(nb_stopping_begin(
        e, r->base, &(nb_stopping_opts){.margin = r->gates.margin / 100, .alpha = r->gates.alpha, .seed = o->seed},
        &stopping, err));
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
    if (r->common->json || o->silent) continue;
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
static nb_status check_against(const eval_options *o, const eval_runs *r, const nb_evaluation *e, const nb_plan *plan,
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
static nb_status check_alike(const nb_evaluation *e, const eval_model *a, const eval_model *b, nb_err *err) {
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

nb_status eval_prompts(const eval_runs *r, const nb_evaluation *e, eval_model *model, nb_err *err) {
  nb_status st = check_prompts(r->common, e, model, err);
  nb_err other;
  if (st == NB_ERR_ARG && report_ended(r, e, model->name, "prompts", err, &other) != NB_OK) cli_warn("%s", other.msg);
  return st;
}

/* Everything that is known to go wrong before the first question is run. */
static nb_status check_all(const eval_options *o, const eval_runs *r, const nb_evaluation *e, eval_model *model,
                           nb_err *err) {
  for (size_t i = 0; i < r->n; i++) NB_TRY(warn_of_overlap(e, &model[i], err));
  for (size_t i = 0; i < r->n; i++) {
    NB_TRY(eval_prompts(r, e, &model[i], err));
    if (i) NB_TRY(check_alike(e, &model[0], &model[i], err));
    if (o->against) NB_TRY(check_against(o, r, e, &model[i].plan, err));
  }
  return NB_OK;
}

/* Everything before the first question: limits, baseline, and what is known to go wrong. */
static nb_status begin(eval_runs *r, nb_evaluation *e, eval_model *model, nb_err *err) {
  const eval_options *o = r->o;
  NB_TRY(judge_gates(&o->judge, &r->gates, err));
  if (o->against) NB_TRY(nb_result_load(o->against, &r->against, err));
  if (o->against) NB_TRY(nb_compare_protocols(&r->against.protocol, &e->protocol, err));
  r->base = o->against ? &r->against : r->n > 1 ? &r->run[choose_base(model, r->n)].result : NULL;
  return check_all(o, r, e, model, err);
}

nb_status eval_run(const eval_options *o, const cli_common *common, nb_evaluation *e, eval_model *model, size_t n,
                   eval_runs *out, nb_err *err) {
  eval_runs *r = out;
  *r = (eval_runs){.o = o, .common = common, .n = n};
  nb_status st = begin(r, e, model, err);
  if (st == NB_OK) st = answer_all(r, e, model, err);
  for (size_t i = 0; i < n && st == NB_OK; i++)
    if (&r->run[i].result != r->base) st = judge(r, &r->run[i], err);
  for (size_t i = 0; i < n; i++) nb_plan_free(&model[i].plan);
  return st;
}

void eval_runs_free(eval_runs *r) {
  for (size_t i = 0; i < r->n; i++) nb_comparison_free(&r->run[i].comparison), nb_result_free(&r->run[i].result);
  nb_result_free(&r->against);
  *r = (eval_runs){.n = 0};
}
