/* SPDX-License-Identifier: MIT */
#include "model/context.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "model/batch_impl.h"

struct nb_context {
  nb_batch *b; /* with a capacity; between turns it has no request */
};

static nb_status check_capacity(const nb_config *f, size_t capacity, nb_err *err) {
  if (capacity >= 2 && capacity <= f->max_position) return NB_OK;
  return nb_fail(err, NB_ERR_ARG, "a context of %zu tokens is out of range (2 to the model's %zu positions)", capacity,
                 f->max_position);
}

nb_status nb_context_create(nb_session *s, const nb_model *m, const nb_context_opts *o, nb_context **out, nb_err *err) {
  nb_context *c;
  const nb_batch_opts bo = {.kv = o->kv, .draft = o->draft, .capacity = o->capacity};
  *out = NULL;
  NB_TRY(check_capacity(&m->config, o->capacity, err));
  NB_TRY(nb_new(&c, 1, sizeof *c, "a context", err));
  nb_status st = nb_batch_create(s, m, &bo, &c->b, err);
  if (st == NB_OK) *out = c;
  else nb_free(c);
  return st;
}

void nb_context_free(nb_context *c) {
  if (!c) return;
  nb_batch_free(c->b);
  nb_free(c);
}

/* ---- the cache ---- */

size_t nb_context_capacity(const nb_context *c) { return c->b->o.capacity; }

const nb_kv *nb_context_cache(const nb_context *c) {
  const nb_batch_root *r = nb_batch_kept(c->b);
  return r ? r->kv : NULL;
}

const int32_t *nb_context_ids(const nb_context *c, size_t *n) {
  const nb_batch_root *r = nb_batch_kept(c->b);
  *n = r ? r->n : 0;
  return r ? r->ids : NULL;
}

void nb_context_clear(nb_context *c) {
  nb_err none;
  (void)nb_batch_keep(c->b, NULL, NULL, &none); /* nothing is kept, which cannot fail */
}

nb_status nb_context_grow(nb_context *c, size_t capacity, nb_err *err) {
  nb_batch_root *r = nb_batch_kept(c->b);
  nb_kv *kv;
  if (capacity <= c->b->o.capacity) return NB_OK;
  NB_TRY(check_capacity(&c->b->m->config, capacity, err));
  if (r) {
    NB_TRY(nb_kv_copy(r->kv, r->n, capacity, &kv, err));
    nb_kv_free(r->kv);
    r->kv = kv;
  }
  c->b->o.capacity = capacity;
  return NB_OK;
}

nb_status nb_context_replace(nb_context *c, nb_kv *kv, const int32_t *ids, nb_err *err) {
  const nb_batch_opts *o = &c->b->o;
  nb_context_clear(c);
  if (nb_kv_capacity(kv) == o->capacity && nb_kv_type_of(kv) == o->kv) return nb_batch_keep(c->b, kv, ids, err);
  nb_kv_free(kv);
  return nb_fail(err, NB_ERR_ARG, "the cache is not one of %zu tokens of type %s", o->capacity, nb_kv_type_name(o->kv));
}

/* ---- a turn ---- */

typedef struct turn {
  const nb_generation *g;
  const nb_session *s;
  nb_generation_stats *out;
  double start; /* of the prompt, and then of the new tokens */
  nb_batch_end why;
  bool interrupted;
} turn;

/* A pass may bring several tokens: an interrupt is not to wait for the last of them. */
static bool pass_on(void *ctx, int32_t id) {
  turn *t = ctx;
  if (nb_session_interrupted(t->s)) t->interrupted = true;
  if (t->interrupted) return false;
  if (!t->out->new_tokens++) t->out->prompt_s = nb_clock() - t->start, t->start = nb_clock();
  return !t->g->token || t->g->token(t->g->ctx, id);
}

static void note_why(void *ctx, nb_batch_end why) { ((turn *)ctx)->why = why; }

static nb_status run(nb_batch *b, const nb_batch_request *r, turn *t, nb_err *err) {
  uint64_t ticket;
  nb_status st = NB_OK;
  NB_TRY(nb_batch_submit(b, r, &ticket, err));
  for (bool busy = true; busy && st == NB_OK;) {
    if (t->g->stop && t->g->stop(t->g->ctx)) nb_batch_cancel(b, ticket);
    st = nb_batch_step(b, &busy, err);
  }
  if (st == NB_OK) return t->interrupted ? nb_fail(err, NB_ERR_INTERRUPTED, "interrupted") : NB_OK;
  nb_err none;
  bool busy;
  nb_batch_cancel(b, ticket); /* so that the request leaves, and its cache stays */
  (void)nb_batch_step(b, &busy, &none);
  nb_assert(!busy);
  return st;
}

nb_status nb_context_generate(nb_context *c, const int32_t *ids, size_t n, const nb_generation *g,
                              nb_generation_stats *stats, nb_err *err) {
  const nb_batch_stats before = *nb_batch_stats_of(c->b), *now = nb_batch_stats_of(c->b);
  turn t = {.g = g, .s = c->b->s, .out = stats, .start = nb_clock(), .why = NB_BATCH_LENGTH};
  const nb_batch_request r = {.prompt = ids,
                              .n_prompt = n,
                              .max_new = g->max_new,
                              .sampling = g->sampling,
                              .ignore_eos = g->ignore_eos,
                              .token = pass_on,
                              .ended = note_why,
                              .ctx = &t};
  *stats = (nb_generation_stats){.prompt_tokens = n};
  nb_status st = run(c->b, &r, &t, err);
  *(stats->new_tokens ? &stats->new_s : &stats->prompt_s) = nb_clock() - t.start;
  stats->ended = t.why == NB_BATCH_EOS;
  stats->kv_bytes = nb_batch_kv_bytes(c->b);
  stats->reused = now->shared_tokens - before.shared_tokens;
  stats->drafted = now->drafted_tokens - before.drafted_tokens, stats->taken = now->taken_tokens - before.taken_tokens;
  return st;
}
