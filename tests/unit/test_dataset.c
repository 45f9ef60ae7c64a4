/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "eval/dataset.h"
#include "eval/pattern.h"
#include "eval/rows.h"
#include "eval/result.h"
#include "formats/mapfile.h"
#include "tempdir.h"

#include <zlib.h>
#ifdef NB_HAVE_LIBZIP
#include <zip.h>
#endif

/* Reads text as a file of that name with a built-in task; "bare.csv" is of the subject "s". */
static nb_status add(const char *task, const char *file, const char *text, const char *answers, nb_task *t,
                     nb_dataset *d, nb_err *err) {
  *d = (nb_dataset){0};
  NB_TRY(nb_task_open(task, NULL, t, err));
  const char *subject = strcmp(file, "bare.csv") ? NULL : "s";
  const nb_dataset_file f = {file, subject, text, strlen(text), answers, answers ? strlen(answers) : 0};
  NB_TRY(nb_dataset_add(t, &f, d, err));
  return nb_dataset_finish(d, file, err);
}

static void done(nb_task *t, nb_dataset *d) { nb_dataset_free(d), nb_task_free(t); }

/* Expects a failure whose message holds all the words. */
static void refused(const char *task, const char *file, const char *text, const char *answers, const char *words) {
  nb_err err;
  nb_task t;
  nb_dataset d;
  nb_status st = add(task, file, text, answers, &t, &d, &err);
  CHECK_MSG(st == NB_ERR_FORMAT, "accepted or other status %d (want \"%s\"): %s", st, words, text);
  if (st != NB_OK) CHECK_MSG(strstr(err.msg, words), "\"%s\" does not say \"%s\"", err.msg, words);
  done(&t, &d);
}

TEST(csv_forms) {
  nb_err err;
  nb_task t;
  nb_dataset d;
  const char *bare = "\"Two\nlines, \"\"quoted\"\"\",a,b,\"c,c\",d,C\r\nsecond,1,2,3,4,A";
  CHECK_OK(add("mmlu", "bare.csv", bare, NULL, &t, &d, &err));
  CHECK(d.n == 2 && d.item[0].answer == 2 && d.item[1].answer == 0 && d.item[0].n_choices == 4);
  CHECK_STR(d.item[0].question, "Two\nlines, \"quoted\"");
  CHECK_STR(d.item[0].choice[2], "c,c");
  CHECK_STR(d.item[1].choice[3], "4");
  CHECK_STR(d.item[1].id, "s:1");
  done(&t, &d);
  const char *header = "\xef\xbb\xbfsubject,question,choice0,choice1,choice2,choice3,answer\nlaw,q,w,x,y,z,3\n";
  CHECK_OK(add("mmlu", "x.csv", header, NULL, &t, &d, &err));
  CHECK(d.n == 1 && d.item[0].answer == 3);
  CHECK_STR(d.item[0].subject, "law");
  CHECK_STR(d.item[0].id, "law:0");
  done(&t, &d);
}

TEST(json_forms) {
  nb_err err;
  nb_task t;
  nb_dataset d;
  const char *jsonl =
      "{\"question\": \"q\", \"subject\": \"s\", \"choices\": [\"a\", 2, true, \"d\"], \"answer\": 1}\n\n"
      "{\"question\": \"r\", \"subject\": \"s\", \"choices\": [\"a\", \"b\", \"c\", \"d\"], \"answer\": \"D\"}";
  CHECK_OK(add("mmlu", "x.jsonl.gz", jsonl, NULL, &t, &d, &err));
  CHECK(d.n == 2 && d.item[0].answer == 1 && d.item[1].answer == 3);
  CHECK_STR(d.item[0].choice[1], "2");
  CHECK_STR(d.item[0].choice[2], "true");
  done(&t, &d);
  /* ARC: labels that are numbers; three choices. */
  const char *arc = "{\"id\":\"x\",\"question\":{\"stem\":\"s\",\"choices\":[{\"text\":\"p\",\"label\":\"1\"},"
                    "{\"text\":\"q\",\"label\":\"2\"},{\"text\":\"r\",\"label\":\"3\"}]},\"answerKey\":\"3\"}";
  CHECK_OK(add("arc_easy", "a.jsonl", arc, NULL, &t, &d, &err));
  CHECK(d.n == 1 && d.item[0].n_choices == 3 && d.item[0].answer == 2);
  CHECK_STR(d.item[0].id, "x");
  done(&t, &d);
  /* The form of the hub. */
  CHECK_OK(add("arc_easy", "a.jsonl",
               "{\"id\":\"y\",\"question\":\"s\",\"choices\":{\"text\":[\"p\",\"q\"],\"label\":"
               "[\"A\",\"B\"]},\"answerKey\":\"B\"}",
               NULL, &t, &d, &err));
  CHECK(d.item[0].answer == 1);
  done(&t, &d);
  CHECK_OK(add("truthfulqa_mc2", "mc_task.json",
               "[{\"question\": \"q\", \"mc2_targets\": {\"a\": 0, \"b\": 1, \"c\": 1}}]", NULL, &t, &d, &err));
  CHECK(d.item[0].answer == 1 && d.item[0].correct[2] && !d.item[0].correct[0]);
  done(&t, &d);
  CHECK_OK(add("boolq", "dev.jsonl", "{\"question\":\"q\",\"passage\":\"p\",\"answer\":true}", NULL, &t, &d, &err));
  CHECK(d.item[0].answer == 1);
  CHECK_STR(d.item[0].choice[0], "no");
  done(&t, &d);
  CHECK_OK(add("winogrande", "dev.jsonl",
               "{\"qID\":\"k\",\"sentence\":\"a _ b\",\"option1\":\"x\",\"option2\":\"y\",\"answer\":\"2\"}", NULL, &t,
               &d, &err));
  CHECK(d.item[0].answer == 1);
  done(&t, &d);
  CHECK_OK(add("piqa", "valid.jsonl",
               "{\"goal\":\"g\",\"sol1\":\"x\",\"sol2\":\"y\"}\n{\"goal\":\"h\",\"sol1\":\"x\",\"sol2\":\"y\"}\n",
               "1\n0\n", &t, &d, &err));
  CHECK(d.n == 2 && d.item[0].answer == 1 && d.item[1].answer == 0);
  done(&t, &d);
  CHECK_OK(add("custom", "mine.jsonl", "{\"question\":\"q\",\"choices\":[\"red\",\"green\"],\"answer\":\"green\"}",
               NULL, &t, &d, &err));
  CHECK(d.item[0].answer == 1);
  done(&t, &d);
}

TEST(bad_rows_are_named) {
  refused("mmlu", "bare.csv", "q,a,b,c,d,A\nq,a,b,c,d,E\n", NULL, "bare.csv:2: answer \"E\" is outside its 4 choices");
  refused("mmlu", "bare.csv", "q,a,b,c,A\n", NULL, "bare.csv:1: 5 columns; want 6");
  refused("mmlu", "bare.csv", "q,a,b,c,d,A\n\"q,a,b\n\n", NULL,
          "bare.csv:2: a quoted field begins here and never ends");
  refused("mmlu", "bare.csv", "q,a,b,c,d,A\n\"q\"x,a,b,c,d,A\n", NULL, "bare.csv:2: text behind");
  refused("mmlu", "bare.csv", "", NULL, "bare.csv: the file holds no question");
  refused("mmlu", "bare.csv", "question,A,B,C,D,answer\n", NULL, "holds no question");
  refused("mmlu", "bare.csv", "q,a,b,c,d,\n", NULL, "outside");
  refused("mmlu", "bare.csv", "q,1,2,3,0,2\n", NULL, "may be a number or a choice's text");
  refused("mmlu", "x.jsonl", "{\"question\": \"q\", \"subject\": \"s\", \"choices\": [\"a\", \"b\"], \"answer\": 2}",
          NULL, "outside");
  refused("mmlu", "x.jsonl",
          "{\"question\": \"q\", \"subject\": \"s\", \"choices\": [\"a\", \"b\"], \"answer\": 0}\n{\"a\": }", NULL,
          "x.jsonl:2");
  refused("mmlu", "x.jsonl", "{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"answer\": 0}", NULL,
          "no field subject");
  refused("mmlu", "x.jsonl", "{\"question\": \"q\", \"subject\": \"s\", \"choices\": [\"a\"], \"answer\": 0}", NULL,
          "1 choices");
  refused("mmlu", "x.jsonl", "{\"question\": \"q\", \"subject\": \"s\", \"choices\": [\"a\", \"b\"]}", NULL,
          "no answer");
  refused("mmlu", "x.jsonl", "[1]\n", NULL, "not a JSON object");
  refused("arc_easy", "x.jsonl",
          "{\"question\":{\"stem\":\"s\",\"choices\":[{\"text\":\"p\",\"label\":\"A\"},{\"text\":\"q\","
          "\"label\":\"B\"}]},\"answerKey\":\"C\"}",
          NULL, "none of the choices' labels");
  refused("winogrande", "x.jsonl", "{\"sentence\":\"a _ b\",\"option1\":\"x\",\"option2\":\"y\",\"answer\":\"0\"}",
          NULL, "outside");
  refused("piqa", "x.jsonl", "{\"goal\":\"g\",\"sol1\":\"x\",\"sol2\":\"y\"}\n", "", "fewer lines");
  refused("piqa", "x.jsonl", "{\"goal\":\"g\",\"sol1\":\"x\",\"sol2\":\"y\"}\n", "1\n0\n", "more lines");
  refused("piqa", "x.jsonl", "{\"goal\":\"g\",\"sol1\":\"x\",\"sol2\":\"y\"}\n", NULL, "no answer");
  refused("truthfulqa_mc1", "x.json", "[{\"question\": \"q\", \"mc1_targets\": {\"a\": 0, \"b\": 0}}]", NULL,
          "no choice is marked right");
  refused("truthfulqa_mc1", "x.json", "{\"a\": 1}", NULL, "no field question");
}

TEST(patterns) {
  size_t b, n;
  CHECK(nb_pattern_match("test/{subject}_test.csv", "mmlu/test/law_test.csv", 0, &b, &n) && b == 10 && n == 3);
  CHECK(nb_pattern_match("test/{subject}_test.csv", "test/law_test.csv.gz", 0, &b, &n) && b == 5 && n == 3);
  CHECK(!nb_pattern_match("test/{subject}_test.csv", "best/law_test.csv", 0, &b, &n));
  CHECK(!nb_pattern_match("test/{subject}_test.csv", "latest/law_test.csv", 0, &b, &n));
  CHECK(!nb_pattern_match("test/{subject}_test.csv", "test/_test.csv", 0, &b, &n));
  CHECK(!nb_pattern_match("test/{subject}_test.csv", "test/sub/law_test.csv", 0, &b, &n));
  CHECK(nb_pattern_match("{subject}/test.csv", "a/law/test.csv", 0, &b, &n) && b == 2 && n == 3);
  CHECK(nb_pattern_match("dev.jsonl", "x/dev.jsonl", 0, &b, &n) && n == 0);
  CHECK(nb_pattern_match("dev.jsonl", "dev.jsonl", 0, &b, &n));
  CHECK(!nb_pattern_match("dev.jsonl", "mydev.jsonl", 0, &b, &n));
}

/* A pattern without an ending is a split in any form; its files are of one kind. */
TEST(patterns_of_the_hub) {
  size_t b, n, parquet = nb_rows_n_endings - 1;
  static const char *const same[] = {"test.parquet", "x/test.parquet.gz", "data/test-00000-of-00001.parquet",
                                     "data/test-00012-of-00013-0123456789abcdef.parquet", "default/test/0000.parquet"};
  static const char *const others[] = {"latest.parquet",
                                       "test-00000.parquet",
                                       "test-of-00001.parquet",
                                       "test.md",
                                       "test/x0000.parquet",
                                       "test/README.parquet",
                                       "test.csv",
                                       "test"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++)
    CHECK_MSG(nb_pattern_match("test", same[i], parquet, &b, &n) && !n, "%s", same[i]);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    CHECK_MSG(!nb_pattern_match("test", others[i], parquet, &b, &n), "%s", others[i]);
  const char *path = "snapshot/law/test-00000-of-00001.parquet";
  CHECK(nb_pattern_match("{subject}/test", path, parquet, &b, &n) && n == 3 && !strncmp(path + b, "law", 3));
  CHECK(nb_pattern_kinds("a.b/test") == nb_rows_n_endings && nb_pattern_kinds("test.csv") == 1);
}

/* The items that two data paths give must be the same ones. */
static void same_items(const char *task, const char *preset, const char *split, const char *a, const char *b,
                       bool ids) {
  nb_err err;
  nb_task t;
  nb_dataset x, y = {0};
  CHECK_OK(nb_task_open(task, preset, &t, &err));
  CHECK_OK(nb_dataset_read(&t, a, split ? split : t.split, &x, &err));
  CHECK_OK(nb_dataset_read(&t, b, split ? split : t.split, &y, &err));
  CHECK_MSG(x.n == y.n && x.n > 0, "%s: %zu and %zu", b, x.n, y.n);
  for (size_t i = 0; i < x.n && i < y.n; i++) {
    const nb_item *p = &x.item[i], *q = &y.item[i];
    if (ids) CHECK_STR(p->id, q->id);
    CHECK_STR(p->subject, q->subject);
    CHECK_STR(p->question, q->question);
    CHECK(p->n_choices == q->n_choices && p->answer == q->answer);
    for (size_t c = 0; c < p->n_choices && c < q->n_choices; c++) {
      CHECK_STR(p->choice[c], q->choice[c]);
      CHECK(p->correct[c] == q->correct[c]);
    }
  }
  nb_dataset_free(&x), nb_dataset_free(&y);
  nb_task_free(&t);
}

#define MCQ(name) "tests/golden/mcq/" name
#define HUB(name) "tests/golden/hub/" name

TEST(hub_snapshots_are_the_same_items) {
  same_items("arc_easy", NULL, NULL, MCQ("arc_easy"), HUB("ai2_arc"), true);
  same_items("commonsenseqa", NULL, NULL, MCQ("commonsenseqa"), HUB("commonsense_qa"), true);
  same_items("commonsenseqa", NULL, "train", MCQ("commonsenseqa"), HUB("commonsense_qa"), true);
  same_items("piqa", NULL, NULL, MCQ("piqa"), HUB("piqa"), true);
  same_items("boolq", NULL, NULL, MCQ("boolq"), HUB("boolq"), true);
  same_items("mmlu_pro", NULL, NULL, MCQ("mmlu_pro"), HUB("MMLU-Pro"), true);
  same_items("truthfulqa_mc1", NULL, NULL, MCQ("truthfulqa"), HUB("truthful_qa"), true);
  same_items("truthfulqa_mc2", NULL, NULL, MCQ("truthfulqa"), HUB("truthful_qa"), true);
  same_items("mmlu", NULL, NULL, "tests/golden/mmlu", HUB("mmlu"), true);
  same_items("mmlu", NULL, NULL, "tests/golden/mmlu", HUB("mmlu-all"), true);
  same_items("mmlu", NULL, NULL, "tests/golden/mmlu/test/formal_logic_test.csv",
             HUB("mmlu/formal_logic/test-00000-of-00001.parquet"), true);
}

TEST(whole_sets_of_the_hub) {
  char csv[500], hub[500];
  const char *root = getenv("NB_SHARED");
  snprintf(csv, sizeof csv, "%s/data/mmlu", root ? root : "../shared");
  snprintf(hub, sizeof hub, "%s/data/parquet/cais_mmlu", root ? root : "../shared");
  if (access(hub, R_OK)) SKIP("../shared/data/parquet is not here");
  same_items("mmlu", NULL, "test", csv, hub, true);
  same_items("mmlu", NULL, "dev", csv, hub, true);
  snprintf(csv, sizeof csv, "%s/data/mcq/arc_easy", root ? root : "../shared");
  snprintf(hub, sizeof hub, "%s/data/parquet/ai2_arc", root ? root : "../shared");
  same_items("arc_easy", NULL, "test", csv, hub, true);
  same_items("arc_easy", NULL, "val", csv, hub, true);
}

/* Rows that "where" does not want are left out, and the others keep their numbers. */
TEST(where) {
  nb_err err;
  nb_task t;
  nb_dataset d;
  CHECK_OK(nb_task_open("mmlu", "redux", &t, &err));
  CHECK_OK(nb_dataset_read(&t, HUB("mmlu-redux"), "test", &d, &err));
  CHECK_MSG(d.n == 2, "%zu items", d.n); /* of 2, 2 and 1 each loses the first */
  CHECK_STR(d.item[0].id, "abstract_algebra:1");
  CHECK_STR(d.item[1].id, "formal_logic:1");
  nb_dataset_free(&d);
  CHECK(nb_dataset_read(&t, HUB("mmlu"), "test", &d, &err) == NB_ERR_FORMAT && strstr(err.msg, "error_type"));
  nb_task_free(&t);
  /* Of written answers, too. */
  static const char written[] =
      "{\"task\":\"t\",\"version\":1,\"data\":{\"splits\":{\"test\":[\"t.jsonl\"]},\"question\":\"q\",\"targets\":"
      "\"a\","
      "\"where\":{\"level\":[\"1\",\"2\"]}},\"prompt\":\"{{question}}\",\"score\":\"generate\","
      "\"extract\":{\"x\":[{\"regex\":\".\"}]}}";
  static const char rows[] = "{\"q\":\"x\",\"a\":\"y\",\"level\":\"3\"}\n{\"q\":\"z\",\"a\":\"y\",\"level\":\"2\"}\n";
  d = (nb_dataset){0};
  CHECK_OK(nb_task_parse(written, strlen(written), "t.json", NULL, &t, &err));
  const nb_dataset_file file = {.name = "t.jsonl", .bytes = rows, .n = strlen(rows)};
  CHECK_OK(nb_dataset_add(&t, &file, &d, &err));
  CHECK_OK(nb_dataset_finish(&d, "t.jsonl", &err));
  CHECK(d.n == 1 && !strcmp(d.item[0].question, "z"));
  nb_dataset_free(&d), nb_task_free(&t);
}

/* Choices that are an object: a table has all names that any row has, with nulls. */
TEST(choices_that_are_objects) {
  nb_err err;
  nb_task t;
  nb_dataset d;
  CHECK_OK(nb_task_open("medqa", NULL, &t, &err));
  CHECK_OK(nb_dataset_read(&t, HUB("medqa"), "test", &d, &err));
  CHECK(d.n == 2 && d.item[0].n_choices == 4 && d.item[1].n_choices == 5);
  CHECK(d.item[0].answer == 3 && d.item[1].answer == 4);
  CHECK_STR(d.item[1].choice[4], "choice E");
  nb_dataset_free(&d);
  const char *flat =
      "{\"sent1\":\"q\",\"ending0\":\"a\",\"ending1\":\"b\",\"ending2\":\"c\",\"ending3\":\"d\",\"label\":2}";
  d = (nb_dataset){0};
  CHECK_OK(nb_dataset_add(&t, &(nb_dataset_file){"x.jsonl", NULL, flat, strlen(flat), NULL, 0}, &d, &err));
  CHECK(d.n == 1 && d.item[0].answer == 2);
  nb_dataset_free(&d), nb_task_free(&t);
  CHECK_OK(nb_task_open("agieval", NULL, &t, &err));
  const char *row = "{\"passage\":null,\"question\":\"q\",\"options\":[\"(A)x\",\"(B)y\"],\"label\":\"B\"}";
  d = (nb_dataset){0};
  CHECK_OK(nb_dataset_add(&t, &(nb_dataset_file){"x.jsonl", "sat", row, strlen(row), NULL, 0}, &d, &err));
  CHECK(d.n == 1 && d.item[0].answer == 1);
  CHECK_STR(d.item[0].choice[1], "(B)y");
  CHECK_STR(d.item[0].subject, "sat");
  nb_dataset_free(&d), nb_task_free(&t);
}

TEST(a_directory_of_subjects) {
  nb_err err;
  nb_task t;
  nb_dataset d;
  CHECK_OK(nb_task_open("mmlu", NULL, &t, &err));
  CHECK_OK(nb_dataset_read(&t, "tests/golden/mmlu", "test", &d, &err));
  CHECK(d.n == 5);
  CHECK_STR(d.item[0].id, "abstract_algebra:0");
  CHECK_STR(d.item[4].subject, "high_school_us_history");
  CHECK_STR(nb_task_category(&t, d.item[4].subject), "humanities");
  nb_dataset_free(&d);
  CHECK(nb_dataset_read(&t, "tests/golden/mmlu", "val", &d, &err) == NB_ERR_ARG && strstr(err.msg, "\"val\""));
  CHECK(nb_dataset_read(&t, "tests/golden/nowhere", "test", &d, &err) == NB_ERR_IO);
  const char *one = "tests/golden/mmlu/test/formal_logic_test.csv";
  CHECK(nb_dataset_read(&t, one, "dev", &d, &err) == NB_ERR_ARG);
  CHECK_OK(nb_dataset_read(&t, one, "test", &d, &err));
  CHECK(d.n == 2);
  CHECK_STR(d.item[0].subject, "formal_logic");
  nb_dataset_free(&d);
  nb_task_free(&t);
  /* Ids must be unique. */
  const char *row = "{\"id\":\"x\",\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":0}\n";
  char twice[200];
  snprintf(twice, sizeof twice, "%s%s", row, row);
  char *file = temp_text("test.jsonl", twice);
  CHECK_OK(nb_task_open("custom", NULL, &t, &err));
  CHECK(nb_dataset_read(&t, file, "test", &d, &err) == NB_ERR_FORMAT && strstr(err.msg, "the id \"x\""));
  nb_task_free(&t);
  free(file);
}

/* ---- one set in many forms ---- */

/* Appends item i as a JSON object, or as a CSV line behind a header. */
static void append_row(nb_text *out, const nb_item *it, int json, int subject) {
  nb_err err;
  cJSON *row = cJSON_CreateObject();
  if (subject) cJSON_AddStringToObject(row, "subject", it->subject);
  cJSON_AddStringToObject(row, "question", it->question);
  cJSON_AddItemToObject(row, "choices", cJSON_CreateStringArray(it->choice, (int)it->n_choices));
  cJSON_AddNumberToObject(row, "answer", (double)it->answer);
  if (json) {
    char *text = cJSON_PrintUnformatted(row);
    nb_text_append_str(out, text, &err), nb_text_append_str(out, "\n", &err);
    cJSON_free(text);
  } else {
    const char *cell[] = {it->question, it->choice[0], it->choice[1], it->choice[2], it->choice[3]};
    for (size_t c = 0; c < 5; c++) {
      nb_text_append_str(out, c ? ",\"" : "\"", &err);
      for (const char *p = cell[c]; *p; p++) nb_text_append(out, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1, &err);
      nb_text_append_str(out, "\"", &err);
    }
    char answer[8];
    snprintf(answer, sizeof answer, ",%c\n", (char)('A' + it->answer));
    nb_text_append_str(out, answer, &err);
  }
  cJSON_Delete(row);
}

static void same_set(const char *form, const char *path, const nb_dataset *want) {
  nb_err err;
  nb_task t;
  nb_dataset d;
  char a[NB_HASH_TEXT], b[NB_HASH_TEXT];
  CHECK_OK(nb_task_open("mmlu", NULL, &t, &err));
  nb_status st = nb_dataset_read(&t, path, "test", &d, &err);
  CHECK_MSG(st == NB_OK, "%s: %s", form, err.msg);
  CHECK_MSG(d.n == want->n, "%s: %zu questions", form, d.n);
  const nb_item *x[64], *y[64];
  for (size_t i = 0; i < want->n && i < 64 && d.n == want->n; i++) {
    CHECK_STR(d.item[i].id, want->item[i].id);
    x[i] = &d.item[i], y[i] = &want->item[i];
  }
  CHECK_OK(nb_result_items_hash(x, d.n, a, &err));
  CHECK_OK(nb_result_items_hash(y, want->n, b, &err));
  CHECK_MSG(!strcmp(a, b), "%s: another data_xxh3", form);
  nb_dataset_free(&d);
  nb_task_free(&t);
}

static char *write_under(const char *dir, const char *name, const nb_text *text) {
  char rel[300];
  snprintf(rel, sizeof rel, "%s/%s", dir, name);
  return temp_file(rel, text->s, text->n);
}

/* A CSV file a subject, with and without a header; JSON lines a subject; one file of all whose subjects are mixed; one
 * split over two files. */
TEST(the_same_set_in_any_form) {
  nb_err err;
  nb_task t;
  nb_dataset plain;
  CHECK_OK(nb_task_open("mmlu", NULL, &t, &err));
  CHECK_OK(nb_dataset_read(&t, "tests/golden/mmlu", "test", &plain, &err));
  nb_task_free(&t);
  CHECK(plain.n == 5);
  char *dirs[] = {temp_subdir("lines"), temp_subdir("heads"), temp_subdir("one"), temp_subdir("lines/test"),
                  temp_subdir("heads/test")};
  for (size_t i = 0; i < plain.n; i++) {
    if (i && !strcmp(plain.item[i].subject, plain.item[i - 1].subject)) continue;
    nb_text lines = {0}, head = {0};
    nb_text_append_str(&head, "question,choice0,choice1,choice2,choice3,answer\n", &err);
    for (size_t k = i; k < plain.n && !strcmp(plain.item[k].subject, plain.item[i].subject); k++)
      append_row(&lines, &plain.item[k], 1, 0), append_row(&head, &plain.item[k], 0, 0);
    char name[100];
    snprintf(name, sizeof name, "%s.jsonl", plain.item[i].subject);
    free(write_under("lines/test", name, &lines));
    snprintf(name, sizeof name, "%s_test.csv", plain.item[i].subject);
    free(write_under("heads/test", name, &head));
    nb_text_free(&lines), nb_text_free(&head);
  }
  /* Subjects mixed, the rows of each in order. */
  nb_text mixed = {0};
  const size_t order[] = {4, 0, 2, 1, 3};
  for (size_t i = 0; i < plain.n; i++) append_row(&mixed, &plain.item[order[i]], 1, 1);
  char *file = write_under("one", "test.jsonl", &mixed);
  same_set("JSON lines a subject", dirs[0], &plain);
  same_set("CSV with a header", dirs[1], &plain);
  same_set("one file in a directory", dirs[2], &plain);
  same_set("one file", file, &plain);
  nb_text_free(&mixed);
  free(file);
  for (size_t i = 0; i < 5; i++) free(dirs[i]);
  nb_dataset_free(&plain);
}

/* Links to directories are followed; what they show again is not taken twice; one that leads back ends. */
TEST(linked_directories) {
  nb_err err;
  nb_task t;
  nb_dataset plain, d;
  char here[2000], command[5000];
  CHECK(getcwd(here, sizeof here) != NULL);
  CHECK_OK(nb_task_open("mmlu", NULL, &t, &err));
  CHECK_OK(nb_dataset_read(&t, "tests/golden/mmlu", "test", &plain, &err));
  char *linked = temp_subdir("linked"), *again = temp_subdir("again");
  snprintf(command, sizeof command,
           "cd '%s' && ln -s '%s/tests/golden/mmlu/test' test && cd '%s' && mkdir v1 && cp -R "
           "'%s/tests/golden/mmlu/test' v1 && "
           "ln -s v1 current && ln -s .. v1/back && ln -s test v1/more",
           linked, here, again, here);
  CHECK(system(command) == 0);
  same_set("a linked directory", linked, &plain);
  same_set("links that show it again", again, &plain);
  snprintf(command, sizeof command, "cd '%s' && ln -s nowhere gone", again);
  CHECK(system(command) == 0);
  CHECK(nb_dataset_read(&t, again, "test", &d, &err) == NB_ERR_IO && strstr(err.msg, "gone"));
  nb_dataset_free(&plain);
  nb_task_free(&t);
  free(linked), free(again);
}

/* Bytes that are no UTF-8 are refused whatever they come in; in a file's name they are replaced. */
TEST(texts_are_utf8) {
  nb_err err;
  nb_task t;
  nb_dataset d;
  refused("mmlu", "bare.csv", "q,a,b,c,d,A\nq\xe9,a,b,c,d,A\n", NULL, "bare.csv:2: a field's text is not UTF-8");
  refused("mmlu", "x.csv", "question,A,B,C,D,answer,\xff\nq,a,b,c,d,A,x\n", NULL, "a field's name is not UTF-8");
  refused("mmlu", "x.jsonl", "{\"question\": \"\xed\xa0\x80\"}", NULL, "invalid UTF-8");
  char *dir = temp_subdir("names"), path[700];
  snprintf(path, sizeof path, "%s/la\xffw_test.csv", dir);
  temp_write(path, "q,a,b,c,d,A\n", 12);
  CHECK_OK(nb_task_open("mmlu", NULL, &t, &err));
  CHECK_OK(nb_dataset_read(&t, dir, "test", &d, &err));
  CHECK_STR(d.item[0].id, "la?w:0");
  nb_dataset_free(&d);
  nb_task_free(&t);
  free(dir);
}

/* The same questions, whatever they are packed in. */
#ifdef NB_HAVE_LIBZIP
TEST(in_a_zip) {
  nb_err err;
  nb_task t;
  nb_dataset plain, packed;
  CHECK_OK(nb_task_open("mmlu", NULL, &t, &err));
  CHECK_OK(nb_dataset_read(&t, "tests/golden/mmlu", "test", &plain, &err));
  char *path = temp_path("mmlu.zip");
  zip_t *z = zip_open(path, ZIP_CREATE, NULL);
  const char *files[] = {"test/abstract_algebra_test.csv", "test/formal_logic_test.csv",
                         "test/high_school_us_history_test.csv"};
  for (size_t i = 0; i < 3; i++) {
    char from[200], to[200];
    snprintf(from, sizeof from, "tests/golden/mmlu/%s", files[i]);
    snprintf(to, sizeof to, "MMLU/data/%s", files[i]);
    CHECK(zip_file_add(z, to, zip_source_file(z, from, 0, -1), 0) >= 0);
  }
  CHECK(zip_close(z) == 0);
  CHECK_OK(nb_dataset_read(&t, path, "test", &packed, &err));
  CHECK(packed.n == plain.n);
  for (size_t i = 0; i < packed.n; i++) {
    CHECK_STR(packed.item[i].id, plain.item[i].id);
    CHECK_STR(packed.item[i].question, plain.item[i].question);
  }
  nb_dataset_free(&plain), nb_dataset_free(&packed);
  CHECK(nb_dataset_read(&t, path, "dev", &packed, &err) == NB_ERR_ARG);
  nb_task_free(&t);
  free(path);
}
#else
TEST(in_a_zip) { SKIP("built without libzip"); }
#endif

TEST(in_gzip) {
  nb_err err;
  nb_task t;
  nb_dataset packed;
  const char *row = "{\"id\":\"x\",\"question\":\"q\",\"choices\":[\"a\",\"b\"],\"answer\":1}\n";
  char *path = temp_path("mine.jsonl.gz");
  gzFile g = gzopen(path, "wb");
  gzputs(g, row);
  gzclose(g);
  CHECK_OK(nb_task_open("custom", NULL, &t, &err));
  CHECK_OK(nb_dataset_read(&t, path, "test", &packed, &err));
  CHECK(packed.n == 1 && packed.item[0].answer == 1);
  nb_dataset_free(&packed);
  nb_task_free(&t);
  free(path);
}

int main(void) {
  RUN(csv_forms);
  RUN(json_forms);
  RUN(bad_rows_are_named);
  RUN(patterns);
  RUN(patterns_of_the_hub);
  RUN(hub_snapshots_are_the_same_items);
  RUN(whole_sets_of_the_hub);
  RUN(where);
  RUN(choices_that_are_objects);
  RUN(a_directory_of_subjects);
  RUN(the_same_set_in_any_form);
  RUN(linked_directories);
  RUN(texts_are_utf8);
  RUN(in_a_zip);
  RUN(in_gzip);
  temp_remove();
  return test_end();
}
