/* SPDX-License-Identifier: MIT */
/* The kernels that touch each element once, written on the 16-lane machine (simd16.h). */
#ifndef NB_ELEMENTWISE_H
#define NB_ELEMENTWISE_H

#include "kernels/simd16.h"
#include "base/assert.h"

/* How many lanes of the vector at i there are. */
INLINE size_t lanes(size_t n, size_t i) { return n - i < 16 ? n - i : 16; }

/* Quantizes n <= 16 * n_vec values to integers of -top to top (int8_t or int16_t by `bytes`, all 16 * n_vec written)
 * and returns what one is worth. */
INLINE float quantize_run(const float *x, size_t n, size_t n_vec, float top, const size_t bytes, void *q) {
  nb_assert(n <= 16 * n_vec && (bytes == 1 ? top <= INT8_MAX : top <= INT16_MAX));
  v16 m = v_set(0);
  for (size_t i = 0; i < n; i += 16) m = v_absmax(m, v_load_n(x + i, lanes(n, i)));
  float amax = v_habsmax(m), scale = amax / top;
  if (!(amax >= 0x1p-100f && amax < INFINITY)) { /* too small to invert, infinite or NaN */
    memset(q, 0, 16 * n_vec * bytes);
    return amax < 1 ? 0 : scale;
  }
  v16 inv = v_set(top / amax);
  for (size_t i = 0; i < n_vec; i++) {
    v16 v = 16 * i < n ? v_load_n(x + 16 * i, lanes(n, 16 * i)) : v_set(0);
    v = v_add(v_mul(v, inv), v_set(ROUND_MAGIC));
    if (bytes == 1) v_store_low8((int8_t *)q + 16 * i, v);
    else v_store_low16((int16_t *)q + 16 * i, v);
  }
  return scale;
}

static void quantize_q8(const float *x, size_t K, size_t Kp, int8_t *q, float *scale, int32_t *sum) {
  nb_assert(Kp % NB_QA_GROUP == 0 && K <= Kp);
  for (size_t k = 0; k < Kp; k += NB_QA_GROUP) {
    size_t n = k < K ? nb_min(K - k, NB_QA_GROUP) : 0;
    scale[k / NB_QA_GROUP] = quantize_run(x + (n ? k : 0), n, NB_QA_GROUP / 16, 127, 1, q + k);
    for (size_t b = k; b < k + NB_QA_GROUP; b += NB_BLOCK) {
      int32_t s = 0;
      for (size_t i = 0; i < NB_BLOCK; i++) s += q[b + i];
      sum[b / NB_BLOCK] = s;
    }
  }
}

static void rmsnorm(const float *x, const float *w, size_t D, float eps, float *y) {
  nb_assert(y == x || nb_assert_apart(x, D * sizeof *x, y, D * sizeof *y));
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

static void layernorm(const float *x, const float *w, const float *b, size_t D, float eps, float *y) {
  nb_assert(y == x || nb_assert_apart(x, D * sizeof *x, y, D * sizeof *y));
  v16 sum = v_set(0), square = v_set(0);
  for (size_t i = 0; i < D; i += 16) sum = v_add(sum, v_load_n(x + i, lanes(D, i)));
  v16 mean = v_set(v_sum(sum) / (float)D);
  for (size_t i = 0; i < D; i += 16) {
    v16 v = v_keep_n(v_sub(v_load_n(x + i, lanes(D, i)), mean), lanes(D, i), 0);
    square = v_fma(v, v, square);
  }
  v16 r = v_set(1.0f / sqrtf(v_sum(square) / (float)D + eps));
  for (size_t i = 0; i < D; i += 16) {
    size_t n = lanes(D, i);
    v16 v = v_mul(v_sub(v_load_n(x + i, n), mean), r), g = v_load_n(w + i, n);
    v_store_n(y + i, b ? v_fma(v, g, v_load_n(b + i, n)) : v_mul(v, g), n);
  }
}

static void rope(float *x, const float *cosines, const float *sines, size_t half) {
  nb_assert(nb_assert_apart(x, 2 * half * sizeof *x, cosines, half * sizeof *x));
  nb_assert(nb_assert_apart(x, 2 * half * sizeof *x, sines, half * sizeof *x));
  for (size_t i = 0; i < half; i += 16) {
    size_t n = lanes(half, i);
    v16 a = v_load_n(x + i, n), b = v_load_n(x + half + i, n);
    v16 c = v_load_n(cosines + i, n), s = v_load_n(sines + i, n);
    v_store_n(x + i, v_fma(a, c, v_sub(v_set(-0.0f), v_mul(b, s))), n);
    v_store_n(x + half + i, v_fma(b, c, v_mul(a, s)), n);
  }
}

/* One step: sums and differences of the first and the second half, side by side. After log2(n) of them every element
 * has met every other, and all are back in their order (Pease 1968: each step has the same shape). */
INLINE void hadamard_step(const float *x, size_t n, float *y) {
  const size_t half = n / 2;
  if (half < 16) {
    for (size_t i = 0; i < half; i++) y[2 * i] = x[i] + x[half + i], y[2 * i + 1] = x[i] - x[half + i];
    return;
  }
  for (size_t i = 0; i < half; i += 16) {
    v16 a = v_load(x + i), b = v_load(x + half + i), low, high;
    v_zip(v_add(a, b), v_sub(a, b), &low, &high);
    v_store(y + 2 * i, low);
    v_store(y + 2 * i + 16, high);
  }
}

static void hadamard(float *x, size_t n) {
  const size_t run = nb_kernels_hadamard_run(n);
  float y[512];
  nb_assert(n > 0 && run <= sizeof y / sizeof *y);
  for (float *at = x; at < x + n; at += run) {
    float *from = at, *to = y;
    for (size_t h = 1; h < run; h *= 2) {
      hadamard_step(from, run, to);
      float *other = from;
      from = to, to = other;
    }
    if (from == y) memcpy(at, y, run * sizeof *y);
  }
}

/* g / (1 + exp(-t)): silu where t is g. */
INLINE v16 v_swish(v16 g, v16 t) { return v_div(g, v_add(v_set(1), v_exp(v_sub(v_set(-0.0f), t)))); }

INLINE v16 v_activate(const nb_activation act, v16 g) {
  if (act == NB_ACT_SILU) return v_swish(g, g);
  if (act == NB_ACT_GELU_TANH) {
    v16 u = v_mul(g, v_fma(v_mul(g, g), v_set(0.044715f), v_set(1)));
    return v_swish(g, v_mul(u, v_set(1.5957691216057308f)));
  }
  v16 c = v_select_lt(v_set(20), g, v_set(20), g); /* a NaN is not above 20 */
  return v_swish(c, v_mul(c, v_set(1.702f)));
}

INLINE void activate_as(const nb_activation act, const float *gate, const float *up, size_t n, float *y) {
  for (size_t i = 0; i < n; i += 16) {
    size_t m = lanes(n, i);
    v16 a = v_activate(act, v_load_n(gate + i, m));
    if (up) {
      v16 u = v_load_n(up + i, m);
      if (act == NB_ACT_GEGELU) {
        u = v_select_lt(v_set(20), u, v_set(20), u);
        u = v_add(v_select_lt(u, v_set(-20), v_set(-20), u), v_set(1));
      }
      a = v_mul(a, u);
    }
    v_store_n(y + i, a, m);
  }
}

static void activate(nb_activation act, const float *gate, const float *up, size_t n, float *y) {
  nb_assert(act < NB_ACTIVATIONS);
  nb_assert(y == gate || nb_assert_apart(y, n * sizeof *y, gate, n * sizeof *gate));
  nb_assert(!up || y == up || nb_assert_apart(y, n * sizeof *y, up, n * sizeof *up));
  if (act == NB_ACT_SILU) activate_as(NB_ACT_SILU, gate, up, n, y);
  else if (act == NB_ACT_GELU_TANH) activate_as(NB_ACT_GELU_TANH, gate, up, n, y);
  else activate_as(NB_ACT_GEGELU, gate, up, n, y);
}

static void exp_all(float *x, size_t n) {
  for (size_t i = 0; i < n; i += 16) v_store_n(x + i, v_exp(v_load_n(x + i, lanes(n, i))), lanes(n, i));
}

/* cap * tanh(x / cap) */
INLINE v16 v_softcap(v16 x, v16 cap) {
  v16 z = v_div(x, cap), e = v_exp(v_add(z, z));
  return v_mul(cap, v_sub(v_set(1), v_div(v_set(2), v_add(e, v_set(1)))));
}

static void softcap(float *x, size_t n, float cap) {
  nb_assert(cap > 0);
  for (size_t i = 0; i < n; i += 16) {
    size_t m = lanes(n, i);
    v_store_n(x + i, v_softcap(v_load_n(x + i, m), v_set(cap)), m);
  }
}

static void add(float *x, const float *y, size_t n) {
  nb_assert(x == y || nb_assert_apart(x, n * sizeof *x, y, n * sizeof *y));
  for (size_t i = 0; i < n; i += 16) {
    size_t m = lanes(n, i);
    v_store_n(x + i, v_add(v_load_n(x + i, m), v_load_n(y + i, m)), m);
  }
}

static double logsumexp(const float *x, size_t n) {
  nb_assert(n > 0);
  v16 m = v_set(-INFINITY), s = v_set(0);
  for (size_t i = 0; i < n; i += 16) m = v_max(v_keep_n(v_load_n(x + i, lanes(n, i)), lanes(n, i), -INFINITY), m);
  float max = v_hmax(m);
  for (size_t i = 0; i < n; i += 16) {
    v16 v = v_keep_n(v_load_n(x + i, lanes(n, i)), lanes(n, i), -INFINITY);
    s = v_add(s, v_exp(v_sub(v, v_set(max))));
  }
  return log((double)v_sum(s)) + (double)max;
}

INLINE void kv_put(const size_t bytes, void *to, size_t i, const void *q, size_t d) {
  if (bytes == 1) ((int8_t *)to)[i] = ((const int8_t *)q)[d];
  else ((int16_t *)to)[i] = ((const int16_t *)q)[d];
}

/* One key and value among the integers of a block. */
INLINE void kv_store_integers(const nb_kv_type type, uint8_t *block, size_t head_dim, size_t slot, const float *k,
                              const float *v) {
  const size_t bytes = nb_kv_elem_bytes(type), ldv = nb_kv_ldv(type, head_dim), n_vec = (head_dim + 15) / 16;
  const float top = type == NB_KV_Q8 ? 127 : nb_kv_top(head_dim);
  void *keys = block, *values = block + nb_kv_values_at(type, head_dim);
  float *scales = (float *)(void *)(block + nb_kv_scales_at(type, head_dim));
  int16_t q[512];
  nb_assert(16 * n_vec <= sizeof q / sizeof *q && head_dim % 2 == 0 && ldv >= head_dim);
  scales[slot] = quantize_run(k, head_dim, n_vec, top, bytes, q);
  for (size_t d = 0; d < head_dim; d++) kv_put(bytes, keys, (d / 2 * NB_KV_BLOCK + slot) * 2 + d % 2, q, d);
  scales[NB_KV_BLOCK + slot] = quantize_run(v, head_dim, n_vec, top, bytes, q);
  for (size_t d = 0; d < head_dim; d++) kv_put(bytes, values, (slot / 2 * ldv + d) * 2 + slot % 2, q, d);
}

static void kv_store(uint8_t *block, nb_kv_type type, size_t head_dim, size_t slot, const float *k, const float *v) {
  void *keys = block, *values = block + nb_kv_values_at(type, head_dim);
  nb_assert(slot < NB_KV_BLOCK && type < NB_KV_TYPES && nb_assert_aligned(block, sizeof(float)));
  if (type == NB_KV_Q16) kv_store_integers(NB_KV_Q16, block, head_dim, slot, k, v);
  else if (type == NB_KV_Q8) kv_store_integers(NB_KV_Q8, block, head_dim, slot, k, v);
  else if (type == NB_KV_F32) {
    for (size_t d = 0; d < head_dim; d++) ((float *)keys)[d * NB_KV_BLOCK + slot] = k[d];
    memcpy((float *)values + slot * head_dim, v, head_dim * sizeof *v);
  } else {
    for (size_t d = 0; d < head_dim; d += 16) {
      uint16_t h[16];
      v_store_f16(h, v_load_n(k + d, lanes(head_dim, d)));
      for (size_t i = 0; i < lanes(head_dim, d); i++) ((uint16_t *)keys)[(d + i) * NB_KV_BLOCK + slot] = h[i];
      v_store_f16(h, v_load_n(v + d, lanes(head_dim, d)));
      memcpy((uint16_t *)values + slot * head_dim + d, h, lanes(head_dim, d) * sizeof *h);
    }
  }
}

#endif
