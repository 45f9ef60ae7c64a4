/* SPDX-License-Identifier: MIT */
/* Guesses out of a text itself: where they are taken from, and when they are worth a pass. */
#include "test.h"

#include "model/generate.h"
#include "model/draft.h"

#include <math.h>
#include <string.h>

static nb_draft find(const int32_t *ids, size_t n, size_t near) {
  nb_draft d;
  nb_draft_history h = {.near = near};
  nb_draft_find(&h, ids, n, &d);
  return d;
}

TEST(the_longest_match_is_taken) {
  const int32_t ids[] = {1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 1, 2, 3};
  nb_draft d = find(ids, 13, 0); /* 1 2 3 at the front, before 2 3 in the middle */
  CHECK(d.length == 3 && d.from == 3 && d.ids[0] == 4 && d.ids[1] == 5 && d.ids[9] == 3);
  CHECK(d.ids[10] == 4 && d.ids[11] == 5); /* over the end: as if the guesses had come */
  d = find(ids, 12, 0);
  CHECK(d.length == 2 && d.from == 2 && d.ids[0] == 3);
  d = find(ids, 10, 0);
  CHECK(d.length == 0);
  CHECK(find(ids, 0, 0).length == 0 && find(ids, 1, 0).length == 0);
}

TEST(of_equal_matches_the_one_that_goes_on) {
  const int32_t ids[] = {5, 1, 5, 2, 5, 3, 5, 4, 5};
  CHECK(find(ids, 9, 0).from == 7); /* the last */
  CHECK(find(ids, 9, 2).from == 3); /* the first from where the last right guess was */
  CHECK(find(ids, 9, 8).from == 7);
  const int32_t same[] = {6, 6, 6, 6};
  nb_draft d = find(same, 4, 0);
  CHECK(d.length == 3 && d.from == 3 && d.ids[0] == 6 && d.ids[NB_DRAFT_MOST] == 6);
}

TEST(no_more_than_the_compared_length) {
  int32_t ids[100];
  for (int i = 0; i < 100; i++) ids[i] = i % 50;
  nb_draft d = find(ids, 100, 0);
  CHECK(d.length == NB_DRAFT_MATCH && d.from == 50 && d.ids[NB_DRAFT_MOST] == 15);
}

/* A history in which so many of 100 guesses at every length were right. */
static nb_draft_history told(int right) {
  nb_draft_history h = {0};
  nb_draft d = {.length = 1};
  for (int i = 0; i < 100; i++)
    for (size_t k = 0; k < NB_DRAFT_MOST; k++) nb_draft_learn(&h, &d, k, (i * 37) % 100 < right);
  return h;
}

TEST(guesses_are_tried_while_they_gain) {
  nb_draft_costs c = {0};
  nb_draft d = {.from = 5, .length = 3};
  nb_draft_history good = told(95), bad = told(0);
  CHECK(nb_draft_worth(&d, &good, &c, 15) == 0); /* nothing was timed */
  nb_draft_timed(&c, 1, 0.1);
  CHECK(nb_draft_worth(&d, &good, &c, 15) > 3);
  CHECK(nb_draft_worth(&d, &good, &c, 2) == 2 && nb_draft_worth(&d, &good, &c, 0) == 0);
  CHECK(nb_draft_worth(&d, &bad, &c, 15) == 0);
  nb_draft none = {0};
  CHECK(nb_draft_worth(&none, &good, &c, 15) == 0);
  /* Where a pass of T tokens takes T times as long there is no gain, however right the guesses are. */
  nb_draft_costs dear = {0};
  nb_draft_timed(&dear, 1, 0.1);
  for (int i = 0; i < 200; i++)
    for (size_t T = 2; T <= NB_DRAFT_MOST + 1; T++) nb_draft_timed(&dear, T, 0.1 * (double)T);
  CHECK(nb_draft_worth(&d, &good, &dear, 15) == 0);
  /* And where it costs nothing more, all are tried. */
  nb_draft_costs cheap = {0};
  nb_draft_timed(&cheap, 1, 0.1);
  for (int i = 0; i < 200; i++)
    for (size_t T = 2; T <= NB_DRAFT_MOST + 1; T++) nb_draft_timed(&cheap, T, 0.1);
  CHECK(nb_draft_worth(&d, &good, &cheap, 15) == 15);
}

TEST(a_text_that_changes_is_followed) {
  nb_draft_costs c = {0};
  nb_draft d = {.length = 5};
  nb_draft_history h = told(100);
  nb_draft_timed(&c, 1, 1);
  CHECK(nb_draft_worth(&d, &h, &c, 15) > 0);
  for (int i = 0; i < 150; i++) nb_draft_learn(&h, &d, 0, false);
  CHECK(nb_draft_worth(&d, &h, &c, 15) == 0);
  for (int i = 0; i < 150; i++) nb_draft_learn(&h, &d, 0, true);
  CHECK(nb_draft_worth(&d, &h, &c, 15) > 0);
}

/* A text that was copied and now goes its own way, though it often says what it said before: that costs a few
 * passes of 400 (32 without a purse), and guesses are tried again when they are right again. */
TEST(what_guesses_lose_is_limited) {
  nb_draft_costs c = {0};
  nb_draft_history h = told(100);
  nb_rng rng = {1};
  double lost = 0, most_lost = 0;
  nb_draft_timed(&c, 1, 1);
  for (int i = 0; i < 400; i++) {
    nb_draft d = {.length = 5};
    size_t n = nb_draft_worth(&d, &h, &c, 15);
    bool right = nb_rng_unit(&rng) < 0.1;
    if (n) lost += 0.12 * (double)n - right;
    most_lost = fmax(most_lost, lost);
    nb_draft_learn(&h, &d, 0, right);
  }
  CHECK(most_lost > 1 && most_lost < 8);
  size_t passes = 0;
  for (;; passes++) {
    nb_draft d = {.length = 5};
    if (passes == 40 || nb_draft_worth(&d, &h, &c, 15) > 4) break;
    nb_draft_learn(&h, &d, 0, true);
  }
  CHECK(passes < 40);
}

int main(void) {
  RUN(the_longest_match_is_taken);
  RUN(of_equal_matches_the_one_that_goes_on);
  RUN(no_more_than_the_compared_length);
  RUN(guesses_are_tried_while_they_gain);
  RUN(a_text_that_changes_is_followed);
  RUN(what_guesses_lose_is_limited);
  return test_end();
}
