/* SPDX-License-Identifier: MIT */
/* The kernels that touch each element once, written on the 16-lane machine (simd16.h). */
#ifndef NB_ELEMENTWISE_H
#define NB_ELEMENTWISE_H

#include "simd16.h"

/* How many lanes of the vector at i there are. */
INLINE size_t lanes(size_t n, size_t i) { return n - i < 16 ? n - i : 16; }

/* Quantises n <= 16 * n_vec values to q (all 16 * n_vec written) and returns their scale. */
INLINE float quantize_run(const float *x, size_t n, size_t n_vec, int8_t *q) {
  v16 m = v_set(0);
  for (size_t i = 0; i < n; i += 16) m = v_absmax(m, v_load_n(x + i, lanes(n, i)));
  float amax = v_habsmax(m), scale = amax / 127.0f;
  if (!(amax >= 0x1p-100f && amax < INFINITY)) { /* too small to invert, infinite or NaN */
    memset(q, 0, 16 * n_vec);
    return amax < 1 ? 0 : scale;
  }
  v16 inv = v_set(127.0f / amax);
  for (size_t i = 0; i < n_vec; i++) {
    v16 v = 16 * i < n ? v_load_n(x + 16 * i, lanes(n, 16 * i)) : v_set(0);
    v_store_low8(q + 16 * i, v_add(v_mul(v, inv), v_set(ROUND_MAGIC)));
  }
  return scale;
}

static void quantize_q8(const float *x, size_t K, size_t Kp, int8_t *q, float *scale, int32_t *sum) {
  for (size_t k = 0; k < Kp; k += NB_QA_GROUP) {
    size_t n = k < K ? nb_min(K - k, NB_QA_GROUP) : 0;
    scale[k / NB_QA_GROUP] = quantize_run(x + (n ? k : 0), n, NB_QA_GROUP / 16, q + k);
    for (size_t b = k; b < k + NB_QA_GROUP; b += NB_BLOCK) {
      int32_t s = 0;
      for (size_t i = 0; i < NB_BLOCK; i++) s += q[b + i];
      sum[b / NB_BLOCK] = s;
    }
  }
}

static void rmsnorm(const float *x, const float *w, size_t D, float eps, float *y) {
  v16 ss = v_set(0);
  for (size_t i = 0; i < D; i += 16) {
    v16 v = v_load_n(x + i, lanes(D, i));
    ss = v_fma(v, v, ss);
  }
  v16 r = v_set(1.0f / sqrtf(v_sum(ss) / (float)D + eps));
  for (size_t i = 0; i < D; i += 16) {
    size_t n = lanes(D, i);
    v_store_n(y + i, v_mul(v_mul(v_load_n(x + i, n), r), v_load_n(w + i, n)), n);
  }
}

static void rope(float *x, const float *cosines, const float *sines, size_t half) {
  for (size_t i = 0; i < half; i += 16) {
    size_t n = lanes(half, i);
    v16 a = v_load_n(x + i, n), b = v_load_n(x + half + i, n);
    v16 c = v_load_n(cosines + i, n), s = v_load_n(sines + i, n);
    v_store_n(x + i, v_fma(a, c, v_sub(v_set(-0.0f), v_mul(b, s))), n);
    v_store_n(x + half + i, v_fma(b, c, v_mul(a, s)), n);
  }
}

static void silu_mul(const float *gate, const float *up, size_t n, float *y) {
  for (size_t i = 0; i < n; i += 16) {
    size_t m = lanes(n, i);
    v16 g = v_load_n(gate + i, m), u = v_load_n(up + i, m);
    v16 e = v_exp(v_sub(v_set(-0.0f), g));
    v_store_n(y + i, v_mul(v_div(g, v_add(v_set(1), e)), u), m);
  }
}

static void add(float *x, const float *y, size_t n) {
  for (size_t i = 0; i < n; i += 16) {
    size_t m = lanes(n, i);
    v_store_n(x + i, v_add(v_load_n(x + i, m), v_load_n(y + i, m)), m);
  }
}

static double logsumexp(const float *x, size_t n) {
  v16 m = v_set(-INFINITY), s = v_set(0);
  for (size_t i = 0; i < n; i += 16)
    m = v_max(v_keep_n(v_load_n(x + i, lanes(n, i)), lanes(n, i), -INFINITY), m);
  float max = v_hmax(m);
  for (size_t i = 0; i < n; i += 16) {
    v16 v = v_keep_n(v_load_n(x + i, lanes(n, i)), lanes(n, i), -INFINITY);
    s = v_add(s, v_exp(v_sub(v, v_set(max))));
  }
  return log((double)v_sum(s)) + (double)max;
}

/* One vector of a cache block: element d at p[d * step]. */
INLINE void kv_put(void *p, nb_kv_type type, size_t head_dim, size_t step, const float *x, float *scale) {
  if (type == NB_KV_F32) {
    for (size_t d = 0; d < head_dim; d++) ((float *)p)[d * step] = x[d];
  } else if (type == NB_KV_F16) {
    for (size_t d = 0; d < head_dim; d += 16) {
      uint16_t h[16];
      v_store_f16(h, v_load_n(x + d, lanes(head_dim, d)));
      for (size_t i = 0; i < lanes(head_dim, d); i++) ((uint16_t *)p)[(d + i) * step] = h[i];
    }
  } else {
    int8_t q[512];
    *scale = quantize_run(x, head_dim, (head_dim + 15) / 16, q);
    for (size_t d = 0; d < head_dim; d++) ((int8_t *)p)[d * step] = q[d];
  }
}

static void kv_store(uint8_t *block, nb_kv_type type, size_t head_dim, size_t slot, const float *k, const float *v) {
  size_t elem = type == NB_KV_F32 ? 4 : type == NB_KV_F16 ? 2 : 1, half = NB_KV_BLOCK * head_dim * elem;
  float *scales = (float *)(void *)(block + 2 * half);
  kv_put(block + slot * elem, type, head_dim, NB_KV_BLOCK, k, scales + slot);
  kv_put(block + half + slot * head_dim * elem, type, head_dim, 1, v, scales + NB_KV_BLOCK + slot);
}

#endif
