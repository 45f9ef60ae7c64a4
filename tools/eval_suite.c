/* SPDX-License-Identifier: MIT */
/* nibble eval --suite: each row of a suite as a run of its own, which has its own result file, journal and baseline by
 * its name in the folders that --out, --journal and --against name; then one table. */
#include "eval/suite_table.h"
#include "formats/outfile.h"
#include "tools/evaluating.h"
#include "tools/progress_cli.h"
#include "tools/report_text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A row as it is run. */
typedef struct running_row {
  const nb_suite_row *row;
  eval_options o;
  nb_text data, out, journal, against;
  const char *examples; /* the split that they come from; NULL: the task's */
  nb_evaluation e;
  eval_runs runs;
  nb_result none; /* stands for a row that is not run */
  char why[NB_GATE_TEXT];
  bool missed; /* it is not run, and the baseline's was */
} running_row;

typedef struct running_suite {
  const eval_options *o;
  const cli_common *common;
  const nb_selection *select;
  nb_suite suite;
  running_row *row; /* (suite.n) */
  nb_text table;    /* where it is written; empty: nowhere */
  eval_model model;
} running_suite;

/* ---- before the first question ---- */

/* The first of the row's splits for examples that the data have. */
static nb_status choose_examples(running_row *r, nb_err *err) {
  nb_task task;
  bool has = false;
  if (!r->row->examples || r->o.shots == 0) return NB_OK;
  NB_TRY(nb_task_open_with(r->row->task, r->row->preset, r->row->with, "", &task, err));
  nb_status st = NB_OK;
  for (const cJSON *s = r->row->examples->child; s && !has && st == NB_OK; s = s->next) {
    st = nb_dataset_has(&task, r->data.s, s->valuestring, &has, err);
    if (has) r->examples = s->valuestring;
  }
  nb_task_free(&task);
  if (st == NB_OK && !has) snprintf(r->why, sizeof r->why, "%.200s has none of the splits for examples", r->data.s);
  return st;
}

/* A row that lacks its data. Where the baseline has it, nothing is decided: what is run is not all. */
static nb_status leave_out(running_row *r, nb_err *err) {
  struct stat sb;
  NB_TRY(eval_file_in(r->o.against, r->row->id, ".json", &r->against, err));
  r->missed = r->against.n && stat(r->against.s, &sb) == 0;
  return NB_OK;
}

static nb_status prepare_row(running_suite *s, running_row *r, nb_err *err) {
  const eval_options *o = s->o;
  const nb_suite_row *row = r->row;
  r->o = *o;
  r->none.protocol = (nb_protocol){.task = row->id, .preset = ""};
  if (row->needs) return snprintf(r->why, sizeof r->why, "it needs %.290s", row->needs), NB_OK;
  NB_TRY(nb_suite_find_data(row, o->data, &r->data, err));
  if (!r->data.n) {
    snprintf(r->why, sizeof r->why, "no data: %.200s has no folder %.60s", o->data, row->data->child->valuestring);
    return leave_out(r, err);
  }
  r->o.task = row->task, r->o.preset = row->preset, r->o.split = row->split, r->o.shots = row->shots;
  r->o.data = r->data.s, r->o.silent = true;
  NB_TRY(choose_examples(r, err));
  if (*r->why) return leave_out(r, err);
  r->o.shots_from = r->examples;
  NB_TRY(eval_file_in(o->out.n ? o->out.items[0] : NULL, row->id, ".json", &r->out, err));
  NB_TRY(eval_file_in(o->journal, row->id, ".journal", &r->journal, err));
  NB_TRY(eval_file_in(o->against, row->id, ".json", &r->against, err));
  if (r->out.n) r->o.out.items[0] = r->out.s;
  r->o.journal = r->journal.s, r->o.against = r->against.s;
  nb_evaluation_opts eo = eval_prepared(&r->o, s->select);
  eo.with = row->with, eo.with_name = s->suite.name;
  nb_status st = nb_evaluation_prepare(&eo, &r->e, err);
  return st == NB_OK ? st : nb_fail_in(err, st, "row %s", row->name);
}

/* No file of a row, and not the table's, may replace anything that is read, or each other. */
static nb_status check_files(const running_suite *s, const char *model, nb_err *err) {
  const judge_options *j = &s->o->judge;
  nb_path *paths;
  NB_TRY(nb_new(&paths, 7 + 5 * s->suite.n, sizeof *paths, "the files of a suite", err));
  size_t n = 0;
  paths[n++] = (nb_path){model, NULL, NB_PATH_READ};
  paths[n++] = (nb_path){s->o->suite, "suite", NB_PATH_READ};
  if (j->junit) paths[n++] = (nb_path){j->junit, "junit", NB_FILE_JUNIT};
  if (j->summary) paths[n++] = (nb_path){j->summary, "summary", NB_FILE_MARKDOWN};
  if (j->html) paths[n++] = (nb_path){j->html, "html", NB_FILE_PAGE};
  if (s->table.n) paths[n++] = (nb_path){s->table.s, "out", NB_FILE_SUITE};
  for (const running_row *r = s->row; r < s->row + s->suite.n; r++) {
    if (r->row->task) paths[n++] = (nb_path){r->row->task, "suite", NB_PATH_READ}; /* if it is a file's name */
    if (r->data.n) paths[n++] = (nb_path){r->data.s, "data", NB_PATH_READ};
    if (r->against.n) paths[n++] = (nb_path){r->against.s, "against", NB_PATH_READ};
    if (r->out.n) paths[n++] = (nb_path){r->out.s, "out", NB_FILE_RESULT};
    if (r->journal.n) paths[n++] = (nb_path){r->journal.s, "journal", NB_FILE_JOURNAL};
  }
  nb_status st = nb_path_check(paths, n, s->common->force, err);
  nb_free(paths);
  return st;
}

/* ---- the table ---- */

static nb_judgement missed(const running_row *r) {
  nb_judgement j = {.run = &r->none, .verdict = NB_VERDICT_UNDECIDED, .n = 1};
  j.gate[0] = (nb_gate_result){.name = "run", .verdict = NB_VERDICT_UNDECIDED};
  snprintf(j.gate[0].text, sizeof j.gate[0].text, "not run, as the baseline's was: %.250s", r->why);
  return j;
}

/* Judgements of all rows for CI, and the lines of the table. */
static void fill_lines(const running_suite *s, nb_suite_line *line, nb_judgement *judged) {
  for (size_t i = 0; i < s->suite.n; i++) {
    running_row *r = &s->row[i];
    line[i] = (nb_suite_line){.row = r->row};
    r->none.model.name = s->model.name;
    judged[i] = (nb_judgement){.run = &r->none, .not_run = r->why};
    snprintf(line[i].why, sizeof line[i].why, "%s", r->why);
    if (r->missed) judged[i] = missed(r);
    if (judged[i].n) line[i].judged = &judged[i];
    if (!r->runs.n) continue;
    line[i].result = &r->runs.run[0].result;
    judged[i] = r->runs.judged[0];
    if (judged[i].n) line[i].judged = &r->runs.judged[0];
  }
}

typedef nb_status table_writer(const nb_suite_table *t, nb_text *out, nb_err *err);

static nb_status save_table(const char *path, table_writer *write, const nb_suite_table *t, nb_err *err) {
  nb_text text = {0};
  if (!path) return NB_OK;
  nb_status st = write(t, &text, err);
  if (st == NB_OK) st = nb_outfile_save(path, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}

static nb_status print_table(const running_suite *s, const nb_suite_table *t, nb_err *err) {
  nb_text text = {0};
  if (!s->common->json) return report_suite(t, stdout), NB_OK;
  nb_status st = nb_suite_table_json(t, &text, err);
  if (st == NB_OK) fwrite(text.s, 1, text.n, stdout);
  nb_text_free(&text);
  return st;
}

static nb_status report_all(const running_suite *s, int *code, nb_err *err) {
  const judge_options *j = &s->o->judge;
  size_t n = s->suite.n, n_judged = 0;
  nb_suite_line *line = calloc(n, sizeof *line);
  nb_judgement *judged = calloc(n, sizeof *judged);
  nb_status st = line && judged ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory: a table");
  if (st != NB_OK) goto fail;
  fill_lines(s, line, judged);
  const nb_model_facts *facts = &(nb_model_facts){.name = s->model.name, .architecture = "", .kv = ""};
  for (size_t i = 0; i < n; i++)
    if (line[i].result) facts = &line[i].result->model;
  nb_suite_table t = {&s->suite, facts, line, n};
  judge_options ci = *j;
  ci.summary = NULL; /* it has the table */
  NB_GOTO(judge_save(&ci, judged, n, err));
  NB_GOTO(save_table(j->summary, nb_suite_table_markdown, &t, err));
  NB_GOTO(save_table(j->html, nb_suite_table_html, &t, err));
  NB_GOTO(save_table(s->table.s, nb_suite_table_json, &t, err));
  NB_GOTO(print_table(s, &t, err));
  for (size_t i = 0; i < n; i++)
    if (judged[i].n) judged[n_judged++] = judged[i];
  *code = judge_exit(judged, n_judged);
fail:
  free(line), free(judged);
  return st;
}

/* ---- the whole ---- */

static nb_status run_rows(running_suite *s, nb_err *err) {
  NB_TRY(eval_make_folder(s->o->out.n ? s->o->out.items[0] : NULL, err));
  NB_TRY(eval_make_folder(s->o->journal, err));
  for (size_t i = 0; i < s->suite.n; i++) {
    running_row *r = &s->row[i];
    if (!r->e.n) continue;
    cli_note(s->common, "row %zu of %zu: %s, %zu questions", i + 1, s->suite.n, r->row->name, r->e.n);
    nb_status st = eval_run(&r->o, s->common, &r->e, &s->model, 1, &r->runs, err);
    if (st != NB_OK) return nb_fail_in(err, st, "row %s", r->row->name);
  }
  return NB_OK;
}

nb_status eval_suite(const eval_options *o, const cli_common *common, const nb_selection *select, const char *model,
                     int *code, nb_err *err) {
  running_suite s = {.o = o, .common = common, .select = select, .model.name = model};
  size_t ran = 0;
  nb_status st;
  NB_TRY(nb_suite_open(o->suite, &s.suite, err));
  NB_GOTO(nb_new(&s.row, s.suite.n, sizeof *s.row, "a suite", err));
  for (size_t i = 0; i < s.suite.n; i++) {
    s.row[i].row = &s.suite.row[i];
    NB_GOTO(prepare_row(&s, &s.row[i], err));
    ran += s.row[i].e.n > 0;
  }
  NB_GOTO(eval_file_in(o->out.n ? o->out.items[0] : NULL, "suite", ".json", &s.table, err));
  NB_GOTO(check_files(&s, model, err));
  if (!ran)
    NB_GOTO(nb_fail(err, NB_ERR_ARG, "%s holds the data of none of the suite's rows; %s", o->data, s.row[0].why));
  NB_GOTO(eval_load(o, common, model, &s.model, err));
  NB_GOTO(run_rows(&s, err));
  NB_GOTO(report_all(&s, code, err));
  for (size_t i = 0; i < s.suite.n; i++)
    if (s.row[i].journal.n) remove(s.row[i].journal.s);
  if (!judge_asked(&o->judge) && !o->sequential) *code = 0;
fail:
  for (size_t i = 0; s.row && i < s.suite.n; i++) {
    running_row *r = &s.row[i];
    eval_runs_free(&r->runs);
    nb_evaluation_free(&r->e);
    nb_text_free(&r->data), nb_text_free(&r->out), nb_text_free(&r->journal), nb_text_free(&r->against);
  }
  nb_opened_free(&s.model.model);
  nb_text_free(&s.table);
  nb_free(s.row);
  nb_suite_free(&s.suite);
  return st;
}
