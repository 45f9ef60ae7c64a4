/* SPDX-License-Identifier: MIT */
/* A unit test is a program: TEST(name) { CHECK(...); } ... and one main() with RUN(name) lines and
 * `return test_end();`. It prints "ok NAME" or "FAIL NAME" a test and ends "N passed, N failed, N skipped". */
#ifndef NB_TEST_H
#define NB_TEST_H

#include "seed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_passed, test_failed, test_skipped, test_bad, test_skip;
static const char *test_name;

#define TEST(name) static void name(void)
#define RUN(name) test_run(#name, name)

static inline void test_run(const char *name, void (*fn)(void)) {
  test_name = name, test_bad = 0, test_skip = 0;
  fn();
  if (test_bad) test_failed++;
  else if (test_skip) test_skipped++;
  else test_passed++;
  printf("%s %s\n", test_bad ? "FAIL" : test_skip ? "skip" : "ok", name);
  fflush(stdout);
}

static inline int test_end(void) {
  printf("%d passed, %d failed, %d skipped\n", test_passed, test_failed, test_skipped);
  return test_failed != 0 || test_passed + test_skipped == 0;
}

/* A sanitizer's shadow memory grows with every page that is touched, and is anonymous: what is measured is not ours. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TEST_SHADOWED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SHADOWED 1
#endif
#endif
#ifndef TEST_SHADOWED
#define TEST_SHADOWED 0
#endif

/* Ends the test as skipped; say why. */
#define SKIP(why)                                                                                                      \
  do {                                                                                                                 \
    test_skip = 1;                                                                                                     \
    printf("  skip %s: %s\n", test_name, why);                                                                         \
    return;                                                                                                            \
  } while (0)

#define CHECK(cond)                                                                                                    \
  do {                                                                                                                 \
    if (!(cond)) test_bad = 1, printf("  %s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                           \
  } while (0)

#define CHECK_MSG(cond, ...)                                                                                           \
  do {                                                                                                                 \
    if (!(cond)) test_bad = 1, printf("  %s:%d: ", __FILE__, __LINE__), printf(__VA_ARGS__), printf("\n");             \
  } while (0)

#define CHECK_STR(a, b)                                                                                                \
  do {                                                                                                                 \
    const char *a_ = (a), *b_ = (b);                                                                                   \
    if (strcmp(a_, b_)) test_bad = 1, printf("  %s:%d: \"%s\" is not \"%s\"\n", __FILE__, __LINE__, a_, b_);           \
  } while (0)

#define CHECK_OK(expr)                                                                                                 \
  do {                                                                                                                 \
    if ((expr) != NB_OK) {                                                                                             \
      test_bad = 1, printf("  %s:%d: %s failed: %s\n", __FILE__, __LINE__, #expr, err.msg);                            \
      return;                                                                                                          \
    }                                                                                                                  \
  } while (0)

#endif
