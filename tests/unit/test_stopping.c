/* SPDX-License-Identifier: MIT */
/* Runs that stop when their verdict is certain, over answers that correlate with the data's order: the verdict is
 * always that of a comparison of the same answers, is wrong no more often than alpha, and never comes from half a
 * chunk. */
#include "test.h"

#include "eval/rng.h"
#include "eval/stopping.h"

static nb_err err;

enum { N = 778, SUBJECTS = 6 };

typedef struct world {
  nb_evaluation e;
  nb_item item[N];
  char id[N][8], subject[N][8];
  bool correct[N][2];
  nb_row base[N], cand[N]; /* cand: what the candidate will answer, in the data's order */
  nb_result baseline;
} world;

static nb_answer answered(bool right, size_t i) {
  return (nb_answer){.logprob = {right ? -1 : -2, right ? -2 : -1}, .chars = {1, 1}, .bytes = {1, 1}, .prompt_hash = i};
}

/* The candidate gains on the first questions of the data and loses on the last: by `drop` over all. */
static void make_world(world *w, double gain_early, double lose_late, uint64_t seed) {
  memset(w, 0, sizeof *w);
  for (size_t i = 0; i < N; i++) {
    bool early = i < N / 2;
    double u = nb_rng_uniform(&seed);
    bool was = nb_rng_uniform(&seed) < 0.5;
    bool is = early && u < gain_early ? true : !early && u < lose_late ? false : was;
    snprintf(w->id[i], 8, "q%zu", i);
    snprintf(w->subject[i], 8, "s%zu", i * SUBJECTS / N);
    w->correct[i][0] = true;
    w->item[i] = (nb_item){.id = w->id[i], .subject = w->subject[i], .correct = w->correct[i], .n_choices = 2};
    w->base[i] = (nb_row){w->item[i], answered(was, i), "", false};
    w->cand[i] = (nb_row){w->item[i], answered(is, i), "", false};
  }
  nb_protocol p = {.task = "t", .preset = "", .split = "test", .subjects = "", .questions = N};
  w->e = (nb_evaluation){.n = N, .protocol = p};
  w->e.item = malloc(N * sizeof *w->e.item);
  for (size_t i = 0; i < N; i++) w->e.item[i] = &w->item[i];
  w->baseline = (nb_result){.protocol = p, .model.name = "base", .row = w->base, .n = N};
}

static double true_change(const world *w) {
  double sum = 0;
  for (size_t i = 0; i < N; i++) sum += (w->cand[i].answer.logprob[0] > -1.5) - (w->base[i].answer.logprob[0] > -1.5);
  return sum / N;
}

/* Answers as the runner does: runs of one subject, at most `most` at a time, asked between them whether it is enough.
 * Returns how many questions sufficed (0: none did). */
static size_t run(world *w, nb_stopping *s, size_t most) {
  for (size_t i = 0; i < N && !nb_stopping_enough(s);) {
    const char *subject = w->e.item[i]->subject;
    for (size_t k = 0; i < N && k < most && !strcmp(w->e.item[i]->subject, subject); i++, k++)
      if (nb_stopping_answered(s, i, w->e.item[i], &w->cand[w->e.item[i] - w->item].answer, &err) != NB_OK) return 0;
  }
  return nb_stopping_enough(s);
}

/* The run's result, its rows in the data's order, compared as `nibble compare` does it. */
static nb_verdict compared(const world *w, size_t n, double margin) {
  nb_row *row = malloc(n * sizeof *row);
  nb_result cand = {.protocol = w->e.protocol, .model.name = "cand", .row = row};
  for (size_t i = 0; i < N; i++)
    for (size_t k = 0; k < n; k++)
      if (w->e.item[k] == &w->item[i]) row[cand.n++] = w->cand[i];
  cand.protocol.stopped_at = n;
  nb_compare_opts o = {.alpha = 0.05, .margin = margin, .common = true, .reps = 2};
  nb_comparison c;
  nb_verdict v = NB_VERDICT_UNDECIDED;
  CHECK(nb_compare(&w->baseline, &cand, &o, &c, &err) == NB_OK);
  v = c.test.verdict;
  CHECK(c.sequential && c.n == n && c.paired == 1);
  nb_comparison_free(&c);
  free(row);
  return v;
}

typedef struct tally {
  size_t pass, fail, early;
} tally;

static tally simulate(double gain_early, double lose_late, double margin, size_t seeds, bool whole_change) {
  tally t = {0, 0, 0};
  for (uint64_t seed = 1; seed <= seeds; seed++) {
    static world w;
    nb_stopping s;
    make_world(&w, gain_early, lose_late, test_seed(whole_change ? 7 : seed * 1000));
    CHECK(nb_stopping_begin(&w.e, &w.baseline,
                            &(nb_stopping_opts){.margin = margin, .alpha = 0.05, .seed = test_seed(seed)}, &s,
                            &err) == NB_OK);
    size_t n = run(&w, &s, 1 + seed % 200);
    CHECK_MSG(n % 128 == 0 || n == N, "stopped within a chunk, at %zu", n);
    CHECK(s.looked == (n ? n : N));
    CHECK_MSG(compared(&w, s.looked, margin) == s.test.verdict, "seed %zu: compare says something else", (size_t)seed);
    CHECK((n > 0) == (s.test.verdict != NB_VERDICT_UNDECIDED));
    t.pass += s.test.verdict == NB_VERDICT_PASS, t.fail += s.test.verdict == NB_VERDICT_FAIL;
    t.early += n && n < N;
    nb_stopping_free(&s);
    free(w.e.item);
  }
  return t;
}

/* Fixed answers, other orders: the change over all is beyond the margin, on the first half of the data it is a gain. */
TEST(the_order_of_the_data_does_not_matter) {
  static world w;
  make_world(&w, 0.25, 0.6, test_seed(7));
  double change = true_change(&w);
  CHECK_MSG(change < -0.03 && change > -0.3, "change %.3f", change);
  free(w.e.item);
  tally t = simulate(0.25, 0.6, 0.02, 200, true);
  CHECK_MSG(t.pass <= 10 && t.fail > 150 && t.early > 100, "%zu pass, %zu fail, %zu early", t.pass, t.fail, t.early);
}

/* A drop of just the margin: passes and fails are as rare as alpha. */
TEST(errors_stay_below_alpha) {
  tally t = simulate(0.2, 0.28, 0.04, 400, false); /* +0.05 - 0.07 of all, half each: -0.02 */
  CHECK_MSG(t.fail <= 20, "%zu false fails of 400", t.fail);
  t = simulate(0.2, 0.36, 0.04, 400, false); /* 0.05 - 0.09: just the margin */
  CHECK_MSG(t.fail <= 20 && t.pass <= 20, "%zu passes, %zu fails of 400", t.pass, t.fail);
}

TEST(equal_answers_pass_early) {
  tally t = simulate(0, 0, 0.3, 20, false);
  CHECK_MSG(t.pass == 20 && t.early == 20, "%zu pass, %zu early", t.pass, t.early);
}

/* What the baseline does not have is no evidence. */
TEST(only_pairs_count) {
  static world w;
  nb_stopping s;
  double paired;
  make_world(&w, 0, 0, 3);
  w.baseline.n = 100;
  nb_planned planned[N];
  nb_plan plan = {.question = planned, .n = N};
  for (size_t i = 0; i < N; i++) planned[i] = (nb_planned){.prompt_hash = i};
  CHECK_OK(nb_compare_ahead(&w.baseline, w.e.item, &plan, &paired, &err));
  CHECK(fabs(paired - 100.0 / N) < 1e-12);
  planned[7].prompt_hash++;
  CHECK(nb_compare_ahead(&w.baseline, w.e.item, &plan, &paired, &err) == NB_ERR_ARG &&
        strstr(err.msg, "\"q7\" has another prompt"));
  planned[7].prompt_hash--;
  w.baseline.protocol.stopped_at = 100; /* the rest is a matter of chance */
  CHECK_OK(nb_compare_ahead(&w.baseline, w.e.item, &plan, &paired, &err));
  CHECK(paired == 1);
  CHECK_OK(
      nb_stopping_begin(&w.e, &w.baseline, &(nb_stopping_opts){.margin = 0.5, .alpha = 0.05, .seed = 5}, &s, &err));
  run(&w, &s, 256);
  CHECK(s.n_diff <= 100 && s.n_diff < s.looked);
  nb_stopping_free(&s);
  free(w.e.item);
}

int main(void) {
  RUN(the_order_of_the_data_does_not_matter);
  RUN(errors_stay_below_alpha);
  RUN(equal_answers_pass_early);
  RUN(only_pairs_count);
  return test_end();
}
