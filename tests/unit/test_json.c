/* SPDX-License-Identifier: MIT */
#include "formats/json.h"
#include "formats/jsonout.h"
#include "test.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static nb_err err;

/* The text is copied to a block of exactly its size, so that a sanitizer sees any read past its end. */
static nb_status parse(const char *text, size_t n, cJSON **out) {
  char *exact = malloc(n ? n : 1);
  memcpy(exact, text, n);
  nb_status st = nb_json_parse(exact, n, "f.json", out, &err);
  free(exact);
  return st;
}

static void refused(const char *text, size_t n, const char *message) {
  cJSON *j = NULL;
  nb_status st = parse(text, n, &j);
  CHECK_MSG(st == NB_ERR_FORMAT && !j, "accepted: %s", text);
  if (st != NB_OK) CHECK_STR(err.msg, message);
  cJSON_Delete(j);
}
#define REFUSED(text, message) refused(text, sizeof(text) - 1, message)

TEST(accepts_what_rfc_8259_allows) {
  static const char *const good[] = {
      "1",
      "-0",
      "0.5e-7",
      "1E+2",
      "\"\"",
      "true",
      " null\n",
      "[]",
      "{}",
      "[1,2,[3]]",
      "{\"a\":{\"b\":[]}}",
      "\"\\u00e9\\ud83d\\ude00\\n\"",
      "\xef\xbb\xbf{}",
      "\"\xf0\x9f\x98\x80\"",
      "{\"a\":1,\"A\":2,\"\":3}",
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    cJSON *j;
    CHECK_MSG(parse(good[i], strlen(good[i]), &j) == NB_OK, "%s: %s", good[i], err.msg);
    cJSON_Delete(j);
  }
}

TEST(names_line_and_column) {
  REFUSED("", "f.json:1:1: expected a value, but the text ends");
  REFUSED("{\n  \"a\": 1,\n}", "f.json:3:1: expected a key in double quotes");
  REFUSED("{\"\xc3\xa9\": tru}", "f.json:1:7: expected a value");
  REFUSED("[1 2]", "f.json:1:4: expected ',' or ']' in an array");
  REFUSED("[1,]", "f.json:1:4: expected a value");
  REFUSED("{\"a\" 1}", "f.json:1:6: expected ':' after a key");
  REFUSED("{\"a\":1 \"b\":2}", "f.json:1:8: expected ',' or '}' in an object");
  REFUSED("{} x", "f.json:1:4: something follows the JSON value");
  REFUSED("[1", "f.json:1:3: expected ',' or ']' in an array");
  REFUSED("\"abc", "f.json:1:5: unterminated string");
  REFUSED("'a'", "f.json:1:1: expected a value");
  cJSON *j;
  CHECK(nb_json_parse_at("[,", 2, "f.jsonl", 41, &j, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "f.jsonl:41:2: expected a value");
}

TEST(refuses_bad_numbers) {
  REFUSED("01", "f.json:1:1: a number begins with 0");
  REFUSED("+1", "f.json:1:1: expected a value");
  REFUSED("-", "f.json:1:1: expected a value");
  REFUSED("1.", "f.json:1:1: a number without digits after its point");
  REFUSED("1e", "f.json:1:1: a number without digits in its exponent");
  REFUSED("NaN", "f.json:1:1: expected a value");
  REFUSED("0x10", "f.json:1:2: something follows the JSON value");
  REFUSED("1111111111222222222233333333334444444444555555555566666666667777",
          "f.json:1:1: a number of more than 63 characters");
}

TEST(refuses_bad_strings) {
  REFUSED("\"a\nb\"", "f.json:1:3: a control character in a string (write it as an escape)");
  REFUSED("\"\\x41\"", "f.json:1:2: invalid escape in a string");
  REFUSED("\"\\u00g0\"", "f.json:1:2: invalid escape in a string");
  REFUSED("\"\\u00", "f.json:1:2: invalid escape in a string");
  REFUSED("\"\\", "f.json:1:2: unterminated string");
  REFUSED("\"\\ud83d\"", "f.json:1:2: half of a surrogate pair in a string");
  REFUSED("\"\\ude00\"", "f.json:1:2: half of a surrogate pair in a string");
  REFUSED("\"\\ud83d\\u0041\"", "f.json:1:2: half of a surrogate pair in a string");
  REFUSED("\"\xff\"", "f.json:1:2: invalid UTF-8");
  REFUSED("\"\xc0\x80\"", "f.json:1:2: invalid UTF-8");         /* overlong */
  REFUSED("\"\xed\xa0\x80\"", "f.json:1:2: invalid UTF-8");     /* a surrogate */
  REFUSED("\"\xf4\x90\x80\x80\"", "f.json:1:2: invalid UTF-8"); /* above U+10FFFF */
  REFUSED("\"\xe2\x82\"", "f.json:1:2: invalid UTF-8");         /* cut short */
}

TEST(refuses_nul) {
  REFUSED("\"a\0b\"", "f.json:1:3: a NUL character");
  REFUSED("{}\0", "f.json:1:3: a NUL character");
  REFUSED("\0", "f.json:1:1: a NUL character");
  REFUSED("\"\\u0000\"", "f.json:1:2: a NUL character in a string");
}

TEST(refuses_duplicate_keys) {
  REFUSED("{\"a\":1,\n \"b\":2,\"a\":3}", "f.json:2:8: duplicate key \"a\"");
  REFUSED("{\"a\":1,\"\\u0061\":2}", "f.json:1:8: duplicate key \"\\u0061\"");
  REFUSED("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", "f.json:1:8: duplicate key \"\\ud83d\\ude00\"");
  REFUSED("[{\"x\":{\"k\":1,\"k\":1.0}}]", "f.json:1:14: duplicate key \"k\"");
  REFUSED("{\"k\":{\"a\":[1]},\"k\":{\"a\":[2]}}", "f.json:1:16: duplicate key \"k\"");
  REFUSED("{\"k\":1,\"k\":1,\"k\":2}", "f.json:1:14: duplicate key \"k\"");
  static const char fine[] = "{\"a\":{\"a\":{\"a\":1},\"b\":1},\"b\":[{\"a\":1},{\"a\":1}]}";
  cJSON *j; /* the same key in different objects */
  CHECK_OK(parse(fine, sizeof fine - 1, &j));
  cJSON_Delete(j);
}

TEST(limits_depth) {
  char deep[2 * 65];
  cJSON *j;
  memset(deep, '[', 64), memset(deep + 64, ']', 64);
  CHECK_OK(parse(deep, 128, &j));
  cJSON_Delete(j);
  memset(deep, '[', 65), memset(deep + 65, ']', 65);
  refused(deep, 130, "f.json:1:65: nested deeper than 64 levels");
  size_t n = 1 << 20;
  char *deeper = malloc(n);
  for (size_t i = 0; i < n; i++) deeper[i] = "{\"a\":"[i % 5];
  CHECK(nb_json_parse(deeper, n, "f.json", &j, &err) == NB_ERR_FORMAT);
  free(deeper);
}

TEST(getters) {
  cJSON *j;
  static const char text[] = "{\"n\":7,\"big\":9007199254740993,\"f\":0.5,\"neg\":-1,\"inf\":1e999,\"t\":true,"
                             "\"s\":\"x\",\"o\":{},\"a\":[1],\"null\":null}";
  CHECK_OK(parse(text, sizeof text - 1, &j));
  size_t n = 99;
  double f = 99;
  bool b = false;
  const char *s = "default";
  const cJSON *item = NULL;
  CHECK_OK(nb_json_size(j, "c.json", "n", 1, 7, &n, &err));
  CHECK(n == 7);
  CHECK(nb_json_size(j, "c.json", "n", 8, 9, &n, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "c.json: \"n\" is 7, not between 8 and 9");
  CHECK(nb_json_size(j, "c.json", "f", 0, 9, &n, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "c.json: \"f\" is 0.5, not a whole number");
  CHECK(nb_json_size(j, "c.json", "neg", 0, 9, &n, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "c.json: \"neg\" is -1, not between 0 and 9");
  CHECK(nb_json_size(j, "c.json", "inf", 0, SIZE_MAX, &n, &err) == NB_ERR_FORMAT);
  CHECK(nb_json_size(j, "c.json", "big", 0, SIZE_MAX, &n, &err) == NB_OK); /* rounds to 2^53, exact */
  CHECK(nb_json_size(j, "c.json", "s", 0, 9, &n, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "c.json: \"s\" is a string, not a whole number");
  CHECK(nb_json_size(j, "c.json", "nope", 0, 9, &n, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "c.json: \"nope\" is missing");
  CHECK(nb_json_f64(j, "c.json", "inf", &f, &err) == NB_ERR_FORMAT);
  CHECK_OK(nb_json_f64(j, "c.json", "neg", &f, &err));
  CHECK(f == -1);
  CHECK_OK(nb_json_bool(j, "c.json", "t", &b, &err));
  CHECK(b);
  CHECK(nb_json_bool(j, "c.json", "n", &b, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "c.json: \"n\" is a number, not true or false");
  CHECK_OK(nb_json_string(j, "c.json", "s", &s, &err));
  CHECK_STR(s, "x");
  CHECK_OK(nb_json_object(j, "c.json", "o", &item, &err));
  CHECK(nb_json_size(item, "c.json: o", "q", 0, 1, &n, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "c.json: o: \"q\" is missing");
  CHECK(nb_json_object(j, "c.json", "a", &item, &err) == NB_ERR_FORMAT);
  CHECK_OK(nb_json_array(j, "c.json", "a", &item, &err));
  n = 99;
  CHECK_OK(nb_json_optional_size(j, "c.json", "null", 0, 1, &n, &err));
  CHECK_OK(nb_json_optional_size(j, "c.json", "nope", 0, 1, &n, &err));
  CHECK(n == 99);
  CHECK(nb_json_optional_size(j, "c.json", "n", 0, 1, &n, &err) == NB_ERR_FORMAT);
  CHECK(nb_json_optional_size(item, "c.json", "n", 0, 1, &n, &err) == NB_ERR_FORMAT);
  CHECK_STR(err.msg, "c.json: not a JSON object");
  CHECK(nb_json_get(j, "null") == NULL);
  cJSON_Delete(j);
}

/* Every text cut anywhere and with any byte changed is either accepted or refused, never a crash. */
TEST(survives_damage) {
  static const char text[] = "{\"a\\u00e9\":[1,-2.5e3,true,null,\"\\ud83d\\ude00\xc3\xa9\"],\"b\":{\"c\":{}}} ";
  char buf[sizeof text];
  cJSON *j;
  for (size_t n = 0; n < sizeof text - 1; n++) {
    nb_status st = parse(text, n, &j);
    CHECK(st == NB_ERR_FORMAT || n == sizeof text - 2);
    cJSON_Delete(j);
  }
  for (size_t i = 0; i < sizeof text - 1; i++) {
    for (int c = 0; c < 256; c++) {
      memcpy(buf, text, sizeof text);
      buf[i] = (char)c;
      nb_status st = parse(buf, sizeof text - 1, &j);
      CHECK((st == NB_OK) == (j != NULL));
      cJSON_Delete(j);
    }
  }
}

TEST(large_object_is_fast) {
  size_t n = 0, cap = 20u << 20;
  char *text = malloc(cap);
  text[n++] = '{';
  for (int i = 0; i < 300000; i++) n += (size_t)sprintf(text + n, "\"token number %d\":%d,\n", i, i);
  n += (size_t)sprintf(text + n, "\"last\":[1]}");
  clock_t t = clock();
  cJSON *j;
  CHECK_OK(nb_json_parse(text, n, "big.json", &j, &err));
  double s = (double)(clock() - t) / CLOCKS_PER_SEC;
  CHECK_MSG(s < 5, "%.1f s for %.1f MB", s, (double)n / 1e6);
  cJSON_Delete(j);
  free(text);
}

/* What JSON has no number for is null, however it is written. */
TEST(numbers_that_are_none_are_null) {
  nb_text out = {0};
  nb_jsonout j = {.out = &out, .err = &err};
  const double none[] = {NAN, INFINITY, -INFINITY};
  nb_jsonout_open(&j, NULL, '[');
  for (size_t i = 0; i < 3; i++) {
    nb_jsonout_double(&j, NULL, none[i]), nb_jsonout_fixed(&j, NULL, none[i], 2);
    nb_jsonout_f64(&j, NULL, none[i]), nb_jsonout_f32(&j, NULL, (float)none[i]);
  }
  nb_jsonout_close(&j, ']');
  CHECK(j.st == NB_OK);
  CHECK_STR(out.s, "[null, null, null, null, null, null, null, null, null, null, null, null]");
  nb_text_free(&out);
}

int main(void) {
  RUN(numbers_that_are_none_are_null);
  RUN(accepts_what_rfc_8259_allows);
  RUN(names_line_and_column);
  RUN(refuses_bad_numbers);
  RUN(refuses_bad_strings);
  RUN(refuses_nul);
  RUN(refuses_duplicate_keys);
  RUN(limits_depth);
  RUN(getters);
  RUN(survives_damage);
  RUN(large_object_is_fast);
  return test_end();
}
