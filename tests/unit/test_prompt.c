/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "formats/json.h"
#include "formats/mapfile.h"
#include "eval/prompt.h"

#include <unistd.h>

/* Goldens: tests/golden/make_prompt_goldens.py. */

static const char *shared(void) {
  const char *s = getenv("NB_SHARED");
  return s ? s : "../shared";
}

typedef struct setup {
  nb_task task;
  nb_dataset set, pool;
  nb_prompter prompter;
} setup;

static nb_status setup_open(setup *s, const char *task, const char *preset, const char *data, size_t shots,
                            nb_err *err) {
  *s = (setup){0};
  NB_TRY(nb_task_open(task, *preset ? preset : NULL, &s->task, err));
  NB_TRY(nb_dataset_read(&s->task, data, s->task.split, &s->set, err));
  if (shots) NB_TRY(nb_dataset_read(&s->task, data, s->task.shots_from, &s->pool, err));
  return nb_prompter_create(&s->task, shots, shots ? &s->pool : NULL, &s->set, &s->prompter, err);
}

static void setup_close(setup *s) {
  nb_prompter_free(&s->prompter);
  nb_dataset_free(&s->pool), nb_dataset_free(&s->set);
  nb_task_free(&s->task);
}

/* The hash of all prompts of a subject ("": of the whole set). */
static nb_status hash_prompts(const setup *s, const char *subject, size_t shots, size_t *n, char hex[33], nb_err *err) {
  XXH3_state_t *h = XXH3_createState();
  XXH3_128bits_reset(h);
  nb_status st = NB_OK;
  *n = 0;
  for (size_t i = 0; i < s->set.n && st == NB_OK; i++) {
    if (*subject && strcmp(s->set.item[i].subject, subject)) continue;
    nb_prompt p;
    st = nb_prompt_build(&s->prompter, &s->set.item[i], shots, &p, err);
    if (st != NB_OK) break;
    nb_prompt_hash(&p, h);
    nb_prompt_free(&p);
    ++*n;
  }
  XXH128_hash_t v = XXH3_128bits_digest(h);
  snprintf(hex, 33, "%016llx%016llx", (unsigned long long)v.high64, (unsigned long long)v.low64);
  XXH3_freeState(h);
  return st;
}

/* Every prompt of every set in ../shared, by hash: 57 subjects of MMLU in three presets, and eight other sets. With
 * NB_LONG unset one subject in four is checked. */
TEST(prompts_equal_the_goldens) {
  nb_err err;
  char *tsv, data[600];
  size_t n_bytes, lines = 0;
  snprintf(data, sizeof data, "%s/data/mmlu", shared());
  if (access(data, R_OK)) SKIP("no ../shared/data (NB_SHARED)");
  CHECK_OK(nb_mapfile_read("tests/golden/prompts.tsv", 1 << 20, &tsv, &n_bytes, &err));
  setup s = {0};
  char open_as[200] = "";
  for (char *line = strtok(tsv, "\n"); line; line = strtok(NULL, "\n"), lines++) {
    char *f[7], key[200];
    size_t k = 0;
    for (char *p = line; p && k < 7; k++) {
      f[k] = p;
      if ((p = strchr(p, '\t'))) *p++ = 0;
    }
    CHECK(k == 7);
    if (k != 7) break;
    size_t shots = strtoul(f[2], NULL, 10);
    snprintf(key, sizeof key, "%s %s %s %s", f[0], f[1], f[2], f[3]);
    if (strcmp(key, open_as)) {
      if (*open_as) setup_close(&s);
      snprintf(data, sizeof data, "%s/data/%s", shared(), f[3]);
      CHECK_OK(setup_open(&s, f[0], f[1], data, shots, &err));
      strcpy(open_as, key);
    }
    size_t n;
    char hex[33];
    if (!getenv("NB_LONG") && *f[4] && f[4][0] % 4) continue;
    CHECK_OK(hash_prompts(&s, f[4], shots, &n, hex, &err));
    CHECK_MSG(n == strtoul(f[5], NULL, 10), "%s %s: %zu questions, not %s", key, f[4], n, f[5]);
    CHECK_MSG(!strcmp(hex, f[6]), "%s %s: hash %s, not %s", key, f[4], hex, f[6]);
  }
  setup_close(&s);
  free(tsv);
  CHECK(lines == 57 * 6 + 8);
}

/* Whole texts for a few committed questions, one of them with line breaks inside. */
TEST(texts_equal_the_goldens) {
  nb_err err;
  char *bytes;
  size_t n, seen = 0, multi_line = 0;
  cJSON *all;
  CHECK_OK(nb_mapfile_read("tests/golden/prompts.json", 1 << 20, &bytes, &n, &err));
  CHECK_OK(nb_json_parse(bytes, n, "prompts.json", &all, &err));
  free(bytes);
  for (const char *const *preset = (const char *const[]){"hendrycks", "lm-eval", NULL}; *preset; preset++) {
    setup s;
    CHECK_OK(setup_open(&s, "mmlu", *preset, "tests/golden/mmlu", 2, &err));
    for (size_t i = 0; i < s.set.n; i++) {
      const nb_item *item = &s.set.item[i];
      for (const cJSON *g = all->child; g; g = g->next) {
        if (strcmp(nb_json_get(g, "id")->valuestring, item->id) ||
            strcmp(nb_json_get(g, "preset")->valuestring, *preset))
          continue;
        nb_prompt p;
        CHECK_OK(nb_prompt_build(&s.prompter, item, 2, &p, &err));
        CHECK_STR(p.context[0].s, nb_json_get(g, "context")->valuestring);
        const cJSON *c = nb_json_get(g, "continuations")->child;
        for (size_t k = 0; k < p.n && c; k++, c = c->next) CHECK_STR(p.continuation[k].s, c->valuestring);
        nb_prompt_free(&p);
        seen++, multi_line += strchr(item->question, '\n') != NULL;
      }
    }
    CHECK(s.set.n == 5);
    setup_close(&s);
  }
  CHECK((int)seen == cJSON_GetArraySize(all) && seen == 10);
  CHECK(multi_line == 4);
  cJSON_Delete(all);
}

/* Every set that lm-evaluation-harness has, from its authors' own file form, alone and after two examples. */
/* The set's row-th row, in its file's order. */
static const nb_item *row_of(const nb_dataset *set, int row) {
  for (size_t i = 0; i < set->n; i++)
    if (set->item[i].at == (size_t)row) return &set->item[i];
  return NULL;
}

TEST(examples_equal_the_goldens) {
  nb_err err;
  char *bytes;
  size_t n, seen = 0;
  cJSON *all;
  CHECK_OK(nb_mapfile_read("tests/golden/fewshot.json", 1 << 20, &bytes, &n, &err));
  CHECK_OK(nb_json_parse(bytes, n, "fewshot.json", &all, &err));
  free(bytes);
  for (const cJSON *g = all->child; g; g = g->next, seen++) {
    setup s;
    nb_prompt p;
    char data[100];
    const char *task = nb_json_get(g, "task")->valuestring;
    size_t shots = (size_t)nb_json_get(g, "shots")->valueint;
    snprintf(data, sizeof data, "tests/golden/mcq/%s", strncmp(task, "truthfulqa", 10) ? task : "truthfulqa");
    CHECK_OK(setup_open(&s, task, nb_json_get(g, "preset")->valuestring, data, shots, &err));
    CHECK_OK(nb_prompt_build(&s.prompter, row_of(&s.set, nb_json_get(g, "row")->valueint), shots, &p, &err));
    const cJSON *contexts = nb_json_get(g, "contexts"), *continuations = nb_json_get(g, "continuations");
    CHECK((int)p.n_contexts == cJSON_GetArraySize(contexts) && (int)p.n == cJSON_GetArraySize(continuations));
    for (int c = 0; c < (int)p.n_contexts; c++) CHECK_STR(p.context[c].s, cJSON_GetArrayItem(contexts, c)->valuestring);
    for (int c = 0; c < (int)p.n; c++)
      CHECK_STR(p.continuation[c].s, cJSON_GetArrayItem(continuations, c)->valuestring);
    nb_prompt_free(&p);
    setup_close(&s);
  }
  CHECK(seen == 8 * 2 * 3 + 2 * 2);
  cJSON_Delete(all);
}

/* The form of the Phi reports: one head for all subjects. */
TEST(phi_spreads_its_examples) {
  nb_err err;
  setup s;
  CHECK_OK(setup_open(&s, "mmlu", "phi", "tests/golden/mmlu", 3, &err));
  nb_prompt a, b;
  CHECK_OK(nb_prompt_build(&s.prompter, &s.set.item[0], 3, &a, &err));
  CHECK_OK(nb_prompt_build(&s.prompter, &s.set.item[4], 3, &b, &err));
  const char *start = "Question:\nFind the characteristic";
  CHECK(!strncmp(a.context[0].s, start, strlen(start)) && !strncmp(b.context[0].s, start, strlen(start)));
  CHECK(strcmp(s.set.item[0].subject, s.set.item[4].subject) != 0);
  CHECK_STR(a.context[0].s + a.context[0].n - 8, "\nAnswer:");
  CHECK(strstr(a.context[0].s, "Options:\nA. ") != NULL);
  nb_prompt_free(&a), nb_prompt_free(&b);
  setup_close(&s);
  CHECK(setup_open(&s, "mmlu", "phi", "tests/golden/mmlu", 9, &err) == NB_ERR_ARG);
  setup_close(&s);
}

static nb_prompt build_one(const char *task_json, const char *row, nb_status *st, nb_err *err) {
  nb_task t;
  nb_dataset d = {0};
  nb_prompter p = {0};
  nb_prompt out = {0};
  *st = nb_task_parse(task_json, strlen(task_json), "t.json", NULL, &t, err);
  if (*st == NB_OK)
    *st = nb_dataset_add(&t, &(nb_dataset_file){"rows.jsonl", NULL, row, strlen(row), NULL, 0}, &d, err);
  if (*st == NB_OK) *st = nb_dataset_finish(&d, "rows.jsonl", err);
  if (*st == NB_OK) *st = nb_prompter_create(&t, 0, NULL, NULL, &p, err);
  if (*st == NB_OK) *st = nb_prompt_build(&p, &d.item[0], 0, &out, err);
  nb_prompter_free(&p);
  nb_dataset_free(&d);
  if (t.json) nb_task_free(&t);
  return out;
}

#define DATA "\"data\": {\"splits\": {\"test\": [\"x\"]}, \"question\": \"q\", \"choices\": \"c[]\", \"answer\": \"a\"}"

TEST(templates_and_filters) {
  nb_err err;
  nb_status st;
  nb_prompt p = build_one(
      "{\"task\": \"t\", " DATA ", \"prompt\": \"{{q|strip}}/{{c[1]}}/{{x.y|capitalize}}/{{letter}}\"}",
      "{\"q\": \"\\u00a0 hi there\\n\", \"c\": [\"one\", \"two\"], \"a\": 1, \"x\": {\"y\": \"\\u00e9COLE de\"}}\n",
      &st, &err);
  CHECK_OK(st);
  CHECK_STR(p.context[0].s, "hi there/two/\xc3\x89"
                            "cole de/A");
  CHECK_STR(p.continuation[1].s, " B");
  nb_prompt_free(&p);
  p = build_one(
      "{\"task\": \"t\", " DATA ", \"prompt\": \"{{q}}\", \"prompt_filter\": \"wikihow\", \"score\": \"continuation\"}",
      "{\"q\": \" How [header] to [title] x  y [a\\nb] \", \"c\": [\"\\u20ac1\", \"two\"], \"a\": \"A\"}", &st, &err);
  CHECK_OK(st);
  CHECK_STR(p.context[0].s, "How to. x y [a\nb]");
  CHECK(p.chars[0] == 2 && p.bytes[0] == 4);
  nb_prompt_free(&p);
  build_one("{\"task\": \"t\", " DATA ", \"prompt\": \"{{nope}}\"}", "{\"q\": \"\", \"c\": [\"1\", \"2\"], \"a\": 0}",
            &st, &err);
  CHECK(st == NB_ERR_ARG && strstr(err.msg, "{{nope}}") && strstr(err.msg, "question 0"));
  build_one("{\"task\": \"t\", " DATA ", \"prompt\": \"{{q}\"}", "", &st, &err);
  CHECK(st == NB_ERR_FORMAT && strstr(err.msg, "}}"));
  build_one("{\"task\": \"t\", " DATA ", \"prompt\": \"{{q|upper}}\"}", "", &st, &err);
  CHECK(st == NB_ERR_FORMAT && strstr(err.msg, "upper"));
  build_one("{\"task\": \"t\", " DATA ", \"prompt\": \"{{q}}\", \"score\": \"continuation\"}",
            "{\"q\": \"\", \"c\": [\"1\", \"\"], \"a\": 0}", &st, &err);
  CHECK(st == NB_ERR_FORMAT && strstr(err.msg, "choice 2 is empty"));
}

int main(void) {
  RUN(prompts_equal_the_goldens);
  RUN(texts_equal_the_goldens);
  RUN(examples_equal_the_goldens);
  RUN(phi_spreads_its_examples);
  RUN(templates_and_filters);
  return test_end();
}
