/* SPDX-License-Identifier: MIT */
/* Writing blocks. A type with few codes is searched: from several first scales the codes are rounded, the scale (and
 * minimum) of least weighted squared error for them is solved, rounded as it is stored, and the codes are rounded
 * again; the trial of the smallest error stays. */
#include "base/ggml.h"

#include "base/f16.h"

#include <math.h>
#include <string.h>

enum { GROUP = 32 /* weights that share a scale */, TRIES = 9 /* first scales on each side of the plain one */ };

static void put_u16(uint8_t *p, uint16_t v) { p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8); }

/* The half float nearest to v, of the finite ones. */
static uint16_t to_half(float v) { return nb_f32_f16(v > 65504 ? 65504 : v < -65504 ? -65504 : v); }
static float as_half(float v) { return nb_f16_f32(to_half(v)); }

/* ---- floats, and eight bits: the rounding is the format's own ---- */

void nb_ggml_write_f32(const float *x, const float *w, uint8_t *b) {
  (void)w;
  uint32_t u = nb_f32_bits(*x);
  put_u16(b, (uint16_t)u), put_u16(b + 2, (uint16_t)(u >> 16));
}

void nb_ggml_write_f16(const float *x, const float *w, uint8_t *b) {
  (void)w;
  put_u16(b, nb_f32_f16(*x));
}

void nb_ggml_write_bf16(const float *x, const float *w, uint8_t *b) {
  (void)w;
  put_u16(b, nb_f32_bf16(*x));
}

/* As ggml's reference does it, codes rounded half away from zero by the scale before its own rounding. */
void nb_ggml_write_q8_0(const float *x, const float *w, uint8_t *b) {
  (void)w;
  float top = 0;
  for (int i = 0; i < GROUP; i++) top = fmaxf(top, fabsf(x[i]));
  float d = top / 127, inverse = d > 0 ? 1 / d : 0;
  put_u16(b, to_half(d));
  for (int i = 0; i < GROUP; i++) b[2 + i] = (uint8_t)(int8_t)roundf(x[i] * inverse);
}

/* ---- a scale: x = d * value(code) ---- */

static int nearest_uniform(float v) { return v <= -8 ? 0 : v >= 7 ? 15 : (int)lrintf(v) + 8; }
static int value_uniform(int code) { return code - 8; }

static int nearest_table(float v) {
  int at = 0;
  while (at < 15 && v > 0.5f * (float)(nb_ggml_iq4_values[at] + nb_ggml_iq4_values[at + 1])) at++;
  return at;
}
static int value_table(int code) { return nb_ggml_iq4_values[code]; }

typedef struct codes {
  int (*nearest)(float v);
  int (*value)(int code);
  float lowest; /* the value of code 0, the largest in size */
} codes;

static const codes uniform = {nearest_uniform, value_uniform, -8};
static const codes table = {nearest_table, value_table, -127};

/* The weighted squared error of x with scale d; codes go to q. */
static float round_scaled(const codes *c, const float *x, const float *w, float d, uint8_t *q) {
  float inverse = d != 0 ? 1 / d : 0, sum = 0;
  for (int i = 0; i < GROUP; i++) {
    int code = c->nearest(x[i] * inverse);
    float e = x[i] - d * (float)c->value(code);
    q[i] = (uint8_t)code;
    sum += w[i] * e * e;
  }
  return sum;
}

static float best_scale(const codes *c, const float *x, const float *w, const uint8_t *q) {
  float xv = 0, vv = 0;
  for (int i = 0; i < GROUP; i++) {
    float v = (float)c->value(q[i]);
    xv += w[i] * x[i] * v, vv += w[i] * v * v;
  }
  return vv > 0 ? xv / vv : 0;
}

/* The stored scale of least error; its codes go to best. */
static float search_scale(const codes *c, const float *x, const float *w, uint8_t best[GROUP]) {
  float top = 0, d_best = 0, e_best = INFINITY;
  uint8_t q[GROUP];
  for (int i = 0; i < GROUP; i++)
    if (fabsf(x[i]) > fabsf(top)) top = x[i];
  for (int sign = 0; sign < 2; sign++)
    for (int t = -TRIES; t <= TRIES; t++) {
      float d = as_half((sign ? -top : top) / (c->lowest * (1 + 0.02f * (float)t)));
      for (int pass = 0; pass < 2; pass++) {
        float e = round_scaled(c, x, w, d, q);
        if (e < e_best) e_best = e, d_best = d, memcpy(best, q, GROUP);
        d = as_half(best_scale(c, x, w, q));
      }
    }
  return d_best;
}

static void write_scaled(const codes *c, const float *x, const float *w, uint8_t *b) {
  uint8_t q[GROUP];
  put_u16(b, to_half(search_scale(c, x, w, q)));
  for (int i = 0; i < 16; i++) b[2 + i] = (uint8_t)(q[i] | q[i + 16] << 4);
}

void nb_ggml_write_q4_0(const float *x, const float *w, uint8_t *b) { write_scaled(&uniform, x, w, b); }
void nb_ggml_write_iq4_nl(const float *x, const float *w, uint8_t *b) { write_scaled(&table, x, w, b); }

/* ---- a scale and a minimum: x = d * code + m, codes 0 to 15 ---- */

static float round_affine(const float *x, const float *w, float d, float m, uint8_t *q) {
  float inverse = d > 0 ? 1 / d : 0, sum = 0;
  for (int i = 0; i < GROUP; i++) {
    float v = (x[i] - m) * inverse;
    int code = v <= 0 ? 0 : v >= 15 ? 15 : (int)lrintf(v);
    float e = x[i] - (d * (float)code + m);
    q[i] = (uint8_t)code;
    sum += w[i] * e * e;
  }
  return sum;
}

/* The d and m of least error for given codes; m at most `highest`. False when the codes do not determine them. */
static bool best_affine(const float *x, const float *w, const uint8_t *q, float highest, float *d, float *m) {
  double s = 0, sq = 0, sqq = 0, sx = 0, sxq = 0;
  for (int i = 0; i < GROUP; i++) {
    double wi = w[i], c = q[i];
    s += wi, sq += wi * c, sqq += wi * c * c, sx += wi * x[i], sxq += wi * x[i] * c;
  }
  double det = s * sqq - sq * sq;
  if (!(det > 0)) return false;
  double dd = (s * sxq - sq * sx) / det, mm = (sqq * sx - sq * sxq) / det;
  if (mm > highest) {
    mm = highest;
    dd = sqq > 0 ? (sxq - mm * sq) / sqq : 0;
  }
  *d = (float)dd, *m = (float)mm;
  return dd > 0;
}

/* d >= 0 and m <= highest of least error, as `store` rounds them. */
static void search_affine(const float *x, const float *w, float highest, float (*store)(float), float *d, float *m) {
  float low = x[0], high = x[0], e_best = INFINITY;
  uint8_t q[GROUP];
  for (int i = 1; i < GROUP; i++) low = fminf(low, x[i]), high = fmaxf(high, x[i]);
  low = fminf(low, highest);
  *d = 0, *m = store(low);
  for (int t = -TRIES; t <= TRIES; t++) {
    float dt = store((high - low) / (15 + 0.3f * (float)t)), mt = store(low);
    for (int pass = 0; pass < 3; pass++) {
      float e = round_affine(x, w, dt, mt, q);
      if (e < e_best) e_best = e, *d = dt, *m = mt;
      if (!best_affine(x, w, q, highest, &dt, &mt)) break;
      dt = store(dt), mt = store(mt);
    }
  }
}

void nb_ggml_write_q4_1(const float *x, const float *w, uint8_t *b) {
  float d, m;
  uint8_t q[GROUP];
  search_affine(x, w, INFINITY, as_half, &d, &m);
  round_affine(x, w, d, m, q);
  put_u16(b, to_half(d)), put_u16(b + 2, to_half(m));
  for (int i = 0; i < 16; i++) b[4 + i] = (uint8_t)(q[i] | q[i + 16] << 4);
}

static float unrounded(float v) { return v; }

static int clamp63(int v) { return v < 0 ? 0 : v > 63 ? 63 : v; }

/* The 6-bit scale and minimum near d / unit_d and -m / unit_m of least error for a group, its codes to q. */
static void choose_group(const float *x, const float *w, float d, float m, float unit_d, float unit_m, uint8_t *scale,
                         uint8_t *min, uint8_t *q) {
  int s0 = unit_d > 0 ? (int)lrintf(d / unit_d) : 0, m0 = unit_m > 0 ? (int)lrintf(-m / unit_m) : 0;
  float e_best = INFINITY;
  uint8_t trial[GROUP];
  for (int s = s0 - 1; s <= s0 + 1; s++)
    for (int k = m0 - 1; k <= m0 + 1; k++) {
      if (s != clamp63(s) || k != clamp63(k)) continue;
      float e = round_affine(x, w, unit_d * (float)s, -(unit_m * (float)k), trial);
      if (e < e_best) e_best = e, *scale = (uint8_t)s, *min = (uint8_t)k, memcpy(q, trial, GROUP);
    }
}

void nb_ggml_write_q4_k(const float *x, const float *w, uint8_t *b) {
  float d[8], m[8], top_d = 0, top_m = 0;
  uint8_t scale[8] = {0}, min[8] = {0}, q[8 * GROUP] = {0};
  for (int g = 0; g < 8; g++) {
    search_affine(x + GROUP * g, w + GROUP * g, 0, unrounded, &d[g], &m[g]);
    top_d = fmaxf(top_d, d[g]), top_m = fmaxf(top_m, -m[g]);
  }
  float unit_d = as_half(top_d / 63), unit_m = as_half(top_m / 63);
  for (int g = 0; g < 8; g++)
    choose_group(x + GROUP * g, w + GROUP * g, d[g], m[g], unit_d, unit_m, &scale[g], &min[g], q + GROUP * g);
  put_u16(b, to_half(unit_d)), put_u16(b + 2, to_half(unit_m));
  nb_ggml_pack_scales(scale, min, b + 4);
  for (int g = 0; g < 8; g += 2)
    for (int i = 0; i < 32; i++) b[16 + 16 * g + i] = (uint8_t)(q[32 * g + i] | q[32 * g + 32 + i] << 4);
}
