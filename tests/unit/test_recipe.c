/* SPDX-License-Identifier: MIT */
/* What a file remembers of how it was made is read as it was written, and what can no longer be done is refused. */
#include "test.h"

#include "base/mem.h"
#include "convert/recipe.h"

static nb_err err;

/* A calibrated recipe as a file has it. */
static cJSON *printed(void) {
  static const char *const set[] = {"1.v=u6g64"};
  nb_recipe r = nb_recipe_default;
  r.set = set, r.n_set = 1, r.sweeps = 3, r.damp = 0.5, r.fisher_tokens = 64, r.no_fold = true, r.tune = "5steps";
  return nb_recipe_print(&r);
}

TEST(a_recipe_is_read_as_it_was_printed) {
  cJSON *json = printed();
  const char **set;
  nb_recipe r;
  CHECK_OK(nb_recipe_read(json, "f", &r, &set, &err));
  CHECK(r.n_set == 1 && !strcmp(r.set[0], "1.v=u6g64") && !strcmp(r.tune, "5steps"));
  CHECK(r.sweeps == 3 && r.damp == 0.5 && r.fisher_tokens == 64 && r.no_fold && !r.no_tables && !r.fast);
  cJSON *again = nb_recipe_print(&r);
  CHECK(cJSON_Compare(json, again, true));
  cJSON_Delete(json), cJSON_Delete(again);
  nb_free(set);
}

/* Adds a key of earlier versions to a recipe and reads that. */
static nb_status read_with(const char *key, cJSON *value) {
  cJSON *json = printed();
  const char **set;
  nb_recipe r;
  cJSON_AddItemToObject(json, key, value);
  nb_status st = nb_recipe_read(json, "old.nbl", &r, &set, &err);
  cJSON_Delete(json);
  nb_free(set);
  return st;
}

TEST(options_that_are_no_more_must_have_been_off) {
  CHECK_OK(read_with("alpha", cJSON_CreateNumber(0)));
  CHECK_OK(read_with("rotate", cJSON_CreateFalse()));
  CHECK(read_with("alpha", cJSON_CreateNumber(0.25)) == NB_ERR_UNSUPPORTED);
  CHECK_MSG(strstr(err.msg, "old.nbl was made with --alpha") != NULL, "%s", err.msg);
  CHECK(read_with("rotate", cJSON_CreateTrue()) == NB_ERR_UNSUPPORTED);
  CHECK_MSG(strstr(err.msg, "old.nbl was made with --rotate") != NULL, "%s", err.msg);
  CHECK(read_with("alpha", cJSON_CreateString("0")) == NB_ERR_FORMAT);
  CHECK(read_with("rotate", cJSON_CreateNumber(1)) == NB_ERR_FORMAT);
}

int main(void) {
  RUN(a_recipe_is_read_as_it_was_printed);
  RUN(options_that_are_no_more_must_have_been_off);
  return test_end();
}
