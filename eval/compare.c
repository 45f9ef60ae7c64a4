/* SPDX-License-Identifier: MIT */
#include "eval/compare.h"

#include "base/assert.h"

#include "eval/names.h"
#include "eval/sequential.h"

#include <math.h>
#include <stdlib.h>

/* ---- can they be compared ---- */

static nb_status differs(const char *what, const char *base, const char *cand, nb_err *err) {
  return nb_fail(err, NB_ERR_ARG, "not comparable: %s is \"%s\" in the baseline and \"%s\" in the candidate", what,
                 base, cand);
}

static nb_status same_text(const char *what, const char *a, const char *b, nb_err *err) {
  return strcmp(a, b) ? differs(what, a, b, err) : NB_OK;
}

static nb_status same_number(const char *what, size_t a, size_t b, nb_err *err) {
  if (a == b) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "not comparable: %s is %zu in the baseline and %zu in the candidate", what, a, b);
}

nb_status nb_compare_protocols(const nb_protocol *p, const nb_protocol *q, nb_err *err) {
  NB_TRY(same_text("the task", p->task, q->task, err));
  NB_TRY(same_number("the task's version", p->task_version, q->task_version, err));
  NB_TRY(same_text("the preset", p->preset, q->preset, err));
  NB_TRY(same_text("the split", p->split, q->split, err));
  NB_TRY(same_number("the number of shots", p->shots, q->shots, err));
  NB_TRY(same_number("the way of scoring", p->score, q->score, err));
  NB_TRY(same_text("the metric", nb_metric_name(p->metric), nb_metric_name(q->metric), err));
  NB_TRY(same_number("the number of marks", p->n_marks, q->n_marks, err));
  for (size_t k = 0; k < p->n_marks; k++) NB_TRY(same_text("a mark", p->marks[k], q->marks[k], err));
  NB_TRY(same_text("going through the chat template", nb_chat_words[p->chat], nb_chat_words[q->chat], err));
  NB_TRY(same_text("the system text", p->system ? p->system : "", q->system ? q->system : "", err));
  NB_TRY(same_number("what ties count", p->ties_wrong, q->ties_wrong, err));
  return same_number("leaving out BOS", p->plain, q->plain, err);
}

static nb_status refuse_stopped(const char *which, const nb_protocol *p, nb_err *err) {
  if (!nb_protocol_stopped_early(p)) return NB_OK;
  return nb_fail(err, NB_ERR_ARG,
                 "not comparable: the %s stopped early, after %zu of %zu questions in random order; "
                 "--common compares those",
                 which, p->stopped_at, p->questions);
}

static nb_status check_comparable(const nb_result *b, const nb_result *c, const nb_compare_opts *o, nb_err *err) {
  const nb_protocol *p = &b->protocol, *q = &c->protocol;
  NB_TRY(nb_compare_protocols(p, q, err));
  if (!o->common && b->n != c->n) {
    NB_TRY(refuse_stopped("baseline", p, err));
    NB_TRY(refuse_stopped("candidate", q, err));
  }
  if (!o->common && (strcmp(p->data_hash, q->data_hash) || b->n != c->n))
    return nb_fail(err, NB_ERR_ARG,
                   "not comparable: the runs answer different questions (%zu, data %.8s; and %zu, data "
                   "%.8s); --common compares those that both have",
                   b->n, p->data_hash, c->n, q->data_hash);
  const char *x = b->model.lineage, *y = c->model.lineage;
  if (!o->any_model && *x && *y && strcmp(x, y))
    return nb_fail(err, NB_ERR_ARG,
                   "not comparable: the models come from different checkpoints (%.8s and %.8s); "
                   "--any-model compares them all the same",
                   x, y);
  return NB_OK;
}

/* ---- pairing ---- */

static int by_id(const void *a, const void *b) {
  return strcmp((*(const nb_row *const *)a)->item.id, (*(const nb_row *const *)b)->item.id);
}

/* The rows by id. */
static const nb_row **sorted_rows(const nb_result *r) {
  const nb_row **rows = calloc(r->n + 1, sizeof *rows);
  for (size_t i = 0; rows && i < r->n; i++) rows[i] = &r->row[i];
  if (rows) qsort(rows, r->n, sizeof *rows, by_id);
  return rows;
}

/* Whether a prompt that is the same was read alike: whole, not at all, or cut to the same length. */
static bool same_part(const nb_answer *a, const nb_answer *b) {
  return a->fit == b->fit && (a->fit != NB_FIT_CUT || a->n_tokens == b->n_tokens);
}

static nb_status check_pair(const nb_row *b, const nb_row *c, nb_err *err) {
  const char *what = b->answer.prompt_hash != c->answer.prompt_hash                  ? "prompt"
                     : !same_part(&b->answer, &c->answer)                            ? "part of its prompt, or none,"
                     : b->answer.written && strcmp(b->item.subject, c->item.subject) ? "subject"
                     : b->answer.written                                             ? NULL
                     : b->item.n_choices != c->item.n_choices                        ? "number of choices"
                     : strcmp(b->item.subject, c->item.subject)                      ? "subject"
                     : memcmp(b->item.correct, c->item.correct, b->item.n_choices * sizeof *b->item.correct) ? "answer"
                                                                                                             : NULL;
  if (!what) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "not comparable: question \"%s\" has another %s in the candidate%s", b->item.id, what,
                 b->answer.prompt_hash != c->answer.prompt_hash && b->answer.shots != c->answer.shots
                     ? " (other examples fitted)"
                     : "");
}

nb_status nb_compare_ahead(const nb_result *base, const nb_item *const *items, const nb_plan *plan, double *paired,
                           nb_err *err) {
  const nb_row **rows = sorted_rows(base);
  size_t both = 0, n = plan->n;
  nb_status st = rows ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory: a comparison");
  for (size_t i = 0; i < n && st == NB_OK; i++) {
    const nb_planned *q = &plan->question[i];
    const nb_row will = {
        .item = *items[i],
        .answer = {.prompt_hash = q->prompt_hash, .fit = q->fit, .n_tokens = q->n_tokens, .shots = q->shots}};
    const nb_row *key = &will, *const *hit = bsearch(&key, rows, base->n, sizeof *rows, by_id);
    if (!hit) continue;
    both++;
    st = check_pair(*hit, &will, err);
  }
  free(rows);
  size_t chance = nb_min(n - both, nb_protocol_unasked(&base->protocol));
  *paired = (double)both / (double)(n + base->n - both - chance);
  return st;
}

static void fill_pair(nb_pair *p, const nb_row *b, const nb_row *c, const nb_protocol *protocol) {
  double pb[NB_MAX_CHOICES], pc[NB_MAX_CHOICES];
  size_t n = b->item.n_choices;
  p->base = b, p->cand = c;
  nb_grade_answer(&b->item, &b->answer, protocol->ties_wrong, &p->base_grade);
  nb_grade_answer(&c->item, &c->answer, protocol->ties_wrong, &p->cand_grade);
  p->base_score = nb_grade_value(&p->base_grade, protocol->metric);
  p->cand_score = nb_grade_value(&p->cand_grade, protocol->metric);
  if (b->answer.written) return; /* there is no distribution to compare */
  nb_grade_choice_probs(b->answer.logprob, n, pb);
  nb_grade_choice_probs(c->answer.logprob, n, pc);
  p->kl = nb_stats_kl(pb, pc, n), p->tv = nb_stats_total_variation(pb, pc, n);
}

static nb_status pair_up(const nb_result *base, const nb_result *cand, nb_comparison *out, nb_err *err) {
  const nb_row **rows = sorted_rows(cand);
  nb_status st = NB_OK;
  out->pair = calloc(base->n + 1, sizeof *out->pair);
  if (!rows || !out->pair) NB_GOTO(nb_fail(err, NB_ERR_MEMORY, "out of memory: a comparison"));
  for (size_t i = 0; i < base->n; i++) {
    const nb_row *b = &base->row[i], *const *hit = bsearch(&b, rows, cand->n, sizeof *rows, by_id);
    if (!hit) {
      out->n_base_only++;
      continue;
    }
    NB_GOTO(check_pair(b, *hit, err));
    fill_pair(&out->pair[out->n++], b, *hit, &base->protocol);
  }
  out->n_cand_only = cand->n - out->n;
  nb_assert(out->n + out->n_base_only == base->n && out->n <= cand->n);
  /* What a stopped run did not come to is a matter of chance, not of which questions it has. */
  size_t chance = nb_min(out->n_base_only, nb_protocol_unasked(&cand->protocol)) +
                  nb_min(out->n_cand_only, nb_protocol_unasked(&base->protocol));
  out->paired = (double)out->n / (double)(out->n + out->n_base_only + out->n_cand_only - chance);
  if (!out->n) NB_GOTO(nb_fail(err, NB_ERR_ARG, "not comparable: the runs have no question in common"));
fail:
  free(rows);
  return st;
}

/* ---- sums ---- */

static bool right(const nb_grade *g, nb_metric m) {
  return m == NB_METRIC_MASS ? g->acc > 0 : nb_grade_value(g, m) > 0;
}

/* The same choice, or the same answer found in what was written. */
static bool same_pick(const nb_pair *p) {
  const nb_written *b = p->base->answer.written, *c = p->cand->answer.written;
  return b ? !strcmp(b->found[0], c->found[0]) : p->base_grade.pick == p->cand_grade.pick;
}

static nb_status count_subjects(nb_comparison *c, nb_err *err) {
  nb_metric m = c->base->protocol.metric;
  nb_names names = {0};
  nb_status st = NB_OK;
  if (!(c->subject = calloc(c->n, sizeof *c->subject))) return nb_fail(err, NB_ERR_MEMORY, "out of memory: subjects");
  for (size_t i = 0; i < c->n; i++) {
    nb_pair *p = &c->pair[i];
    const char *name = p->base->item.subject;
    size_t s;
    NB_GOTO(nb_names_number(&names, name, &s, err));
    if (s == c->n_subjects)
      c->subject[c->n_subjects++] = (nb_subject_change){.name = name, .category = p->base->category};
    p->subject = (uint32_t)s;
    nb_subject_change *sub = &c->subject[s];
    bool b = right(&p->base_grade, m), a = right(&p->cand_grade, m);
    sub->n++, sub->gained += a && !b, sub->lost += b && !a;
    sub->base += p->base_score, sub->cand += p->cand_score, sub->kl += p->kl;
    c->same_pick += same_pick(p);
    c->base_score += p->base_score, c->cand_score += p->cand_score, c->tv_mean += p->tv;
  }
fail:
  nb_names_free(&names);
  return st;
}

static nb_status adjust_subjects(nb_comparison *c, nb_err *err) {
  double *p;
  NB_TRY(nb_new(&p, 2 * c->n_subjects, sizeof *p, "p-values", err));
  for (size_t s = 0; s < c->n_subjects; s++) {
    nb_subject_change *sub = &c->subject[s];
    double n = (double)sub->n;
    sub->base /= n, sub->cand /= n, sub->kl /= n;
    c->gained += sub->gained, c->lost += sub->lost;
    p[s] = p[c->n_subjects + s] = sub->p = nb_stats_mcnemar_exact(sub->gained, sub->lost);
  }
  nb_status st = nb_stats_adjust_holm(p, c->n_subjects, err);
  if (st == NB_OK) st = nb_stats_adjust_bh(p + c->n_subjects, c->n_subjects, err);
  for (size_t s = 0; s < c->n_subjects; s++) c->subject[s].holm = p[s], c->subject[s].bh = p[c->n_subjects + s];
  nb_free(p);
  return st;
}

static nb_status resample(nb_comparison *c, const nb_compare_opts *o, nb_err *err) {
  double *x;
  uint32_t *cluster = NULL;
  nb_bootstrap_opts how = {.reps = o->reps ? o->reps : 10000, .seed = o->seed, .level = 1 - 2 * o->alpha};
  nb_status st;
  NB_TRY(nb_new(&x, c->n, sizeof *x, "a bootstrap", err));
  NB_GOTO(nb_new(&cluster, c->n, sizeof *cluster, "a bootstrap", err));
  for (size_t i = 0; i < c->n; i++)
    x[i] = c->pair[i].cand_score - c->pair[i].base_score, cluster[i] = c->pair[i].subject;
  /* One subject alone is no sample of subjects: its questions are drawn. */
  how.cluster = cluster, how.n_clusters = c->n_subjects > 1 ? c->n_subjects : 0;
  NB_GOTO(nb_stats_bootstrap_mean(x, c->n, &how, &c->clustered, err));
  for (size_t i = 0; i < c->n; i++) x[i] = c->pair[i].kl;
  how.n_clusters = 0, how.reps = nb_min(how.reps, 2000), how.seed++;
  NB_GOTO(nb_stats_bootstrap_mean(x, c->n, &how, &c->kl, err));
  nb_stats_sort_doubles(x, c->n);
  c->kl_median = nb_stats_quantile_sorted(x, c->n, 0.5), c->kl_p90 = nb_stats_quantile_sorted(x, c->n, 0.9);
  c->kl_p99 = nb_stats_quantile_sorted(x, c->n, 0.99), c->kl_max = x[c->n - 1];
fail:
  nb_free(x), nb_free(cluster);
  return st;
}

/* Shares of probability are no coin flips: their interval decides. */
static void judge_mass(nb_comparison *c, const nb_compare_opts *o) {
  c->low = c->clustered.low, c->high = c->clustered.high;
  double se = c->clustered.se, z = se > 0 ? (c->diff + o->margin) / se : c->diff + o->margin > 0 ? INFINITY : -INFINITY;
  double za = nb_stats_normal_quantile(1 - o->alpha), zb = nb_stats_normal_quantile(0.8), n = (double)c->n;
  c->test.z = z, c->test.p_pass = nb_stats_normal_cdf(-z), c->test.p_fail = nb_stats_normal_cdf(z);
  c->test.verdict = c->test.p_pass <= o->alpha   ? NB_VERDICT_PASS
                    : c->test.p_fail <= o->alpha ? NB_VERDICT_FAIL
                                                 : NB_VERDICT_UNDECIDED;
  double need = n * (za + zb) * (za + zb) * se * se, gap = o->margin + c->diff;
  c->test.needed = o->margin > 0 ? ceil(need / (o->margin * o->margin)) : INFINITY;
  c->test.needed_observed = gap != 0 ? ceil(need / (gap * gap)) : INFINITY;
  c->test.power = se > 0 ? nb_stats_normal_cdf(o->margin / se - za) : 1;
}

/* Who stops when a verdict is certain has looked many times: the test that allows for that decides, whose evidence does
 * not depend on the questions' order. */
static nb_status judge_sequentially(nb_comparison *c, const nb_compare_opts *o, nb_err *err) {
  nb_sequential s;
  double *diff;
  NB_TRY(nb_new(&diff, c->n, sizeof *diff, "differences", err));
  for (size_t i = 0; i < c->n; i++) diff[i] = c->pair[i].cand_score - c->pair[i].base_score;
  nb_sequential_begin(&s, o->margin, o->alpha);
  c->test.verdict = nb_sequential_weigh(&s, diff, c->n);
  c->test.p_pass = fmin(1, 1 / nb_sequential_pass(&s)), c->test.p_fail = fmin(1, 1 / nb_sequential_fail(&s));
  c->sequential = true;
  nb_free(diff);
  return NB_OK;
}

nb_status nb_compare(const nb_result *base, const nb_result *cand, const nb_compare_opts *o, nb_comparison *out,
                     nb_err *err) {
  nb_comparison *c = out;
  nb_status st;
  *c = (nb_comparison){.base = base, .cand = cand};
  if (!(o->margin >= 0 && o->margin < 1 && o->alpha > 0 && o->alpha < 0.5))
    return nb_fail(err, NB_ERR_ARG, "margin %g or alpha %g is out of range", o->margin, o->alpha);
  NB_TRY(check_comparable(base, cand, o, err));
  NB_GOTO(pair_up(base, cand, c, err));
  NB_GOTO(count_subjects(c, err));
  NB_GOTO(adjust_subjects(c, err));
  nb_assert(c->gained + c->lost <= c->n && c->n_subjects <= c->n);
  double n = (double)c->n;
  c->base_score /= n, c->cand_score /= n, c->tv_mean /= n;
  c->diff = c->cand_score - c->base_score;
  c->mcnemar_p = nb_stats_mcnemar_exact(c->gained, c->lost);
  c->same_checkpoint = *base->model.lineage && !strcmp(base->model.lineage, cand->model.lineage);
  NB_GOTO(resample(c, o, err));
  nb_stats_tango_interval(c->gained, c->lost, c->n, 1 - 2 * o->alpha, &c->low, &c->high);
  nb_stats_noninferiority_test(c->gained, c->lost, c->n, o->margin, o->alpha, &c->test);
  if (base->protocol.metric == NB_METRIC_MASS) judge_mass(c, o);
  if (o->sequential || base->protocol.stopped_at || cand->protocol.stopped_at) NB_GOTO(judge_sequentially(c, o, err));
  return NB_OK;
fail:
  nb_comparison_free(c);
  return st;
}

void nb_comparison_free(nb_comparison *c) {
  free(c->pair), free(c->subject);
  *c = (nb_comparison){0};
}
