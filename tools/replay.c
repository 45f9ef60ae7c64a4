/* SPDX-License-Identifier: MIT */
#include "tools/replay.h"

#include "base/mem.h"
#include "eval/bench_replay.h"
#include "formats/explain.h"
#include "formats/jsonl.h"
#include "formats/open.h"
#include "tools/progress_cli.h"
#include "tools/table.h"
#include "tools/talk.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 26, MAX_TEXTS = 1024 };

/* A text of the file. */
typedef struct text {
  char kind[32];
  nb_ids prompt, answer;
  nb_bench_replay run;
} text;

typedef struct texts {
  text *t; /* (n) */
  size_t n, cap;
} texts;

static nb_status read_record(const cJSON *j, const char *where, const nb_tokenizer *tok, text *t, nb_err *err) {
  const char *kind, *prompt, *answer;
  NB_TRY(nb_json_string(j, where, "kind", &kind, err));
  NB_TRY(nb_json_string(j, where, "prompt", &prompt, err));
  NB_TRY(nb_json_string(j, where, "answer", &answer, err));
  snprintf(t->kind, sizeof t->kind, "%s", kind);
  const nb_chat_message message = {"user", prompt};
  NB_TRY(talk_ids(tok, false, NULL, &message, 1, &t->prompt, err));
  NB_TRY(nb_tokenizer_encode(tok, answer, strlen(answer), 0, &t->answer, err));
  if (t->answer.n < 2) return nb_fail(err, NB_ERR_FORMAT, "%s: the answer is no two tokens", where);
  t->run = (nb_bench_replay){t->prompt.id, t->answer.id, t->prompt.n, t->answer.n, 0, 0, 0, 0};
  return NB_OK;
}

static nb_status read_texts(const char *file, const nb_tokenizer *tok, texts *out, nb_err *err) {
  char *bytes = NULL;
  size_t n;
  nb_jsonl it = {0};
  NB_TRY(nb_explain_read_text(file, MAX_FILE, &bytes, &n, err));
  nb_status st = nb_jsonl_open(bytes, n, file, &it, err);
  for (const cJSON *j = NULL; st == NB_OK;) {
    st = nb_jsonl_next(&it, &j, err);
    if (st != NB_OK || !j) break;
    if (out->n == MAX_TEXTS) st = nb_fail(err, NB_ERR_FORMAT, "%s: more than %d records", it.where, MAX_TEXTS);
    if (st == NB_OK) st = nb_grow(&out->t, &out->cap, out->n + 1, sizeof *out->t, err);
    if (st != NB_OK) break;
    out->t[out->n] = (text){.kind = ""};
    st = read_record(j, it.where, tok, &out->t[out->n++], err);
  }
  if (st == NB_OK && !out->n) st = nb_fail(err, NB_ERR_FORMAT, "%s: holds no records", file);
  nb_jsonl_close(&it);
  free(bytes);
  return st;
}

/* A row: the texts of a kind, in the order of the kinds' coming; `first` is the first of them. */
static void add_kind(const texts *all, size_t first, cli_table *t, cJSON *list) {
  const char *kind = all->t[first].kind;
  double plain = 0, guessing = 0, worst = 1e9;
  size_t n = 0, tokens = 0, guessed = 0, right = 0;
  for (size_t i = 0; i < all->n; i++) {
    const nb_bench_replay *x = &all->t[i].run;
    if (strcmp(all->t[i].kind, kind)) continue;
    n++, tokens += x->n_answer - 1, guessed += x->guessed, right += x->right;
    plain += x->plain_s, guessing += x->guessing_s;
    if (x->plain_s / x->guessing_s < worst) worst = x->plain_s / x->guessing_s;
  }
  cJSON *e = cJSON_CreateObject();
  cJSON_AddStringToObject(e, "kind", kind);
  cJSON_AddNumberToObject(e, "texts", (double)n);
  cJSON_AddNumberToObject(e, "tokens", (double)tokens);
  cJSON_AddNumberToObject(e, "plain_per_s", (double)tokens / plain);
  cJSON_AddNumberToObject(e, "guessing_per_s", (double)tokens / guessing);
  cJSON_AddNumberToObject(e, "ratio", plain / guessing);
  cJSON_AddNumberToObject(e, "worst_ratio", worst);
  cJSON_AddNumberToObject(e, "drafted", (double)guessed);
  cJSON_AddNumberToObject(e, "accepted", (double)right);
  cJSON_AddItemToArray(list, e);
  cli_table_cell(t, "%s", kind);
  cli_table_cell(t, "%zu", n);
  cli_table_cell(t, "%zu", tokens);
  cli_table_cell(t, "%.2f", (double)tokens / plain);
  cli_table_cell(t, "%.2f", (double)tokens / guessing);
  cli_table_cell(t, "%.2f", plain / guessing);
  cli_table_cell(t, "%.2f", worst);
  cli_table_cell(t, "%zu of %zu", right, guessed);
}

static void print(const texts *all, const cli_common *common) {
  cJSON *j = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(j, "replay");
  const char *head[] = {"kind", "texts", "tokens", "tokens/s", "with guesses", "times", "the least", "guesses right"};
  cli_table t;
  cli_table_begin(&t, "lrrrrrrr");
  for (size_t i = 0; i < sizeof head / sizeof *head; i++) cli_table_cell(&t, "%s", head[i]);
  cli_table_rule(&t);
  for (size_t i = 0; i < all->n; i++) {
    size_t first = 0;
    while (strcmp(all->t[first].kind, all->t[i].kind)) first++;
    if (first == i) add_kind(all, i, &t, list);
  }
  cli_table_end(&t, common->json ? NULL : stdout);
  if (common->json) cli_print_json(j);
  else cJSON_Delete(j);
}

nb_status replay_texts(const replay_opts *o, const cli_common *common, nb_err *err) {
  nb_opened m = {0};
  nb_session *s = NULL;
  texts all = {0};
  nb_session_opts so = {.threads = common->threads, .cpu_features = common->features};
  nb_status st;
  cli_progress p;
  nb_progress cb = cli_progress_begin(&p, common, "writing", "texts");
  NB_GOTO(cli_open(o->model, 0, common, &m, err));
  nb_kv_type kv = m.kv;
  if (o->kv) NB_GOTO(nb_kv_type_parse(o->kv, &kv, err));
  NB_GOTO(read_texts(o->file, m.tokenizer, &all, err));
  NB_GOTO(nb_session_create(&m.model.config, &so, &s, err));
  for (size_t i = 0; i < all.n; i++) {
    NB_GOTO(nb_bench_replay_run(s, &m.model, kv, (size_t)o->repeat, &all.t[i].run, err));
    NB_GOTO(nb_progress_step(&cb, i + 1, all.n, err));
  }
  cli_progress_end(&p);
  print(&all, common);
fail:
  if (st != NB_OK) cli_progress_end(&p);
  for (size_t i = 0; i < all.n; i++) nb_ids_free(&all.t[i].prompt), nb_ids_free(&all.t[i].answer);
  free(all.t);
  nb_session_free(s);
  nb_opened_free(&m);
  return st;
}
