/* SPDX-License-Identifier: MIT */
#include "eval/bench.h"

#include "base/clock.h"
#include "model/generate.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

/* The bytes of a matrix, which lie together. */
static nb_limit_memory stored(const nb_linear *w) {
  nb_qmat m;
  nb_qmat_layout l;
  if (!w->coded) return (nb_limit_memory){w->dense.data, w->dense.n_bytes};
  if (nb_qmat_plan(w->N, w->K, w->qmat.fmt, &m, &l, NULL) != NB_OK) return (nb_limit_memory){NULL, 0};
  return (nb_limit_memory){w->qmat.codes - l.codes, l.total};
}

size_t nb_bench_linear_bytes(const nb_linear *w) { return stored(w).size; }

double nb_bench_fraction(const nb_bench_row *r, bool with_attention) {
  return r->per_s * (r->work + (with_attention ? r->attention : 0)) / r->limit.per_s;
}

bool nb_bench_fault(const nb_bench_row *r) { return nb_bench_fraction(r, true) > 1; }

/* ---- the model ---- */

static void count_weights(const nb_model *m, nb_bench *out) {
  const nb_config *c = &m->config;
  const nb_parts *parts = &m->weights.parts;
  out->bytes_per_token = (double)nb_bench_linear_bytes(nb_weights_head(&m->weights));
  for (size_t i = 0; i < parts->embed; i++) {
    const nb_part *p = nb_parts_matrix(parts, i);
    double used = p->expert < 0 ? 1 : (double)c->experts_per_token / (double)c->experts; /* on the mean */
    out->macs_per_token += used * (double)p->N * (double)p->K;
    out->bytes_per_token += used * (double)nb_bench_linear_bytes(&m->weights.w[i]);
  }
}

/* Multiply-adds of attention over a prompt of n tokens, a token on average: scores and values of visible keys. */
static double attention_macs(const nb_config *c, size_t n) {
  double sum = 0;
  for (size_t l = 0; l < c->layers; l++) {
    nb_attend kind = (nb_attend)c->attend[l];
    for (size_t p = 1; p <= n; p++) {
      size_t local = nb_min(p, c->sparse_local * NB_KV_BLOCK);
      if (kind == NB_ATTEND_FULL) sum += (double)p;
      else if (kind == NB_ATTEND_WINDOW) sum += (double)nb_min(p, c->sliding_window);
      else sum += (double)local + (double)(p - local) / (double)c->sparse_stride;
    }
  }
  return 2.0 * (double)(c->heads * c->head_dim) * sum / (double)n;
}

typedef struct run {
  nb_session *s;
  const nb_model *m;
  const nb_bench_opts *o;
  nb_bench *out;
  int32_t *ids;             /* (the longest) */
  float *logits;            /* (V) */
  nb_kv *kv;                /* of all rows; contexts in rising order share what it holds */
  bool int8;                /* which multiply-adds limit a prompt */
  nb_limit_memory *weights; /* (n_weights) what a decoded token reads, or may */
  size_t n_weights;
  size_t done;
} run;

static nb_status list_weights(run *r, nb_err *err) {
  const nb_weights *w = &r->m->weights;
  const size_t n = w->parts.embed;
  NB_TRY(nb_new(&r->weights, n + 1, sizeof *r->weights, "the weights", err));
  for (size_t i = 0; i < n; i++) r->weights[i] = stored(&w->w[i]);
  r->weights[n] = stored(nb_weights_head(w));
  r->n_weights = n + 1;
  return NB_OK;
}

/* Raises the row's limit to what the machine reaches now. */
static nb_status look_at_limit(run *r, bool prompt, nb_bench_row *row, nb_err *err) {
  const nb_peak_unit unit = !prompt ? NB_PEAK_READ : r->int8 ? NB_PEAK_INT8 : NB_PEAK_F32;
  nb_limit *all = &r->out->limits[unit];
  const nb_limit_reads reads = {r->weights, r->n_weights, (size_t)(row->work + row->attention)};
  NB_TRY(nb_limit_look(nb_session_kernels(r->s), nb_session_threads(r->s), unit, &reads, &row->limit, err));
  if (row->limit.per_s > all->per_s) *all = row->limit;
  return NB_OK;
}

static nb_status end_row(run *r, bool prompt, nb_bench_row *row, nb_err *err) {
  nb_memory now, *most = &r->out->memory;
  r->out->kv_bytes = nb_max(r->out->kv_bytes, nb_kv_bytes(r->kv));
  if (nb_memory_read(&now)) {
    most->file_bytes = nb_max(most->file_bytes, now.file_bytes);
    most->anon_bytes = nb_max(most->anon_bytes, now.anon_bytes);
    most->peak_bytes = nb_max(most->peak_bytes, now.file_bytes + now.anon_bytes);
  }
  NB_TRY(look_at_limit(r, prompt, row, err));
  return nb_progress_step(r->o->progress, ++r->done, r->o->n_prefill + r->o->n_context, err);
}

/* Runs one prompt of n tokens in an empty cache: tokens a second, the best of the repetitions. */
static nb_status bench_prefill(const run *r, size_t n, double *per_s, nb_err *err) {
  double spent = 0;
  *per_s = 0;
  do {
    nb_kv_truncate(r->kv, 0);
    double start = nb_clock();
    NB_TRY(nb_session_prefill(r->s, r->m, r->kv, r->ids, n, err));
    double t = nb_clock() - start;
    *per_s = fmax(*per_s, (double)n / t);
    spent += t;
  } while (spent < r->o->min_seconds);
  return NB_OK;
}

/* Decodes after the tokens that are in the cache, logits included. */
static nb_status bench_decode(const run *r, double *per_s, nb_err *err) {
  double spent = 0;
  size_t context = nb_kv_length(r->kv), row = 0, n = r->o->decode_tokens;
  *per_s = 0;
  do {
    double start = nb_clock();
    for (size_t i = 0; i < n; i++) {
      NB_TRY(nb_session_prefill(r->s, r->m, r->kv, r->ids + context + i, 1, err));
      nb_session_logits(r->s, r->m, &row, 1, r->logits);
    }
    double t = nb_clock() - start;
    nb_kv_truncate(r->kv, context);
    *per_s = fmax(*per_s, (double)n / t);
    spent += t;
  } while (spent < r->o->min_seconds);
  return NB_OK;
}

static nb_status prefill_row(run *r, size_t n, nb_bench_row *row, nb_err *err) {
  *row = (nb_bench_row){.tokens = n, .work = r->out->macs_per_token, .attention = attention_macs(&r->m->config, n)};
  NB_TRY(look_at_limit(r, true, row, err));
  NB_TRY(bench_prefill(r, n, &row->per_s, err));
  return end_row(r, true, row, err);
}

static nb_status decode_row(run *r, size_t context, nb_bench_row *row, nb_err *err) {
  size_t have = nb_kv_length(r->kv);
  *row = (nb_bench_row){
      .tokens = context, .work = r->out->bytes_per_token, .attention = r->out->kv_bytes_per_position * (double)context};
  if (context < have) nb_kv_truncate(r->kv, context);
  else NB_TRY(nb_session_prefill(r->s, r->m, r->kv, r->ids + have, context - have, err));
  NB_TRY(look_at_limit(r, false, row, err));
  NB_TRY(bench_decode(r, &row->per_s, err));
  return end_row(r, false, row, err);
}

nb_status nb_bench_run(nb_session *s, const nb_model *m, const nb_bench_opts *o, nb_bench *out, nb_err *err) {
  nb_status st;
  run r = {.s = s, .m = m, .o = o, .out = out, .int8 = m->weights.layer[0].w[0].coded};
  size_t longest = 1;
  nb_rng rng = {1};
  memset(out, 0, sizeof *out);
  for (size_t i = 0; i < o->n_prefill; i++) longest = nb_max(longest, o->prefill[i]);
  for (size_t i = 0; i < o->n_context; i++) longest = nb_max(longest, o->context[i] + o->decode_tokens);
  if (longest > m->config.max_position)
    return nb_fail(err, NB_ERR_ARG, "%zu tokens do not fit the model's %zu positions", longest, m->config.max_position);
  NB_GOTO(nb_new(&r.ids, longest, sizeof *r.ids, "the tokens", err));
  NB_GOTO(nb_new(&r.logits, m->config.vocab, sizeof *r.logits, "the logits", err));
  NB_GOTO(list_weights(&r, err));
  for (size_t i = 0; i < longest; i++) r.ids[i] = (int32_t)(nb_rng_next(&rng) % m->config.vocab);
  count_weights(m, out);
  out->kv_bytes_per_position = (double)(m->config.layers * m->config.kv_heads) *
                               (double)nb_kv_block_bytes(o->kv, m->config.head_dim) / NB_KV_BLOCK;
  NB_GOTO(nb_kv_create(&m->config, longest, o->kv, nb_config_stretch(&m->config, longest), &r.kv, err));
  nb_kv_clear(r.kv); /* no row waits for the system to give memory, nor, after one token, to map the weights */
  NB_GOTO(nb_session_prefill(s, m, r.kv, r.ids, 1, err));
  nb_kv_truncate(r.kv, 0);
  const nb_limit_reads reads = {r.weights, r.n_weights, (size_t)out->bytes_per_token};
  for (int u = 0; u < NB_PEAK_UNITS; u++)
    NB_GOTO(nb_limit_look(nb_session_kernels(s), nb_session_threads(s), (nb_peak_unit)u, &reads, &out->limits[u], err));
  for (size_t i = 0; i < o->n_prefill; i++) NB_GOTO(prefill_row(&r, o->prefill[i], &out->prefill[i], err));
  nb_kv_truncate(r.kv, 0);
  for (size_t i = 0; i < o->n_context; i++) NB_GOTO(decode_row(&r, o->context[i], &out->decode[i], err));
fail:
  nb_kv_free(r.kv);
  nb_free(r.ids), nb_free(r.logits), nb_free(r.weights);
  return st;
}
