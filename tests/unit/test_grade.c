/* SPDX-License-Identifier: MIT */
/* Scores equal lm-evaluation-harness's (tests/golden/make_grade_goldens.py). */
#include "test.h"

#include "eval/grade.h"
#include "formats/json.h"
#include "formats/mapfile.h"

static nb_err err;

static size_t code_points(const char *s) {
  size_t n = 0;
  for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
  return n;
}

TEST(scores_equal_the_goldens) {
  char *bytes;
  size_t n, seen[4] = {0};
  cJSON *all;
  CHECK_OK(nb_mapfile_read("tests/golden/grades.json", 1 << 20, &bytes, &n, &err));
  CHECK_OK(nb_json_parse(bytes, n, "grades.json", &all, &err));
  free(bytes);
  for (const cJSON *g = all->child; g; g = g->next) {
    bool correct[NB_MAX_CHOICES] = {false};
    nb_item item = {.correct = correct};
    nb_answer a;
    memset(&a, 0, sizeof a);
    for (const cJSON *c = nb_json_get(g, "choices")->child; c; c = c->next, item.n_choices++) {
      a.chars[item.n_choices] = (uint32_t)code_points(c->valuestring);
      a.bytes[item.n_choices] = (uint32_t)strlen(c->valuestring);
    }
    size_t i = 0;
    for (const cJSON *l = nb_json_get(g, "logprobs")->child; l; l = l->next) a.logprob[i++] = l->valuedouble;
    for (const cJSON *r = nb_json_get(g, "right")->child; r; r = r->next) correct[r->valueint] = true;
    nb_grade grade;
    nb_grade_answer(&item, &a, false, &grade);
    const struct {
      const char *key;
      double value;
    } score[] = {
        {"acc", grade.acc}, {"acc_norm", grade.acc_norm}, {"acc_bytes", grade.acc_bytes}, {"mass", grade.mass}};
    for (size_t k = 0; k < 4; k++) {
      const cJSON *want = nb_json_get(g, score[k].key);
      if (!want) continue;
      CHECK(k == 3 ? fabs(score[k].value - want->valuedouble) < 1e-9 : score[k].value == want->valuedouble);
      seen[k]++;
    }
  }
  CHECK(seen[0] == seen[1] + 20 && seen[1] > 60 && seen[2] == seen[1] && seen[3] == 20);
  cJSON_Delete(all);
}

TEST(ties_and_calibration) {
  bool correct[3] = {true, false, false};
  nb_item item = {.correct = correct, .n_choices = 3};
  nb_answer a = {.logprob = {-1, -1, -2}, .chars = {1, 1, 1}, .bytes = {1, 1, 1}};
  nb_grade g;
  nb_scores s;
  nb_grade_answer(&item, &a, false, &g);
  CHECK(g.acc == 1 && g.pick == 0);
  nb_grade_answer(&item, &a, true, &g);
  CHECK(g.acc == 0 && g.acc_norm == 0);
  memset(&s, 0, sizeof s);
  a.logprob[0] = 0, a.logprob[1] = a.logprob[2] = -1e9; /* sure, and right */
  nb_grade_answer(&item, &a, true, &g);
  CHECK(g.confidence == 1 && g.brier == 0 && g.mass == 1);
  nb_scores_add(&s, &g);
  CHECK(nb_scores_ece(&s) == 0);
  correct[0] = false, correct[1] = true; /* sure, and wrong */
  nb_grade_answer(&item, &a, true, &g);
  CHECK(g.brier == 2 && g.acc == 0);
  nb_scores_add(&s, &g);
  CHECK(fabs(nb_scores_ece(&s) - 0.5) < 1e-12);
}

int main(void) {
  RUN(scores_equal_the_goldens);
  RUN(ties_and_calibration);
  return test_end();
}
