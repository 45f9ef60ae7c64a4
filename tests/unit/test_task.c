/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "eval/task.h"

static nb_status parse(const char *json, const char *preset, nb_task *t, nb_err *err) {
  return nb_task_parse(json, strlen(json), "t.json", preset, t, err);
}

static void refused(const char *json, const char *preset, const char *words) {
  nb_err err;
  nb_task t;
  nb_status st = parse(json, preset, &t, &err);
  CHECK_MSG(st != NB_OK, "accepted: %s", json);
  if (st != NB_OK) CHECK_MSG(strstr(err.msg, words), "\"%s\" does not say \"%s\"", err.msg, words);
  else nb_task_free(&t);
}

TEST(built_in_tasks_open) {
  nb_err err;
  nb_task t;
  CHECK(nb_n_builtin_tasks >= 14);
  for (size_t i = 0; i < nb_n_builtin_tasks; i++) {
    CHECK_OK(nb_task_open(nb_builtin_tasks[i].name, NULL, &t, &err));
    CHECK_STR(t.name, nb_builtin_tasks[i].name);
    nb_task_free(&t);
  }
  CHECK_OK(nb_task_open("mmlu", NULL, &t, &err));
  CHECK_STR(t.preset, "hendrycks");
  CHECK(t.shots == 5 && t.drop_shots && t.score == NB_SCORE_LETTER);
  CHECK_STR(nb_task_category(&t, "anatomy"), "other");
  CHECK_STR(nb_task_category(&t, "alchemy"), "");
  nb_task_free(&t);
  CHECK_OK(nb_task_open("mmlu", "cloze", &t, &err));
  CHECK(t.shots == 0 && !t.drop_shots && t.score == NB_SCORE_CONTINUATION);
  CHECK_STR(t.shots_from, "dev");
  nb_task_free(&t);
  CHECK_OK(nb_task_open("data/tasks/mmlu.json", "phi", &t, &err));
  CHECK(t.shots_select == NB_SHOTS_SPREAD);
  nb_task_free(&t);
  CHECK(nb_task_open("mmlu", "hendrix", &t, &err) == NB_ERR_ARG && strstr(err.msg, "hendrycks, lm-eval, phi, cloze"));
  CHECK(nb_task_open("mlu", NULL, &t, &err) == NB_ERR_ARG && strstr(err.msg, "mmlu"));
  CHECK(nb_task_open("arc_easy", "x", &t, &err) == NB_ERR_ARG);
}

#define REST "\"data\": {\"splits\": {\"test\": [\"x\"]}, \"choices\": \"c[]\", \"answer\": \"a\"}, \"prompt\": \"p\""

TEST(bad_descriptions_are_named) {
  nb_err err;
  nb_task t;
  CHECK_OK(parse("{\"task\": \"t\", " REST "}", NULL, &t, &err));
  nb_task_free(&t);
  refused("{\"task\": \"t\", \"promt\": \"p\", " REST "}", NULL, "unknown key \"promt\"");
  refused("{\"task\": \"t\", \"shots\": {\"number\": 5}, " REST "}", NULL, "unknown key \"number\"");
  refused("{\"task\": \"t\", \"shots\": {\"count\": 5}, " REST "}", NULL, "no \"from\"");
  refused("{\"task\": \"t\", \"shots\": {\"count\": 5, \"from\": \"dev\"}, " REST "}", NULL, "\"dev\"");
  refused("{\"task\": \"t\", \"shots\": {\"count\": 65, \"from\": \"test\"}, " REST "}", NULL, "count");
  refused("{\"task\": \"t\", \"score\": \"luck\", " REST "}", NULL, "letter, continuation, partial");
  refused("{\"task\": \"t\", \"score\": \"partial\", " REST "}", NULL, "\"target\"");
  refused("{\"task\": \"t\", \"split\": \"val\", " REST "}", NULL, "\"val\"");
  refused("{\"task\": \"t\", \"header\": \"{{x\", " REST "}", NULL, "header");
  refused("{\"task\": \"t\", \"presets\": {\"a\": {\"sore\": 1}}, \"preset\": \"a\", " REST "}", NULL,
          "unknown key \"sore\"");
  refused("{\"task\": \"t\", \"presets\": {\"a\": {}}, \"preset\": \"b\", " REST "}", NULL,
          "no preset \"b\"; there are a");
  refused("{\"task\": \"t\"}", NULL, "data");
  refused("{\"task\": \"t\", \"data\": {\"splits\": {\"test\": [\"x\"]}, \"choices\": \"c[\", \"answer\": \"a\"}}",
          NULL, "field path");
  refused("{\"task\": \"t\", \"data\": {\"splits\": {\"test\": [\"x\"]}, \"choices\": \"c\"}}", NULL, "neither");
  refused("{\"task\": \"t\", \"task\": \"u\"}", NULL, "task");
  refused("[]", NULL, "object");
}

int main(void) {
  RUN(built_in_tasks_open);
  RUN(bad_descriptions_are_named);
  return test_end();
}
