/* SPDX-License-Identifier: MIT */
/* The 16-lane machine in plain C: what each primitive means. v16_avx2.h, v16_avx512.h, v16_neon.h and v16_wasm.h
 * give the same functions with the same results (the payload of a NaN aside); simd16.h builds on them. */
#ifndef NB_V16_H
#define NB_V16_H

#include "base/f16.h"
#include "base/fma.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { V16_ROWS = 4 }; /* rows of a register tile of 2 vectors a row (any value gives the same results) */

typedef struct v16 {
  float f[16];
} v16;

#define EACH for (int i = 0; i < 16; i++)

static inline v16 v_set(float x) {
  v16 r;
  EACH r.f[i] = x;
  return r;
}
static inline v16 v_load(const float *p) {
  v16 r;
  memcpy(r.f, p, sizeof r.f);
  return r;
}
static inline void v_store(float *p, v16 a) { memcpy(p, a.f, sizeof a.f); }

/* The same value, which the compiler should then keep in a register rather than load again. */
static inline v16 v_hold(v16 a) { return a; }

/* The value is made, though nothing comes of it. */
static inline void v_use(v16 a) { __asm__ volatile("" : : "m"(a)); }

/* The first n lanes (0 to 16); loading fills the others with 0. Nothing else is touched. */
static inline v16 v_load_n(const float *p, size_t n) {
  v16 r = v_set(0);
  memcpy(r.f, p, n * sizeof(float));
  return r;
}
static inline void v_store_n(float *p, v16 a, size_t n) { memcpy(p, a.f, n * sizeof(float)); }

static inline v16 v_add(v16 a, v16 b) {
  EACH a.f[i] = a.f[i] + b.f[i];
  return a;
}
static inline v16 v_sub(v16 a, v16 b) {
  EACH a.f[i] = a.f[i] - b.f[i];
  return a;
}
static inline v16 v_mul(v16 a, v16 b) {
  EACH a.f[i] = a.f[i] * b.f[i];
  return a;
}
static inline v16 v_div(v16 a, v16 b) {
  EACH a.f[i] = a.f[i] / b.f[i];
  return a;
}
/* a * b + c, rounded once */
static inline v16 v_fma(v16 a, v16 b, v16 c) {
  EACH a.f[i] = nb_fma(a.f[i], b.f[i], c.f[i]);
  return a;
}
/* a > b ? a : b (b when either is NaN) */
static inline v16 v_max(v16 a, v16 b) {
  EACH a.f[i] = a.f[i] > b.f[i] ? a.f[i] : b.f[i];
  return a;
}
/* a < b ? x : y (y when either is NaN) */
static inline v16 v_select_lt(v16 a, v16 b, v16 x, v16 y) {
  EACH a.f[i] = a.f[i] < b.f[i] ? x.f[i] : y.f[i];
  return a;
}
/* The larger of m and |a| as integers, so that NaN is above infinity: m must not be negative. */
static inline v16 v_absmax(v16 m, v16 a) {
  EACH {
    uint32_t u = nb_f32_bits(a.f[i]) & 0x7fffffffu, v = nb_f32_bits(m.f[i]);
    m.f[i] = nb_bits_f32(u > v ? u : v);
  }
  return m;
}
/* The float whose bits are (bits(a) + add) << 23. */
static inline v16 v_shift_exponent(v16 a, uint32_t add) {
  EACH a.f[i] = nb_bits_f32((nb_f32_bits(a.f[i]) + add) << 23);
  return a;
}

/* Lanes of both in turn: low = a0 b0 a1 b1 .. a7 b7, high = a8 b8 .. a15 b15. */
static inline void v_zip(v16 a, v16 b, v16 *low, v16 *high) {
  for (int i = 0; i < 8; i++) {
    low->f[2 * i] = a.f[i], low->f[2 * i + 1] = b.f[i];
    high->f[2 * i] = a.f[8 + i], high->f[2 * i + 1] = b.f[8 + i];
  }
}
/* Four floats in each group of four lanes. */
static inline v16 v_load4(const float *p) {
  v16 r;
  EACH r.f[i] = p[i % 4];
  return r;
}
/* In each group of four lanes, the first or the last two of both in turn: a0 b0 a1 b1, a2 b2 a3 b3. */
static inline v16 v_low_pairs(v16 a, v16 b) {
  v16 r;
  EACH r.f[i] = (i % 2 ? b : a).f[i / 4 * 4 + i % 4 / 2];
  return r;
}
static inline v16 v_high_pairs(v16 a, v16 b) {
  v16 r;
  EACH r.f[i] = (i % 2 ? b : a).f[i / 4 * 4 + 2 + i % 4 / 2];
  return r;
}
/* Over the lanes, as a tree: halves 8, 4, 2, 1. v_hmax drops NaN as v_max does. */
static inline float v_sum(v16 a) {
  for (int h = 8; h; h /= 2)
    for (int i = 0; i < h; i++) a.f[i] = a.f[i] + a.f[i + h];
  return a.f[0];
}
static inline float v_hmax(v16 a) {
  for (int h = 8; h; h /= 2)
    for (int i = 0; i < h; i++) a.f[i] = a.f[i] > a.f[i + h] ? a.f[i] : a.f[i + h];
  return a.f[0];
}
/* The largest lane as an unsigned integer: for results of v_absmax. */
static inline float v_habsmax(v16 a) {
  uint32_t m = 0;
  EACH m = nb_f32_bits(a.f[i]) > m ? nb_f32_bits(a.f[i]) : m;
  return nb_bits_f32(m);
}

/* 16 stored values, converted exactly. */
static inline v16 v_load_bf16(const void *p) {
  uint16_t h[16];
  v16 r;
  memcpy(h, p, sizeof h);
  EACH r.f[i] = nb_bf16_f32(h[i]);
  return r;
}
static inline v16 v_load_f16(const void *p) {
  uint16_t h[16];
  v16 r;
  memcpy(h, p, sizeof h);
  EACH r.f[i] = nb_f16_f32(h[i]);
  return r;
}
static inline v16 v_load_i8(const int8_t *p) {
  v16 r;
  EACH r.f[i] = p[i];
  return r;
}
/* Rounded to nearest even. */
static inline void v_store_f16(uint16_t *p, v16 a) { EACH p[i] = nb_f32_f16(a.f[i]); }

/* The low byte of each lane's bits. */
static inline void v_store_low8(void *p, v16 a) {
  uint8_t *out = p;
  EACH out[i] = (uint8_t)nb_f32_bits(a.f[i]);
}

static inline void v_store_low16(int16_t *p, v16 a) { EACH p[i] = (int16_t)(uint16_t)nb_f32_bits(a.f[i]); }

/* 16 lanes of two int16 each (stored side by side), two int16 for every lane, 16 exact sums. */
typedef struct p16 {
  int16_t i[16][2];
} p16;
typedef struct x16 {
  int16_t i[2];
} x16;
typedef struct s16 {
  int32_t i[16];
} s16;

static inline p16 p_load(const int16_t *p) {
  p16 r;
  memcpy(r.i, p, sizeof r.i);
  return r;
}
static inline p16 p_load_i8(const int8_t *p) {
  p16 r;
  EACH r.i[i][0] = p[2 * i], r.i[i][1] = p[2 * i + 1];
  return r;
}
static inline x16 x_load(const int16_t *p) {
  x16 r = {{p[0], p[1]}};
  return r;
}
static inline s16 s_zero(void) {
  s16 r = {{0}};
  return r;
}
/* Each lane's sum and a[0] * x[0] + a[1] * x[1]. */
static inline s16 s_dot(s16 sum, p16 a, x16 x) {
  EACH sum.i[i] += a.i[i][0] * x.i[0] + a.i[i][1] * x.i[1];
  return sum;
}
static inline v16 s_float(s16 sum) {
  v16 r;
  EACH r.f[i] = (float)sum.i[i];
  return r;
}

/* r[i].lane[j] becomes r[j].lane[i]. */
static inline void v_transpose(v16 r[16]) {
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < i; j++) {
      float t = r[i].f[j];
      r[i].f[j] = r[j].f[i];
      r[j].f[i] = t;
    }
}

#undef EACH

#endif
