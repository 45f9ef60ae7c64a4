/* SPDX-License-Identifier: MIT */
#include "eval/bench.h"
#include "base/clock.h"
#include "model/generate.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TOKENS = 512, HEAD_DIM = 96, KEYS = 2048, QUERIES = 32 };
static const double MIN_SECONDS = 0.2;

/* Everything that the kernels are run on. */
typedef struct bench_data {
  const nb_kernels *k;
  size_t N, K, Kp;
  float *x, *y; /* (TOKENS, K), (TOKENS, N) */
  nb_q8 q;
  void *scratch;
  uint8_t *weights;
  size_t weight_bytes;
  const nb_progress *progress;
} bench_data;

/* Seconds a call: the best of batches that together take MIN_SECONDS. */
static double time_calls(void (*call)(bench_data *, void *), bench_data *d, void *arg) {
  double best = INFINITY, spent = 0;
  for (int i = 0; i < 3 || spent < MIN_SECONDS; i++) {
    double start = nb_clock();
    call(d, arg);
    double t = nb_clock() - start;
    best = fmin(best, t);
    spent += t;
  }
  return best;
}

static nb_status make_data(const nb_kernels *k, size_t N, size_t K, const nb_progress *progress, bench_data *d,
                           nb_err *err) {
  size_t Kp = nb_kernels_pad_inputs(K),
         scratch = nb_max(nb_kernels_linear_scratch(Kp), nb_attn_scratch_bytes(HEAD_DIM));
  nb_rng rng = {7};
  *d = (bench_data){.k = k, .N = N, .K = K, .Kp = Kp, .weight_bytes = nb_max(N * K * 4, 64), .progress = progress};
  NB_TRY(nb_new(&d->x, TOKENS * K, sizeof(float), "the benchmark", err));
  NB_TRY(nb_new(&d->y, TOKENS * N, sizeof(float), "the benchmark", err));
  NB_TRY(nb_new(&d->q.q, TOKENS * Kp, 1, "the benchmark", err));
  NB_TRY(nb_new(&d->q.scale, TOKENS * Kp / NB_QA_GROUP, sizeof(float), "the benchmark", err));
  NB_TRY(nb_new(&d->q.sum, TOKENS * Kp / NB_BLOCK, sizeof(int32_t), "the benchmark", err));
  NB_TRY(nb_new(&d->weights, d->weight_bytes + 4096, 1, "the benchmark", err));
  NB_TRY(nb_new(&d->scratch, scratch, 1, "the benchmark", err));
  for (size_t i = 0; i < TOKENS * K; i++) d->x[i] = (float)(nb_rng_unit(&rng) - 0.5);
  for (size_t i = 0; i < d->weight_bytes / 8; i++) { /* any bytes are codes; as bf16 they stay finite and small */
    uint64_t v = nb_rng_next(&rng) & 0xbfffbfffbfffbfffu;
    memcpy(d->weights + 8 * i, &v, 8);
  }
  d->q.K = K, d->q.Kp = Kp;
  for (size_t t = 0; t < TOKENS; t++)
    k->quantize_q8(d->x + t * K, K, Kp, d->q.q + t * Kp, d->q.scale + t * (Kp / NB_QA_GROUP),
                   d->q.sum + t * (Kp / NB_BLOCK));
  return NB_OK;
}

static void free_data(bench_data *d) {
  void *all[] = {d->x, d->y, d->q.q, d->q.scale, d->q.sum, d->weights, d->scratch};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) nb_free(all[i]);
}

static void call_q8(bench_data *d, void *arg) {
  const nb_qmat *m = arg;
  d->k->linear_q8(m, 0, m->n_tiles, &d->q, d->y, d->N, d->scratch);
}

static void call_float(bench_data *d, void *arg) {
  d->k->linear_float(arg, 0, d->N, &(nb_rows){d->x, d->q.T, d->K, NULL}, d->y, d->N, d->scratch);
}

static void call_attention(bench_data *d, void *arg) { d->k->attention(arg, d->scratch); }

static nb_kernel_timing *row(nb_kernel_timing *out, size_t *n, const char *name, const char *format, size_t tokens) {
  nb_kernel_timing *t = &out[(*n)++];
  memset(t, 0, sizeof *t);
  snprintf(t->kernel, sizeof t->kernel, "%s%s%s", name, *format ? " " : "", format);
  t->tokens = tokens;
  return t;
}

/* Times a row between two looks at its limit. One token: weights stream, so the bytes that `reads` has count; many:
 * multiply-adds. */
static nb_status measure(bench_data *d, nb_kernel_timing *t, void (*call)(bench_data *, void *), void *arg,
                         nb_limit_memory reads, nb_peak_unit macs, nb_err *err) {
  t->bytes = t->tokens == 1;
  const nb_peak_unit unit = t->bytes ? NB_PEAK_READ : macs;
  const nb_limit_reads all = {&reads, 1, reads.size};
  if (t->bytes) t->work = (double)reads.size;
  NB_TRY(nb_limit_look(d->k, 1, unit, &all, &t->limit, err));
  t->seconds = time_calls(call, d, arg);
  return nb_limit_look(d->k, 1, unit, &all, &t->limit, err);
}

static nb_status bench_format(bench_data *d, nb_qfmt fmt, nb_kernel_timing *out, size_t *n, nb_err *err) {
  nb_qmat m;
  nb_qmat_layout l;
  char name[16];
  NB_TRY(nb_qmat_plan(d->N, d->K, fmt, &m, &l, err));
  NB_TRY(nb_qmat_view(d->N, d->K, fmt, d->weights, l.total, &m, err));
  nb_qfmt_name(fmt, name);
  for (d->q.T = 1; d->q.T <= TOKENS; d->q.T *= TOKENS) {
    nb_kernel_timing *t = row(out, n, "linear_q8", name, d->q.T);
    t->work = (double)d->N * (double)d->K * (double)d->q.T;
    NB_TRY(measure(d, t, call_q8, &m, (nb_limit_memory){d->weights, l.total}, NB_PEAK_INT8, err));
    NB_TRY(nb_progress_step(d->progress, *n, 0, err));
  }
  return NB_OK;
}

static nb_status bench_dense(bench_data *d, nb_dtype dtype, nb_kernel_timing *out, size_t *n, nb_err *err) {
  nb_tensor w = {.dtype = dtype,
                 .n_dims = 2,
                 .shape = {d->N, d->K, 1, 1},
                 .data = d->weights,
                 .n_bytes = d->N * d->K * nb_dtype_bytes(dtype)};
  for (d->q.T = 1; d->q.T <= TOKENS; d->q.T *= TOKENS) {
    nb_kernel_timing *t = row(out, n, "linear_float", nb_dtype_name(dtype), d->q.T);
    t->work = (double)d->N * (double)d->K * (double)d->q.T;
    NB_TRY(measure(d, t, call_float, &w, (nb_limit_memory){w.data, w.n_bytes}, NB_PEAK_F32, err));
    NB_TRY(nb_progress_step(d->progress, *n, 0, err));
  }
  return NB_OK;
}

/* The caches of integers are multiplied as 16-bit integers, which no machine does faster than those of 8. */
static nb_status bench_attention(bench_data *d, nb_kv_type type, nb_kernel_timing *out, size_t *n, nb_err *err) {
  static const char *const names[] = {"f32", "f16", "q16", "q8"};
  size_t block = nb_kv_block_bytes(type, HEAD_DIM), blocks = KEYS / NB_KV_BLOCK;
  nb_status st = NB_OK;
  uint8_t *kv;
  NB_TRY(nb_new(&kv, blocks, block, "the benchmark", err));
  for (size_t p = 0; p < KEYS; p++)
    d->k->kv_store(kv + p / NB_KV_BLOCK * block, type, HEAD_DIM, p % NB_KV_BLOCK, d->x + p % 64 * HEAD_DIM,
                   d->x + p % 61 * HEAD_DIM);
  for (size_t q = 1; q <= QUERIES && st == NB_OK; q *= QUERIES) {
    nb_attn a = {.q = d->x,
                 .out = d->y,
                 .ldq = HEAD_DIM,
                 .ldo = HEAD_DIM,
                 .n_q = q,
                 .group = 1,
                 .head_dim = HEAD_DIM,
                 .pos0 = KEYS - q,
                 .scale = 0.1f,
                 .type = type,
                 .own = kv};
    nb_kernel_timing *t = row(out, n, "attention", names[type], q);
    t->work = 2.0 * KEYS * HEAD_DIM * (double)q;
    st = measure(d, t, call_attention, &a, (nb_limit_memory){kv, blocks * block},
                 type == NB_KV_F32 || type == NB_KV_F16 ? NB_PEAK_F32 : NB_PEAK_INT8, err);
  }
  nb_free(kv);
  if (st == NB_OK) st = nb_progress_step(d->progress, *n, 0, err);
  return st;
}

nb_status nb_bench_kernels(const nb_kernels *k, size_t N, size_t K, const nb_progress *progress, nb_kernel_timing *out,
                           size_t *n, nb_err *err) {
  static const nb_qfmt formats[] = {{3, 1, 64},  {4, 1, 64}, {4, 1, 128}, {4, 0, 32},
                                    {5, 1, 128}, {6, 0, 64}, {7, 0, 64},  {8, 0, 64}};
  bench_data d;
  *n = 0;
  nb_status st = make_data(k, N, K, progress, &d, err);
  for (size_t i = 0; st == NB_OK && i < sizeof formats / sizeof *formats; i++)
    st = bench_format(&d, formats[i], out, n, err);
  if (st == NB_OK) st = bench_dense(&d, NB_BF16, out, n, err);
  if (st == NB_OK) st = bench_dense(&d, NB_F32, out, n, err);
  for (int t = NB_KV_F32; st == NB_OK && t < NB_KV_TYPES; t++) st = bench_attention(&d, (nb_kv_type)t, out, n, err);
  free_data(&d);
  return st;
}
