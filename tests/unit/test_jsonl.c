/* SPDX-License-Identifier: MIT */
#include "formats/jsonl.h"
#include "test.h"

static nb_err err;

/* The "k" of every record with its number, "1=5 3=6 "; NULL on failure. */
static const char *numbers(const char *text, size_t n) {
  static char out[256];
  nb_jsonl it;
  const cJSON *record = NULL;
  *out = 0;
  nb_status st = nb_jsonl_open(text, n, "f.jsonl", &it, &err);
  while (st == NB_OK && (st = nb_jsonl_next(&it, &record, &err)) == NB_OK && record) {
    size_t k = 0;
    st = nb_json_size(record, it.where, "k", 0, 99, &k, &err);
    sprintf(out + strlen(out), "%zu=%zu ", it.number, k);
  }
  nb_jsonl_close(&it);
  nb_jsonl_close(&it);
  return st == NB_OK ? out : NULL;
}

static void gives(const char *text, const char *want) {
  const char *have = numbers(text, strlen(text));
  CHECK_MSG(have != NULL, "%s", err.msg);
  if (have) CHECK_STR(have, want);
}

static void refused(const char *text, const char *message) {
  CHECK_MSG(numbers(text, strlen(text)) == NULL, "accepted %s", text);
  CHECK_STR(err.msg, message);
}

TEST(lines) {
  gives("", "");
  gives("\n \n", "");
  gives("{\"k\":5}", "1=5 ");
  gives("{\"k\":5}\r\n\n  {\"k\":6}  \n", "1=5 3=6 ");
  gives("\xef\xbb\xbf{\"k\":5}\n{\"k\":6}", "1=5 2=6 ");
}

TEST(an_array) {
  gives("[]", "");
  gives(" [{\"k\":5},\n\n{\"k\":6}]\n", "1=5 2=6 ");
  gives("\xef\xbb\xbf[{\"k\":5}]", "1=5 ");
}

TEST(refuses) {
  refused("{\"k\":5}\n\n{\"k\":5,}\n", "f.jsonl:3:8: expected a key in double quotes");
  refused("{\"k\":5}\n5\n", "f.jsonl:2: not a JSON object");
  refused("{\"k\":5} {\"k\":5}\n", "f.jsonl:1:9: something follows the JSON value");
  refused("{\"k\":\n5}\n", "f.jsonl:2:1: expected a value, but the text ends");
  refused("{\"k\":5}\n{\"k\":100}\n", "f.jsonl:2: \"k\" is 100, not between 0 and 99");
  refused("[{\"k\":5},7]", "f.jsonl: record 2: not a JSON object");
  refused("[{\"k\":5},{}]", "f.jsonl: record 2: \"k\" is missing");
  refused("[{\"k\":5}", "f.jsonl:1:9: expected ',' or ']' in an array");
}

int main(void) {
  RUN(lines);
  RUN(an_array);
  RUN(refuses);
  return test_end();
}
