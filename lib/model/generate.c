/* SPDX-License-Identifier: MIT */
#include "model/generate.h"

#include "base/clock.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

uint64_t nb_rng_next(nb_rng *r) {
  uint64_t z = r->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

double nb_rng_unit(nb_rng *r) { return (double)(nb_rng_next(r) >> 11) * 0x1p-53; }

size_t nb_generate_largest(const float *x, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

/* Restores a max-heap of probabilities (ids at equal ones: lowest first) below node i. */
static bool before(const float *p, uint32_t a, uint32_t b) { return p[a] > p[b] || (p[a] == p[b] && a < b); }
static void sift(const float *p, uint32_t *heap, size_t n, size_t i) {
  for (;;) {
    size_t best = i, l = 2 * i + 1, r = l + 1;
    if (l < n && before(p, heap[l], heap[best])) best = l;
    if (r < n && before(p, heap[r], heap[best])) best = r;
    if (best == i) return;
    uint32_t t = heap[i];
    heap[i] = heap[best], heap[best] = t;
    i = best;
  }
}

/* The tokens leave a heap in falling order until they hold top_p of the probability: the V log V of a sort is
 * not paid for the tail. */
int32_t nb_sampling_pick(float *logits, size_t V, const nb_sampling *s, nb_rng *rng, uint32_t *order) {
  size_t best = nb_generate_largest(logits, V);
  if (s->temperature <= 0) return (int32_t)best;
  double total = 0, max = logits[best];
  for (size_t i = 0; i < V; i++) {
    logits[i] = (float)exp(((double)logits[i] - max) / s->temperature);
    total += logits[i];
    order[i] = (uint32_t)i;
  }
  double want = total * fmin(fmax(s->top_p, 0), 1), kept = 0;
  size_t n = V, taken = 0;
  for (size_t i = V / 2; i-- > 0;) sift(logits, order, V, i);
  while (n > 0 && (taken == 0 || kept < want)) { /* the taken ones gather at the end, falling towards the front */
    uint32_t top = order[0];
    order[0] = order[--n];
    order[n] = top;
    sift(logits, order, n, 0);
    kept += logits[top];
    taken++;
  }
  double x = nb_rng_unit(rng) * kept;
  for (size_t i = V; i-- > n;) {
    x -= logits[order[i]];
    if (x < 0) return (int32_t)order[i];
  }
  return (int32_t)order[n]; /* rounding: the last of those kept */
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

/* Brings the cache to the n ids: what is new, or all when it has the wrong rope factors for n tokens. *last is the row
 * of the last token in hidden. */
static nb_status extend(nb_session *s, const nb_model *m, nb_kv **kv, nb_kv_type type, const int32_t *ids, size_t n,
                        size_t capacity, size_t *last, nb_err *err) {
  size_t stretch = nb_config_stretch(&m->config, n);
  if (!*kv || stretch != nb_kv_stretch(*kv)) {
    nb_kv_free(*kv);
    NB_TRY(nb_kv_create(&m->config, capacity, type, stretch, kv, err));
  }
  size_t have = nb_kv_length(*kv);
  *last = (n - have - 1) % nb_session_max_tokens(s);
  return nb_session_prefill(s, m, *kv, ids + have, n - have, err);
}

nb_status nb_generate(nb_session *s, const nb_model *m, const int32_t *prompt, size_t n_prompt, const nb_generation *g,
                      nb_generation_stats *stats, nb_err *err) {
  nb_status st;
  nb_kv *kv = NULL;
  int32_t *ids = NULL;
  float *logits = NULL;
  uint32_t *order = NULL;
  size_t V = m->config.vocab, capacity, n = n_prompt;
  nb_generation_stats zero = {0}, *out = stats ? stats : &zero;
  nb_rng rng = {g->sampling.seed};
  *out = zero;
  out->prompt_tokens = n_prompt;
  if (n_prompt == 0) return nb_fail(err, NB_ERR_ARG, "the prompt is empty");
  if (!nb_add(n_prompt, g->max_new, &capacity) || capacity > m->config.max_position)
    return nb_fail(err, NB_ERR_ARG, "%zu prompt tokens and %zu new ones do not fit the model's %zu positions", n_prompt,
                   g->max_new, m->config.max_position);
  NB_GOTO(nb_new(&ids, capacity, sizeof *ids, "the tokens", err));
  NB_GOTO(nb_new(&logits, V, sizeof *logits, "the logits", err));
  NB_GOTO(nb_new(&order, V, sizeof *order, "the sampler", err));
  memcpy(ids, prompt, n_prompt * sizeof *ids);
  double start = nb_clock();
  for (; n < capacity; n++) {
    size_t last;
    NB_GOTO(extend(s, m, &kv, g->kv_type, ids, n, capacity, &last, err));
    nb_session_logits(s, m, &last, 1, logits);
    if (!all_finite(logits, V))
      NB_GOTO(nb_fail(err, NB_ERR_NUMERIC, "the head's logits are not finite (NaN or infinity)"));
    if (n == n_prompt) out->prompt_s = nb_clock() - start, start = nb_clock();
    ids[n] = nb_sampling_pick(logits, V, &g->sampling, &rng, order);
    if (!g->ignore_eos && is_end(&m->config, ids[n])) {
      out->ended = true;
      break;
    }
    out->new_tokens++;
    if (g->token && !g->token(g->ctx, ids[n])) break;
  }
  out->new_s = nb_clock() - start;
  out->kv_bytes = kv ? nb_kv_bytes(kv) : 0;
  st = NB_OK;
fail:
  nb_kv_free(kv);
  nb_free(ids);
  nb_free(logits);
  nb_free(order);
  return st;
}
