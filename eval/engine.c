/* SPDX-License-Identifier: MIT */
#include "eval/engine.h"

#include "base/mem.h"

#include <math.h>

nb_status nb_engine_create(nb_session *s, const nb_model *m, nb_engine *out, nb_err *err) {
  *out = (nb_engine){.session = s, .model = m};
  size_t n;
  if (!nb_mul(NB_ENGINE_ROWS, m->config.vocab, &n)) n = SIZE_MAX;
  return nb_new(&out->logits, n, sizeof *out->logits, "logits", err);
}

void nb_engine_free(nb_engine *e) {
  nb_free(e->logits);
  *e = (nb_engine){0};
}

/* A row of the batch that targets need. */
typedef struct scored_row {
  size_t row;
  const nb_job *job;
  const nb_target *target; /* n of them share the row */
  size_t n;
} scored_row;

static nb_status score_rows(nb_engine *e, const scored_row *rows, size_t n, nb_err *err) {
  size_t index[NB_ENGINE_ROWS], V = e->model->config.vocab;
  const nb_kernels *k = nb_session_kernels(e->session);
  for (size_t i = 0; i < n; i++) index[i] = rows[i].row;
  nb_session_logits(e->session, e->model, index, n, e->logits);
  for (size_t i = 0; i < n; i++) {
    const float *l = e->logits + i * V;
    double sum = k->logsumexp(l, V);
    for (size_t t = 0; t < rows[i].n; t++) {
      const nb_target *target = &rows[i].target[t];
      double lp = (double)l[(size_t)target->token] - sum;
      if (!isfinite(lp))
        return nb_fail(err, NB_ERR_NUMERIC, "a log-prob is not finite (NaN or infinity in the logits)");
      rows[i].job->logprob[target->choice] += lp;
    }
  }
  return NB_OK;
}

/* The part of a job that is in a batch. */
typedef struct piece {
  const nb_job *job;
  size_t from, n; /* tokens */
} piece;

static nb_status run_batch(nb_engine *e, const piece *pieces, size_t n, nb_err *err) {
  nb_segment seg[NB_ENGINE_PIECES] = {{0}};
  scored_row rows[NB_ENGINE_ROWS];
  size_t n_rows = 0, base = 0;
  for (size_t i = 0; i < n; i++) {
    seg[i] = (nb_segment){pieces[i].job->kv, pieces[i].job->tokens + pieces[i].from, pieces[i].n};
    e->n_tokens += pieces[i].n;
  }
  NB_TRY(nb_session_forward(e->session, e->model, seg, n, err));
  for (size_t i = 0; i < n; base += pieces[i++].n) {
    const nb_job *j = pieces[i].job;
    size_t begin = j->first + pieces[i].from, end = begin + pieces[i].n;
    for (size_t t = 0; t < j->n_targets;) {
      size_t same = t + 1, pos = j->target[t].pos;
      while (same < j->n_targets && j->target[same].pos == pos) same++;
      if (pos >= begin && pos < end) {
        rows[n_rows++] = (scored_row){base + pos - begin, j, &j->target[t], same - t};
        if (n_rows == NB_ENGINE_ROWS) {
          NB_TRY(score_rows(e, rows, n_rows, err));
          n_rows = 0;
        }
      }
      t = same;
    }
  }
  return n_rows ? score_rows(e, rows, n_rows, err) : NB_OK;
}

nb_status nb_engine_run(nb_engine *e, nb_job *job, size_t n_jobs, nb_err *err) {
  size_t room = nb_session_max_tokens(e->session), used = 0, n = 0;
  piece pieces[NB_ENGINE_PIECES];
  for (size_t i = 0; i < n_jobs; i++)
    for (size_t from = 0; from < job[i].n;) {
      size_t take = nb_min(job[i].n - from, room - used);
      pieces[n++] = (piece){&job[i], from, take};
      from += take, used += take;
      if (used < room && n < NB_ENGINE_PIECES) continue;
      NB_TRY(run_batch(e, pieces, n, err));
      used = n = 0;
    }
  return n ? run_batch(e, pieces, n, err) : NB_OK;
}
