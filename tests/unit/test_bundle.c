/* SPDX-License-Identifier: MIT */
/* A bundle's members say what the run says. */
#include "test.h"

#include "eval/bundle.h"
#include "formats/archive.h"
#include "formats/archive_write.h"
#include "formats/json.h"
#include "tempdir.h"

static nb_err err;

enum { N = 6 };

static nb_item item[N];
static nb_row row[N];
static char id[N][4];

/* Six questions of two subjects; the first of each subject is wrong. */
static nb_result make_run(void) {
  static bool correct[3] = {false, true, false};
  static const char *choice[3] = {"x", "y \"z\"", "w"};
  for (size_t i = 0; i < N; i++) {
    bool right = i % 3 != 0;
    snprintf(id[i], 4, "q%zu", i);
    item[i] = (nb_item){.id = id[i],
                        .subject = i < 3 ? "a, \"b\"" : "c",
                        .question = "?",
                        .choice = choice,
                        .correct = correct,
                        .n_choices = 3,
                        .answer = 1};
    row[i] =
        (nb_row){item[i], {.logprob = {-2, right ? -1 : -3, -4}, .chars = {1, 1, 1}, .bytes = {1, 1, 1}}, "all", false};
  }
  nb_result r = {.row = row, .n = N, .texts = true};
  r.protocol = (nb_protocol){.task = "t", .preset = "", .split = "test", .subjects = "", .questions = N};
  r.model = (nb_model_facts){.name = "m", .architecture = "a", .kv = "f32"};
  return r;
}

static char *member(nb_archive *a, const char *name, size_t *n) {
  char *bytes = NULL;
  for (size_t i = 0; i < nb_archive_count(a); i++)
    if (!strcmp(nb_archive_name(a, i), name)) CHECK(nb_archive_read(a, i, &bytes, n, &err) == NB_OK);
  CHECK_MSG(bytes != NULL, "no %s", name);
  return bytes;
}

TEST(members) {
  if (!nb_archive_writes()) SKIP("built without libzip");
  nb_result r = make_run(), back;
  nb_text page = {0}, want = {0};
  nb_archive *a;
  size_t n;
  char *path = temp_path("b.zip"), *bytes;
  CHECK_OK(nb_text_append_str(&page, "<html></html>", &err));
  CHECK_OK(nb_bundle_save(path, &r, &page, &err));
  CHECK_OK(nb_archive_open(path, &a, &err));
  CHECK(nb_archive_count(a) == 4);
  bytes = member(a, "result.json", &n);
  CHECK_OK(nb_result_write(&r, &want, &err));
  CHECK(bytes && n == want.n && !memcmp(bytes, want.s, n));
  CHECK_OK(nb_result_parse(bytes, n, "result.json", &back, &err));
  CHECK(fabs(nb_result_score(&back) - 4.0 / 6) < 1e-12);
  nb_result_free(&back);
  free(bytes);
  /* A line a question, of which each is an object. */
  bytes = member(a, "predictions.jsonl", &n);
  size_t i = 0;
  for (char *line = strtok(bytes, "\n"); line; line = strtok(NULL, "\n"), i++) {
    cJSON *j;
    CHECK_OK(nb_json_parse(line, strlen(line), "a line", &j, &err));
    bool right = i % 3 != 0;
    CHECK_STR(nb_json_get(j, "id")->valuestring, id[i]);
    CHECK(nb_json_get(j, "pick")->valuedouble == (right ? 1 : 0) && nb_json_get(j, "score")->valuedouble == right);
    double sum = 0;
    for (const cJSON *p = nb_json_get(j, "probabilities")->child; p; p = p->next) sum += p->valuedouble;
    CHECK(fabs(sum - 1) < 1e-5);
    CHECK_STR(cJSON_GetArrayItem(nb_json_get(j, "choices"), 1)->valuestring, "y \"z\"");
    cJSON_Delete(j);
  }
  CHECK(i == N);
  free(bytes);
  bytes = member(a, "subjects.csv", &n);
  CHECK(bytes && !strncmp(bytes, "subject,category,questions,score,low,high,acc,", 46));
  CHECK(bytes && strstr(bytes, "\n\"a, \"\"b\"\"\",\"all\",3,0.666667,") &&
        strstr(bytes, "\n\"c\",\"all\",3,0.666667,"));
  free(bytes);
  bytes = member(a, "report.html", &n);
  CHECK(bytes && n == page.n);
  free(bytes);
  nb_archive_close(a);
  CHECK_OK(nb_bundle_save(path, &r, NULL, &err));
  CHECK_OK(nb_archive_open(path, &a, &err));
  CHECK(nb_archive_count(a) == 3);
  nb_archive_close(a);
  CHECK(nb_bundle_save("/nowhere/at/all.zip", &r, NULL, &err) == NB_ERR_IO && strstr(err.msg, "all.zip"));
  nb_text_free(&page), nb_text_free(&want);
  free(path);
}

int main(void) {
  RUN(members);
  temp_remove();
  return test_end();
}
