/* SPDX-License-Identifier: MIT */
#include "eval/bench_together.h"

#include "base/mem.h"

#include <time.h>

/* Processor seconds, a thread's share. */
static double now(const nb_session *s) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return ((double)t.tv_sec + 1e-9 * (double)t.tv_nsec) / nb_session_threads(s);
}

/* Token i of text k: the same for all texts before `shared`. */
static int32_t token(const nb_model *m, size_t k, size_t i, size_t shared) {
  uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u + (i < shared ? 0 : (k + 1) * 0xbf58476d1ce4e5b9u);
  return (int32_t)((x >> 20) % m->config.vocab);
}

static nb_status time_prompt(nb_session *s, const nb_model *m, const nb_bench_together_opts *o, int32_t *ids,
                             nb_bench_together *out, nb_err *err) {
  const size_t n = o->n, context = o->context;
  nb_kv *kv;
  for (size_t i = 0; i < context + n; i++) ids[i] = token(m, 0, i, 0);
  NB_TRY(nb_kv_create(&m->config, context + n, o->kv, nb_config_stretch(&m->config, context + n), &kv, err));
  nb_status st = nb_session_prefill(s, m, kv, ids, context, err);
  double best = 0;
  for (int again = 0; again < 3 && st == NB_OK; again++) {
    nb_kv_truncate(kv, context);
    double t = now(s);
    st = nb_session_prefill(s, m, kv, ids + context, n, err);
    t = now(s) - t;
    if (t > 0 && (double)n / t > best) best = (double)n / t;
  }
  nb_kv_free(kv);
  return out->prompt_per_s = best, st;
}

static nb_status time_texts(nb_batch *b, const nb_session *s, size_t n, nb_bench_together *out, nb_err *err) {
  double seconds = 0;
  size_t written = 0;
  for (bool busy = true; busy;) {
    const nb_batch_stats *st = nb_batch_stats_of(b);
    size_t prompt = st->prompt_tokens, before = st->new_tokens;
    double t = now(s);
    NB_TRY(nb_batch_step(b, &busy, err));
    t = now(s) - t;
    if (st->prompt_tokens > prompt || st->new_tokens - before < n) continue;
    seconds += t, written += st->new_tokens - before, out->steps++;
  }
  out->written_per_s = seconds > 0 ? (double)written / seconds : 0;
  out->kv_bytes = nb_batch_stats_of(b)->most_kv_bytes;
  return NB_OK;
}

nb_status nb_bench_together_run(nb_session *s, const nb_model *m, const nb_bench_together_opts *o,
                                nb_bench_together *out, nb_err *err) {
  const size_t n = o->n, context = o->context;
  nb_batch *b = NULL;
  int32_t *ids;
  nb_status st;
  /* Prompts come one after another: the first texts go on until the last one's is run. */
  size_t waiting = n * (context - o->shared + 1) / nb_session_max_tokens(s) + 2;
  nb_batch_opts bo = {.kv = o->kv, .most = n};
  *out = (nb_bench_together){.steps = 0};
  if (n > nb_session_max_tokens(s))
    return nb_fail(err, NB_ERR_ARG, "%zu texts; a batch takes %zu", n, nb_session_max_tokens(s));
  NB_TRY(nb_new(&ids, context + n + 1, sizeof *ids, "tokens", err));
  NB_GOTO(time_prompt(s, m, o, ids, out, err));
  NB_GOTO(nb_batch_create(s, m, &bo, &b, err));
  for (size_t k = 0; k < n; k++) {
    for (size_t i = 0; i <= context; i++) ids[i] = token(m, k, i, o->shared);
    nb_batch_request r = {.prompt = ids, .n_prompt = context + 1, .max_new = o->tokens + waiting, .ignore_eos = true};
    NB_GOTO(nb_batch_submit(b, &r, NULL, err));
  }
  st = time_texts(b, s, n, out, err);
fail:
  nb_batch_free(b);
  nb_free(ids);
  return st;
}
