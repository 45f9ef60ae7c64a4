/* SPDX-License-Identifier: MIT */
/* What the kernel tests share: random data, buffers flush against unreadable pages, comparisons. */
#ifndef NB_CHECK_H
#define NB_CHECK_H

#include "kernels/kernels.h"

#include <stdbool.h>

/* One run of one test on one table. */
typedef struct check {
  const nb_kernels *ref, *k; /* k is compared with ref; ref itself with double precision when k == ref */
  uint64_t rng;
  bool at_end;   /* buffers end (or else start) at an unreadable page */
  void *map[64]; /* of this run's buffers */
  size_t map_bytes[64], n_maps;
  char what[200]; /* the case, for messages */
  bool failed;
} check;

uint64_t rnd(check *c);
size_t rnd_below(check *c, size_t n); /* 0 .. n - 1 */
size_t rnd_of(check *c, const size_t *a, size_t n);
float rnd_unit(check *c); /* -1 .. 1 */

enum { F_UNIT, F_WIDE, F_TINY, F_ZERO, F_KINDS };
void rnd_floats(check *c, float *x, size_t n, int kind); /* WIDE: 2^-60 .. 2^60; TINY: with subnormals; ZERO: many */

/* n bytes (64-byte aligned when n is a multiple of 64), filled with a pattern, released after the run. */
void *buffer(check *c, size_t n);
float *floats(check *c, size_t n);

/* Both failures say c->what. NaN equals NaN. */
void same_floats(check *c, const float *want, const float *got, size_t n);
void same_bytes(check *c, const void *want, const void *got, size_t n);
void near(check *c, double want, double got, double bound);
void that(check *c, bool ok, const char *what);
bool untouched(const void *p, size_t n); /* still buffer's pattern */

/* A random matrix, and random quantized activations as quantize_q8 makes them. */
nb_qmat random_qmat(check *c, size_t N, size_t K, nb_qfmt f, bool extreme);
nb_q8 random_q8(check *c, size_t T, size_t K, bool extreme);

#define U 0x1p-24 /* the unit roundoff */

void test_linear_q8(check *c);
void test_linear_float(check *c);
void test_linear_blocks(check *c);
void test_gemm(check *c);
void test_gram(check *c);
void test_gram_nan(check *c);
void test_attention(check *c);
void test_attention_nan(check *c);
void test_kv_store(check *c);
void test_quantize_q8(check *c);
void test_rmsnorm(check *c);
void test_rope(check *c);
void test_hadamard(check *c);
void test_activate(check *c);
void test_softcap(check *c);
void test_layernorm(check *c);
void test_add(check *c);
void test_logsumexp(check *c);
void test_quant_fit(check *c);
void test_trellis_path(check *c);
void test_nan(check *c);
void test_exp(check *c);

/* Times every kernel beside this machine's limits. */
void bench(const nb_kernels *k);

#endif
