/* SPDX-License-Identifier: MIT */
#include "model/context.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

struct nb_context {
  const nb_model *m;
  nb_kv_type type;
  size_t capacity;
  nb_kv *kv;       /* (capacity); NULL before the first turn */
  int32_t *ids;    /* (capacity) those that the cache holds, and while a text is made those that it is about to */
  float *logits;   /* (V) */
  uint32_t *order; /* (V) for sampling */
};

nb_status nb_context_create(const nb_model *m, size_t capacity, nb_kv_type type, nb_context **out, nb_err *err) {
  nb_context *c;
  nb_status st;
  *out = NULL;
  if (capacity < 2 || capacity > m->config.max_position)
    return nb_fail(err, NB_ERR_ARG, "a context of %zu tokens is out of range (2 to the model's %zu positions)",
                   capacity, m->config.max_position);
  NB_TRY(nb_new(&c, 1, sizeof *c, "a context", err));
  *c = (nb_context){.m = m, .type = type, .capacity = capacity};
  NB_GOTO(nb_new(&c->ids, capacity, sizeof *c->ids, "a context", err));
  NB_GOTO(nb_new(&c->logits, m->config.vocab, sizeof *c->logits, "the logits", err));
  NB_GOTO(nb_new(&c->order, m->config.vocab, sizeof *c->order, "the sampler", err));
  *out = c;
  return NB_OK;
fail:
  nb_context_free(c);
  return st;
}

void nb_context_free(nb_context *c) {
  if (!c) return;
  nb_kv_free(c->kv);
  nb_free(c->ids), nb_free(c->logits), nb_free(c->order);
  nb_free(c);
}

size_t nb_context_capacity(const nb_context *c) { return c->capacity; }
const nb_kv *nb_context_cache(const nb_context *c) { return c->kv; }
const int32_t *nb_context_ids(const nb_context *c, size_t *n) {
  *n = c->kv ? nb_kv_length(c->kv) : 0;
  return c->ids;
}
void nb_context_truncate(nb_context *c, size_t n) {
  if (c->kv) nb_kv_truncate(c->kv, n);
}

nb_status nb_context_replace(nb_context *c, nb_kv *kv, const int32_t *ids, nb_err *err) {
  nb_kv_free(c->kv);
  c->kv = NULL;
  if (nb_kv_capacity(kv) != c->capacity || nb_kv_type_of(kv) != c->type) {
    nb_kv_free(kv);
    return nb_fail(err, NB_ERR_ARG, "the cache is not one of %zu tokens of type %s", c->capacity,
                   nb_kv_type_name(c->type));
  }
  c->kv = kv;
  memcpy(c->ids, ids, nb_kv_length(kv) * sizeof *ids);
  return NB_OK;
}

void nb_context_clear(nb_context *c) {
  nb_kv_free(c->kv);
  c->kv = NULL;
}

/* ---- a turn ---- */

static bool dynamic(const nb_context *c) { return c->m->config.rope_kind == NB_ROPE_DYNAMIC; }

static nb_status check(const nb_context *c, const int32_t *ids, size_t n, size_t max_new, nb_err *err) {
  size_t all;
  if (n == 0) return nb_fail(err, NB_ERR_ARG, "the prompt is empty");
  if (max_new == 0) return nb_fail(err, NB_ERR_ARG, "no new tokens are asked for");
  if (!nb_add(n, max_new, &all) || all > c->capacity)
    return nb_fail(err, NB_ERR_ARG, "%zu prompt tokens and %zu new ones do not fit the context's %zu", n, max_new,
                   c->capacity);
  return nb_config_check_ids(&c->m->config, ids, n, err);
}

/* Makes the cache one that the n ids go on from: what it begins with of them stays, less the last, whose state is
 * needed; nothing where their keys are turned otherwise (lib/model/batch_cache.c has the same rules). */
static nb_status begin(nb_context *c, const int32_t *ids, size_t n, size_t *held, nb_err *err) {
  const size_t stretch = nb_config_stretch(&c->m->config, n);
  *held = 0;
  if (c->kv && !dynamic(c) && nb_kv_stretch(c->kv) == stretch)
    while (*held < nb_min(nb_kv_length(c->kv), n - 1) && c->ids[*held] == ids[*held]) ++*held;
  memmove(c->ids, ids, n * sizeof *ids);
  if (c->kv) nb_kv_truncate(c->kv, *held);
  else return nb_kv_create(&c->m->config, c->capacity, c->type, stretch, &c->kv, err);
  if (!*held) nb_kv_restretch(c->kv, stretch);
  return NB_OK;
}

/* Runs what the cache lacks of the first n ids; *row: where the last one's state is. */
static nb_status run_to(nb_context *c, nb_session *s, size_t n, size_t *row, nb_err *err) {
  const size_t have = nb_kv_length(c->kv);
  *row = (n - have - 1) % nb_session_max_tokens(s);
  return nb_session_prefill(s, c->m, c->kv, c->ids + have, n - have, err);
}

/* Before the n-th id is run as the one that follows: what its key is turned by. Those that are held are run again where
 * the whole sequence is now turned otherwise. */
static void turn(nb_context *c, size_t n_prompt, size_t n) {
  const nb_config *f = &c->m->config;
  if (dynamic(c)) {
    nb_kv_restretch(c->kv, nb_config_stretch(f, nb_max(n_prompt, n)));
  } else if (nb_config_stretch(f, n) != nb_kv_stretch(c->kv)) {
    nb_kv_truncate(c->kv, 0);
    nb_kv_restretch(c->kv, nb_config_stretch(f, n));
  }
}

static nb_status pick(nb_context *c, nb_session *s, size_t row, const nb_generation *g, nb_rng *rng, int32_t *id,
                      nb_err *err) {
  const size_t V = c->m->config.vocab;
  nb_session_logits(s, c->m, &row, 1, c->logits);
  for (size_t i = 0; i < V; i++)
    if (!isfinite(c->logits[i]))
      return nb_fail(err, NB_ERR_NUMERIC, "the head's logits are not finite (NaN or infinity)");
  *id = nb_sampling_pick(c->logits, V, &g->sampling, rng, c->order);
  return NB_OK;
}

static nb_status generate(nb_context *c, nb_session *s, size_t n, const nb_generation *g, nb_generation_stats *out,
                          nb_err *err) {
  const size_t n_prompt = n;
  nb_rng rng = {g->sampling.seed};
  double start = nb_clock();
  size_t row;
  nb_status st = run_to(c, s, n, &row, err);
  out->prompt_s = nb_clock() - start, start = nb_clock();
  while (st == NB_OK) {
    int32_t id = 0;
    NB_GOTO(pick(c, s, row, g, &rng, &id, err));
    out->new_tokens++;
    out->ended = !g->ignore_eos && nb_config_ends(&c->m->config, id);
    if (out->ended) break;
    c->ids[n++] = id;
    if ((g->token && !g->token(g->ctx, id)) || n == n_prompt + g->max_new) break;
    turn(c, n_prompt, n);
    st = run_to(c, s, n, &row, err);
  }
fail:
  out->new_s = nb_clock() - start;
  out->kv_bytes = nb_kv_bytes(c->kv);
  return st;
}

nb_status nb_context_generate(nb_context *c, nb_session *s, const int32_t *ids, size_t n, const nb_generation *g,
                              nb_generation_stats *stats, nb_err *err) {
  *stats = (nb_generation_stats){.prompt_tokens = n};
  NB_TRY(check(c, ids, n, g->max_new, err));
  NB_TRY(begin(c, ids, n, &stats->reused, err));
  return generate(c, s, n, g, stats, err);
}
