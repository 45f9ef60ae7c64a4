/* SPDX-License-Identifier: MIT */
#include "eval/perplexity.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

typedef struct scoring {
  nb_session *s;
  const nb_model *m;
  const nb_perplexity_opts *o;
  size_t *rows;     /* (ctx) */
  double *logprob;  /* (ctx) */
  int32_t *reading; /* (ctx) */
  double *each;     /* where the next token's log-prob goes; NULL: nowhere */
} scoring;

/* Reads seq[0 .. n) and adds the negative log-likelihoods of seq[from .. n], where from >= 1. */
static nb_status score_window(scoring *c, const int32_t *seq, size_t n, size_t from, double *nll, nb_err *err) {
  nb_assert(from >= 1 && from <= n && n <= c->o->ctx);
  const nb_config *config = &c->m->config;
  size_t batch = nb_session_max_tokens(c->s);
  nb_kv *kv;
  memcpy(c->reading, seq, n * sizeof *seq);
  if (c->o->bos_each && c->o->bos >= 0) c->reading[0] = c->o->bos;
  NB_TRY(nb_kv_create(config, n, c->o->kv, nb_config_stretch(config, n), &kv, err));
  nb_status st = NB_OK;
  for (size_t at = 0; at < n && st == NB_OK; at += batch) {
    size_t take = nb_min(batch, n - at), first = from > at + 1 ? from - 1 - at : 0, k = 0;
    st = nb_session_prefill(c->s, c->m, kv, c->reading + at, take, err);
    for (size_t row = first; row < take; row++) c->rows[k++] = row;
    if (st != NB_OK || !k) continue;
    const nb_targets targets = {c->rows, seq + at + first + 1, k};
    st = nb_session_score(c->s, c->m, &targets, c->logprob, NULL, err);
    for (size_t i = 0; i < k && st == NB_OK; i++) {
      if (!isfinite(c->logprob[i])) st = nb_fail(err, NB_ERR_NUMERIC, "a log-prob is not finite (NaN or infinity)");
      *nll -= c->logprob[i];
      if (c->each) *c->each++ = c->logprob[i];
    }
  }
  nb_kv_free(kv);
  return st;
}

nb_status nb_perplexity_measure(nb_session *s, const nb_model *m, const int32_t *tokens, size_t n,
                                const nb_perplexity_opts *o, nb_perplexity *out, nb_err *err) {
  scoring c = {.s = s, .m = m, .o = o, .each = o->each};
  size_t lead = o->bos >= 0, total = n + lead, windows;
  int32_t *seq = NULL;
  double *sum = NULL, *count = NULL;
  nb_status st;
  *out = (nb_perplexity){0};
  if (o->ctx < 1 || o->ctx > m->config.max_position || o->stride < 1 || o->stride > o->ctx)
    return nb_fail(err, NB_ERR_ARG, "windows of %zu tokens, %zu apart, are out of range (the model takes %zu)", o->ctx,
                   o->stride, m->config.max_position);
  if (total < 2) return nb_fail(err, NB_ERR_ARG, "the text has %zu tokens: there is nothing to predict", n);
  /* The last token of all is only predicted. */
  windows = total - 1 <= o->ctx ? 1 : 1 + (total - 1 - o->ctx + o->stride - 1) / o->stride;
  if (o->max_windows) windows = nb_min(windows, o->max_windows);
  NB_GOTO(nb_new(&seq, total, sizeof *seq, "the text", err));
  NB_GOTO(nb_new(&c.rows, o->ctx, sizeof *c.rows, "a window", err));
  NB_GOTO(nb_new(&c.logprob, o->ctx, sizeof *c.logprob, "a window", err));
  NB_GOTO(nb_new(&c.reading, o->ctx, sizeof *c.reading, "a window", err));
  NB_GOTO(nb_new(&sum, windows, sizeof *sum, "the windows", err));
  NB_GOTO(nb_new(&count, windows, sizeof *count, "the windows", err));
  if (lead) seq[0] = o->bos;
  memcpy(seq + lead, tokens, n * sizeof *seq);
  double start = nb_clock();
  size_t next = 1; /* the first token of seq that no window has predicted */
  for (size_t k = 0; k < windows; k++) {
    size_t read = nb_min(o->ctx, total - 1), begin = nb_min(k * o->stride, total - 1 - read), end = begin + read + 1;
    NB_GOTO(score_window(&c, seq + begin, read, next - begin, &sum[k], err));
    nb_assert(next >= begin + 1 && next <= end && end <= total);
    count[k] = (double)(end - next);
    out->nll += sum[k], out->scored += end - next;
    next = end;
    NB_GOTO(nb_progress_step(o->progress, k + 1, windows, err));
  }
  out->windows = windows, out->end = next - lead, out->seconds = nb_clock() - start;
  /* Of a ratio of sums over windows. */
  double mean = out->nll / (double)out->scored, var = 0, w = (double)windows;
  for (size_t k = 0; k < windows; k++) var += (sum[k] - mean * count[k]) * (sum[k] - mean * count[k]);
  out->nll_se = windows > 1 ? sqrt(var * w / (w - 1)) / (double)out->scored : NAN;
fail:
  nb_free(seq), nb_free(c.rows), nb_free(c.logprob), nb_free(c.reading), nb_free(sum), nb_free(count);
  return st;
}
