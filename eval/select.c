/* SPDX-License-Identifier: MIT */
#include "eval/select.h"

#include "eval/rng.h"

#include <stdlib.h>
#include <xxhash.h>

static bool in_list(const char *list, const char *name) {
  size_t n = strlen(name);
  for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
    if (strcspn(p, ",") == n && !memcmp(p, name, n)) return true;
  return false;
}

static nb_status check_subjects(const nb_dataset *d, const char *list, nb_err *err) {
  for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
    int n = (int)strcspn(p, ",");
    bool found = false;
    for (size_t i = 0; i < d->n && !found; i++)
      found = (int)strlen(d->item[i].subject) == n && !memcmp(d->item[i].subject, p, (size_t)n);
    if (!found) return nb_fail(err, NB_ERR_ARG, "the data have no subject \"%.*s\"", n, p);
  }
  return NB_OK;
}

/* The end of the run of items with the subject of items[i]. */
static size_t subject_end(const nb_item **items, size_t n, size_t i) {
  size_t end = i + 1;
  while (end < n && !strcmp(items[end]->subject, items[i]->subject)) end++;
  return end;
}

static size_t take_first(const nb_item **items, size_t n, size_t limit) {
  size_t to = 0;
  for (size_t i = 0, end; i < n; i = end) {
    end = subject_end(items, n, i);
    for (size_t k = i; k < end && k - i < limit; k++) items[to++] = items[k];
  }
  return to;
}

/* Keeps `want` of items[0..n), drawn without replacement, in order (Knuth's algorithm S). */
static size_t draw(const nb_item **items, size_t n, size_t want, const nb_item **to, uint64_t *state) {
  size_t taken = 0;
  for (size_t i = 0; i < n && taken < want; i++)
    if (nb_rng_below(state, n - i) < want - taken) to[taken++] = items[i];
  return taken;
}

/* By how much a subject's share of the sample is above one question, in parts of n. */
static uint64_t above_one(size_t questions, size_t want, size_t n) {
  uint64_t share = (uint64_t)questions * want;
  return share > n ? share - n : 0;
}

/* Draws `want` of n questions. Each subject gets one, and of the rest in proportion to
 * what its share has above one; after each subject together what is due by then, rounded down. */
static nb_status take_sample(const nb_item **items, size_t *n, size_t want, uint64_t seed, nb_err *err) {
  size_t subjects = 0, to = 0, due = 0, done = 0;
  uint64_t above = 0, all_above = 0;
  if (want >= *n) return NB_OK;
  for (size_t i = 0, end; i < *n; i = end, subjects++) {
    end = subject_end(items, *n, i);
    all_above += above_one(end - i, want, *n);
  }
  if (want < subjects)
    return nb_fail(err, NB_ERR_ARG,
                   "a sample of %zu leaves some of the %zu subjects out; take %zu or more, or name "
                   "subjects",
                   want, subjects, subjects);
  for (size_t i = 0, end; i < *n; i = end) {
    end = subject_end(items, *n, i);
    above += above_one(end - i, want, *n);
    /* The last time both are equal, and the quotient is 1. */
    due = all_above ? (size_t)((double)above / (double)all_above * (double)(want - subjects)) : 0;
    uint64_t state = seed ^ XXH3_64bits(items[i]->subject, strlen(items[i]->subject));
    to += draw(items + i, end - i, 1 + due - done, items + to, &state);
    done = due;
  }
  return *n = to, NB_OK;
}

nb_status nb_select(const nb_dataset *d, const nb_selection *s, const nb_item ***out, size_t *n, nb_err *err) {
  *out = NULL, *n = 0;
  if (s->subjects) NB_TRY(check_subjects(d, s->subjects, err));
  const nb_item **items = calloc(d->n + 1, sizeof *items);
  if (!items) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a list of questions");
  size_t k = 0;
  for (size_t i = 0; i < d->n; i++)
    if (!s->subjects || in_list(s->subjects, d->item[i].subject)) items[k++] = &d->item[i];
  if (s->limit) k = take_first(items, k, s->limit);
  nb_status st = k ? NB_OK : nb_fail(err, NB_ERR_ARG, "no question is left to answer");
  if (st == NB_OK && s->sample) st = take_sample(items, &k, s->sample, s->seed, err);
  if (st != NB_OK) return free(items), st;
  if (s->shards) {
    size_t begin = (size_t)((uint64_t)k * s->shard / s->shards);
    size_t end = (size_t)((uint64_t)k * (s->shard + 1) / s->shards);
    memmove(items, items + begin, (end - begin) * sizeof *items);
    k = end - begin;
  }
  *out = items, *n = k;
  return NB_OK;
}
