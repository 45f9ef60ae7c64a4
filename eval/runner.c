/* SPDX-License-Identifier: MIT */
#include "eval/runner.h"

#include "base/assert.h"
#include "base/clock.h"
#include "eval/engine.h"
#include "base/parallel.h"

#include <stdlib.h>

/* ---- state ---- */

enum {
  GROUP_MAX = 256, /* questions whose tokens are in memory at a time */
  WAVE_BATCHES = 2 /* batches' worth of tokens whose forks live at a time */
};

typedef struct runner {
  const nb_prompter *prompter;
  const nb_tokenizer *tok;
  const nb_model *model;
  const nb_run_opts *o;
  nb_encode_opts encode;
  nb_engine engine;
  nb_answer *answer;
  const nb_item *const *items;
  nb_run_stats *stats;
  size_t done, total;

  nb_kv *root;        /* what the questions have in common */
  nb_ids root_tokens; /* what it holds */

  /* the group at hand */
  nb_question *question; /* (n_group) */
  size_t *index;         /* (n_group) of its item */
  nb_status *status;     /* (n_group) of making it, */
  nb_err *errors;        /* and why */
  size_t n_group;
} runner;

static nb_status fail_in_question(const nb_question *q, nb_status st, nb_err *err) {
  return st == NB_OK ? st : nb_fail_in(err, st, "question %s", q->item->id);
}

/* ---- answers ---- */

static void begin_answer(runner *r, size_t g) {
  nb_answer *a = &r->answer[r->index[g]];
  const nb_question *q = &r->question[g];
  *a = (nb_answer){
      .prompt_hash = q->hash, .shots = (uint32_t)q->shots, .n_tokens = (uint32_t)q->n_tokens, .fit = q->fit};
  for (size_t c = 0; c < q->prompt.n; c++)
    a->chars[c] = (uint32_t)q->prompt.chars[c], a->bytes[c] = (uint32_t)q->prompt.bytes[c];
  for (size_t i = 0; i < q->n_seqs && q->fit != NB_FIT_NOT; i++) r->stats->tokens_alone += q->seq[i].n;
}

static nb_status end_answer(runner *r, size_t g, nb_err *err) {
  size_t i = r->index[g];
  r->done++;
  if (r->o->answered) NB_TRY(r->o->answered(r->o->ctx, i, &r->answer[i], err));
  return nb_progress_step(r->o->progress, r->done, r->total, err);
}

/* ---- the root ---- */

static size_t common_prefix(const int32_t *a, size_t na, const int32_t *b, size_t nb) {
  size_t n = nb_min(na, nb), i = 0;
  while (i < n && a[i] == b[i]) i++;
  return i;
}

/* Makes the root hold exactly tokens[0..n), running only what it does not hold yet. */
static nb_status set_root(runner *r, const int32_t *tokens, size_t n, nb_err *err) {
  size_t keep = r->root ? common_prefix(r->root_tokens.id, r->root_tokens.n, tokens, n) : 0;
  if (!r->root || nb_kv_capacity(r->root) < n) {
    nb_kv_free(r->root);
    r->root = NULL, keep = 0, r->root_tokens.n = 0;
    size_t capacity = nb_min(nb_max(2 * n, 1024), nb_max(r->encode.max_tokens, n));
    NB_TRY(nb_kv_create(&r->model->config, capacity, r->o->kv, false, &r->root, err));
  }
  nb_kv_truncate(r->root, keep);
  r->root_tokens.n = keep;
  nb_assert(nb_kv_length(r->root) == keep && nb_kv_capacity(r->root) >= n);
  if (keep == n) return NB_OK;
  nb_job job = {.kv = r->root, .tokens = tokens + keep, .n = n - keep};
  NB_TRY(nb_engine_run(&r->engine, &job, 1, err));
  for (size_t i = keep; i < n; i++) NB_TRY(nb_ids_push(&r->root_tokens, tokens[i], err));
  return NB_OK;
}

/* ---- forks ---- */

static bool is_long(const runner *r, const nb_sequence *s) { return nb_config_stretch(&r->model->config, s->n); }

/* Whether a question's sequences may go on from the root. */
static bool shares(const runner *r, const nb_question *q) {
  if (r->o->alone || q->fit == NB_FIT_NOT) return false;
  for (size_t i = 0; i < q->n_seqs; i++)
    if (is_long(r, &q->seq[i])) return false;
  return true;
}

/* The leading tokens that all the question's sequences have and that come before everything scored. */
static size_t question_prefix(const nb_question *q) {
  size_t n = q->seq[0].target[0].pos;
  for (size_t i = 0; i < q->n_seqs; i++) {
    n = nb_min(n, q->seq[i].target[0].pos);
    n = common_prefix(q->seq[0].tokens, n, q->seq[i].tokens, q->seq[i].n);
  }
  return n;
}

/* A job for a sequence that goes on from `from` tokens of parent (NULL: from nothing, in a cache of its own). */
static nb_status make_job(runner *r, size_t g, const nb_sequence *s, const nb_kv *parent, size_t from, nb_job *job,
                          nb_err *err) {
  nb_assert(from < s->n);
  *job = (nb_job){.tokens = s->tokens + from,
                  .n = s->n - from,
                  .first = from,
                  .target = s->target,
                  .n_targets = s->n_targets,
                  .logprob = r->answer[r->index[g]].logprob};
  if (parent && from) return nb_kv_fork(parent, from, s->n, &job->kv, err);
  return nb_kv_create(&r->model->config, s->n, r->o->kv, is_long(r, s), &job->kv, err);
}

static nb_status run_jobs(runner *r, nb_job *job, size_t n, nb_err *err) {
  NB_TRY(nb_engine_run(&r->engine, job, n, err));
  return r->o->busy ? r->o->busy(r->o->ctx, r->done, err) : NB_OK;
}

static void free_jobs(runner *r, nb_job *job, size_t n) {
  size_t held = r->root ? nb_kv_bytes(r->root) : 0;
  for (size_t i = 0; i < n; i++) {
    if (job[i].kv) held += nb_kv_bytes(job[i].kv);
    nb_kv_free(job[i].kv);
    job[i].kv = NULL;
  }
  r->stats->kv_bytes = nb_max(r->stats->kv_bytes, held);
}

/* Every sequence of a question alone. */
static nb_status run_alone(runner *r, size_t g, nb_err *err) {
  const nb_question *q = &r->question[g];
  for (size_t i = 0; i < q->n_seqs; i++) {
    nb_job job = {0};
    nb_status st = make_job(r, g, &q->seq[i], NULL, 0, &job, err);
    if (st == NB_OK) st = run_jobs(r, &job, 1, err);
    free_jobs(r, &job, 1);
    NB_TRY(fail_in_question(q, st, err));
  }
  return NB_OK;
}

/* The sequences of one question, from a root that holds all that they have in common. */
static nb_status run_from_own_root(runner *r, size_t g, nb_err *err) {
  const nb_question *q = &r->question[g];
  nb_job job[NB_MAX_CHOICES] = {{0}};
  size_t from = question_prefix(q);
  nb_status st = set_root(r, q->seq[0].tokens, from, err);
  for (size_t i = 0; i < q->n_seqs && st == NB_OK; i++) st = make_job(r, g, &q->seq[i], r->root, from, &job[i], err);
  if (st == NB_OK) st = run_jobs(r, job, q->n_seqs, err);
  free_jobs(r, job, q->n_seqs);
  return fail_in_question(q, st, err);
}

/* Questions list[0..n) of the group, every sequence in a fork of the root's first `from` tokens, all together. */
static nb_status run_wave(runner *r, const size_t *list, size_t n, size_t from, nb_err *err) {
  size_t n_jobs = 0, k = 0;
  for (size_t i = 0; i < n; i++) n_jobs += r->question[list[i]].n_seqs;
  nb_job *job;
  NB_TRY(nb_new(&job, n_jobs, sizeof *job, "a batch of questions", err));
  nb_status st = NB_OK;
  for (size_t i = 0; i < n && st == NB_OK; i++) {
    const nb_question *q = &r->question[list[i]];
    for (size_t s = 0; s < q->n_seqs && st == NB_OK; s++)
      st = make_job(r, list[i], &q->seq[s], r->root, from, &job[k++], err);
  }
  if (st == NB_OK) st = run_jobs(r, job, n_jobs, err);
  free_jobs(r, job, n_jobs);
  nb_free(job);
  if (st != NB_OK)
    return nb_fail_in(err, st, n > 1 ? "questions %s to %s" : "question %s", r->question[list[0]].item->id,
                      r->question[list[n - 1]].item->id);
  for (size_t i = 0; i < n; i++) NB_TRY(end_answer(r, list[i], err));
  return NB_OK;
}

/* ---- a group ---- */

/* What the listed questions have in common. */
static size_t group_prefix(const runner *r, const size_t *list, size_t n) {
  const nb_sequence *first = &r->question[list[0]].seq[0];
  size_t prefix = first->n;
  for (size_t i = 0; i < n; i++) {
    const nb_question *q = &r->question[list[i]];
    prefix = nb_min(prefix, question_prefix(q));
    prefix = common_prefix(first->tokens, prefix, q->seq[0].tokens, q->seq[0].n);
  }
  return prefix;
}

/* Runs listed questions with one number of examples. Forking each sequence from what all have in common makes full
 * batches, and repeats what only the sequences of one question share; that is worth it while it is short. */
static nb_status run_list(runner *r, const size_t *list, size_t n, nb_err *err) {
  size_t from = group_prefix(r, list, n), repeated = 0;
  for (size_t i = 0; i < n; i++) {
    const nb_question *q = &r->question[list[i]];
    repeated += (q->n_seqs - 1) * (question_prefix(q) - from);
  }
  size_t wave_tokens = WAVE_BATCHES * nb_session_max_tokens(r->engine.session);
  if (repeated > 96 * n) {
    for (size_t i = 0; i < n; i++) {
      NB_TRY(run_from_own_root(r, list[i], err));
      NB_TRY(end_answer(r, list[i], err));
    }
    return NB_OK;
  }
  nb_status st = set_root(r, r->question[list[0]].seq[0].tokens, from, err);
  NB_TRY(fail_in_question(&r->question[list[0]], st, err));
  for (size_t begin = 0, end; begin < n; begin = end) {
    size_t tokens = 0;
    for (end = begin; end < n && (end == begin || tokens < wave_tokens); end++)
      for (size_t s = 0; s < r->question[list[end]].n_seqs; s++) tokens += r->question[list[end]].seq[s].n - from;
    NB_TRY(run_wave(r, list + begin, end - begin, from, err));
  }
  return NB_OK;
}

/* Those that lost examples have little in common with the others: each number of examples is run for itself. */
static nb_status run_group(runner *r, nb_err *err) {
  size_t list[GROUP_MAX];
  for (size_t shots = r->prompter->shots + 1; shots-- > 0;) {
    size_t n = 0;
    for (size_t g = 0; g < r->n_group; g++)
      if (r->question[g].shots == shots && shares(r, &r->question[g])) list[n++] = g;
    if (n) NB_TRY(run_list(r, list, n, err));
  }
  for (size_t g = 0; g < r->n_group; g++)
    if (!shares(r, &r->question[g])) {
      if (r->question[g].fit != NB_FIT_NOT) NB_TRY(run_alone(r, g, err));
      NB_TRY(end_answer(r, g, err));
    }
  return NB_OK;
}

static void make_questions(void *ctx, size_t begin, size_t end, int thread) {
  runner *r = ctx;
  (void)thread;
  for (size_t g = begin; g < end; g++)
    r->status[g] =
        nb_question_make(r->prompter, r->tok, &r->encode, r->items[r->index[g]], &r->question[g], &r->errors[g]);
}

static nb_status make_and_run_group(runner *r, nb_err *err) {
  double t0 = nb_clock();
  nb_parallel_for(nb_max(1, (size_t)r->o->threads), r->n_group, 1, make_questions, r);
  r->stats->prompt_seconds += nb_clock() - t0;
  nb_status st = NB_OK;
  for (size_t g = 0; g < r->n_group && st == NB_OK; g++) {
    st = r->status[g];
    if (st != NB_OK) {
      if (err) *err = r->errors[g];
    } else if (r->question[g].fit == NB_FIT_NOT && r->o->overlong != NB_OVERLONG_WRONG) {
      st = nb_fail(err, NB_ERR_ARG, "question %s: the prompt has %zu tokens and the model takes %zu",
                   r->question[g].item->id, r->question[g].n_tokens, r->encode.max_tokens);
    } else {
      begin_answer(r, g);
    }
  }
  t0 = nb_clock();
  if (st == NB_OK) st = run_group(r, err);
  r->stats->model_seconds += nb_clock() - t0;
  for (size_t g = 0; g < r->n_group; g++)
    if (r->status[g] == NB_OK) nb_question_free(&r->question[g]);
  return st;
}

/* ---- all ---- */

static nb_status run_all(runner *r, const bool *skip, nb_err *err) {
  for (size_t i = 0; i < r->total && !(r->o->enough && r->o->enough(r->o->ctx));) {
    const char *subject = r->items[i]->subject;
    r->n_group = 0;
    for (; i < r->total && r->n_group < GROUP_MAX && !strcmp(r->items[i]->subject, subject); i++) {
      if (skip && skip[i]) r->done++;
      else r->index[r->n_group++] = i;
    }
    if (r->n_group) NB_TRY(make_and_run_group(r, err));
  }
  return NB_OK;
}

nb_status nb_runner_run(const nb_run_set *set, const nb_run_opts *o, nb_answer *answer, nb_run_stats *stats,
                        nb_err *err) {
  const nb_model *m = set->model;
  runner r = {
      .prompter = set->prompter,
      .tok = set->tok,
      .model = m,
      .o = o,
      .items = set->items,
      .total = set->n,
      .answer = answer,
      .stats = stats,
      .encode = {.plain = o->plain, .cut = o->overlong == NB_OVERLONG_TRUNCATE, .max_tokens = m->config.max_position}};
  nb_status st;
  *stats = (nb_run_stats){0};
  NB_GOTO(nb_engine_create(set->session, m, &r.engine, err));
  NB_GOTO(nb_new(&r.question, GROUP_MAX, sizeof *r.question, "questions", err));
  NB_GOTO(nb_new(&r.index, GROUP_MAX, sizeof *r.index, "questions", err));
  NB_GOTO(nb_new(&r.status, GROUP_MAX, sizeof *r.status, "questions", err));
  NB_GOTO(nb_new(&r.errors, GROUP_MAX, sizeof *r.errors, "questions", err));
  st = run_all(&r, set->skip, err);
  stats->tokens = r.engine.n_tokens;
fail:
  nb_kv_free(r.root);
  nb_ids_free(&r.root_tokens);
  nb_engine_free(&r.engine);
  nb_free(r.question), nb_free(r.index), nb_free(r.status), nb_free(r.errors);
  return st;
}
