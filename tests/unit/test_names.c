/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "eval/names.h"

static nb_err err;

TEST(numbers_in_the_order_of_appearance) {
  enum { N = 20000 };
  static char name[N][12];
  nb_names t = {0};
  size_t k;
  for (size_t i = 0; i < N; i++) {
    snprintf(name[i], 12, "n%zu", i * 7919 % N);
    CHECK_OK(nb_names_number(&t, name[i], &k, &err));
    CHECK(k == i && t.n == i + 1);
  }
  for (size_t i = 0; i < N; i++) {
    char again[12];
    snprintf(again, 12, "n%zu", i * 7919 % N);
    CHECK_OK(nb_names_number(&t, again, &k, &err));
    CHECK(k == i && t.name[k] == name[i]);
  }
  CHECK(t.n == N);
  CHECK_OK(nb_names_number(&t, "", &k, &err));
  CHECK(k == N);
  nb_names_free(&t);
}

int main(void) {
  RUN(numbers_in_the_order_of_appearance);
  return test_end();
}
