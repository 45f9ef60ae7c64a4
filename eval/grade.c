/* SPDX-License-Identifier: MIT */
#include "eval/grade.h"

#include "eval/stats.h"

#include <math.h>

void nb_grade_choice_probs(const double *logprob, size_t n, double *prob) {
  double max = logprob[0], sum = 0;
  for (size_t i = 1; i < n; i++) max = fmax(max, logprob[i]);
  for (size_t i = 0; i < n; i++) sum += prob[i] = exp(logprob[i] - max);
  for (size_t i = 0; i < n; i++) prob[i] /= sum;
}

/* The largest value's place, the first of equals; *tied: another equals it. */
static size_t largest(const double *v, size_t n, bool *tied) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (v[i] > v[best]) best = i;
  *tied = false;
  for (size_t i = 0; i < n; i++)
    if (i != best && v[i] >= v[best]) *tied = true;
  return best;
}

static bool right(const nb_item *item, const double *v, bool ties_wrong) {
  bool tied;
  size_t pick = largest(v, item->n_choices, &tied);
  return item->correct[pick] && !(ties_wrong && tied);
}

void nb_grade_answer(const nb_item *item, const nb_answer *a, bool ties_wrong, nb_grade *out) {
  if (a->written) {
    *out = (nb_grade){.written = a->written};
    return;
  }
  size_t n = item->n_choices, n_right = 0;
  double chars[NB_MAX_CHOICES], bytes[NB_MAX_CHOICES], prob[NB_MAX_CHOICES];
  bool tied;
  for (size_t i = 0; i < n; i++) {
    chars[i] = a->logprob[i] / a->chars[i], bytes[i] = a->logprob[i] / a->bytes[i];
    n_right += item->correct[i];
  }
  nb_grade_choice_probs(a->logprob, n, prob);
  bool run = a->fit != NB_FIT_NOT;
  *out = (nb_grade){.pick = largest(a->logprob, n, &tied),
                    .acc = run && right(item, a->logprob, ties_wrong),
                    .acc_norm = run && right(item, chars, ties_wrong),
                    .acc_bytes = run && right(item, bytes, ties_wrong)};
  while (!run && out->pick + 1 < n && item->correct[out->pick]) out->pick++; /* to one that is wrong */
  out->confidence = prob[out->pick];
  for (size_t i = 0; i < n; i++) {
    double want = item->correct[i] ? 1.0 / (double)n_right : 0;
    if (item->correct[i] && run) out->mass += prob[i];
    out->brier += (prob[i] - want) * (prob[i] - want);
  }
}

double nb_grade_value(const nb_grade *g, nb_metric m) {
  switch (m) {
  case NB_METRIC_ACC: return g->acc;
  case NB_METRIC_ACC_NORM: return g->acc_norm;
  case NB_METRIC_ACC_BYTES: return g->acc_bytes;
  case NB_METRIC_MASS: return g->mass;
  case NB_METRIC_MARK:
    return g->written && g->written->weight[0] > 0 ? g->written->value[0] / g->written->weight[0] : 0;
  }
  return g->acc;
}

void nb_scores_add(nb_scores *s, const nb_grade *g) {
  s->n++;
  if (g->written) {
    s->n_marks = g->written->n_marks;
    for (size_t k = 0; k < s->n_marks; k++) s->mark[k] += g->written->value[k], s->weight[k] += g->written->weight[k];
    return;
  }
  s->acc += g->acc, s->acc_norm += g->acc_norm, s->acc_bytes += g->acc_bytes;
  s->mass += g->mass, s->brier += g->brier;
  size_t b = (size_t)(g->confidence * NB_CALIBRATION_BINS);
  if (b >= NB_CALIBRATION_BINS) b = NB_CALIBRATION_BINS - 1;
  s->bin[b].n++, s->bin[b].confidence += g->confidence, s->bin[b].right += g->acc;
}

double nb_scores_sum(const nb_scores *s, nb_metric m) {
  switch (m) {
  case NB_METRIC_ACC: return s->acc;
  case NB_METRIC_ACC_NORM: return s->acc_norm;
  case NB_METRIC_ACC_BYTES: return s->acc_bytes;
  case NB_METRIC_MASS: return s->mass;
  case NB_METRIC_MARK: return s->mark[0];
  }
  return s->acc;
}

double nb_scores_ece(const nb_scores *s) {
  double e = 0;
  for (size_t b = 0; b < NB_CALIBRATION_BINS; b++) e += fabs(s->bin[b].confidence - s->bin[b].right);
  return s->n ? e / (double)s->n : 0;
}

const char *const nb_mean_names[NB_MEANS] = {"score",     "low",  "high",  "acc", "acc_norm",
                                             "acc_bytes", "mass", "brier", "ece"};

void nb_scores_means(const nb_scores *s, nb_metric m, double out[NB_MEANS]) {
  double n = (double)s->n, sum = nb_scores_sum(s, m);
  const double mean[] = {
      sum / n, 0, 0, s->acc / n, s->acc_norm / n, s->acc_bytes / n, s->mass / n, s->brier / n, nb_scores_ece(s)};
  memcpy(out, mean, sizeof mean);
  nb_stats_wilson(sum, n, 0.95, &out[NB_MEAN_LOW], &out[NB_MEAN_HIGH]);
}
