/* SPDX-License-Identifier: MIT */
/* The gate's stages by simulation: with everything exactly at its limit, refusals of all stages together are as rare as
 * alpha, and so are acceptances; damage is refused by the first tens of questions, an equal build is accepted. */
#include "test.h"

#include "eval/rng.h"
#include "eval/stages.h"

static nb_err err;

enum { N = 2400, RUNS = 200 };

/* What a flip costs: the divergence of a distribution of 0.731 and 0.269 from its mirror image. */
static const double FLIP_KL = 0.46211715726;

typedef struct world {
  nb_evaluation e;
  nb_item item[N];
  char id[N][8];
  bool correct[N][2];
  nb_row base[N];
  nb_answer cand[N];
  nb_result baseline;
} world;

static nb_answer answered(bool right, size_t i) {
  return (nb_answer){.logprob = {right ? -1 : -2, right ? -2 : -1}, .chars = {1, 1}, .bytes = {1, 1}, .prompt_hash = i};
}

/* Of all questions, shares gain and lose flip. */
static void make_world(world *w, double gain, double lose, uint64_t seed) {
  memset(w, 0, sizeof *w);
  for (size_t i = 0; i < N; i++) {
    bool was = i % 2, is = was;
    double u = nb_rng_uniform(&seed);
    if (!was && u < 2 * gain) is = true;
    if (was && u < 2 * lose) is = false;
    snprintf(w->id[i], 8, "q%zu", i);
    w->correct[i][0] = true;
    w->item[i] = (nb_item){.id = w->id[i], .subject = "", .correct = w->correct[i], .n_choices = 2};
    w->base[i] = (nb_row){w->item[i], answered(was, i), "", false};
    w->cand[i] = answered(is, i);
  }
  nb_protocol p = {.task = "t", .preset = "", .split = "test", .subjects = "", .questions = N};
  w->e = (nb_evaluation){.n = N, .protocol = p, .item = malloc(N * sizeof *w->e.item)};
  for (size_t i = 0; i < N; i++) w->e.item[i] = &w->item[i];
  w->baseline = (nb_result){.protocol = p, .model.name = "base", .row = w->base, .n = N};
}

typedef struct answering {
  world *of[2]; /* the choices', the texts' */
  const nb_stopping *texts;
} answering;

static nb_status answer(void *ctx, nb_stopping *s, nb_err *e) {
  answering *a = ctx;
  world *w = a->of[s == a->texts];
  for (size_t i = 0; s->from + i < N && !nb_stopping_enough(s); i++) {
    const nb_item *item = w->e.item[s->from + i];
    NB_TRY(nb_stopping_answered(s, i, item, &w->cand[item - w->item], e));
  }
  return NB_OK;
}

typedef struct tally {
  double pass, fail, by[NB_STAGES]; /* shares: verdicts, and the stage that refused */
  double questions;                 /* mean, of a task with choices */
} tally;

/* gain, lose: of the choices; the texts lose what the choices do. */
static tally simulate(double gain, double lose, double margin, double max_kld, bool texts) {
  static world choices, written;
  tally t = {.pass = 0};
  for (uint64_t seed = 1; seed <= RUNS; seed++) {
    nb_stages s;
    make_world(&choices, gain, lose, test_seed(1000 * seed)),
        make_world(&written, gain, lose, test_seed(1000 * seed + 7));
    const nb_stage_limits o = {.margin = margin, .alpha = 0.05, .max_kld = max_kld, .seed = test_seed(seed)};
    CHECK(nb_stages_begin(&choices.e, &choices.baseline, texts ? &written.e : NULL, &written.baseline, &o, &s, &err) ==
          NB_OK);
    answering a = {{&choices, &written}, &s.texts};
    CHECK(nb_stages_run(&s, answer, &a, &err) == NB_OK);
    t.pass += s.verdict == NB_VERDICT_PASS, t.fail += s.verdict == NB_VERDICT_FAIL;
    t.by[s.at] += s.verdict == NB_VERDICT_FAIL;
    t.questions += (double)s.choices.looked;
    CHECK(s.stage[NB_STAGE_TEXTS].questions <= NB_STAGE_WRITTEN);
    CHECK(s.choices.looked == s.stage[NB_STAGE_DIVERGENCE].questions + s.stage[NB_STAGE_ACCURACY].questions);
    nb_stages_free(&s);
    free(choices.e.item), free(written.e.item);
  }
  t.pass /= RUNS, t.fail /= RUNS, t.questions /= RUNS;
  for (size_t k = 0; k < NB_STAGES; k++) t.by[k] /= RUNS;
  return t;
}

/* A drop of just the margin, a divergence of just the limit. */
TEST(errors_of_all_stages_together_stay_below_alpha) {
  tally t = simulate(0.03, 0.05, 0.02, 0.08 * FLIP_KL, true);
  CHECK_MSG(t.fail <= 0.05 && t.pass <= 0.05, "pass %.3f, fail %.3f (%.3f, %.3f, %.3f)", t.pass, t.fail, t.by[0],
            t.by[1], t.by[2]);
  t = simulate(0.001, 0.021, 0.02, 0.022 * FLIP_KL, true);
  CHECK_MSG(t.fail <= 0.05 && t.pass <= 0.05, "few flips: pass %.3f, fail %.3f", t.pass, t.fail);
}

TEST(damage_is_refused_at_once) {
  tally t = simulate(0.1, 0.1, 0.02, 0.02, true);
  CHECK_MSG(t.by[NB_STAGE_DIVERGENCE] > 0.99 && t.questions < 110, "refused %.3f after %.0f questions",
            t.by[NB_STAGE_DIVERGENCE], t.questions);
}

/* What the answers' divergence does not show, more questions do; or the texts before them. */
TEST(a_drop_is_refused) {
  tally t = simulate(0.01, 0.11, 0.02, 1, false);
  CHECK_MSG(t.fail > 0.99 && t.by[NB_STAGE_ACCURACY] + t.by[NB_STAGE_DIVERGENCE] > 0.99, "refused %.3f", t.fail);
  t = simulate(0.01, 0.31, 0.02, 1, true);
  CHECK_MSG(t.fail > 0.99 && t.questions <= 300, "refused %.3f after %.0f", t.fail, t.questions);
}

TEST(an_equal_build_is_accepted) {
  tally t = simulate(0, 0, 0.01, 0.02, true);
  CHECK_MSG(t.pass == 1 && t.questions == 1100, "the same answers: accepted %.3f after %.0f", t.pass, t.questions);
  t = simulate(0.005, 0.005, 0.02, 0.02, true);
  CHECK_MSG(t.pass > 0.95 && t.questions < 2000, "accepted %.3f after %.0f", t.pass, t.questions);
}

int main(void) {
  RUN(errors_of_all_stages_together_stay_below_alpha);
  RUN(damage_is_refused_at_once);
  RUN(a_drop_is_refused);
  RUN(an_equal_build_is_accepted);
  return test_end();
}
