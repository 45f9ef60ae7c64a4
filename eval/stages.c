/* SPDX-License-Identifier: MIT */
#include "eval/stages.h"

#include "base/clock.h"

#include <stdio.h>

const char *const nb_stage_names[NB_STAGES] = {"divergence", "written", "accuracy"};
const double nb_stage_share[NB_STAGES] = {0.25, 0.25, 0.5};

nb_status nb_stages_begin(nb_evaluation *choices, const nb_result *base, nb_evaluation *texts,
                          const nb_result *texts_base, const nb_stage_limits *o, nb_stages *out, nb_err *err) {
  nb_status st;
  *out = (nb_stages){.limits = *o, .has_texts = texts != NULL, .verdict = NB_VERDICT_UNDECIDED};
  /* The first looks come early, for damage is seen at once; later ones are wide, since the questions of a subject share
   * their examples only within a chunk. */
  nb_stopping_opts so = {.margin = o->margin,
                         .alpha = o->alpha,
                         .alpha_fail = o->alpha * nb_stage_share[NB_STAGE_ACCURACY],
                         .max_kld = o->max_kld,
                         .alpha_kld = o->alpha * nb_stage_share[NB_STAGE_DIVERGENCE],
                         .chunk = {25, 75, NB_STAGE_FIRST - 100, 800},
                         .seed = o->seed};
  NB_GOTO(nb_stopping_begin(choices, base, &so, &out->choices, err));
  so = (nb_stopping_opts){.margin = o->margin,
                          .alpha = o->alpha,
                          .alpha_fail = o->alpha * nb_stage_share[NB_STAGE_TEXTS],
                          .refuse_only = true,
                          .chunk = {NB_STAGE_WRITTEN / 4, NB_STAGE_WRITTEN / 4, NB_STAGE_WRITTEN / 2},
                          .seed = o->seed};
  if (texts) NB_GOTO(nb_stopping_begin(texts, texts_base, &so, &out->texts, err));
  return NB_OK;
fail:
  nb_stages_free(out);
  return st;
}

void nb_stages_free(nb_stages *s) {
  nb_stopping_free(&s->choices), nb_stopping_free(&s->texts);
  *s = (nb_stages){.verdict = NB_VERDICT_UNDECIDED};
}

/* Runs a stage to its pause (0: to the end). */
static nb_status run_stage(nb_stages *s, nb_stage_kind kind, size_t pause, nb_stages_answer *answer, void *ctx,
                           nb_err *err) {
  nb_stopping *t = kind == NB_STAGE_TEXTS ? &s->texts : &s->choices;
  double begin = nb_clock();
  s->at = kind;
  t->from = t->looked, t->pause = pause;
  if (t->from < t->e->n) NB_TRY(answer(ctx, t, err));
  s->stage[kind].questions = t->looked - t->from, s->stage[kind].seconds = nb_clock() - begin;
  s->verdict = t->verdict;
  return NB_OK;
}

nb_status nb_stages_run(nb_stages *s, nb_stages_answer *answer, void *ctx, nb_err *err) {
  NB_TRY(run_stage(s, NB_STAGE_DIVERGENCE, NB_STAGE_FIRST, answer, ctx, err));
  if (s->verdict != NB_VERDICT_FAIL && s->has_texts)
    NB_TRY(run_stage(s, NB_STAGE_TEXTS, NB_STAGE_WRITTEN, answer, ctx, err));
  if (s->verdict == NB_VERDICT_FAIL) return NB_OK;
  s->verdict = s->choices.verdict;
  if (s->verdict != NB_VERDICT_UNDECIDED) return s->at = NB_STAGE_ACCURACY, NB_OK;
  return run_stage(s, NB_STAGE_ACCURACY, 0, answer, ctx, err);
}

static double mean(const double *x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += x[i];
  return n ? sum / (double)n : 0;
}

void nb_stages_text(const nb_stages *s, nb_stage_kind kind, char *out, size_t n) {
  const nb_stopping *t = kind == NB_STAGE_TEXTS ? &s->texts : &s->choices;
  double alpha = s->limits.alpha, share = 1 / (alpha * nb_stage_share[kind]);
  if (kind == NB_STAGE_DIVERGENCE)
    snprintf(out, n,
             "mean KL divergence of the answers %.5f on %zu questions, limit %g; evidence for above %.3g (%g "
             "refuses)",
             mean(t->kl, t->n_diff), t->n_diff, s->limits.max_kld, nb_excess_evidence(&t->excess), share);
  else if (kind == NB_STAGE_TEXTS)
    snprintf(out, n, "change %+.2f points on %zu questions, margin %g; evidence for more %.3g (%g refuses)",
             100 * mean(t->diff, t->n_diff), t->n_diff, 100 * s->limits.margin, nb_sequential_fail(&t->test), share);
  else
    snprintf(out, n,
             "change %+.2f points on %zu questions, margin %g; evidence for less %.3g (%g accepts), for more "
             "%.3g (%g refuses)",
             100 * mean(t->diff, t->n_diff), t->n_diff, 100 * s->limits.margin, nb_sequential_pass(&t->test), 1 / alpha,
             nb_sequential_fail(&t->test), share);
}
