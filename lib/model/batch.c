/* SPDX-License-Identifier: MIT */
/* The queue, and a step: what runs next, and who leaves. */
#include "model/batch_impl.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_MOST = 256 };

/* ---- making ---- */

nb_status nb_batch_create(nb_session *s, const nb_model *m, const nb_batch_opts *o, nb_batch **out, nb_err *err) {
  nb_batch *b;
  nb_status st;
  const nb_config *c = &m->config;
  size_t T = nb_session_max_tokens(s), n;
  *out = NULL;
  NB_TRY(nb_new(&b, 1, sizeof *b, "a batch", err));
  *b = (nb_batch){.s = s, .m = m, .o = *o};
  if (o->capacity) b->o.most = b->o.keep = 1, b->o.kv_bytes = 0;
  b->o.most = nb_min(b->o.most ? b->o.most : DEFAULT_MOST, T);
  b->block_bytes = nb_kv_need(c, NB_KV_BLOCK, o->kv);
  b->pickers = (int)nb_min((size_t)nb_session_threads(s), b->o.most);
  if (!nb_mul((size_t)b->pickers, c->vocab, &n)) n = SIZE_MAX;
  b->most_roots = NB_BATCH_ROOTS + b->o.keep;
  NB_GOTO(nb_new(&b->roots, b->most_roots, sizeof *b->roots, "a batch", err));
  NB_GOTO(nb_new(&b->running, b->o.most, sizeof *b->running, "a batch", err));
  NB_GOTO(nb_new(&b->seg, T, sizeof *b->seg, "a batch", err));
  NB_GOTO(nb_new(&b->owner, T, sizeof *b->owner, "a batch", err));
  NB_GOTO(nb_new(&b->sampled, n, sizeof *b->sampled, "the sampler", err));
  NB_GOTO(nb_new(&b->order, n, sizeof *b->order, "the sampler", err));
  *out = b;
  return NB_OK;
fail:
  nb_batch_free(b);
  return st;
}

static void free_sequence(nb_batch_sequence *q) {
  nb_kv_free(q->kv);
  nb_free(q->ids);
  nb_free(q);
}

void nb_batch_free(nb_batch *b) {
  if (!b) return;
  for (size_t i = 0; i < b->n_running; i++) free_sequence(b->running[i]);
  for (nb_batch_sequence *q = b->head, *next; q; q = next) next = q->next, free_sequence(q);
  for (size_t i = 0; i < b->n_roots; i++) nb_batch_root_free(b->roots[i]);
  nb_free(b->running), nb_free(b->seg), nb_free(b->owner), nb_free(b->sampled), nb_free(b->order);
  nb_free(b->roots);
  nb_free(b);
}

/* ---- the queue ---- */

static void push_back(nb_batch *b, nb_batch_sequence *q) {
  q->next = NULL;
  *(b->tail ? &b->tail->next : &b->head) = q;
  b->tail = q;
  b->n_waiting++;
}

void nb_batch_push_front(nb_batch *b, nb_batch_sequence *q) {
  q->next = b->head;
  b->head = q;
  if (!b->tail) b->tail = q;
  b->n_waiting++;
}

nb_batch_sequence *nb_batch_pop(nb_batch *b) {
  nb_assert(b->head && b->n_waiting);
  nb_batch_sequence *q = b->head;
  b->head = q->next;
  if (!b->head) b->tail = NULL;
  b->n_waiting--;
  return q;
}

nb_status nb_batch_submit(nb_batch *b, const nb_batch_request *r, uint64_t *ticket, nb_err *err) {
  const nb_config *c = &b->m->config;
  size_t capacity;
  nb_batch_sequence *q;
  if (r->n_prompt == 0) return nb_fail(err, NB_ERR_ARG, "the prompt is empty");
  if (r->top > nb_min(NB_BATCH_TOP, c->vocab))
    return nb_fail(err, NB_ERR_ARG, "the %zu likeliest tokens are asked for; at most %zu are told", r->top,
                   nb_min(NB_BATCH_TOP, c->vocab));
  if (r->max_new == 0 && !r->score_prompt) return nb_fail(err, NB_ERR_ARG, "no new tokens are asked for");
  if (!nb_add(r->n_prompt, r->max_new, &capacity) || capacity > c->max_position)
    return nb_fail(err, NB_ERR_ARG, "%zu prompt tokens and %zu new ones do not fit the model's %zu positions",
                   r->n_prompt, r->max_new, c->max_position);
  if (b->o.capacity && capacity > b->o.capacity)
    return nb_fail(err, NB_ERR_ARG, "%zu prompt tokens and %zu new ones do not fit the context's %zu", r->n_prompt,
                   r->max_new, b->o.capacity);
  NB_TRY(nb_config_check_ids(c, r->prompt, r->n_prompt, err));
  if (r->given) NB_TRY(nb_config_check_ids(c, r->given, r->max_new, err));
  NB_TRY(nb_new(&q, 1, sizeof *q, "a request", err));
  *q = (nb_batch_sequence){.r = *r, .ticket = ++b->tickets, .n = r->n_prompt, .scored = 1, .rng = {r->sampling.seed}};
  nb_status st = nb_new(&q->ids, capacity, sizeof *q->ids, "a request's tokens", err);
  if (st != NB_OK) return nb_free(q), st;
  memcpy(q->ids, r->prompt, r->n_prompt * sizeof *q->ids);
  q->r.prompt = q->ids;
  push_back(b, q);
  if (ticket) *ticket = q->ticket;
  return NB_OK;
}

void nb_batch_cancel(nb_batch *b, uint64_t ticket) {
  for (size_t i = 0; i < b->n_running; i++)
    if (b->running[i]->ticket == ticket) b->running[i]->cancelled = true;
  for (nb_batch_sequence *q = b->head; q; q = q->next)
    if (q->ticket == ticket) q->cancelled = true;
}

size_t nb_batch_unfinished(const nb_batch *b) { return b->n_running + b->n_waiting; }
size_t nb_batch_waiting(const nb_batch *b) { return b->n_waiting; }
const nb_batch_stats *nb_batch_stats_of(const nb_batch *b) { return &b->stats; }

/* ---- a step ---- */

/* Tokens that the sequence's next segment takes, of the room that is left; its cache is set to turn them. */
static size_t next_tokens(const nb_batch *b, nb_batch_sequence *q, size_t room) {
  nb_assert(room > 0 && nb_kv_length(q->kv) < q->n);
  size_t have = nb_kv_length(q->kv), n = nb_min(q->n - have, room);
  if (!nb_batch_dynamic(b)) return n;
  n = have < q->r.n_prompt ? nb_min(n, q->r.n_prompt - have) : 1;
  nb_kv_restretch(q->kv, nb_config_stretch(&b->m->config, nb_max(q->r.n_prompt, have + 1)));
  return n;
}

static void add_segment(nb_batch *b, nb_batch_owner o, size_t n) {
  nb_kv *kv = o.q ? o.q->kv : o.r->kv;
  size_t have = nb_kv_length(kv);
  nb_assert(n > 0 && b->n_segs < nb_session_max_tokens(b->s) && have + n <= nb_kv_capacity(kv));
  nb_assert(have + n <= (o.q ? o.q->n + o.q->drafted : o.r->n));
  b->owner[b->n_segs] = o;
  b->seg[b->n_segs++] = (nb_segment){kv, (o.q ? o.q->ids : o.r->ids) + have, n};
}

/* A text that runs alone: guesses of its next tokens, as many as are worth it, become part of its segment. */
static void draft(nb_batch *b, nb_batch_sequence *q) {
  const nb_config *c = &b->m->config;
  size_t left = q->r.n_prompt + q->r.max_new - q->n, in_block = nb_round_up(q->n, NB_KV_BLOCK) - q->n;
  nb_draft_find(&q->history, q->ids, q->n, &q->draft);
  size_t most = nb_min(left - 1, nb_session_max_tokens(b->s) - 1);
  if (!nb_batch_has_room(b, b->block_bytes)) most = nb_min(most, in_block);
  size_t n = b->o.draft == NB_DRAFT_WORTH ? nb_draft_worth(&q->draft, &q->history, &b->costs, most)
             : q->draft.length            ? nb_min(most, NB_DRAFT_MOST)
                                          : 0;
  while (n && nb_config_stretch(c, q->n + n) != q->stretch) n--; /* the cache's keys are turned for this length */
  memcpy(q->ids + q->n, q->draft.ids, n * sizeof *q->ids);
  q->drafted = n, b->seg[0].n += n;
}

/* Fills the batch: the next token of every text first, then prompts, in the order of their coming. *prompts: whether
 * it holds any of those. */
static void fill(nb_batch *b, bool *prompts) {
  size_t room = nb_session_max_tokens(b->s);
  b->n_segs = 0, *prompts = false;
  for (size_t i = 0; i < b->n_running && room; i++) {
    nb_batch_sequence *q = b->running[i];
    if (q->n - nb_kv_length(q->kv) != 1) continue;
    add_segment(b, (nb_batch_owner){q, NULL}, next_tokens(b, q, 1));
    room--;
  }
  for (size_t i = 0; i < b->n_roots && room; i++) {
    nb_batch_root *r = b->roots[i];
    size_t n = nb_min(r->n - nb_kv_length(r->kv), room);
    if (!n) continue;
    add_segment(b, (nb_batch_owner){NULL, r}, n);
    b->stats.prompt_tokens += n;
    room -= n, *prompts = true;
  }
  for (size_t i = 0; i < b->n_running && room; i++) {
    nb_batch_sequence *q = b->running[i];
    size_t have = nb_kv_length(q->kv), n;
    if (q->n - have == 1) continue;
    n = next_tokens(b, q, room);
    add_segment(b, (nb_batch_owner){q, NULL}, n);
    size_t again = q->ran > have ? nb_min(q->ran - have, n) : 0;
    b->stats.again_tokens += again, b->stats.prompt_tokens += n - again;
    room -= n, *prompts = true;
  }
  if (b->n_segs == 1 && !*prompts && b->o.draft != NB_DRAFT_NEVER && !nb_batch_dynamic(b)) draft(b, b->owner[0].q);
}

static void end(nb_batch *b, nb_batch_sequence *q) {
  nb_batch_leave_cache(b, q);
  if (q->r.ended) q->r.ended(q->r.ctx, q->why);
  free_sequence(q);
}

/* Lets those go that are over. A callback may submit, which changes the queue's end only. */
static void leave(nb_batch *b) {
  size_t kept = 0, n = b->n_running;
  for (size_t i = 0; i < n; i++)
    if (!b->running[i]->over) {
      nb_batch_sequence *q = b->running[i];
      b->running[i] = b->running[kept];
      b->running[kept++] = q;
    }
  b->n_running = kept;
  for (size_t i = kept; i < n; i++) end(b, b->running[i]);
}

static void leave_cancelled(nb_batch *b) {
  nb_batch_sequence *all = b->head, *gone = NULL;
  b->head = b->tail = NULL, b->n_waiting = 0;
  for (nb_batch_sequence *next; all; all = next) {
    next = all->next;
    if (!all->cancelled) push_back(b, all);
    else all->next = gone, gone = all;
  }
  for (size_t i = 0; i < b->n_running; i++)
    if (b->running[i]->cancelled) b->running[i]->over = true, b->running[i]->why = NB_BATCH_CANCELLED;
  leave(b);
  for (nb_batch_sequence *next; gone; gone = next) {
    next = gone->next;
    gone->why = NB_BATCH_CANCELLED;
    end(b, gone);
  }
}

nb_status nb_batch_step(nb_batch *b, bool *busy, nb_err *err) {
  double begin = nb_clock();
  bool prompts;
  leave_cancelled(b);
  nb_batch_give_way(b);
  NB_TRY(nb_batch_admit(b, err));
  fill(b, &prompts);
  if (b->n_segs) {
    size_t before = b->stats.new_tokens, rows = b->n_segs == 1 && !prompts ? b->seg[0].n : 0;
    NB_TRY(nb_session_forward(b->s, b->m, b->seg, b->n_segs, err));
    b->stats.most_kv_bytes = nb_max(b->stats.most_kv_bytes, nb_batch_kv_bytes(b));
    b->stats.most_running = nb_max(b->stats.most_running, b->n_running);
    NB_TRY(nb_batch_pick(b, err));
    leave(b);
    double took = nb_clock() - begin;
    b->stats.steps++, b->stats.seconds += took;
    if (rows) nb_draft_timed(&b->costs, rows, took);
    if (!prompts) b->stats.decode_seconds += took, b->stats.decode_tokens += b->stats.new_tokens - before;
  }
  *busy = b->n_running || b->n_waiting;
  return NB_OK;
}
