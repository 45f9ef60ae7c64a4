/* SPDX-License-Identifier: MIT */
#include "eval/sketch.h"
#include "test.h"

static nb_err err;
static unsigned state;

static unsigned draw(unsigned n) { return (state = state * 1664525u + 1013904223u) / 65536 % n; }

/* n words "wX", drawn from so many that no ten in a row come twice. */
static void words(nb_text *t, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char w[16];
    snprintf(w, sizeof w, "w%u ", draw(60000));
    (void)nb_text_append_str(t, w, NULL);
  }
}

static nb_sketch sketch_of(const nb_text *t) {
  nb_sketch s;
  if (nb_sketch_make(t->s, t->n, &s, &err) != NB_OK) printf("  %s\n", err.msg), exit(1);
  return s;
}

TEST(fifteen_shared_words_are_found_wherever_they_stand) {
  nb_text source = {0};
  words(&source, 3000);
  nb_sketch s = sketch_of(&source);
  CHECK(s.n > 500 && s.n < 1200); /* two of seven grams */
  size_t found = 0, at = 0, tries = 0;
  for (size_t i = 0; i < 2900; i++) {
    nb_text question = {0};
    char *end = source.s + at;
    for (int k = 0; k < 15; k++) end = strchr(end, ' ') + 1;
    words(&question, draw(20));
    (void)nb_text_append(&question, source.s + at, (size_t)(end - source.s) - at, NULL);
    words(&question, draw(20));
    found += nb_sketch_finds(&s, question.s, question.n), tries++;
    nb_text_free(&question);
    at = (size_t)(strchr(source.s + at, ' ') + 1 - source.s);
  }
  CHECK_MSG(found == tries, "%zu of %zu", found, tries);
  nb_sketch_free(&s);
  nb_text_free(&source);
}

TEST(other_text_and_short_runs_are_not) {
  nb_text source = {0}, other = {0};
  words(&source, 3000), words(&other, 20000);
  nb_sketch s = sketch_of(&source);
  CHECK(!nb_sketch_finds(&s, other.s, other.n));
  char *end = source.s;
  for (int k = 0; k < 9; k++) end = strchr(end, ' ') + 1;
  CHECK(!nb_sketch_finds(&s, source.s, (size_t)(end - source.s)));
  nb_sketch_free(&s);
  nb_text_free(&source), nb_text_free(&other);
}

TEST(case_and_punctuation_do_not_matter) {
  static const char a[] = "The quick brown fox jumps over the lazy dog, and then it runs away from 3 \xc3\xa9lans.";
  static const char b[] =
      "Q: THE QUICK BROWN FOX\n(jumps over the lazy dog) AND then -- it runs away from 3 \xc3\xa9lans";
  nb_sketch s;
  CHECK_OK(nb_sketch_make(a, sizeof a - 1, &s, &err));
  CHECK(s.n >= 1 && nb_sketch_finds(&s, b, sizeof b - 1));
  nb_sketch_free(&s);
  CHECK_OK(nb_sketch_make("ten words make one gram and this is just enough", 47, &s, &err));
  CHECK(s.n == 1);
  nb_sketch_free(&s);
  CHECK_OK(nb_sketch_make("\0 too \xff short", 13, &s, &err));
  CHECK(s.n == 0 && !nb_sketch_finds(&s, a, sizeof a - 1));
  nb_sketch_free(&s);
}

TEST(digits_and_back) {
  nb_text source = {0}, digits = {0};
  words(&source, 40000);
  nb_sketch s = sketch_of(&source), r;
  CHECK(s.n == NB_SKETCH_MAX);
  CHECK_OK(nb_sketch_print(&s, &digits, &err));
  CHECK(digits.n == s.n * NB_SKETCH_DIGITS);
  CHECK_OK(nb_sketch_parse(digits.s, &r, &err));
  CHECK(r.n == s.n && !memcmp(r.gram, s.gram, s.n * sizeof *s.gram));
  nb_sketch_free(&r);
  CHECK_OK(nb_sketch_parse("", &r, &err));
  CHECK(r.n == 0);
  nb_sketch_free(&r);
  static const char *const bad[] = {"0", "000000000g", "00000000000", "0x00000000", "-000000001"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(nb_sketch_parse(bad[i], &r, &err) == NB_ERR_FORMAT);
  (void)nb_text_append_str(&digits, "0000000000", NULL);
  CHECK(nb_sketch_parse(digits.s, &r, &err) == NB_ERR_FORMAT);
  nb_sketch_free(&s);
  nb_text_free(&source), nb_text_free(&digits);
}

int main(void) {
  state = (unsigned)test_seed(1);
  RUN(fifteen_shared_words_are_found_wherever_they_stand);
  RUN(other_text_and_short_runs_are_not);
  RUN(case_and_punctuation_do_not_matter);
  RUN(digits_and_back);
  return test_end();
}
