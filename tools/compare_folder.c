/* SPDX-License-Identifier: MIT */
#include "tools/compare_folder.h"

#include "base/mem.h"
#include "tools/table.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct candidate {
  char *path;
  nb_result run;
  nb_comparison against;
} candidate;

typedef struct folder {
  nb_result base;
  candidate *list; /* (n) by size of the model's file, the smallest first */
  size_t n, cap;
  nb_judgement *judged; /* (n) */
} folder;

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static nb_status find(folder *f, const char *base, const char *dir, nb_err *err) {
  DIR *d = opendir(dir);
  nb_status st = NB_OK;
  if (!d) return nb_fail(err, NB_ERR_IO, "%s: cannot list the directory: %s", dir, strerror(errno));
  for (const struct dirent *e; st == NB_OK && (e = readdir(d));) {
    size_t n = strlen(e->d_name), room = strlen(dir) + n + 2;
    if (n <= 5 || strcmp(e->d_name + n - 5, ".json") || e->d_name[0] == '.') continue;
    char *path = malloc(room);
    if (path) snprintf(path, room, "%s/%s", dir, e->d_name);
    st = path ? nb_grow(&f->list, &f->cap, f->n + 1, sizeof *f->list, err)
              : nb_fail(err, NB_ERR_MEMORY, "%s: out of memory", dir);
    if (st != NB_OK || same_file(path, base)) {
      free(path);
      continue;
    }
    f->list[f->n++] = (candidate){.path = path};
  }
  closedir(d);
  if (st != NB_OK || f->n) return st;
  return nb_fail(err, NB_ERR_ARG, "%s has no result file (*.json of nibble eval --out) but the baseline's", dir);
}

static int by_size(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->run.model.file_bytes != y->run.model.file_bytes)
    return x->run.model.file_bytes < y->run.model.file_bytes ? -1 : 1;
  return strcmp(x->path, y->path);
}

/* j: NULL of the baseline. A candidate's score is of the questions that are in both. */
static void print_row(const nb_result *r, const nb_judgement *j, cli_table *t) {
  const nb_comparison *c = j ? j->against : NULL;
  cli_table_cell(t, "%s", r->model.name);
  cli_table_cell(t, "%.1f", (double)r->model.file_bytes / 1e6);
  cli_table_cell(t, "%.2f", r->model.bits);
  if (r->has_measured && r->measured.seconds > 0)
    cli_table_cell(t, "%.0f", (double)r->measured.tokens / r->measured.seconds);
  else cli_table_cell(t, "-");
  cli_table_cell(t, "%zu", c ? c->n : r->n);
  cli_table_cell(t, "%.2f", 100 * (c ? c->cand_score : nb_result_score(r)));
  if (!c) {
    for (int i = 0; i < 6; i++) cli_table_cell(t, "%s", i < 5 ? "" : "baseline");
    return;
  }
  cli_table_cell(t, "%+.2f", 100 * c->diff);
  cli_table_cell(t, "%+.2f to %+.2f", 100 * c->low, 100 * c->high);
  cli_table_cell(t, "%zu", c->gained);
  cli_table_cell(t, "%zu", c->lost);
  cli_table_cell(t, "%.5f", c->kl.mean);
  cli_table_cell(t, "%s", nb_verdict_name(j->verdict));
}

static void print_table(const folder *f) {
  static const char *const head[] = {"model",  "MB",       "bits",   "tokens/s", "questions",  "score",
                                     "change", "interval", "gained", "lost",     "divergence", "verdict"};
  cli_table t;
  cli_table_begin(&t, "lrrrrrrrrrrl");
  for (size_t i = 0; i < sizeof head / sizeof *head; i++) cli_table_cell(&t, "%s", head[i]);
  cli_table_rule(&t);
  print_row(&f->base, NULL, &t);
  for (size_t i = 0; i < f->n; i++) print_row(&f->list[i].run, &f->judged[i], &t);
  cli_table_end(&t, stdout);
}

static nb_status print_json(const folder *f, nb_err *err) {
  nb_text text = {0};
  nb_status st = nb_report_json(f->judged, f->n, &text, err);
  if (st == NB_OK) printf("[%.*s]\n", (int)text.n, text.s);
  nb_text_free(&text);
  return st;
}

static void folder_free(folder *f) {
  for (size_t i = 0; i < f->n; i++) {
    free(f->list[i].path);
    nb_comparison_free(&f->list[i].against);
    nb_result_free(&f->list[i].run);
  }
  free(f->list);
  nb_free(f->judged);
  nb_result_free(&f->base);
}

nb_status compare_folder(const compare_folder_opts *o, const char *base_path, const char *dir, int *code, nb_err *err) {
  folder f = {.n = 0};
  nb_gates g;
  nb_status st;
  nb_compare_opts co = o->compare;
  NB_GOTO(judge_gates(o->judge, &g, err));
  co.alpha = g.alpha;
  co.margin = nb_gates_margin(&g);
  NB_GOTO(nb_result_load(base_path, &f.base, err));
  NB_GOTO(find(&f, base_path, dir, err));
  for (size_t i = 0; i < f.n; i++) NB_GOTO(nb_result_load(f.list[i].path, &f.list[i].run, err));
  qsort(f.list, f.n, sizeof *f.list, by_size);
  NB_GOTO(nb_new(&f.judged, f.n, sizeof *f.judged, "the comparisons", err));
  for (size_t i = 0; i < f.n; i++) {
    candidate *c = &f.list[i];
    st = nb_compare(&f.base, &c->run, &co, &c->against, err);
    if (st != NB_OK) NB_GOTO(nb_fail_in(err, st, "%s", c->path));
    nb_gates_judge(&g, &c->run, &c->against, &f.judged[i]);
  }
  NB_GOTO(judge_save(o->judge, f.judged, f.n, err));
  NB_GOTO(judge_save_html(o->judge, f.judged, f.judged + 1, f.n - 1, err));
  if (o->json) NB_GOTO(print_json(&f, err));
  else if (o->judge->github) NB_GOTO(judge_print(o->judge, &g, f.judged, f.n, err));
  else print_table(&f);
  *code = judge_exit(f.judged, f.n);
fail:
  folder_free(&f);
  return st;
}
