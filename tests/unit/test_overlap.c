/* SPDX-License-Identifier: MIT */
/* Questions and windows of text that a model was calibrated on are found, whatever their fields are called. */
#include "test.h"

#include "eval/overlap.h"
#include "formats/json.h"
#include "formats/tokenizer_json.h"

static nb_err err;

static const char calibration[] =
    "When the long winter had come to its end the people of the valley went out to mend their fences, and nobody "
    "remembered any more who had built the first of them or why they ran along the brook.";

static cJSON *parse(const char *json) {
  cJSON *j = NULL;
  CHECK(nb_json_parse(json, strlen(json), "row", &j, &err) == NB_OK);
  return j;
}

TEST(items) {
  nb_sketch s;
  cJSON *row[] = {parse("{\"q\": \"THE LONG winter -- had come to its end; the people of the valley went out to mend "
                        "their fences?\"}"),
                  parse("{\"q\": \"What ran along the brook?\", \"c\": [\"fences\", \"people of the valley\"]}"),
                  parse("{\"q\": \"Other text.\", \"deep\": {\"x\": [1, {\"y\": \"nobody remembered any more who had "
                        "built the first of "
                        "them or why they ran along the brook\"}]}}"),
                  parse("{\"n\": 7}")};
  nb_item item[5];
  const nb_item *items[5];
  bool found[5];
  size_t n;
  for (size_t i = 0; i < 5; i++) item[i] = (nb_item){.row = i < 4 ? row[i] : NULL}, items[i] = &item[i];
  CHECK_OK(nb_sketch_make(calibration, sizeof calibration - 1, &s, &err));
  CHECK_OK(nb_overlap_items(&s, items, 5, found, &n, &err));
  CHECK(n == 2 && found[0] && !found[1] && found[2] && !found[3] && !found[4]);
  CHECK_OK(nb_overlap_items(&s, items, 5, NULL, &n, &err));
  CHECK(n == 2);
  nb_sketch_free(&s);
  nb_sketch none = {0};
  CHECK_OK(nb_overlap_items(&none, items, 5, found, &n, &err));
  CHECK(n == 0);
  for (size_t i = 0; i < 4; i++) cJSON_Delete(row[i]);
}

TEST(windows) {
  nb_sketch s;
  nb_tokenizer *t = NULL;
  nb_ids ids = {0};
  nb_text text = {0};
  size_t n;
  CHECK_OK(nb_tokenizer_read_dir("tests/cli/toy", &t, &err));
  for (int i = 0; i < 40; i++) CHECK_OK(nb_text_append_str(&text, "a thing in the other place at no time. ", &err));
  CHECK_OK(nb_text_append_str(&text, calibration, &err));
  CHECK_OK(nb_tokenizer_encode(t, text.s, text.n, 0, &ids, &err));
  CHECK_OK(nb_sketch_make(calibration, sizeof calibration - 1, &s, &err));
  size_t ctx = ids.n / 5;
  CHECK_OK(nb_overlap_windows(&s, t, ids.id, 5, ctx, &n, &err));
  CHECK_MSG(n == 1, "%zu windows", n); /* the last fifth holds more than half of it */
  CHECK_OK(nb_overlap_windows(&s, t, ids.id, 3, ctx, &n, &err));
  CHECK(n == 0);
  nb_sketch_free(&s);
  nb_ids_free(&ids);
  nb_text_free(&text);
  nb_tokenizer_free(t);
}

/* A checkpoint was calibrated on nothing. */
TEST(of_a_checkpoint) {
  nb_opened m;
  nb_sketch s;
  CHECK_OK(nb_open("tests/golden/model/gqa_f16", NB_OPEN_NO_TOKENIZER, 1, &m, &err));
  CHECK_OK(nb_overlap_sketch(&m, "gqa_f16", &s, &err));
  CHECK(s.n == 0);
  nb_sketch_free(&s);
  nb_opened_free(&m);
}

int main(void) {
  RUN(items);
  RUN(windows);
  RUN(of_a_checkpoint);
  return test_end();
}
