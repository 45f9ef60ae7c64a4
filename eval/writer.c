/* SPDX-License-Identifier: MIT */
#include "eval/writer.h"

#include "base/clock.h"
#include "base/parallel.h"
#include "eval/marker.h"
#include "model/batch.h"
#include "text/stop.h"

enum {
  GROUP = 64,        /* questions whose prompts are made at a time */
  WAITING_MOST = 128 /* requests that wait in the batch: enough to find what prompts share */
};

/* One sample of a question. */
typedef struct sample {
  struct question *q;
  nb_stop stop;
  uint32_t tokens;
  bool over;
} sample;

typedef struct question {
  struct writer *w;
  size_t index; /* of its item */
  nb_written *written;
  size_t left; /* samples that are not over */
  bool wrong;  /* whatever the rules say */
  sample *sample;
} question;

typedef struct writer {
  const nb_prompter *prompter;
  const nb_tokenizer *tok;
  const nb_model *model;
  const nb_run_opts *o;
  const nb_item *const *items;
  size_t total, done;
  const bool *skip;
  nb_pool *pool;
  nb_answer *answer;
  nb_run_stats *stats;
  nb_batch *batch;
  nb_encode_opts encode;
  size_t next;     /* the first item whose prompt is not made */
  question **open; /* (n_open) */
  size_t n_open, cap_open;
  /* the group at hand */
  nb_question *made;
  size_t index[GROUP], n_group;
  nb_status status[GROUP];
  nb_err errors[GROUP];
  /* the first failure in a callback */
  nb_status st;
  nb_err *err;
} writer;

/* ---- texts ---- */

static void free_question(question *q) {
  for (size_t i = 0; q->sample && i < q->written->n; i++) nb_stop_free(&q->sample[i].stop);
  nb_free(q->sample);
  nb_free(q);
}

/* All samples are there: marks, and the answer goes out. */
static nb_status end_question(question *q, nb_err *err) {
  writer *w = q->w;
  nb_status st = nb_marker_mark(w->prompter->task->marker, w->items[q->index], w->pool, q->written, err);
  w->done++;
  for (size_t k = 0; q->wrong && k < q->written->n_marks; k++) q->written->value[k] = 0;
  if (st == NB_OK) {
    w->answer[q->index].written = q->written;
    if (w->o->answered) st = w->o->answered(w->o->ctx, q->index, &w->answer[q->index], err);
  }
  if (st == NB_OK) st = nb_progress_step(w->o->progress, w->done, w->total, err);
  for (size_t i = 0; i < w->n_open; i++)
    if (w->open[i] == q) w->open[i] = w->open[--w->n_open];
  free_question(q);
  return st;
}

static void keep_failure(writer *w, nb_status st) {
  if (w->st == NB_OK) w->st = st;
}

static bool on_token(void *ctx, int32_t id) {
  sample *s = ctx;
  writer *w = s->q->w;
  s->tokens++;
  keep_failure(w, nb_stop_token(&s->stop, id, w->err));
  return w->st == NB_OK && !s->stop.ended;
}

static void on_end(void *ctx, nb_batch_end why) {
  sample *s = ctx;
  question *q = s->q;
  writer *w = q->w;
  size_t i = (size_t)(s - q->sample);
  (void)why;
  keep_failure(w, w->st == NB_OK ? nb_stop_finish(&s->stop, w->err) : NB_OK);
  q->written->text[i] = nb_pool_copy(w->pool, s->stop.text.s, s->stop.text.n);
  q->written->tokens[i] = s->tokens;
  if (!q->written->text[i]) keep_failure(w, nb_fail(w->err, NB_ERR_MEMORY, "out of memory: texts"));
  if (w->st == NB_OK && --q->left == 0) keep_failure(w, end_question(q, w->err));
}

/* ---- prompts ---- */

/* The seed of a question's sample: its own whatever else is asked. */
static uint64_t sample_seed(const writer *w, const nb_item *item, size_t k) {
  return XXH3_64bits_withSeed(item->id, strlen(item->id), w->o->seed ^ XXH3_64bits(&(uint64_t){k}, 8));
}

/* A prompt that does not fit is not run; where the run goes on all the same, its answer is empty and wrong. */
static nb_status leave_empty(question *q, const nb_question *made, nb_err *err) {
  writer *w = q->w;
  if (w->o->overlong != NB_OVERLONG_WRONG)
    return nb_fail(err, NB_ERR_ARG, "the prompt has %zu tokens and the model takes %zu", made->n_tokens,
                   w->encode.max_tokens);
  for (size_t i = 0; i < q->written->n; i++) q->written->text[i] = "";
  q->wrong = true;
  return end_question(q, err);
}

static nb_status open_question(writer *w, size_t g, nb_err *err) {
  const nb_question *made = &w->made[g];
  const nb_task *t = w->prompter->task;
  question *q;
  size_t n = t->samples, index = w->index[g];
  NB_TRY(nb_grow(&w->open, &w->cap_open, w->n_open + 1, sizeof *w->open, err));
  NB_TRY(nb_new(&q, 1, sizeof *q, "a question", err));
  *q = (question){.w = w, .index = index, .left = n};
  q->written = nb_pool_get(w->pool, sizeof *q->written);
  if (q->written) q->written->text = nb_pool_get(w->pool, n * sizeof *q->written->text);
  if (q->written) q->written->tokens = nb_pool_get(w->pool, n * sizeof *q->written->tokens);
  if (!q->written || !q->written->text || !q->written->tokens)
    return nb_free(q), nb_fail(err, NB_ERR_MEMORY, "out of memory: texts");
  q->written->n = n;
  nb_status st = nb_new(&q->sample, n, sizeof *q->sample, "a question", err);
  if (st != NB_OK) return free_question(q), st;
  w->open[w->n_open++] = q;
  w->answer[index] = (nb_answer){.prompt_hash = made->hash,
                                 .shots = (uint32_t)made->shots,
                                 .n_tokens = (uint32_t)made->n_tokens,
                                 .fit = made->fit};
  if (w->o->texts) {
    q->written->prompt = nb_pool_copy(w->pool, made->prompt.context[0].s, made->prompt.context[0].n);
    if (!q->written->prompt) return nb_fail(err, NB_ERR_MEMORY, "out of memory: texts");
  }
  if (made->fit == NB_FIT_NOT) return leave_empty(q, made, err);
  size_t room = w->model->config.max_position - made->n_tokens;
  w->stats->tokens_alone += made->n_tokens * n;
  for (size_t i = 0; i < n; i++) {
    sample *s = &q->sample[i];
    s->q = q;
    NB_TRY(nb_stop_begin(w->tok, t->stop, t->n_stop, &s->stop, err));
    nb_batch_request r = {.prompt = made->seq[0].tokens,
                          .n_prompt = made->seq[0].n,
                          .max_new = nb_min(t->max_tokens, room),
                          .sampling = {t->temperature, t->top_p, sample_seed(w, w->items[index], i)},
                          .token = on_token,
                          .ended = on_end,
                          .ctx = s};
    NB_TRY(nb_batch_submit(w->batch, &r, NULL, err));
  }
  return NB_OK;
}

static void make_prompts(void *ctx, size_t begin, size_t end, int thread) {
  writer *w = ctx;
  (void)thread;
  for (size_t g = begin; g < end; g++)
    w->status[g] = nb_question_make(w->prompter, w->tok, &w->encode, w->items[w->index[g]], &w->made[g], &w->errors[g]);
}

/* Makes the next prompts and puts them into the queue. */
static nb_status add_group(writer *w, nb_err *err) {
  double t0 = nb_clock();
  w->n_group = 0;
  for (; w->next < w->total && w->n_group < GROUP; w->next++) {
    if (w->skip && w->skip[w->next]) w->done++;
    else w->index[w->n_group++] = w->next;
  }
  nb_parallel_for((int)nb_max(1, (size_t)w->o->threads), w->n_group, 1, make_prompts, w);
  w->stats->prompt_seconds += nb_clock() - t0;
  nb_status st = NB_OK;
  for (size_t g = 0; g < w->n_group && st == NB_OK; g++) {
    st = w->status[g];
    if (st != NB_OK && err) *err = w->errors[g];
    if (st == NB_OK) {
      st = open_question(w, g, err);
      if (st != NB_OK) st = nb_fail_in(err, st, "question %s", w->items[w->index[g]]->id);
    }
  }
  for (size_t g = 0; g < w->n_group; g++)
    if (w->status[g] == NB_OK) nb_question_free(&w->made[g]);
  return st;
}

/* ---- all ---- */

static bool enough(const writer *w) { return w->o->enough && w->o->enough(w->o->ctx); }

static nb_status run_all(writer *w, nb_err *err) {
  bool busy = false;
  for (;;) {
    if (enough(w)) return NB_OK;
    while (w->next < w->total && nb_batch_waiting(w->batch) < WAITING_MOST) NB_TRY(add_group(w, err));
    NB_TRY(nb_batch_step(w->batch, &busy, err));
    NB_TRY(w->st);
    if (w->o->busy) NB_TRY(w->o->busy(w->o->ctx, w->done, err));
    if (!busy && w->next == w->total) return NB_OK;
  }
}

static void take_stats(const writer *w) {
  const nb_batch_stats *b = nb_batch_stats_of(w->batch);
  w->stats->tokens = b->prompt_tokens + b->again_tokens + b->new_tokens;
  w->stats->tokens_alone += b->new_tokens;
  w->stats->kv_bytes = b->most_kv_bytes;
  w->stats->model_seconds = b->seconds;
  w->stats->new_tokens = b->new_tokens;
  w->stats->steps = b->steps;
  w->stats->most_running = b->most_running;
  w->stats->gave_way = b->gave_way;
}

nb_status nb_writer_run(const nb_run_set *set, const nb_encode_opts *encode, const nb_run_opts *o, nb_pool *pool,
                        nb_answer *answer, nb_run_stats *stats, nb_err *err) {
  writer w = {.prompter = set->prompter,
              .tok = set->tok,
              .model = set->model,
              .o = o,
              .items = set->items,
              .total = set->n,
              .skip = set->skip,
              .pool = pool,
              .answer = answer,
              .stats = stats,
              .encode = *encode,
              .err = err};
  nb_batch_opts bo = {.kv = o->kv, .kv_bytes = o->kv_bytes, .most = o->alone ? 1 : 0, .share_never = o->alone};
  nb_status st;
  *stats = (nb_run_stats){0};
  NB_GOTO(nb_new(&w.made, GROUP, sizeof *w.made, "questions", err));
  NB_GOTO(nb_batch_create(set->session, set->model, &bo, &w.batch, err));
  st = run_all(&w, err);
  take_stats(&w);
fail:
  nb_batch_free(w.batch);
  for (size_t i = 0; i < w.n_open; i++) free_question(w.open[i]);
  free(w.open);
  nb_free(w.made);
  return st;
}
