/* SPDX-License-Identifier: MIT */
/* Who holds which cache in a batch: admission, shared beginnings, kept caches, giving way. */
#include "model/batch_impl.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
  MIN_SHARED = 32, /* tokens that are worth a shared beginning */
  LOOK_AHEAD = 64  /* waiting requests that are compared to find one */
};

void nb_batch_root_free(nb_batch_root *r) {
  nb_kv_free(r->kv);
  nb_free(r->ids);
  nb_free(r);
}

/* What the keys of a sequence's prompt are turned by. With dynamic scaling each token that follows is turned for the
 * length at its own step, and what is held stays; other kinds turn the whole sequence for its length. */
static size_t stretch_of(const nb_batch *b, const nb_batch_sequence *q) {
  return nb_config_stretch(&b->m->config, nb_batch_dynamic(b) ? q->r.n_prompt : q->n);
}

static void drop_cache(nb_batch_sequence *q) {
  nb_assert(!q->from || q->from->users);
  nb_kv_free(q->kv);
  if (q->from) q->from->users--;
  q->kv = NULL, q->from = NULL;
}

/* ---- memory ---- */

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
    const nb_batch_sequence *q = b->running[i];
    sum += cache_bytes(b, q->n, q->from ? q->from->n : 0);
  }
  return sum;
}

bool nb_batch_has_room(const nb_batch *b, size_t more) {
  return !b->o.kv_bytes || bytes_in_use(b) + more <= b->o.kv_bytes;
}

size_t nb_batch_kv_bytes(const nb_batch *b) {
  size_t sum = 0;
  for (size_t i = 0; i < b->n_roots; i++) sum += nb_kv_bytes(b->roots[i]->kv);
  for (size_t i = 0; i < b->n_running; i++) sum += nb_kv_bytes(b->running[i]->kv);
  return sum;
}

static void remove_root(nb_batch *b, size_t i) {
  nb_assert(i < b->n_roots && !b->roots[i]->users);
  nb_batch_root_free(b->roots[i]);
  b->roots[i] = b->roots[--b->n_roots];
}

/* Lets the beginning (only_kept: the kept cache) go that was not used for the longest time; false: all are in use. */
static bool let_a_root_go(nb_batch *b, const nb_batch_root *but, bool only_kept) {
  size_t oldest = b->n_roots;
  for (size_t i = 0; i < b->n_roots; i++) {
    const nb_batch_root *r = b->roots[i];
    if (r->users || r == but || (only_kept && !r->kept)) continue;
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

/* The held beginning that is the longest of q's, and how much of it is q's. A shared beginning is taken as a whole (and
 * waited for until it is run), a kept cache also in part. */
static nb_batch_root *longest_root(const nb_batch *b, const nb_batch_sequence *q, size_t *shared) {
  nb_batch_root *best = NULL;
  *shared = 0;
  for (size_t i = 0; i < b->n_roots; i++) {
    nb_batch_root *r = b->roots[i];
    if (r->stretch != stretch_of(b, q) || (r->kept && nb_batch_dynamic(b))) continue;
    size_t n = common(r->ids, r->n, q->ids, q->n - 1);
    if (n > *shared && (n == r->n || r->kept)) best = r, *shared = n;
  }
  return best;
}

static int falling(const void *a, const void *b) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x < y) - (x > y);
}

/* The length of a beginning that would save more tokens than the one held, of `held` tokens: q's with those that wait
 * behind it; 0: there is none. A beginning that k others have saves k times its length. */
static size_t better_beginning(const nb_batch *b, const nb_batch_sequence *q, size_t held) {
  size_t len[LOOK_AHEAD], n = 0, saved = held, best = 0;
  for (const nb_batch_sequence *w = q->next; w && n < LOOK_AHEAD; w = w->next) {
    if (w->r.score_prompt || stretch_of(b, w) != stretch_of(b, q)) continue;
    len[n] = common(q->ids, q->n - 1, w->ids, w->n - 1);
    saved += nb_min(len[n], held);
    n++;
  }
  qsort(len, n, sizeof *len, falling);
  for (size_t k = 0; k < n; k++)
    if (len[k] >= MIN_SHARED && (k + 1) * len[k] > saved) saved = (k + 1) * len[k], best = len[k];
  return best;
}

/* A root of n tokens, without a cache, not in the list. */
static nb_status new_root(const int32_t *ids, size_t n, size_t stretch, nb_batch_root **out, nb_err *err) {
  nb_batch_root *r;
  NB_TRY(nb_new(&r, 1, sizeof *r, "a shared beginning", err));
  *r = (nb_batch_root){.n = n, .stretch = stretch};
  nb_status st = nb_new(&r->ids, n, sizeof *r->ids, "a shared beginning", err);
  if (st != NB_OK) return nb_batch_root_free(r), st;
  memcpy(r->ids, ids, n * sizeof *r->ids);
  *out = r;
  return NB_OK;
}

static nb_status add_root(nb_batch *b, const nb_batch_sequence *q, size_t n, nb_batch_root **out, nb_err *err) {
  nb_assert(n > 0 && n < q->n);
  nb_batch_root *r;
  if (b->n_roots == b->most_roots && !let_a_root_go(b, *out, false)) return NB_OK;
  NB_TRY(new_root(q->ids, n, stretch_of(b, q), &r, err));
  nb_status st = nb_kv_create(&b->m->config, n, b->o.kv, r->stretch, &r->kv, err);
  if (st != NB_OK) return nb_batch_root_free(r), st;
  b->roots[b->n_roots++] = *out = r;
  return NB_OK;
}

/* ---- kept caches ---- */

/* Whether the tokens of `of` begin with those of r. */
static bool begins_with(const nb_batch_root *of, const nb_batch_root *r) {
  return of->stretch == r->stretch && r->n <= of->n && common(of->ids, of->n, r->ids, r->n) == r->n;
}

/* Makes room for a kept cache, in the list and in memory. What another holds as well is not kept twice. */
static bool room_to_keep(nb_batch *b, const nb_batch_root *r) {
  size_t kept = 0;
  for (size_t i = b->n_roots; i-- > 0;) {
    nb_batch_root *x = b->roots[i];
    if (!x->kept) continue;
    if (begins_with(x, r)) return x->used = ++b->clock, false;
    if (!x->users && begins_with(r, x)) remove_root(b, i);
    else kept++;
  }
  for (; kept >= b->o.keep; kept--)
    if (!let_a_root_go(b, NULL, true)) return false;
  while (b->n_roots == b->most_roots || !nb_batch_has_room(b, cache_bytes(b, r->n, 0)))
    if (!let_a_root_go(b, NULL, false)) return false;
  return true;
}

/* What may be kept of a text that is over, with the cache taken from it; NULL: nothing, which is none of the text's
 * failures. Keys of dynamic scaling are turned by the history of their own text: nobody else can use them. The one
 * cache of a batch with a capacity stays nevertheless, for its memory. */
static nb_batch_root *take_cache(const nb_batch *b, nb_batch_sequence *q) {
  nb_batch_root *r;
  nb_err err;
  size_t n = q->kv ? nb_kv_length(q->kv) : 0;
  if (!n || !b->o.keep || (nb_batch_dynamic(b) && !b->o.capacity)) return NULL;
  if (new_root(q->ids, n, q->stretch, &r, &err) != NB_OK) return NULL;
  r->kept = true;
  if (!q->from) r->kv = q->kv, q->kv = NULL;
  else if (nb_kv_copy(q->kv, n, n, &r->kv, &err) != NB_OK) return nb_batch_root_free(r), NULL;
  return r;
}

void nb_batch_leave_cache(nb_batch *b, nb_batch_sequence *q) {
  nb_batch_root *r = take_cache(b, q);
  drop_cache(q);
  if (!r) return;
  if (!room_to_keep(b, r)) {
    nb_batch_root_free(r);
    return;
  }
  r->used = ++b->clock;
  b->roots[b->n_roots++] = r;
}

nb_batch_root *nb_batch_kept(const nb_batch *b) {
  nb_assert(b->o.capacity && !b->n_running && b->n_roots <= 1);
  return b->n_roots ? b->roots[0] : NULL;
}

nb_status nb_batch_keep(nb_batch *b, nb_kv *kv, const int32_t *ids, nb_err *err) {
  nb_batch_root *r;
  if (nb_batch_kept(b)) remove_root(b, 0);
  if (!kv) return NB_OK;
  nb_status st = new_root(ids, nb_kv_length(kv), nb_kv_stretch(kv), &r, err);
  if (st != NB_OK) return nb_kv_free(kv), st;
  r->kv = kv, r->kept = true;
  b->roots[b->n_roots++] = r;
  return NB_OK;
}

/* ---- admission ---- */

/* What q begins with among the held caches, a new one being made where several wait for it. */
static nb_status find_beginning(nb_batch *b, const nb_batch_sequence *q, nb_batch_root **r, size_t *shared,
                                nb_err *err) {
  *r = NULL, *shared = 0;
  if (b->o.share_never || q->r.score_prompt) return NB_OK;
  *r = longest_root(b, q, shared);
  size_t n = b->o.capacity ? 0 : better_beginning(b, q, *shared);
  if (n) {
    nb_batch_root *made = NULL;
    NB_TRY(add_root(b, q, n, &made, err));
    if (made) *r = made, *shared = n;
  }
  if (*r) (*r)->used = ++b->clock;
  return NB_OK;
}

/* The one cache of a batch with a capacity becomes q's, with the first `shared` tokens of what it holds. */
static nb_status take_over(nb_batch *b, nb_batch_sequence *q, size_t shared, nb_err *err) {
  if (!b->n_roots) return nb_kv_create(&b->m->config, b->o.capacity, b->o.kv, q->stretch, &q->kv, err);
  q->kv = b->roots[0]->kv, b->roots[0]->kv = NULL;
  remove_root(b, 0);
  nb_kv_truncate(q->kv, shared);
  if (!shared) nb_kv_restretch(q->kv, q->stretch);
  return NB_OK;
}

/* A cache for q that begins with what r holds of it. */
static nb_status begin_cache(nb_batch *b, nb_batch_sequence *q, nb_batch_root *r, size_t shared, nb_err *err) {
  size_t capacity = q->r.n_prompt + q->r.max_new;
  q->stretch = stretch_of(b, q);
  if (q->ran < shared) b->stats.shared_tokens += shared - q->ran;
  q->ran = nb_max(q->ran, shared);
  if (b->o.capacity) return take_over(b, q, shared, err);
  if (!r) return nb_kv_create(&b->m->config, capacity, b->o.kv, q->stretch, &q->kv, err);
  if (shared == r->n) {
    NB_TRY(nb_kv_fork(r->kv, r->n, capacity, &q->kv, err));
    r->users++;
    q->from = r;
  } else {
    NB_TRY(nb_kv_copy(r->kv, shared, capacity, &q->kv, err));
  }
  return NB_OK;
}

/* Lets the queue's first in. *in = false: it has to wait, for memory or for its beginning to be run. */
static nb_status admit_first(nb_batch *b, bool *in, nb_err *err) {
  nb_batch_sequence *q = b->head;
  nb_batch_root *r;
  size_t shared;
  *in = false;
  NB_TRY(find_beginning(b, q, &r, &shared, err));
  /* Room for the tokens at hand, and for everyone's next block. */
  size_t need = cache_bytes(b, q->n, r && shared == r->n ? shared : 0) + b->n_running * b->block_bytes;
  while (!nb_batch_has_room(b, need))
    if (!let_a_root_go(b, r, false)) {
      if (b->n_running) return NB_OK;
      break;
    }
  if (r && nb_kv_length(r->kv) < r->n) return NB_OK;
  NB_TRY(begin_cache(b, q, r, shared, err));
  nb_assert(b->n_running < b->o.most && nb_kv_length(q->kv) < q->n);
  b->running[b->n_running++] = nb_batch_pop(b);
  *in = true;
  return NB_OK;
}

nb_status nb_batch_admit(nb_batch *b, nb_err *err) {
  for (bool in = true; in && b->head && b->n_running < b->o.most;) NB_TRY(admit_first(b, &in, err));
  return NB_OK;
}

void nb_batch_give_way(nb_batch *b) {
  size_t kept = 0;
  for (size_t i = 0; i < b->n_running; i++) {
    nb_batch_sequence *q = b->running[i];
    const size_t stretch = stretch_of(b, q);
    if (stretch != q->stretch && q->from) {
      drop_cache(q);
      nb_batch_push_front(b, q);
      continue;
    }
    if (stretch != q->stretch) {
      q->stretch = stretch;
      nb_kv_truncate(q->kv, 0);
      nb_kv_restretch(q->kv, stretch);
    }
    b->running[kept++] = q;
  }
  b->n_running = kept;
  while (b->n_running > 1 && !nb_batch_has_room(b, 0)) {
    if (let_a_root_go(b, NULL, false)) continue;
    nb_batch_sequence *q = b->running[--b->n_running];
    drop_cache(q);
    nb_batch_push_front(b, q);
    b->stats.gave_way++;
  }
}
