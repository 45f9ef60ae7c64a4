/* SPDX-License-Identifier: MIT */
/* One thread, in processor time (others may share the machine), each kernel beside a limit measured next to it. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { REPEATS = 5 };

static double now(void) {
  struct timespec t;
#ifdef __wasm__
  clock_gettime(CLOCK_MONOTONIC, &t); /* there is no other */
#else
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
#endif
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct arena {
  check c;
  const nb_kernels *k;
  void *scratch;
  uint8_t *large;         /* LARGE bytes, more than the caches */
  double int8, f32, read; /* limits: multiply-adds or bytes a second */
} arena;

enum { LARGE = 128 << 20 };

static void release(arena *a) {
  for (size_t i = 0; i < a->c.n_maps; i++) munmap(a->c.map[i], a->c.map_bytes[i]);
  a->c.n_maps = 0;
}

/* The best of every loop of the table. */
static void limits(arena *a) {
  double *best[NB_PEAK_UNITS] = {&a->int8, &a->f32, &a->read};
  for (int i = 0; i < REPEATS; i++)
    for (size_t s = 0; s < NB_KERNEL_SETS; s++)
      for (size_t p = 0; p < a->k->n_peaks[s]; p++) {
        const nb_peak *loop = &a->k->peaks[s][p];
        double t = now(), done = (double)(loop->macs ? loop->macs(20000) : loop->read(a->large, LARGE));
        *best[loop->unit] = fmax(*best[loop->unit], done / (now() - t));
      }
  printf("%s: %.0f G int8 and %.1f G float multiply-adds/s, reads %.1f GB/s\n", a->k->name, a->int8 / 1e9, a->f32 / 1e9,
         a->read / 1e9);
}

static void line(const char *name, size_t T, double work, double seconds, double limit, const char *unit) {
  printf("  %-28s T=%-5zu %8.2f %-8s %5.1f %%\n", name, T, work / seconds / 1e9, unit, 100 * work / seconds / limit);
  fflush(stdout);
}

static void bench_linear_q8(arena *a, size_t N, size_t K, const char *format, size_t T) {
  nb_qfmt f;
  nb_qmat m;
  nb_qmat_layout l;
  if (nb_qfmt_parse(format, &f, NULL) != NB_OK || nb_qmat_plan(N, K, f, &m, &l, NULL) != NB_OK) return;
  nb_qmat w = random_qmat(&a->c, N, K, f, false);
  nb_q8 x = random_q8(&a->c, T, K, false);
  float *y = floats(&a->c, T * N);
  double best = 1e9;
  for (int i = 0; i < REPEATS; i++) {
    if (T == 1) memset(a->large, i, LARGE); /* the weights leave the caches */
    double t = now();
    a->k->linear_q8(&w, 0, w.n_tiles, &x, y, N, a->scratch);
    best = fmin(best, now() - t);
  }
  char name[64];
  snprintf(name, sizeof name, "linear_q8 %s %zux%zu", format, N, K);
  if (T == 1) line(name, T, (double)l.total, best, a->read, "GB/s");
  else line(name, T, (double)(N * K * T), best, a->int8, "GMAC/s");
  release(a);
}

static void bench_linear_float(arena *a, nb_dtype type, size_t T) {
  size_t K = 3072, N = T == 1 ? 8192 : 512, bytes = N * K * nb_dtype_bytes(type);
  nb_tensor w = {type, 2, {N, K, 1, 1}, memset(buffer(&a->c, bytes), 0, bytes), bytes, NULL};
  float *x = floats(&a->c, T * K), *y = floats(&a->c, T * N);
  rnd_floats(&a->c, x, T * K, F_UNIT);
  double best = 1e9;
  for (int i = 0; i < REPEATS; i++) {
    if (T == 1) memset(a->large, i, LARGE);
    double t = now();
    a->k->linear_float(&w, 0, N, &(nb_rows){x, T, K, NULL}, y, N, a->scratch);
    best = fmin(best, now() - t);
  }
  char name[64];
  snprintf(name, sizeof name, "linear_float %s", nb_dtype_name(type));
  if (T == 1) line(name, T, (double)bytes, best, a->read, "GB/s");
  else line(name, T, (double)(N * K * T), best, a->f32, "GMAC/s");
  release(a);
}

/* c += a b of 512 rows, in the order of storage that solving, factoring and the way back read. */
static void bench_gemm(arena *a, bool a_rows, bool b_rows, size_t N, size_t K) {
  size_t M = 512;
  float *x = floats(&a->c, M * K), *w = floats(&a->c, N * K), *y = floats(&a->c, M * N);
  rnd_floats(&a->c, x, M * K, F_UNIT);
  rnd_floats(&a->c, w, N * K, F_UNIT);
  memset(y, 0, M * N * sizeof *y);
  nb_gemm g = {M, N, K, x, w, a_rows ? K : 1, a_rows ? 1 : M, b_rows ? N : 1, b_rows ? 1 : K, y, N, -1, true};
  void *scratch = buffer(&a->c, NB_GEMM_SCRATCH);
  double best = 1e9;
  for (int i = 0; i < REPEATS; i++) {
    double t = now();
    a->k->gemm(&g, scratch);
    best = fmin(best, now() - t);
  }
  char name[64];
  snprintf(name, sizeof name, "gemm %c%c %zux%zux%zu", a_rows ? 'n' : 't', b_rows ? 'n' : 't', M, N, K);
  line(name, M, (double)(M * N * K), best, a->f32, "GMAC/s");
  release(a);
}

/* Statistics of T tokens: rounding, and a square of 128 inputs' products. */
static void bench_gram(arena *a, size_t T) {
  size_t K = 1024, side = 128, blocks = T / NB_GRAM_TOKENS;
  float *x = floats(&a->c, T * K), *scale = floats(&a->c, blocks * K), *y = floats(&a->c, K * K);
  rnd_floats(&a->c, x, T * K, F_UNIT);
  memset(y, 0, K * K * sizeof *y);
  int16_t *z = buffer(&a->c, T * K * 2);
  double best = 1e9, packed = 1e9;
  for (int i = 0; i < REPEATS; i++) {
    double t = now();
    for (size_t b = 0; b < blocks; b++)
      a->k->gram_round(x + b * NB_GRAM_TOKENS * K, K, NB_GRAM_TOKENS, K, z + b * NB_GRAM_TOKENS * K, scale + b * K);
    packed = fmin(packed, now() - t);
    t = now();
    for (size_t j = 0; j < K; j += side)
      for (size_t n = 0; n < K; n += side) {
        nb_gram g = {
            side, side,          blocks, z + j * NB_GRAM_TOKENS, z + n * NB_GRAM_TOKENS, scale + j, scale + n, K,
            K,    y + j * K + n, K};
        a->k->gram_add(&g);
      }
    best = fmin(best, now() - t);
  }
  char name[64];
  snprintf(name, sizeof name, "gram_add, of float's limit");
  line(name, T, (double)(K * K * T), best, a->f32, "GMAC/s");
  printf("  %-28s %.3f ns an element\n", "gram_round", packed / (double)(K * T) * 1e9);
  release(a);
}

/* One head of phi-3-mini's shape at 2048 positions. */
static void bench_attention(arena *a, nb_kv_type type, size_t n_q, size_t group) {
  static const char *const types[] = {"f32", "f16", "q16", "q8"};
  size_t hd = 96, P = 2048, bytes = nb_kv_block_bytes(type, hd);
  uint8_t *kv = buffer(&a->c, P / NB_KV_BLOCK * bytes);
  float *q = floats(&a->c, P * hd * group), *out = floats(&a->c, P * hd * group);
  rnd_floats(&a->c, q, P * hd, F_UNIT);
  for (size_t p = 0; p < P; p++)
    a->k->kv_store(kv + p / NB_KV_BLOCK * bytes, type, hd, p % NB_KV_BLOCK, q + p * hd, q + (P - 1 - p) * hd);
  nb_attn at = {.q = q,
                .out = out,
                .ldq = hd * group,
                .ldo = hd * group,
                .n_q = n_q,
                .group = group,
                .head_dim = hd,
                .pos0 = P - n_q,
                .scale = 0.1f,
                .type = type,
                .own = kv};
  double best = 1e9;
  for (int i = 0; i < (n_q == 1 ? 50 : REPEATS); i++) {
    double t = now();
    a->k->attention(&at, a->scratch);
    best = fmin(best, now() - t);
  }
  char name[64];
  snprintf(name, sizeof name, "attention %s group %zu", types[type], group);
  if (n_q == 1) line(name, n_q, (double)(P / NB_KV_BLOCK * bytes), best, a->read, "GB/s");
  else line(name, n_q, 2.0 * (double)(hd * group) * (double)(P * (P + 1) / 2), best, a->f32, "GMAC/s");
  release(a);
}

static void bench_rest(arena *a) {
  size_t n = 8192;
  float *x = floats(&a->c, n), *w = floats(&a->c, n), *y = floats(&a->c, n), fit[2];
  rnd_floats(&a->c, x, n, F_UNIT);
  rnd_floats(&a->c, w, n, F_UNIT);
  int8_t *q = buffer(&a->c, n);
  int32_t *sum = buffer(&a->c, n / 32 * 4);
  nb_levels lv = {.n = 16};
  for (int i = 0; i < 16; i++) lv.val[i] = (float)(i * 16 - 120), lv.mid[i] = (float)(i * 16 - 112);
  static const char *const names[] = {"quantize_q8", "rmsnorm", "silu", "add", "logsumexp", "quant_fit, 16 levels"};
  volatile double keep = 0;
  for (int what = 0; what < 6; what++) {
    double best = 1e9;
    for (int i = 0; i < 100; i++) {
      double t = now();
      if (what == 0) a->k->quantize_q8(x, n, n, q, y, sum);
      else if (what == 1) a->k->rmsnorm(x, w, n, 1e-5f, y);
      else if (what == 2) a->k->activate(NB_ACT_SILU, x, w, n, y);
      else if (what == 3) a->k->add(y, w, n);
      else if (what == 4) keep = keep + a->k->logsumexp(x, n);
      else
        for (size_t g = 0; g < n; g += 64) a->k->quant_fit(x + g, w + g, 64, 100, &lv, fit);
      best = fmin(best, now() - t);
    }
    printf("  %-28s %.3f ns an element\n", names[what], best / (double)n * 1e9);
  }
  release(a);
}

/* A column of a tile, its rows by themselves and tied. */
static void bench_trellis_path(arena *a) {
  enum { COLUMNS = 512 };
  nb_trellis_levels lv;
  nb_trellis_ties ties = {.sums = {{0}}};
  float *x = floats(&a->c, COLUMNS * NB_TILE);
  uint8_t *level = buffer(&a->c, NB_TILE);
  rnd_floats(&a->c, x, COLUMNS * NB_TILE, F_UNIT);
  for (int i = 0; i < 256; i++)
    for (int j = 0; j < 2 * NB_TRELLIS_STATES; j++) {
      lv.nearest[j % 4][i] = (uint8_t)(i / 32 * 4 + j % 4);
      lv.value[i][j] = (float)(lv.nearest[j % 4][i] * 8 - 127);
    }
  for (int i = 0; i < NB_TILE; i++) {
    ties.weight[i] = 1 + (float)i;
    for (int j = 0; j <= i; j++) ties.mix[i][j] = j == i ? 1 : 0.1f;
  }
  for (int tied = 0; tied < 2; tied++) {
    nb_trellis_column c = {.rows = NB_TILE, .ties = tied ? &ties : NULL};
    for (int r = 0; r < NB_TILE; r++) c.step[r] = 0.01f;
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
      double t = now();
      for (int k = 0; k < COLUMNS; k++) {
        memcpy(c.x, x + k * NB_TILE, sizeof c.x);
        a->k->trellis_path(&lv, &c, level);
      }
      best = fmin(best, now() - t);
    }
    printf("  %-28s %.3f us a column of 16 rows\n", tied ? "trellis_path, tied" : "trellis_path", best / COLUMNS * 1e6);
  }
  release(a);
}

void bench(const nb_kernels *k) {
  static const char *const formats[] = {"t4g64", "t4g128", "u4g64", "u4g128", "t3g64", "u3g64", "t5g64", "u5g64",
                                        "u6g64", "u7g64",  "u8g64", "t4g32",  "c3g64", "c4g64", "c5g64"};
  enum { N_FORMATS = sizeof formats / sizeof *formats };
  arena a = {.c = {.ref = k, .k = k, .rng = 12345}, .k = k};
  a.scratch = nb_alloc(1, nb_max(nb_kernels_linear_scratch(8192), nb_attn_scratch_bytes(512)));
  a.large = nb_alloc(1, LARGE);
  memset(a.large, 1, LARGE);
  limits(&a);
  for (int i = 0; i < N_FORMATS; i++) bench_linear_q8(&a, 16384, 3072, formats[i], 1);
  bench_linear_q8(&a, 16384, 3072, "t4g64", 4);
  for (int i = 0; i < N_FORMATS; i++) bench_linear_q8(&a, 1024, 3072, formats[i], 512);
  bench_linear_q8(&a, 1024, 8192, "t4g64", 512);
  static const size_t few[] = {5, 8, 13, 32, 128};
  for (int i = 0; i < 5; i++) bench_linear_q8(&a, 1024, 3072, "t4g64", few[i]);
  for (int t = 0; t < 3; t++) bench_linear_float(&a, (nb_dtype)t, 1), bench_linear_float(&a, (nb_dtype)t, 512);
  bench_gemm(&a, false, true, 128, 4096);
  bench_gemm(&a, true, true, 512, 4096);
  bench_gemm(&a, true, false, 512, 4096);
  bench_gemm(&a, false, true, 128, 128);
  bench_gemm(&a, false, true, 128, 16);
  bench_gram(&a, 512);
  for (int t = 0; t < NB_KV_TYPES; t++) {
    bench_attention(&a, (nb_kv_type)t, 2048, 1);
    bench_attention(&a, (nb_kv_type)t, 1, 1);
    bench_attention(&a, (nb_kv_type)t, 1, 4);
  }
  bench_rest(&a);
  bench_trellis_path(&a);
  nb_free(a.scratch);
  nb_free(a.large);
}
