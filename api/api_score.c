/* SPDX-License-Identifier: MIT */
/* Log-probs and logits: what a model makes of ids that are given. */
#include "api/libnibble.h"

#include "base/mem.h"

#include <string.h>

/* A context and one continuation in one array, which the caller frees, and the rotary factors that they need. */
typedef struct text {
  int32_t *ids; /* (n) the context's first n_context, then the continuation's */
  size_t n_context, n;
  size_t run; /* of these the model reads; the last one of a continuation is only predicted */
  size_t stretch;
} text;

static nb_status check_ids(const nibble_model *m, const int32_t *ids, size_t n, nb_err *err) {
  const size_t vocab = m->opened.model.config.vocab;
  for (size_t i = 0; i < n; i++)
    if (ids[i] < 0 || (size_t)ids[i] >= vocab)
      return nb_fail(err, NB_ERR_ARG, "token id %d is not below %zu", (int)ids[i], vocab);
  return NB_OK;
}

static nb_status join(const nibble_model *m, const int32_t *context, size_t n_context, const int32_t *continuation,
                      size_t n, text *out, nb_err *err) {
  const nb_config *c = &m->opened.model.config;
  *out = (text){.n_context = n_context};
  if (n_context == 0) return nb_fail(err, NB_ERR_ARG, "the context needs one token at least");
  if (!nb_add(n_context, n, &out->n) || (out->run = n ? out->n - 1 : out->n) > c->max_position)
    return nb_fail(err, NB_ERR_ARG, "%zu and %zu tokens are more than the model's %zu positions", n_context, n,
                   c->max_position);
  NB_TRY(nb_new(&out->ids, out->n, sizeof *out->ids, "the tokens", err));
  memcpy(out->ids, context, n_context * sizeof *context);
  if (n) memcpy(out->ids + n_context, continuation, n * sizeof *continuation);
  out->stretch = nb_config_stretch(c, out->run);
  return check_ids(m, out->ids, out->n, err);
}

/* Adds up the log-probs of the continuation's ids, each after those before it. kv holds the first ones of the context,
 * or nothing, never the last one. */
static nb_status score_ids(nibble_model *m, nb_kv *kv, const text *t, double *logprob, bool *all_greedy, nb_err *err) {
  nb_status st;
  const size_t batch = nb_session_max_tokens(m->session), held = nb_kv_length(kv), from = t->n_context - 1;
  size_t *row = NULL;
  double *part = NULL;
  bool *best = NULL;
  *logprob = 0, *all_greedy = true;
  NB_GOTO(nb_new(&row, batch, sizeof *row, "the scores", err));
  NB_GOTO(nb_new(&part, batch, sizeof *part, "the scores", err));
  NB_GOTO(nb_new(&best, batch, sizeof *best, "the scores", err));
  for (size_t i = 0; i < batch; i++) row[i] = i;
  if (from > held) NB_GOTO(nb_session_prefill(m->session, &m->opened.model, kv, t->ids + held, from - held, err));
  /* The state after ids[i] predicts ids[i + 1]. */
  for (size_t i = from; i + 1 < t->n; i += batch) {
    const size_t take = nb_min(batch, t->n - 1 - i);
    const nb_segment seg = {kv, t->ids + i, take};
    NB_GOTO(nb_session_forward(m->session, &m->opened.model, &seg, 1, err));
    const nb_targets targets = {row, seg.tokens + 1, take};
    NB_GOTO(nb_session_score(m->session, &m->opened.model, &targets, part, best, err));
    for (size_t k = 0; k < take; k++) *logprob += part[k], *all_greedy &= best[k];
  }
  st = NB_OK;
fail:
  nb_free(row), nb_free(part), nb_free(best);
  return st;
}

/* A context that several continuations share, without its last token. */
typedef struct shared {
  nb_kv *kv; /* NULL: nothing is shared */
  size_t stretch;
} shared;

static nb_status share(nibble_model *m, const text *first, size_t n, shared *out, nb_err *err) {
  *out = (shared){.stretch = first->stretch};
  const size_t length = first->n_context - 1;
  if (n < 2 || length == 0) return NB_OK;
  NB_TRY(nb_kv_create(&m->opened.model.config, length, m->kv, first->stretch, &out->kv, err));
  return nb_session_prefill(m->session, &m->opened.model, out->kv, first->ids, length, err);
}

/* kv: of a sequence that goes on from what is shared, or of a new one where it needs other rotary factors. */
static nb_status score_text(nibble_model *m, const shared *s, const text *t, double *logprob, bool *greedy,
                            nb_err *err) {
  nb_kv *kv = NULL;
  nb_status st = s->kv && s->stretch == t->stretch
                     ? nb_kv_fork(s->kv, nb_kv_length(s->kv), t->run, &kv, err)
                     : nb_kv_create(&m->opened.model.config, t->run, m->kv, t->stretch, &kv, err);
  if (st == NB_OK) st = score_ids(m, kv, t, logprob, greedy, err);
  nb_kv_free(kv);
  return st;
}

nibble_status nibble_score_each(nibble_model *m, const int32_t *context, size_t n_context,
                                const int32_t *const *continuation, const size_t *n_ids, size_t n, double *logprob,
                                int *greedy, nibble_error *err) {
  nb_err e;
  nb_status st = NB_OK;
  shared s = {NULL, 0};
  text t = {NULL, 0, 0, 0, 0};
  const nb_priority was = nb_parallel_prefer(m->priority);
  for (size_t i = 0; i < n; i++) {
    bool best;
    nb_free(t.ids);
    NB_GOTO(join(m, context, n_context, continuation[i], n_ids[i], &t, &e));
    NB_GOTO(nb_api_room(m, t.run, m->kv, &e));
    if (i == 0) NB_GOTO(share(m, &t, n, &s, &e));
    NB_GOTO(score_text(m, &s, &t, &logprob[i], &best, &e));
    if (greedy) greedy[i] = best;
  }
fail:
  nb_parallel_prefer(was);
  nb_kv_free(s.kv);
  nb_free(t.ids);
  return nb_api_report(st, &e, err);
}

nibble_status nibble_score(nibble_model *m, const int32_t *context, size_t n_context, const int32_t *continuation,
                           size_t n, double *logprob, int *greedy, nibble_error *err) {
  return nibble_score_each(m, context, n_context, &continuation, &n, 1, logprob, greedy, err);
}

/* Runs the ids and copies out the logits after the last ones. */
static nb_status logits(nibble_model *m, nb_kv *kv, const text *t, size_t last, float *out, nb_err *err) {
  const size_t batch = nb_session_max_tokens(m->session), vocab = m->opened.model.config.vocab;
  size_t *row = NULL;
  nb_status st = nb_new(&row, batch, sizeof *row, "the rows", err);
  if (st == NB_OK) st = nb_session_prefill(m->session, &m->opened.model, kv, t->ids, t->n - last, err);
  for (size_t i = 0; i < batch && st == NB_OK; i++) row[i] = i;
  for (size_t i = t->n - last; i < t->n && st == NB_OK; i += batch) {
    const nb_segment seg = {kv, t->ids + i, nb_min(batch, t->n - i)};
    st = nb_session_forward(m->session, &m->opened.model, &seg, 1, err);
    if (st == NB_OK) nb_session_logits(m->session, &m->opened.model, row, seg.n, out), out += seg.n * vocab;
  }
  nb_free(row);
  return st;
}

nibble_status nibble_logits(nibble_model *m, const int32_t *ids, size_t n, size_t last, float *out, nibble_error *err) {
  nb_err e;
  nb_status st;
  nb_kv *kv = NULL;
  text t = {NULL, 0, 0, 0, 0};
  const nb_priority was = nb_parallel_prefer(m->priority);
  NB_GOTO(join(m, ids, n, NULL, 0, &t, &e));
  if (last < 1 || last > n) NB_GOTO(nb_fail(&e, NB_ERR_ARG, "the last %zu of %zu tokens: want 1 to %zu", last, n, n));
  NB_GOTO(nb_api_room(m, n, m->kv, &e));
  NB_GOTO(nb_kv_create(&m->opened.model.config, n, m->kv, t.stretch, &kv, &e));
  NB_GOTO(logits(m, kv, &t, last, out, &e));
fail:
  nb_parallel_prefer(was);
  nb_kv_free(kv);
  nb_free(t.ids);
  return nb_api_report(st, &e, err);
}
