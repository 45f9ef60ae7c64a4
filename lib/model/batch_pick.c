/* SPDX-License-Identifier: MIT */
/* From the states of a batch to tokens and log-probs. */
#include "model/batch_impl.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

static bool all_finite(const float *x, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(x[i])) return false;
  return true;
}

/* A row of hidden that a sequence needs the logits of. */
typedef struct pick_row {
  nb_batch_sequence *q;
  size_t row;
  bool sample;  /* for its next token; otherwise for the log-prob of the prompt's token `id` */
  size_t guess; /* sample: 0, or the row follows so many guesses, whose rows stand before it */
  bool done;    /* its token is known; not so after a wrong guess */
  int32_t id;
  double logprob;
  nb_batch_logprob top[NB_BATCH_TOP];
} pick_row;

typedef struct pick_job {
  nb_batch *b;
  const float *logits; /* (NB_SESSION_ROWS, V) those of the rows */
  pick_row row[NB_SESSION_ROWS];
  size_t n;
  bool not_finite;
} pick_job;

/* The k largest of V numbers, falling; of equal ones the lowest id first. */
static void find_top(const float *l, size_t V, size_t k, nb_batch_logprob *top) {
  size_t n = 0;
  for (size_t v = 0; v < V && k; v++) {
    if (n == k && l[v] <= top[n - 1].logprob) continue;
    size_t i = n < k ? n++ : n - 1;
    for (; i && top[i - 1].logprob < l[v]; i--) top[i] = top[i - 1];
    top[i] = (nb_batch_logprob){(int32_t)v, l[v]};
  }
}

static void pick_row_token(pick_job *j, size_t i, int thread) {
  nb_batch *b = j->b;
  size_t V = b->m->config.vocab;
  pick_row *x = &j->row[i];
  const nb_batch_request *r = &x->q->r;
  const float *l = j->logits + i * V;
  float *copy = b->sampled + (size_t)thread * V;
  if (!all_finite(l, V)) {
    __atomic_store_n(&j->not_finite, true, __ATOMIC_RELAXED);
    return;
  }
  if (x->sample) {
    memcpy(copy, l, V * sizeof *copy);
    x->id = nb_sampling_pick(copy, V, &r->sampling, &x->q->rng, b->order + (size_t)thread * V);
    if (r->given) x->id = r->given[x->q->n - r->n_prompt + x->guess];
  }
  x->done = true;
  if (!r->scored) return;
  double sum = nb_session_kernels(b->s)->logsumexp(l, V);
  x->logprob = (double)l[x->id] - sum;
  find_top(l, V, r->top, x->top);
  for (size_t k = 0; k < r->top; k++) x->top[k].logprob -= sum;
}

/* The rows after guesses wait for the one before, up to the first wrong guess: a text's random numbers come in order.
 */
static void pick_rows(void *ctx, size_t begin, size_t end, int thread) {
  pick_job *j = ctx;
  for (size_t i = begin; i < end; i++) {
    if (j->row[i].guess) continue;
    pick_row_token(j, i, thread);
    for (size_t k = i + 1; k < j->n && j->row[k].guess; k++) {
      const pick_row *last = &j->row[k - 1];
      if (!last->done || last->id != last->q->draft.ids[last->guess]) break;
      pick_row_token(j, k, thread);
    }
  }
}

/* Takes a new token into its text, or ends the text. */
static void take_token(nb_batch *b, nb_batch_sequence *q, int32_t id) {
  b->stats.new_tokens++;
  if (!q->r.ignore_eos && nb_config_ends(&b->m->config, id)) {
    q->over = true, q->why = NB_BATCH_EOS;
    return;
  }
  nb_assert(q->n < q->r.n_prompt + q->r.max_new);
  q->ids[q->n++] = id;
  if (q->r.token && !q->r.token(q->r.ctx, id)) q->over = true, q->why = NB_BATCH_STOPPED;
  else if (q->n == q->r.n_prompt + q->r.max_new) q->over = true, q->why = NB_BATCH_LENGTH;
}

/* Works the rows off that were gathered. */
static nb_status work(pick_job *j, nb_err *err) {
  nb_batch *b = j->b;
  size_t row[NB_SESSION_ROWS], n = j->n;
  float *logits = nb_session_room(b->s);
  if (!n) return NB_OK;
  for (size_t i = 0; i < n; i++) row[i] = j->row[i].row;
  nb_session_logits(b->s, b->m, row, n, logits);
  j->logits = logits;
  nb_parallel_for(b->pickers, n, 1, pick_rows, j);
  if (j->not_finite) return nb_fail(err, NB_ERR_NUMERIC, "the head's logits are not finite (NaN or infinity)");
  for (size_t i = 0; i < n; i++) {
    const pick_row *x = &j->row[i];
    if (x->guess && (!x->done || x->q->over)) continue;
    if (x->q->r.scored) x->q->r.scored(x->q->r.ctx, (nb_batch_logprob){x->id, x->logprob}, x->top);
    if (!x->sample) continue;
    if (x->q->draft.length) nb_draft_learn(&x->q->history, &x->q->draft, x->guess, x->id == x->q->draft.ids[x->guess]);
    if (x->guess) b->stats.taken_tokens++;
    take_token(b, x->q, x->id);
  }
  j->n = 0;
  return NB_OK;
}

static nb_status add_row(pick_job *j, pick_row x, nb_err *err) {
  nb_assert(j->n < NB_SESSION_ROWS);
  j->row[j->n++] = x;
  return j->n == NB_SESSION_ROWS ? work(j, err) : NB_OK;
}

/* The cache forgets wrong guesses: it holds the text but for its last token, which is run next. */
static void settle(nb_batch *b, nb_batch_sequence *q) {
  b->stats.drafted_tokens += q->drafted;
  if (q->drafted) nb_kv_truncate(q->kv, q->over && q->why == NB_BATCH_EOS ? q->n : q->n - 1);
  q->ran = nb_max(q->ran, nb_kv_length(q->kv));
  q->drafted = q->draft.length = 0;
}

static nb_status pick(nb_batch *b, nb_err *err) {
  pick_job j = {.b = b};
  size_t base = 0;
  for (size_t i = 0; i < b->n_segs; base += b->seg[i++].n) {
    nb_batch_sequence *q = b->owner[i].q;
    if (!q) continue;
    size_t have = nb_kv_length(q->kv), first = have - b->seg[i].n;
    /* The state after token p tells of token p + 1. What was told before a sequence gave way is not told again. */
    for (; q->r.score_prompt && q->scored < q->r.n_prompt && q->scored <= have; q->scored++)
      if (q->scored > first)
        NB_TRY(add_row(&j, (pick_row){.q = q, .row = base + q->scored - 1 - first, .id = q->ids[q->scored]}, err));
    if (have < q->n) continue;
    nb_assert(have == q->n + q->drafted && (!q->drafted || (b->n_segs == 1 && j.n == 0)));
    if (!q->r.max_new) q->over = true, q->why = NB_BATCH_LENGTH;
    else
      for (size_t k = 0, row = base + b->seg[i].n - 1 - q->drafted; k <= q->drafted; k++)
        NB_TRY(add_row(&j, (pick_row){.q = q, .row = row + k, .sample = true, .guess = k}, err));
  }
  return work(&j, err);
}

nb_status nb_batch_pick(nb_batch *b, nb_err *err) {
  nb_status st = pick(b, err);
  for (size_t i = 0; i < b->n_segs; i++)
    if (b->owner[i].q) settle(b, b->owner[i].q);
  return st;
}
