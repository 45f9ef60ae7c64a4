/* SPDX-License-Identifier: MIT */
#include "eval/fidelity.h"

#include "base/assert.h"
#include "base/clock.h"
#include "model/generate.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "eval/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 32 }; /* predictions whose logits are held at once */

typedef struct side {
  nb_fidelity_side of;
  float *logits; /* (ROWS, V) */
  double seconds;
} side;

typedef struct row {
  double ref_nll, cand_nll, kl;
  bool same_top;
} row;

typedef struct compare_job {
  const float *ref, *cand; /* (n, V) */
  const int32_t *target;   /* (n) */
  const nb_kernels *k;
  size_t V;
  row *out;
} compare_job;

static void compare_rows(void *ctx, size_t begin, size_t end, int thread) {
  const compare_job *j = ctx;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    const float *a = j->ref + i * j->V, *b = j->cand + i * j->V;
    double la = j->k->logsumexp(a, j->V), lb = j->k->logsumexp(b, j->V), kl = 0;
    for (size_t v = 0; v < j->V; v++) {
      double p = a[v] - la;
      kl += exp(p) * (p - (b[v] - lb));
    }
    size_t t = (size_t)j->target[i];
    j->out[i] =
        (row){la - a[t], lb - b[t], kl < 0 ? 0 : kl, nb_generate_largest(a, j->V) == nb_generate_largest(b, j->V)};
  }
}

static nb_status forward(side *x, const int32_t *window, size_t ctx, nb_err *err) {
  nb_kv *kv;
  double start = nb_clock();
  NB_TRY(nb_kv_create(&x->of.model->config, ctx, x->of.kv, nb_config_stretch(&x->of.model->config, ctx), &kv, err));
  nb_status st = nb_session_prefill(x->of.session, x->of.model, kv, window, ctx, err);
  nb_kv_free(kv);
  x->seconds += nb_clock() - start;
  return st;
}

static void logits(side *x, const size_t *rows, size_t n) {
  double start = nb_clock();
  nb_session_logits(x->of.session, x->of.model, rows, n, x->logits);
  x->seconds += nb_clock() - start;
}

/* Scores the second half of one window into out (ctx - ctx / 2 rows). */
static nb_status score_window(side *ref, side *cand, const int32_t *window, size_t ctx, row *out, nb_err *err) {
  nb_status st = forward(ref, window, ctx, err);
  if (st != NB_OK) return nb_fail_in(err, st, "the reference");
  st = forward(cand, window, ctx, err);
  if (st != NB_OK) return nb_fail_in(err, st, "the candidate");
  for (size_t first = ctx / 2; first < ctx; first += ROWS) {
    size_t n = nb_min(ROWS, ctx - first), rows[ROWS];
    for (size_t i = 0; i < n; i++) rows[i] = first - 1 + i;
    logits(ref, rows, n);
    logits(cand, rows, n);
    compare_job j = {ref->logits,
                     cand->logits,
                     window + first,
                     nb_session_kernels(ref->of.session),
                     ref->of.model->config.vocab,
                     out + (first - ctx / 2)};
    nb_parallel_for(nb_session_threads(ref->of.session), n, 1, compare_rows, &j);
  }
  return NB_OK;
}

static nb_status check_finite(const row *r, size_t n, nb_err *err) {
  for (size_t i = 0; i < n; i++)
    if (!isfinite(r[i].ref_nll) || !isfinite(r[i].cand_nll) || !isfinite(r[i].kl))
      return nb_fail(err, NB_ERR_NUMERIC, "%s: the head's logits are not finite (NaN or infinity)",
                     isfinite(r[i].ref_nll) ? "the candidate" : "the reference");
  return NB_OK;
}

/* Standard error of the mean of equally long windows' means. */
static double standard_error(const double *mean, size_t n) {
  double m = 0, var = 0;
  for (size_t i = 0; i < n; i++) m += mean[i] / (double)n;
  for (size_t i = 0; i < n; i++) var += (mean[i] - m) * (mean[i] - m);
  return n > 1 ? sqrt(var / (double)(n - 1) / (double)n) : NAN;
}

static nb_status summarise(const row *r, size_t chunks, size_t half, nb_fidelity *out, nb_err *err) {
  nb_assert(chunks > 0 && half > 0);
  nb_status st;
  size_t n = chunks * half;
  double *kl = NULL, *kl_mean = NULL, *top = NULL, ref = 0, cand = 0;
  NB_GOTO(nb_new(&kl, n, sizeof *kl, "the divergences", err));
  NB_GOTO(nb_new(&kl_mean, chunks, sizeof *kl_mean, "the divergences", err));
  NB_GOTO(nb_new(&top, chunks, sizeof *top, "the agreements", err));
  for (size_t i = 0; i < n; i++) {
    ref += r[i].ref_nll, cand += r[i].cand_nll;
    kl[i] = r[i].kl;
    kl_mean[i / half] += r[i].kl / (double)half;
    top[i / half] += (double)r[i].same_top / (double)half;
  }
  out->chunks = chunks, out->scored = n;
  out->ref_ppl = exp(ref / (double)n), out->cand_ppl = exp(cand / (double)n);
  out->kl_mean = out->top1 = 0;
  for (size_t c = 0; c < chunks; c++) out->kl_mean += kl_mean[c] / (double)chunks, out->top1 += top[c] / (double)chunks;
  out->kl_mean_se = standard_error(kl_mean, chunks);
  out->top1_se = standard_error(top, chunks);
  nb_stats_sort_doubles(kl, n);
  out->kl_median = n % 2 ? kl[n / 2] : (kl[n / 2 - 1] + kl[n / 2]) / 2;
  out->kl_p90 = kl[(n * 90 + 99) / 100 - 1];
  out->kl_p99 = kl[(n * 99 + 99) / 100 - 1];
  out->kl_max = kl[n - 1];
  st = NB_OK;
fail:
  nb_free(kl);
  nb_free(kl_mean);
  nb_free(top);
  return st;
}

nb_status nb_fidelity_measure(const nb_fidelity_side *ref, const nb_fidelity_side *cand, const int32_t *tokens,
                              size_t n, const nb_fidelity_opts *o, nb_fidelity *out, nb_err *err) {
  nb_status st;
  side a = {.of = *ref}, b = {.of = *cand};
  row *rows = NULL;
  int32_t *window = NULL;
  size_t ctx = o->ctx, half = ctx - ctx / 2, chunks = ctx ? n / ctx : 0, V = ref->model->config.vocab;
  memset(out, 0, sizeof *out);
  if (ctx < 2 || ctx > nb_session_max_tokens(ref->session) || ctx > nb_session_max_tokens(cand->session))
    return nb_fail(err, NB_ERR_ARG, "windows of %zu tokens are out of range", ctx);
  if (cand->model->config.vocab != V)
    return nb_fail(err, NB_ERR_ARG, "the models' vocabularies differ (%zu and %zu): they are not the same model", V,
                   cand->model->config.vocab);
  if (chunks == 0) return nb_fail(err, NB_ERR_ARG, "the text has %zu tokens, less than a window of %zu", n, ctx);
  if (o->max_chunks) chunks = nb_min(chunks, o->max_chunks);
  NB_GOTO(nb_new(&a.logits, ROWS * V, sizeof(float), "the logits", err));
  NB_GOTO(nb_new(&b.logits, ROWS * V, sizeof(float), "the logits", err));
  NB_GOTO(nb_new(&rows, chunks * half, sizeof *rows, "the scores", err));
  NB_GOTO(nb_new(&window, ctx, sizeof *window, "a window", err));
  for (size_t c = 0; c < chunks; c++) {
    memcpy(window, tokens + c * ctx, ctx * sizeof *window);
    if (o->bos >= 0) window[0] = o->bos;
    NB_GOTO(score_window(&a, &b, window, ctx, rows + c * half, err));
    NB_GOTO(check_finite(rows + c * half, half, err));
    NB_GOTO(nb_progress_step(o->progress, c + 1, chunks, err));
  }
  for (size_t i = 0; o->window_kl && i < chunks * half; i++) {
    if (i % half == 0) o->window_kl[i / half] = 0;
    o->window_kl[i / half] += rows[i].kl / (double)half;
  }
  NB_GOTO(summarise(rows, chunks, half, out, err));
  out->ref_seconds = a.seconds, out->cand_seconds = b.seconds;
fail:
  nb_free(a.logits);
  nb_free(b.logits);
  nb_free(rows);
  nb_free(window);
  return st;
}
