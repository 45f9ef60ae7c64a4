/* SPDX-License-Identifier: MIT */
#include "model/batch.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  DEFAULT_MOST = 256,
  LOGIT_ROWS = 32, /* rows of logits held at once */
  MAX_ROOTS = 16,  /* shared beginnings held at once */
  MIN_SHARED = 32, /* tokens that are worth a shared beginning */
  LOOK_AHEAD = 64  /* waiting requests that are compared to find one */
};

/* A beginning that sequences share: its cache is their forks' parent. */
typedef struct root {
  int32_t *ids; /* (n) */
  size_t n;
  nb_kv *kv;
  size_t stretch;
  size_t users;  /* sequences whose caches are its forks */
  uint64_t used; /* when it was last taken, for choosing which to let go */
} root;

typedef struct sequence {
  nb_batch_request r;
  uint64_t ticket;
  int32_t *ids; /* (n of r.n_prompt + r.max_new) the prompt and what was made so far */
  size_t n;
  size_t ran;     /* tokens that the model has seen at any time: running them again is no progress */
  nb_kv *kv;      /* NULL while it waits */
  root *from;     /* NULL: its cache is no fork */
  size_t stretch; /* what the keys of its prompt are turned by (nb_config_stretch) */
  nb_rng rng;
  bool cancelled, over;
  nb_batch_end why;
  struct sequence *next; /* in the queue */
} sequence;

/* What a segment of the batch belongs to: one of the two. */
typedef struct owner {
  sequence *q;
  root *r;
} owner;

struct nb_batch {
  nb_session *s;
  const nb_model *m;
  nb_batch_opts o;
  size_t block_bytes; /* of NB_KV_BLOCK positions, all layers and heads */
  sequence *head, *tail;
  size_t n_waiting;
  sequence **running; /* (o.most) in the order of their coming */
  size_t n_running;
  root *roots[MAX_ROOTS];
  size_t n_roots;
  uint64_t tickets, clock;
  nb_segment *seg; /* (max_tokens) */
  owner *owner;    /* (max_tokens) */
  size_t n_segs;
  float *logits;   /* (LOGIT_ROWS, V) */
  uint32_t *order; /* (threads, V) for sampling */
  nb_batch_stats stats;
};

/* ---- making ---- */

nb_status nb_batch_create(nb_session *s, const nb_model *m, const nb_batch_opts *o, nb_batch **out, nb_err *err) {
  nb_batch *b;
  nb_status st;
  const nb_config *c = &m->config;
  size_t T = nb_session_max_tokens(s), n;
  *out = NULL;
  NB_TRY(nb_new(&b, 1, sizeof *b, "a batch", err));
  *b = (nb_batch){.s = s, .m = m, .o = *o};
  b->o.most = nb_min(o->most ? o->most : DEFAULT_MOST, T);
  b->block_bytes = c->layers * c->kv_heads * nb_kv_block_bytes(o->kv, c->head_dim);
  if (!nb_mul((size_t)nb_session_threads(s), c->vocab, &n)) n = SIZE_MAX;
  NB_GOTO(nb_new(&b->running, b->o.most, sizeof *b->running, "a batch", err));
  NB_GOTO(nb_new(&b->seg, T, sizeof *b->seg, "a batch", err));
  NB_GOTO(nb_new(&b->owner, T, sizeof *b->owner, "a batch", err));
  NB_GOTO(nb_new(&b->logits, LOGIT_ROWS * c->vocab, sizeof *b->logits, "the logits", err));
  NB_GOTO(nb_new(&b->order, n, sizeof *b->order, "the sampler", err));
  *out = b;
  return NB_OK;
fail:
  nb_batch_free(b);
  return st;
}

static void free_sequence(sequence *q) {
  nb_kv_free(q->kv);
  nb_free(q->ids);
  nb_free(q);
}

static void free_root(root *r) {
  nb_kv_free(r->kv);
  nb_free(r->ids);
  nb_free(r);
}

void nb_batch_free(nb_batch *b) {
  if (!b) return;
  for (size_t i = 0; i < b->n_running; i++) free_sequence(b->running[i]);
  for (sequence *q = b->head, *next; q; q = next) next = q->next, free_sequence(q);
  for (size_t i = 0; i < b->n_roots; i++) free_root(b->roots[i]);
  nb_free(b->running), nb_free(b->seg), nb_free(b->owner), nb_free(b->logits), nb_free(b->order);
  nb_free(b);
}

/* ---- the queue ---- */

static void push_back(nb_batch *b, sequence *q) {
  q->next = NULL;
  *(b->tail ? &b->tail->next : &b->head) = q;
  b->tail = q;
  b->n_waiting++;
}

static void push_front(nb_batch *b, sequence *q) {
  q->next = b->head;
  b->head = q;
  if (!b->tail) b->tail = q;
  b->n_waiting++;
}

static sequence *pop(nb_batch *b) {
  nb_assert(b->head && b->n_waiting);
  sequence *q = b->head;
  b->head = q->next;
  if (!b->head) b->tail = NULL;
  b->n_waiting--;
  return q;
}

nb_status nb_batch_submit(nb_batch *b, const nb_batch_request *r, uint64_t *ticket, nb_err *err) {
  const nb_config *c = &b->m->config;
  size_t capacity;
  sequence *q;
  if (r->n_prompt == 0) return nb_fail(err, NB_ERR_ARG, "the prompt is empty");
  if (r->max_new == 0) return nb_fail(err, NB_ERR_ARG, "no new tokens are asked for");
  if (!nb_add(r->n_prompt, r->max_new, &capacity) || capacity > c->max_position)
    return nb_fail(err, NB_ERR_ARG, "%zu prompt tokens and %zu new ones do not fit the model's %zu positions",
                   r->n_prompt, r->max_new, c->max_position);
  for (size_t i = 0; i < r->n_prompt; i++)
    if (r->prompt[i] < 0 || (size_t)r->prompt[i] >= c->vocab)
      return nb_fail(err, NB_ERR_ARG, "token id %d is out of range (0 to %zu)", r->prompt[i], c->vocab - 1);
  NB_TRY(nb_new(&q, 1, sizeof *q, "a request", err));
  *q = (sequence){.r = *r, .ticket = ++b->tickets, .n = r->n_prompt, .rng = {r->sampling.seed}};
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
  for (sequence *q = b->head; q; q = q->next)
    if (q->ticket == ticket) q->cancelled = true;
}

size_t nb_batch_unfinished(const nb_batch *b) { return b->n_running + b->n_waiting; }
size_t nb_batch_waiting(const nb_batch *b) { return b->n_waiting; }
const nb_batch_stats *nb_batch_stats_of(const nb_batch *b) { return &b->stats; }

/* ---- caches ---- */

static bool is_dynamic(const nb_batch *b) { return b->m->config.rope_kind == NB_ROPE_DYNAMIC; }

/* What the keys of a sequence's prompt are turned by. With dynamic scaling each token that follows is turned for the
 * length at its own step, and what is held stays; other kinds turn the whole sequence for its length. */
static size_t stretch_of(const nb_batch *b, const sequence *q) {
  return nb_config_stretch(&b->m->config, is_dynamic(b) ? q->r.n_prompt : q->n);
}

/* Tokens that the sequence's next segment takes, of the room that is left; its cache is set to turn them. */
static size_t next_tokens(const nb_batch *b, sequence *q, size_t room) {
  nb_assert(room > 0 && nb_kv_length(q->kv) < q->n);
  size_t have = nb_kv_length(q->kv), n = nb_min(q->n - have, room);
  if (!is_dynamic(b)) return n;
  n = have < q->r.n_prompt ? nb_min(n, q->r.n_prompt - have) : 1;
  nb_kv_restretch(q->kv, nb_config_stretch(&b->m->config, nb_max(q->r.n_prompt, have + 1)));
  return n;
}

static void drop_cache(sequence *q) {
  nb_assert(!q->from || q->from->users);
  nb_kv_free(q->kv);
  if (q->from) q->from->users--;
  q->kv = NULL, q->from = NULL;
}

/* Bytes of a cache of n tokens that shares the first `shared`. */
static size_t cache_bytes(const nb_batch *b, size_t n, size_t shared) {
  nb_assert(shared <= n);
  return ((n + NB_KV_BLOCK - 1) / NB_KV_BLOCK - shared / NB_KV_BLOCK) * b->block_bytes;
}

/* What all caches hold when their tokens are run. */
static size_t bytes_in_use(const nb_batch *b) {
  size_t sum = 0;
  for (size_t i = 0; i < b->n_roots; i++) sum += cache_bytes(b, b->roots[i]->n, 0);
  for (size_t i = 0; i < b->n_running; i++) {
    const sequence *q = b->running[i];
    sum += cache_bytes(b, q->n, q->from ? q->from->n : 0);
  }
  return sum;
}

static void remove_root(nb_batch *b, size_t i) {
  nb_assert(i < b->n_roots && !b->roots[i]->users);
  free_root(b->roots[i]);
  b->roots[i] = b->roots[--b->n_roots];
}

/* Lets the beginning go that was not used for the longest time; false: all are in use. */
static bool let_a_root_go(nb_batch *b, const root *keep) {
  size_t oldest = b->n_roots;
  for (size_t i = 0; i < b->n_roots; i++) {
    const root *r = b->roots[i];
    if (r->users || r == keep) continue;
    if (oldest == b->n_roots || r->used < b->roots[oldest]->used) oldest = i;
  }
  if (oldest == b->n_roots) return false;
  remove_root(b, oldest);
  return true;
}

/* ---- shared beginnings ---- */

static size_t common(const int32_t *a, size_t na, const int32_t *b, size_t nb) {
  size_t n = nb_min(na, nb), i = 0;
  while (i < n && a[i] == b[i]) i++;
  return i;
}

/* The held beginning that is the longest of q's; its whole must be (forks take all of it). */
static root *longest_root(const nb_batch *b, const sequence *q) {
  root *best = NULL;
  for (size_t i = 0; i < b->n_roots; i++) {
    root *r = b->roots[i];
    if (r->stretch != stretch_of(b, q) || r->n >= q->n || (best && r->n <= best->n)) continue;
    if (common(r->ids, r->n, q->ids, r->n) == r->n) best = r;
  }
  return best;
}

static int falling(const void *a, const void *b) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x < y) - (x > y);
}

/* The length of a beginning that would save more tokens than the one held: q's with those that wait behind it; 0:
 * there is none. A beginning that k others have saves k times its length. */
static size_t better_beginning(const nb_batch *b, const sequence *q, const root *held) {
  size_t len[LOOK_AHEAD], n = 0, saved = held ? held->n : 0, best = 0;
  for (const sequence *w = q->next; w && n < LOOK_AHEAD; w = w->next) {
    if (stretch_of(b, w) != stretch_of(b, q)) continue;
    len[n] = common(q->ids, q->n - 1, w->ids, w->n - 1);
    if (held) saved += nb_min(len[n], held->n);
    n++;
  }
  qsort(len, n, sizeof *len, falling);
  for (size_t k = 0; k < n; k++)
    if (len[k] >= MIN_SHARED && (k + 1) * len[k] > saved) saved = (k + 1) * len[k], best = len[k];
  return best;
}

static nb_status add_root(nb_batch *b, const sequence *q, size_t n, root **out, nb_err *err) {
  nb_assert(n > 0 && n < q->n);
  root *r;
  *out = NULL;
  if (b->n_roots == MAX_ROOTS && !let_a_root_go(b, NULL)) return NB_OK;
  NB_TRY(nb_new(&r, 1, sizeof *r, "a shared beginning", err));
  *r = (root){.n = n, .stretch = stretch_of(b, q)};
  nb_status st = nb_new(&r->ids, n, sizeof *r->ids, "a shared beginning", err);
  if (st == NB_OK) st = nb_kv_create(&b->m->config, n, b->o.kv, r->stretch, &r->kv, err);
  if (st != NB_OK) return free_root(r), st;
  memcpy(r->ids, q->ids, n * sizeof *r->ids);
  b->roots[b->n_roots++] = *out = r;
  return NB_OK;
}

/* ---- admission ---- */

/* Lets the queue's first in. *in = false: it has to wait, for memory or for its beginning to be run. */
static nb_status admit_first(nb_batch *b, bool *in, nb_err *err) {
  sequence *q = b->head;
  root *r = NULL;
  *in = false;
  if (!b->o.share_never) {
    r = longest_root(b, q);
    size_t n = better_beginning(b, q, r);
    if (n) {
      root *made;
      NB_TRY(add_root(b, q, n, &made, err));
      if (made) r = made;
    }
  }
  if (r) r->used = ++b->clock;
  if (b->o.kv_bytes) { /* room for the tokens at hand, and for everyone's next block */
    size_t need = cache_bytes(b, q->n, r ? r->n : 0) + b->n_running * b->block_bytes;
    while (bytes_in_use(b) + need > b->o.kv_bytes)
      if (!let_a_root_go(b, r)) {
        if (b->n_running) return NB_OK;
        break;
      }
  }
  if (r && nb_kv_length(r->kv) < r->n) return NB_OK;
  size_t capacity = q->r.n_prompt + q->r.max_new;
  q->stretch = stretch_of(b, q);
  if (r) NB_TRY(nb_kv_fork(r->kv, r->n, capacity, &q->kv, err));
  else NB_TRY(nb_kv_create(&b->m->config, capacity, b->o.kv, q->stretch, &q->kv, err));
  if (r) {
    r->users++;
    q->from = r;
    if (q->ran < r->n) b->stats.shared_tokens += r->n - q->ran;
    q->ran = nb_max(q->ran, r->n);
  }
  nb_assert(b->n_running < b->o.most && nb_kv_length(q->kv) < q->n);
  b->running[b->n_running++] = pop(b);
  *in = true;
  return NB_OK;
}

static nb_status admit(nb_batch *b, nb_err *err) {
  for (bool in = true; in && b->head && b->n_running < b->o.most;) NB_TRY(admit_first(b, &in, err));
  return NB_OK;
}

/* Takes those out whose caches must go: the last to come while there is too little memory, and those that passed the
 * LongRoPE switch, whose keys must be turned anew. They go on first. */
static void give_way(nb_batch *b) {
  size_t kept = 0;
  for (size_t i = 0; i < b->n_running; i++) {
    sequence *q = b->running[i];
    if (stretch_of(b, q) != q->stretch) {
      drop_cache(q);
      push_front(b, q);
    } else {
      b->running[kept++] = q;
    }
  }
  b->n_running = kept;
  while (b->o.kv_bytes && b->n_running > 1 && bytes_in_use(b) > b->o.kv_bytes) {
    if (let_a_root_go(b, NULL)) continue;
    sequence *q = b->running[--b->n_running];
    drop_cache(q);
    push_front(b, q);
    b->stats.gave_way++;
  }
}

/* ---- a step ---- */

static void add_segment(nb_batch *b, owner o, size_t n) {
  nb_kv *kv = o.q ? o.q->kv : o.r->kv;
  size_t have = nb_kv_length(kv);
  nb_assert(n > 0 && b->n_segs < nb_session_max_tokens(b->s) && have + n <= nb_kv_capacity(kv));
  nb_assert(have + n <= (o.q ? o.q->n : o.r->n));
  b->owner[b->n_segs] = o;
  b->seg[b->n_segs++] = (nb_segment){kv, (o.q ? o.q->ids : o.r->ids) + have, n};
}

/* Fills the batch: the next token of every text first, then prompts, in the order of their coming. *prompts: whether
 * it holds any of those. */
static void fill(nb_batch *b, bool *prompts) {
  size_t room = nb_session_max_tokens(b->s);
  b->n_segs = 0, *prompts = false;
  for (size_t i = 0; i < b->n_running && room; i++) {
    sequence *q = b->running[i];
    if (q->n - nb_kv_length(q->kv) != 1) continue;
    add_segment(b, (owner){q, NULL}, next_tokens(b, q, 1));
    room--;
  }
  for (size_t i = 0; i < b->n_roots && room; i++) {
    root *r = b->roots[i];
    size_t n = nb_min(r->n - nb_kv_length(r->kv), room);
    if (!n) continue;
    add_segment(b, (owner){NULL, r}, n);
    b->stats.prompt_tokens += n;
    room -= n, *prompts = true;
  }
  for (size_t i = 0; i < b->n_running && room; i++) {
    sequence *q = b->running[i];
    size_t have = nb_kv_length(q->kv), n;
    if (q->n - have == 1) continue;
    n = next_tokens(b, q, room);
    add_segment(b, (owner){q, NULL}, n);
    size_t again = q->ran > have ? nb_min(q->ran - have, n) : 0;
    b->stats.again_tokens += again, b->stats.prompt_tokens += n - again;
    room -= n, *prompts = true;
  }
}

static bool all_finite(const float *x, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(x[i])) return false;
  return true;
}

static bool is_end(const nb_config *c, int32_t id) {
  for (size_t i = 0; i < c->n_eos; i++)
    if (c->eos_ids[i] == id) return true;
  return false;
}

typedef struct pick_job {
  nb_batch *b;
  sequence *const *q; /* (rows) */
  int32_t *id;        /* (rows) */
  bool not_finite;
} pick_job;

static void pick_rows(void *ctx, size_t begin, size_t end, int thread) {
  pick_job *j = ctx;
  size_t V = j->b->m->config.vocab;
  for (size_t i = begin; i < end; i++) {
    float *l = j->b->logits + i * V;
    if (!all_finite(l, V)) __atomic_store_n(&j->not_finite, true, __ATOMIC_RELAXED);
    else j->id[i] = nb_sampling_pick(l, V, &j->q[i]->r.sampling, &j->q[i]->rng, j->b->order + (size_t)thread * V);
  }
}

/* Takes a new token into its text, or ends the text. */
static void take_token(nb_batch *b, sequence *q, int32_t id) {
  b->stats.new_tokens++;
  if (!q->r.ignore_eos && is_end(&b->m->config, id)) {
    q->over = true, q->why = NB_BATCH_EOS;
    return;
  }
  nb_assert(q->n < q->r.n_prompt + q->r.max_new);
  q->ids[q->n++] = id;
  if (q->r.token && !q->r.token(q->r.ctx, id)) q->over = true, q->why = NB_BATCH_STOPPED;
  else if (q->n == q->r.n_prompt + q->r.max_new) q->over = true, q->why = NB_BATCH_LENGTH;
}

/* Samples for n sequences, whose last tokens are the given rows of hidden. */
static nb_status sample(nb_batch *b, sequence *const *q, const size_t *row, size_t n, nb_err *err) {
  int32_t id[LOGIT_ROWS];
  pick_job j = {b, q, id, false};
  nb_assert(n <= LOGIT_ROWS);
  if (!n) return NB_OK;
  nb_session_logits(b->s, b->m, row, n, b->logits);
  nb_parallel_for(nb_session_threads(b->s), n, 1, pick_rows, &j);
  if (j.not_finite) return nb_fail(err, NB_ERR_NUMERIC, "the head's logits are not finite (NaN or infinity)");
  for (size_t i = 0; i < n; i++) take_token(b, q[i], id[i]);
  return NB_OK;
}

static nb_status sample_all(nb_batch *b, nb_err *err) {
  sequence *q[LOGIT_ROWS];
  size_t row[LOGIT_ROWS], n = 0, base = 0;
  for (size_t i = 0; i < b->n_segs; base += b->seg[i++].n) {
    sequence *x = b->owner[i].q;
    if (!x) continue;
    x->ran = nb_max(x->ran, nb_kv_length(x->kv));
    if (nb_kv_length(x->kv) < x->n) continue;
    nb_assert(nb_kv_length(x->kv) == x->n && n < LOGIT_ROWS);
    q[n] = x, row[n++] = base + b->seg[i].n - 1;
    if (n < LOGIT_ROWS) continue;
    NB_TRY(sample(b, q, row, n, err));
    n = 0;
  }
  return sample(b, q, row, n, err);
}

static void end(sequence *q) {
  drop_cache(q);
  if (q->r.ended) q->r.ended(q->r.ctx, q->why);
  free_sequence(q);
}

/* Lets those go that are over. A callback may submit, which changes the queue's end only. */
static void leave(nb_batch *b) {
  size_t kept = 0, n = b->n_running;
  for (size_t i = 0; i < n; i++)
    if (!b->running[i]->over) {
      sequence *q = b->running[i];
      b->running[i] = b->running[kept];
      b->running[kept++] = q;
    }
  b->n_running = kept;
  for (size_t i = kept; i < n; i++) end(b->running[i]);
}

static void leave_cancelled(nb_batch *b) {
  sequence *all = b->head, *gone = NULL;
  b->head = b->tail = NULL, b->n_waiting = 0;
  for (sequence *next; all; all = next) {
    next = all->next;
    if (!all->cancelled) push_back(b, all);
    else all->next = gone, gone = all;
  }
  for (size_t i = 0; i < b->n_running; i++)
    if (b->running[i]->cancelled) b->running[i]->over = true, b->running[i]->why = NB_BATCH_CANCELLED;
  leave(b);
  for (sequence *next; gone; gone = next) {
    next = gone->next;
    gone->why = NB_BATCH_CANCELLED;
    end(gone);
  }
}

static size_t bytes_held(const nb_batch *b) {
  size_t sum = 0;
  for (size_t i = 0; i < b->n_roots; i++) sum += nb_kv_bytes(b->roots[i]->kv);
  for (size_t i = 0; i < b->n_running; i++) sum += nb_kv_bytes(b->running[i]->kv);
  return sum;
}

nb_status nb_batch_step(nb_batch *b, bool *busy, nb_err *err) {
  double begin = nb_clock();
  bool prompts;
  leave_cancelled(b);
  give_way(b);
  NB_TRY(admit(b, err));
  fill(b, &prompts);
  if (b->n_segs) {
    size_t before = b->stats.new_tokens;
    NB_TRY(nb_session_forward(b->s, b->m, b->seg, b->n_segs, err));
    b->stats.most_kv_bytes = nb_max(b->stats.most_kv_bytes, bytes_held(b));
    b->stats.most_running = nb_max(b->stats.most_running, b->n_running);
    NB_TRY(sample_all(b, err));
    leave(b);
    double took = nb_clock() - begin;
    b->stats.steps++, b->stats.seconds += took;
    if (!prompts) b->stats.decode_seconds += took, b->stats.decode_tokens += b->stats.new_tokens - before;
  }
  *busy = b->n_running || b->n_waiting;
  return NB_OK;
}
