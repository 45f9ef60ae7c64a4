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
  float *logits; /* (ROWS, V); the candidates share theirs */
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

/* All that one measurement works on. */
typedef struct measuring {
  side ref, *cand; /* (n) */
  size_t n, ctx, half, chunks;
  row *rows; /* (n, chunks, half) */
} measuring;

/* Scores the second half of window c. */
static nb_status score_window(measuring *m, const int32_t *window, size_t c, nb_err *err) {
  for (size_t k = 0; k <= m->n; k++) {
    side *x = k ? &m->cand[k - 1] : &m->ref;
    nb_status st = forward(x, window, m->ctx, err);
    if (st != NB_OK) return nb_fail_in(err, st, "%s", x->of.name);
  }
  for (size_t first = m->ctx / 2; first < m->ctx; first += ROWS) {
    size_t n = nb_min(ROWS, m->ctx - first), rows[ROWS];
    for (size_t i = 0; i < n; i++) rows[i] = first - 1 + i;
    logits(&m->ref, rows, n);
    for (size_t k = 0; k < m->n; k++) {
      logits(&m->cand[k], rows, n);
      compare_job j = {m->ref.logits,
                       m->cand[k].logits,
                       window + first,
                       nb_session_kernels(m->ref.of.session),
                       m->ref.of.model->config.vocab,
                       m->rows + (k * m->chunks + c) * m->half + (first - m->ctx / 2)};
      nb_parallel_for(nb_session_threads(m->ref.of.session), n, 1, compare_rows, &j);
    }
  }
  return NB_OK;
}

static nb_status check_finite(const measuring *m, size_t c, nb_err *err) {
  for (size_t k = 0; k < m->n; k++)
    for (size_t i = 0; i < m->half; i++) {
      const row *r = &m->rows[(k * m->chunks + c) * m->half + i];
      if (!isfinite(r->ref_nll) || !isfinite(r->cand_nll) || !isfinite(r->kl))
        return nb_fail(err, NB_ERR_NUMERIC, "%s: the head's logits are not finite (NaN or infinity)",
                       isfinite(r->ref_nll) ? m->cand[k].of.name : m->ref.of.name);
    }
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

static nb_status check(const measuring *m, const nb_fidelity_opts *o, nb_err *err) {
  for (size_t k = 0; k <= m->n; k++) {
    const nb_fidelity_side *x = k ? &m->cand[k - 1].of : &m->ref.of;
    if (o->ctx < 2 || o->ctx > nb_session_max_tokens(x->session))
      return nb_fail(err, NB_ERR_ARG, "windows of %zu tokens are out of range", o->ctx);
    if (x->model->config.vocab != m->ref.of.model->config.vocab)
      return nb_fail(err, NB_ERR_ARG, "the vocabularies of %s (%zu) and %s (%zu) differ: they are not the same model",
                     m->ref.of.name, m->ref.of.model->config.vocab, x->name, x->model->config.vocab);
  }
  if (o->n < o->ctx)
    return nb_fail(err, NB_ERR_ARG, "the text has %zu tokens, less than a window of %zu", o->n, o->ctx);
  return NB_OK;
}

/* What the rows of candidate k come to. */
static nb_status conclude(const measuring *m, size_t k, const nb_fidelity_opts *o, nb_fidelity *out, nb_err *err) {
  const row *rows = m->rows + k * m->chunks * m->half;
  for (size_t c = 0; o->window_kl && c < m->chunks; c++) {
    double *mean = &o->window_kl[k * m->chunks + c];
    *mean = 0;
    for (size_t i = 0; i < m->half; i++) *mean += rows[c * m->half + i].kl / (double)m->half;
  }
  NB_TRY(summarise(rows, m->chunks, m->half, out, err));
  out->ref_seconds = m->ref.seconds, out->cand_seconds = m->cand[k].seconds;
  return NB_OK;
}

nb_status nb_fidelity_measure(const nb_fidelity_side *ref, const nb_fidelity_side *cand, size_t n_cands,
                              const nb_fidelity_opts *o, nb_fidelity *out, nb_err *err) {
  nb_status st;
  measuring m = {.ref = {.of = *ref}, .n = n_cands, .ctx = o->ctx, .half = o->ctx - o->ctx / 2};
  int32_t *window = NULL;
  size_t V = ref->model->config.vocab;
  nb_assert(n_cands > 0);
  memset(out, 0, n_cands * sizeof *out);
  NB_TRY(nb_new(&m.cand, n_cands, sizeof *m.cand, "the candidates", err));
  for (size_t k = 0; k < n_cands; k++) m.cand[k].of = cand[k];
  NB_GOTO(check(&m, o, err));
  m.chunks = o->n / o->ctx;
  if (o->max_chunks) m.chunks = nb_min(m.chunks, o->max_chunks);
  NB_GOTO(nb_new(&m.ref.logits, 2 * ROWS * V, sizeof(float), "the logits", err));
  for (size_t k = 0; k < n_cands; k++) m.cand[k].logits = m.ref.logits + ROWS * V; /* one after another */
  NB_GOTO(nb_new(&m.rows, n_cands * m.chunks * m.half, sizeof *m.rows, "the scores", err));
  NB_GOTO(nb_new(&window, m.ctx, sizeof *window, "a window", err));
  for (size_t c = 0; c < m.chunks; c++) {
    memcpy(window, o->tokens + c * m.ctx, m.ctx * sizeof *window);
    if (o->bos >= 0) window[0] = o->bos;
    NB_GOTO(score_window(&m, window, c, err));
    NB_GOTO(check_finite(&m, c, err));
    NB_GOTO(nb_progress_step(o->progress, c + 1, m.chunks, err));
  }
  for (size_t k = 0; k < n_cands; k++) NB_GOTO(conclude(&m, k, o, &out[k], err));
fail:
  nb_free(m.ref.logits);
  nb_free(m.cand);
  nb_free(m.rows);
  nb_free(window);
  return st;
}
