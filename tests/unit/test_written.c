/* SPDX-License-Identifier: MIT */
/* Written answers: prompts, what is found in a text, and marks equal lm-evaluation-harness's
 * (tests/golden/make_written_goldens.py); texts in files survive. */
#include "test.h"

#include "eval/ifeval.h"
#include "eval/sentences.h"

#include "eval/dataset.h"
#include "eval/regexp.h"
#include "eval/prompt.h"
#include "eval/python_random.h"
#include "eval/written.h"
#include "formats/json.h"
#include "formats/mapfile.h"

static nb_err err;

static cJSON *goldens(void) {
  const char *path = getenv("NB_WRITTEN_GOLDENS");
  if (!path) path = "tests/golden/written.json";
  char *bytes;
  size_t n;
  cJSON *json = NULL;
  if (nb_mapfile_read(path, 1 << 30, &bytes, &n, &err) != NB_OK) return NULL;
  if (nb_json_parse(bytes, n, path, &json, &err) != NB_OK) printf("  %s\n", err.msg);
  free(bytes);
  return json;
}

static const char *text_of(const cJSON *o, const char *key) { return nb_json_get(o, key)->valuestring; }

/* Rows as a data set of the task's, all of one subject. */
static nb_status read_rows(const nb_task *t, const cJSON *rows, const char *subject, nb_dataset *out) {
  char *json = cJSON_PrintUnformatted(rows);
  *out = (nb_dataset){.n = 0};
  const nb_dataset_file file = {"rows.json", *subject ? subject : NULL, json, strlen(json), NULL, 0};
  nb_status st = nb_dataset_add(t, &file, out, &err);
  if (st == NB_OK) st = nb_dataset_finish(out, "rows.json", &err);
  cJSON_free(json);
  return st;
}

/* One text's marks against the golden's. */
static int check_text(const nb_task *t, const nb_item *item, const cJSON *g) {
  const cJSON *want = nb_json_get(g, "marks"), *found = nb_json_get(g, "found");
  nb_pool pool = {0};
  const char *text = text_of(g, "text");
  nb_written w = {.n = 1, .text = &text};
  int ok = nb_marker_mark(t->marker, item, &pool, &w, &err) == NB_OK;
  if (!ok) printf("  %s: %s\n", t->name, err.msg);
  for (size_t k = 0; ok && k < w.n_marks; k++) {
    const char *name = nb_marker_name(t->marker, k);
    const cJSON *mark = nb_json_get(want, name), *answer = nb_json_get(found, name);
    bool same = mark && mark->valuedouble == w.value[k] && (!answer || !strcmp(answer->valuestring, w.found[k]));
    if (same) continue;
    printf("  %s %s: \"%s\" found \"%s\", mark %g; want \"%s\", %g, in:\n%s\n", t->name, item->subject, name,
           w.found[k], w.value[k], answer ? answer->valuestring : "", mark ? mark->valuedouble : -1, text);
    ok = 0;
  }
  ok = ok && (int)w.n_marks == cJSON_GetArraySize(want);
  nb_pool_free(&pool);
  return ok;
}

static void check_row(const nb_task *t, const cJSON *g, size_t *texts, size_t *right, size_t *wrong) {
  nb_dataset d;
  cJSON *rows = cJSON_CreateArray();
  cJSON_AddItemReferenceToArray(rows, (cJSON *)nb_json_get(g, "row"));
  CHECK_OK(read_rows(t, rows, text_of(g, "subject"), &d));
  for (const cJSON *x = nb_json_get(g, "texts")->child; x; x = x->next, ++*texts) {
    *wrong += !check_text(t, &d.item[0], x);
    *right += nb_json_get(x, "marks")->child->valuedouble > 0;
  }
  cJSON_Delete(rows);
  nb_dataset_free(&d);
}

TEST(marks_equal_the_harness) {
  cJSON *all = goldens();
  CHECK(all != NULL);
  if (!all) return;
  nb_task t = {0};
  size_t seen = 0, right = 0, wrong = 0;
  for (const cJSON *g = nb_json_get(all, "answers")->child; g; g = g->next) {
    const char *name = text_of(g, "task");
    if (!t.name || strcmp(t.name, name)) {
      nb_task_free(&t);
      CHECK_OK(nb_task_open(name, NULL, &t, &err));
    }
    check_row(&t, g, &seen, &right, &wrong);
  }
  CHECK_MSG(!wrong, "%zu of %zu differ", wrong, seen);
  CHECK(seen > 300 && right > seen / 20 && right < seen);
  nb_task_free(&t);
  cJSON_Delete(all);
}

static void check_prompts(const cJSON *g, const cJSON *all) {
  const char *template_text = text_of(all, "template");
  nb_task t;
  nb_dataset rows, examples = {.n = 0};
  nb_prompter p;
  const char *subject = text_of(g, "subject"), *chat = text_of(g, "chat");
  size_t shots = (size_t)nb_json_get(g, "shots")->valueint;
  CHECK_OK(nb_task_open(text_of(g, "task"), NULL, &t, &err));
  CHECK_OK(read_rows(&t, nb_json_get(g, "rows"), subject, &rows));
  bool given = cJSON_IsTrue(nb_json_get(g, "examples"));
  const cJSON *pool = nb_json_get(nb_json_get(all, "examples"), t.name);
  if (given) CHECK_OK(read_rows(&t, pool, subject, &examples));
  CHECK_OK(nb_prompter_create(&t, shots, given ? &examples : NULL, &rows, &p, &err));
  if (*chat != 'n')
    p.form = (nb_turns_form){.chat = *chat == 's' ? NB_CHAT_SINGLE : NB_CHAT_MULTITURN,
                             .system = "Be brief.",
                             .chat_template = template_text,
                             .bos = "<s>",
                             .eos = "</s>"};
  for (size_t i = 0; i < rows.n; i++) {
    const cJSON *hash = cJSON_GetArrayItem(nb_json_get(g, "hashes"), (int)rows.item[i].at);
    nb_prompt q;
    char hex[20];
    CHECK_OK(nb_prompt_build(&p, &rows.item[i], shots, &q, &err));
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)XXH3_64bits(q.context[0].s, q.context[0].n));
    CHECK_MSG(!strcmp(hex, hash->valuestring), "%s %s, chat %s, row %zu:\n%s", t.name, subject, chat, i,
              q.context[0].s);
    nb_prompt_free(&q);
    if (rows.item[i].at) continue;
    CHECK_OK(nb_prompt_build(&p, &rows.item[i], 0, &q, &err));
    CHECK_STR(q.context[0].s, text_of(g, "first"));
    nb_prompt_free(&q);
  }
  nb_prompter_free(&p);
  nb_dataset_free(&rows), nb_dataset_free(&examples);
  nb_task_free(&t);
}

TEST(prompts_equal_the_harness) {
  cJSON *all = goldens();
  CHECK(all != NULL);
  if (!all) return;
  size_t seen = 0;
  for (const cJSON *g = nb_json_get(all, "prompts")->child; g; g = g->next, seen++) check_prompts(g, all);
  CHECK(seen > 60);
  cJSON_Delete(all);
}

/* Sets of choices: the third question after the first ones, as conversations. */
static void check_scored(const cJSON *g, const cJSON *all) {
  nb_task t;
  nb_dataset rows;
  nb_prompter p;
  nb_prompt q;
  const cJSON *preset = nb_json_get(g, "preset"), *contexts = nb_json_get(g, "contexts");
  const cJSON *continuations = nb_json_get(g, "continuations");
  size_t shots = (size_t)nb_json_get(g, "shots")->valueint;
  CHECK_OK(nb_task_open(text_of(g, "task"), preset ? preset->valuestring : NULL, &t, &err));
  CHECK_OK(read_rows(&t, nb_json_get(g, "rows"), "", &rows));
  CHECK_OK(nb_prompter_create(&t, shots, &rows, &rows, &p, &err));
  p.form = (nb_turns_form){.chat = *text_of(g, "chat") == 's' ? NB_CHAT_SINGLE : NB_CHAT_MULTITURN,
                           .system = "Be brief.",
                           .chat_template = text_of(all, "template"),
                           .bos = "<s>",
                           .eos = "</s>"};
  CHECK_OK(nb_prompt_build(&p, &rows.item[2], shots, &q, &err));
  CHECK((int)q.n_contexts == cJSON_GetArraySize(contexts) && (int)q.n == cJSON_GetArraySize(continuations));
  for (size_t c = 0; c < q.n_contexts; c++)
    CHECK_STR(q.context[c].s, cJSON_GetArrayItem(contexts, (int)c)->valuestring);
  for (size_t c = 0; c < q.n; c++)
    CHECK_STR(q.continuation[c].s, cJSON_GetArrayItem(continuations, (int)c)->valuestring);
  nb_prompt_free(&q);
  nb_prompter_free(&p), nb_dataset_free(&rows), nb_task_free(&t);
}

TEST(chats_of_choices_equal_the_harness) {
  cJSON *all = goldens();
  CHECK(all != NULL);
  if (!all) return;
  size_t seen = 0;
  for (const cJSON *g = nb_json_get(all, "scored")->child; g; g = g->next, seen++) check_scored(g, all);
  CHECK(seen == 12);
  cJSON_Delete(all);
}

/* random.Random(1234).sample(range(n), k), twice, by Python 3.11. */
TEST(draws_are_pythons) {
  nb_python_random r;
  uint32_t out[5], scratch[40];
  static const uint32_t want[2][5] = {{28, 7, 0, 5, 37}, {0, 10, 1, 9, 5}};
  nb_python_random_seed(&r, 1234);
  nb_python_random_sample(&r, 40, 5, out, scratch);
  CHECK(!memcmp(out, want[0], sizeof out));
  nb_python_random_sample(&r, 12, 5, out, scratch);
  CHECK(!memcmp(out, want[1], sizeof out));
}

static const char task_json[] =
    "{\"task\": \"t\", \"data\": {\"splits\": {\"test\": [\"t.jsonl\"]}, \"question\": \"q\", \"targets\": \"a[]\"},"
    " \"prompt\": \"{{q}}\", \"score\": \"generate\", \"generate\": {\"samples\": 4}, %s}";

/* The first mark of some samples under rules. */
static double mark(const char *rules, const char *target, size_t n, const char **text) {
  char json[2000], row[300];
  nb_task t;
  nb_dataset d = {.n = 0};
  nb_pool pool = {0};
  nb_written w = {.n = n, .text = text};
  snprintf(json, sizeof json, task_json, rules);
  snprintf(row, sizeof row, "{\"q\": \"?\", \"a\": [\"%s\", \"other\"]}", target);
  nb_status st = nb_task_parse(json, strlen(json), "t.json", NULL, &t, &err);
  if (st == NB_OK) st = nb_dataset_add(&t, &(nb_dataset_file){"t.jsonl", NULL, row, strlen(row), NULL, 0}, &d, &err);
  if (st == NB_OK) st = nb_dataset_finish(&d, "t.jsonl", &err);
  if (st == NB_OK) st = nb_marker_mark(t.marker, &d.item[0], &pool, &w, &err);
  CHECK_MSG(st == NB_OK, "%s", err.msg);
  double v = st == NB_OK ? w.value[0] : -1;
  nb_dataset_free(&d), nb_pool_free(&pool), nb_task_free(&t);
  return v;
}

TEST(rules) {
  const char *four[] = {"it is 7", "it is 12", "12!", "so 3"};
  const char *words[] = {"the quick brown fox"}, *number[] = {"$1,200.0"}, *half[] = {"\\frac{1}{2}"};
  CHECK(mark("\"extract\": {\"a\": [{\"regex\": \"[0-9]+\"}, {\"take\": \"majority\"}]}", "12", 4, four) == 1);
  CHECK(mark("\"extract\": {\"a\": [{\"regex\": \"[0-9]+\"}, {\"take\": \"last\"}]}", "3", 4, four) == 1);
  CHECK(mark("\"extract\": {\"a\": [{\"regex\": \"[0-9]+\"}, {\"take\": \"majority\", \"of\": 1}]}", "7", 4, four) ==
        1);
  CHECK(mark("\"extract\": {\"a\": [{\"regex\": \"[0-9]+\"}]}", "12", 4, four) == 0);
  CHECK(mark("\"compare\": {\"how\": \"number\"}", "1200", 1, number) == 1);
  CHECK(mark("\"compare\": {\"how\": \"number\"}", "1201", 1, number) == 0);
  CHECK(mark("\"compare\": {\"how\": \"math\"}", "0.5", 1, half) == 1);
  /* Without the article: 2 of 3 words are those of the 2 wanted. */
  CHECK(fabs(mark("\"compare\": {\"how\": \"f1\"}", "a quick fox", 1, words) - 2 * 2 / 5.0) < 1e-12);
}

TEST(rules_are_checked) {
  static const struct {
    const char *rules, *says;
  } bad[] = {{"\"extract\": {\"a\": [{\"regex\": \"(\"}]}", "wrong at character"},
             {"\"extract\": {\"a\": [\"shout\"]}", "no step"},
             {"\"extract\": {\"a\": [{\"regexp\": \"a\"}]}", "unknown key"},
             {"\"extract\": {\"a\": [{\"take\": \"majority\"}, \"strip\"]}", "last step"},
             {"\"extract\": {\"a\": \"strip\"}", "list of steps"},
             {"\"compare\": {\"how\": \"nearly\"}", "nearly"},
             {"\"generate\": {\"stop\": [\"\"]}", "empty stop"},
             {"\"generate\": {\"samples\": 1000}", "samples"},
             {"\"by_subject\": {\"x\": {\"extract\": {\"b\": []}}}", "has no \"b\""},
             {"\"metric\": \"acc\"", "mark"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char json[2000];
    nb_task t;
    snprintf(
        json, sizeof json,
        "{\"task\": \"t\", \"data\": {\"splits\": {\"test\": [\"t.jsonl\"]}, \"targets\": \"a\"}, \"prompt\": \"x\","
        " \"score\": \"generate\", %s}",
        bad[i].rules);
    nb_status st = nb_task_parse(json, strlen(json), "t.json", NULL, &t, &err);
    CHECK_MSG(st == NB_ERR_FORMAT && strstr(err.msg, bad[i].says), "%s: %s", bad[i].rules, st ? err.msg : "accepted");
    if (st == NB_OK) nb_task_free(&t);
  }
}

TEST(bytes_of_a_journal) {
  const char *text[] = {"one", "", "drei \xc3\xa4"};
  uint32_t tokens[] = {3, 0, 70000};
  nb_written w = {.n = 3, .text = text, .tokens = tokens, .prompt = "p"}, *back;
  nb_text packed = {0};
  nb_pool pool = {0};
  CHECK_OK(nb_written_pack(&w, &packed, &err));
  const unsigned char *b = (const unsigned char *)packed.s;
  CHECK(nb_written_unpack(b, packed.n, &pool, &back));
  CHECK(back->n == 3 && back->tokens[2] == 70000 && !strcmp(back->text[2], text[2]) && !strcmp(back->prompt, "p"));
  for (size_t n = 0; n < packed.n; n++) CHECK(!nb_written_unpack(b, n, &pool, &back));
  nb_text_free(&packed), nb_pool_free(&pool);
}

/* Words in capitals are counted as NLTK's tokens are (tests/golden/make_capital_goldens.py). */
TEST(capitals_equal_the_goldens) {
  nb_err e;
  char *bytes, text[200];
  size_t n;
  cJSON *all, *row;
  CHECK_OK(nb_mapfile_read("tests/golden/capitals.json", 1 << 20, &bytes, &n, &e));
  CHECK_OK(nb_json_parse(bytes, n, "capitals.json", &all, &e));
  free(bytes);
  CHECK(cJSON_GetArraySize(all) == 200);
  for (const cJSON *g = all->child; g; g = g->next)
    for (int more = 0; more < 2; more++) { /* fewer than the count: no; fewer than one more: yes */
      nb_ifeval_marks marks;
      n = (size_t)snprintf(text, sizeof text,
                           "{\"instruction_id_list\": [\"change_case:capital_word_frequency\"], \"kwargs\": "
                           "[{\"capital_frequency\": %d, \"capital_relation\": \"less than\"}]}",
                           nb_json_get(g, "capitals")->valueint + more);
      CHECK_OK(nb_json_parse(text, n, "row", &row, &e));
      CHECK_OK(nb_ifeval_mark(row, nb_json_get(g, "text")->valuestring, &marks, &e));
      CHECK_MSG(marks.value[0] == more && !marks.approximate, "%s: not %d capitals",
                nb_json_get(g, "text")->valuestring, nb_json_get(g, "capitals")->valueint);
      cJSON_Delete(row);
    }
  cJSON_Delete(all);
}

/* Sentences are counted as NLTK's Punkt counts them, whatever its statistics of words are
 * (tests/golden/make_sentence_goldens.py). */
TEST(sentences_are_punkts) {
  nb_err e;
  char *bytes;
  size_t n, certain = 0;
  cJSON *all;
  CHECK_OK(nb_mapfile_read("tests/golden/sentences.json", 1 << 20, &bytes, &n, &e));
  CHECK_OK(nb_json_parse(bytes, n, "sentences.json", &all, &e));
  free(bytes);
  CHECK(cJSON_GetArraySize(all) == 400);
  for (const cJSON *g = all->child; g; g = g->next) {
    const char *text = nb_json_get(g, "text")->valuestring;
    size_t want = (size_t)nb_json_get(g, "sentences")->valueint;
    nb_sentences s;
    CHECK_OK(nb_sentences_count(text, strlen(text), &s, &e));
    CHECK_MSG(s.fewest <= want && want <= s.most, "%s: %zu sentences, not %zu to %zu", text, want, s.fewest, s.most);
    CHECK(s.fewest <= s.likely && s.likely <= s.most);
    certain += s.fewest == s.most;
  }
  CHECK_MSG(certain > 150, "%zu", certain);
  cJSON_Delete(all);
}

/* What a row's one instruction says of a text: 0 or 1, and whether that is approximate (2 more); -1: nothing. */
static int followed(const char *id, const char *kwargs, const char *text) {
  char json[300];
  nb_err e;
  cJSON *row = NULL;
  nb_ifeval_marks m;
  size_t n = (size_t)snprintf(json, sizeof json, "{\"instruction_id_list\": [\"%s\"], \"kwargs\": [{%s}]}", id, kwargs);
  bool marked = nb_json_parse(json, n, "row", &row, &e) == NB_OK && nb_ifeval_mark(row, text, &m, &e) == NB_OK;
  cJSON_Delete(row);
  return marked ? (int)m.value[0] + 2 * m.approximate : -1;
}

/* A verdict is approximate where a model that is not here would decide it, and nowhere else. */
TEST(approximate_marks_are_named) {
  const char *sentences = "length_constraints:number_sentences", *language = "language:response_language";
  const char *least3 = "\"num_sentences\": 3, \"relation\": \"at least\"";
  CHECK(followed(sentences, least3, "One. two? three!") == 1); /* a small letter begins a sentence, too */
  CHECK(followed(sentences, least3, "One. Two at 3 p.m. sharp.") == 0 + 2);
  CHECK(followed(sentences, least3, "Mr. Smith of Acme Inc. Ohio came.") == 0 + 2);
  CHECK(followed(sentences, least3, "Mr. Smith came. So did Dr. Jones. All is well.") == 1);
  CHECK(followed(sentences, least3, "Of Acme Inc. he came at noon.") == 0);
  CHECK(followed(language, "\"language\": \"de\"", "Das ist ein Haus und der Garten.") == 1 + 2);
  CHECK(followed(language, "\"language\": \"de\"", "12345") == 1);
  CHECK(followed("change_case:english_lowercase", "", "all is small here") == 1 + 2);
  CHECK(followed("change_case:english_lowercase", "", "All is not small here") == 0);
  CHECK(followed("punctuation:no_comma", "", "Mr. Smith came") == 1);
  const char *letter = "keywords:letter_frequency", *two = "\"let_relation\": \"at least\", \"let_frequency\": 2";
  char of[100];
  snprintf(of, sizeof of, "\"letter\": \"A\", %s", two);
  CHECK(followed(letter, of, "a cat") == 1);
  snprintf(of, sizeof of, "\"letter\": \"#\", %s", two);
  CHECK(followed(letter, of, "#a #b") == 1 + 2);
}

int main(void) {
  RUN(sentences_are_punkts);
  RUN(approximate_marks_are_named);
  RUN(capitals_equal_the_goldens);
  RUN(marks_equal_the_harness);
  RUN(prompts_equal_the_harness);
  RUN(chats_of_choices_equal_the_harness);
  RUN(draws_are_pythons);
  RUN(rules);
  RUN(rules_are_checked);
  RUN(bytes_of_a_journal);
  return test_end();
}
