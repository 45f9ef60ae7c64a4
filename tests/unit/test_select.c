/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "eval/select.h"

static nb_err err;

/* 40 questions of "a", 25 of "b", 5 of "c". */
static nb_dataset make_set(void) {
  static nb_item items[70];
  for (size_t i = 0; i < 70; i++) items[i] = (nb_item){.id = "x", .subject = i < 40 ? "a" : i < 65 ? "b" : "c"};
  return (nb_dataset){.item = items, .n = 70};
}

static size_t of_subject(const nb_item **items, size_t n, const char *subject) {
  size_t k = 0;
  for (size_t i = 0; i < n; i++) k += !strcmp(items[i]->subject, subject);
  return k;
}

static int in_order(const nb_item **items, size_t n) {
  for (size_t i = 1; i < n; i++)
    if (items[i] <= items[i - 1]) return 0;
  return 1;
}

TEST(subjects_and_limits) {
  nb_dataset d = make_set();
  const nb_item **items;
  size_t n;
  nb_selection s = {.subjects = "c,a"};
  CHECK_OK(nb_select(&d, &s, &items, &n, &err));
  CHECK(n == 45 && of_subject(items, n, "b") == 0 && in_order(items, n));
  free(items);
  s = (nb_selection){.limit = 10};
  CHECK_OK(nb_select(&d, &s, &items, &n, &err));
  CHECK(n == 25 && of_subject(items, n, "c") == 5 && items[10]->subject[0] == 'b');
  free(items);
  s = (nb_selection){.subjects = "a,d"};
  CHECK(nb_select(&d, &s, &items, &n, &err) == NB_ERR_ARG && strstr(err.msg, "\"d\""));
}

TEST(samples_are_proportional_and_repeatable) {
  nb_dataset d = make_set();
  const nb_item **items, **again;
  size_t n, m, differ = 0;
  for (size_t want = 3; want <= 70; want++) {
    nb_selection s = {.sample = want, .seed = test_seed(3)};
    CHECK_OK(nb_select(&d, &s, &items, &n, &err));
    CHECK(n == want && in_order(items, n));
    CHECK(of_subject(items, n, "a") && of_subject(items, n, "b") && of_subject(items, n, "c"));
    if (want >= 14) {
      CHECK(fabs((double)of_subject(items, n, "a") - 40.0 * (double)want / 70) < 1);
      CHECK(fabs((double)of_subject(items, n, "c") - 5.0 * (double)want / 70) <= 1);
    }
    CHECK_OK(nb_select(&d, &s, &again, &m, &err));
    CHECK(m == n && !memcmp(items, again, n * sizeof *items));
    free(again);
    s.seed = test_seed(4);
    CHECK_OK(nb_select(&d, &s, &again, &m, &err));
    differ += memcmp(items, again, n * sizeof *items) != 0;
    free(again), free(items);
  }
  CHECK(differ > 50);
  for (size_t want = 1; want < 3; want++) {
    nb_selection s = {.sample = want, .seed = test_seed(3)};
    CHECK(nb_select(&d, &s, &items, &n, &err) == NB_ERR_ARG && strstr(err.msg, "some of the 3 subjects"));
  }
}

/* Every question is drawn as often as any other. */
TEST(samples_are_fair) {
  nb_dataset d = make_set();
  size_t count[70] = {0};
  for (uint64_t seed = 0; seed < 2000; seed++) {
    const nb_item **items;
    size_t n;
    nb_selection s = {.sample = 14, .seed = test_seed(seed)};
    CHECK_OK(nb_select(&d, &s, &items, &n, &err));
    for (size_t i = 0; i < n; i++) count[items[i] - d.item]++;
    free(items);
  }
  for (size_t i = 0; i < 70; i++) CHECK_MSG(count[i] > 310 && count[i] < 490, "question %zu: %zu times", i, count[i]);
}

TEST(shards_are_a_partition) {
  nb_dataset d = make_set();
  for (size_t shards = 1; shards <= 80; shards += 13) {
    size_t next = 0;
    for (size_t k = 0; k < shards; k++) {
      const nb_item **items;
      size_t n;
      nb_selection s = {.shard = k, .shards = shards};
      CHECK_OK(nb_select(&d, &s, &items, &n, &err));
      for (size_t i = 0; i < n; i++) CHECK(items[i] == &d.item[next++]);
      free(items);
    }
    CHECK(next == 70);
  }
}

int main(void) {
  RUN(subjects_and_limits);
  RUN(samples_are_proportional_and_repeatable);
  RUN(samples_are_fair);
  RUN(shards_are_a_partition);
  return test_end();
}
