/* SPDX-License-Identifier: MIT */
/* Writing blocks. A type with few codes is searched: from several first scales the codes are rounded, the scale (and
 * minimum) of least weighted squared error for them is solved, rounded as it is stored, and the codes are rounded
 * again; the trial of the smallest error stays. */
#include "base/ggml.h"

#include "base/f16.h"

#include <math.h>
#include <string.h>

enum { GROUP = 32 /* weights that share a scale */, TRIES = 6 /* first scales on each side of the plain one */ };

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

/* ---- four weights at a time, on any machine that the compiler knows ---- */

typedef float v4 __attribute__((vector_size(16)));
typedef int32_t m4 __attribute__((vector_size(16)));

static inline v4 load(const float *p) {
  v4 v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline v4 all(float x) { return (v4){x, x, x, x}; }
static inline float total(v4 v) { return (v[0] + v[1]) + (v[2] + v[3]); }
static inline v4 pick(m4 mask, v4 a, v4 b) { return (v4)((mask & (m4)a) | (~mask & (m4)b)); }
static inline v4 clamp(v4 v, float low, float high) {
  v = pick(v < all(low), all(low), v);
  return pick(v > all(high), all(high), v);
}
/* To the nearest whole number, ties to the even one, for sizes below 2^22. */
static inline v4 whole(v4 v) { return (v + 0x1.8p23f) - 0x1.8p23f; }

/* ---- a scale: x = d * value, of the values -8 to 7 or of a table ---- */

/* The value nearest to v: each step up to it that v is past the middle of. */
static inline v4 nearest(v4 v, bool table) {
  if (!table) return clamp(whole(clamp(v, -9, 8)), -8, 7);
  v4 at = all(nb_ggml_iq4_values[0]);
  for (int k = 0; k < 15; k++) {
    float step = (float)(nb_ggml_iq4_values[k + 1] - nb_ggml_iq4_values[k]);
    at += (v4)((v > all((float)nb_ggml_iq4_values[k] + 0.5f * step)) & (m4)all(step)); /* else 0 */
  }
  return at;
}

/* The weighted squared error of x with scale d; *better: the scale of least error for these values. */
static inline float try_scale(const float *x, const float *w, float d, bool table, float *better) {
  v4 e = {0}, xv = {0}, vv = {0};
  float inverse = d != 0 ? 1 / d : 0;
  for (int i = 0; i < GROUP; i += 4) {
    v4 xi = load(x + i), wi = load(w + i), v = nearest(xi * inverse, table), off = xi - d * v;
    e += wi * off * off;
    xv += wi * xi * v;
    vv += wi * v * v;
  }
  float sum = total(vv);
  *better = sum > 0 ? total(xv) / sum : 0;
  return total(e);
}

/* The stored scale of least error. The value of largest size is negative, so that the largest x decides the sign; the
 * other sign is tried less. */
static inline float search_scale(const float *x, const float *w, bool table) {
  float top = 0, d_best = 0, e_best = INFINITY, lowest = table ? -127 : -8;
  for (int i = 0; i < GROUP; i++)
    if (fabsf(x[i]) > fabsf(top)) top = x[i];
  for (int sign = 0; sign < 2; sign++)
    for (int t = -TRIES; t <= TRIES; t += table ? 3 : 1) { /* a table's values are dear to find */
      if (sign && t % 2 == 0) continue;
      float d = as_half((sign ? -top : top) / (lowest * (1 + 0.025f * (float)t)));
      for (int pass = 0; pass < 2; pass++) {
        float next, e = try_scale(x, w, d, table, &next);
        if (e < e_best) e_best = e, d_best = d;
        d = as_half(next);
      }
    }
  return d_best;
}

static inline void write_scaled(const float *x, const float *w, uint8_t *b, bool table) {
  float d = search_scale(x, w, table), inverse = d != 0 ? 1 / d : 0;
  uint8_t q[GROUP];
  for (int i = 0; i < GROUP; i++) {
    float v = nearest(load(x + i / 4 * 4) * inverse, table)[i % 4];
    int code = table ? 0 : (int)v + 8;
    while (table && (float)nb_ggml_iq4_values[code] < v) code++;
    q[i] = (uint8_t)code;
  }
  put_u16(b, to_half(d));
  for (int i = 0; i < 16; i++) b[2 + i] = (uint8_t)(q[i] | q[i + 16] << 4);
}

void nb_ggml_write_q4_0(const float *x, const float *w, uint8_t *b) { write_scaled(x, w, b, false); }
void nb_ggml_write_iq4_nl(const float *x, const float *w, uint8_t *b) { write_scaled(x, w, b, true); }

/* ---- a scale and a minimum: x = d * code + m, codes 0 to 15 ---- */

/* What decides the d and m of least error for given codes. */
typedef struct moments {
  float s, q, qq, x, xq; /* sums of the weights, times code, code squared, x, x times code */
} moments;

static inline v4 affine_code(v4 x, float inverse, float m) {
  return clamp(whole(clamp((x - m) * inverse, -1, 16)), 0, 15);
}

/* The weighted squared error of x with d and m; *found (may be NULL) is of the codes. */
static float try_affine(const float *x, const float *w, float d, float m, moments *found) {
  v4 e = {0}, s = {0}, sq = {0}, sqq = {0}, sx = {0}, sxq = {0};
  float inverse = d > 0 ? 1 / d : 0;
  for (int i = 0; i < GROUP; i += 4) {
    v4 xi = load(x + i), wi = load(w + i), c = affine_code(xi, inverse, m), off = xi - (d * c + m);
    e += wi * off * off;
    s += wi, sq += wi * c, sqq += wi * c * c, sx += wi * xi, sxq += wi * xi * c;
  }
  if (found) *found = (moments){total(s), total(sq), total(sqq), total(sx), total(sxq)};
  return total(e);
}

/* The d and m of least error; m at most `highest`. False when the codes do not determine a d above 0. */
static bool best_affine(const moments *a, float highest, float *d, float *m) {
  double det = (double)a->s * a->qq - (double)a->q * a->q;
  if (!(det > 0)) return false;
  double dd = ((double)a->s * a->xq - (double)a->q * a->x) / det;
  double mm = ((double)a->qq * a->x - (double)a->q * a->xq) / det;
  if (mm > highest) {
    mm = highest;
    dd = a->qq > 0 ? (a->xq - mm * a->q) / a->qq : 0;
  }
  *d = (float)dd, *m = (float)mm;
  return dd > 0;
}

/* d >= 0 and m <= highest of least error, as `store` rounds them. */
static void search_affine(const float *x, const float *w, float highest, float (*store)(float), float *d, float *m) {
  float low = x[0], high = x[0], e_best = INFINITY;
  moments a;
  for (int i = 1; i < GROUP; i++) low = fminf(low, x[i]), high = fmaxf(high, x[i]);
  low = fminf(low, highest);
  *d = 0, *m = store(low);
  for (int t = -TRIES; t <= TRIES; t++) {
    float dt = store((high - low) / (15 + 0.4f * (float)t)), mt = store(low);
    for (int pass = 0; pass < 3; pass++) {
      float e = try_affine(x, w, dt, mt, &a);
      if (e < e_best) e_best = e, *d = dt, *m = mt;
      if (!best_affine(&a, highest, &dt, &mt)) break;
      dt = store(dt), mt = store(mt);
    }
  }
}

static void affine_codes(const float *x, float d, float m, uint8_t *q) {
  float inverse = d > 0 ? 1 / d : 0;
  for (int i = 0; i < GROUP; i += 4) {
    v4 c = affine_code(load(x + i), inverse, m);
    for (int k = 0; k < 4; k++) q[i + k] = (uint8_t)c[k];
  }
}

void nb_ggml_write_q4_1(const float *x, const float *w, uint8_t *b) {
  float d, m;
  uint8_t q[GROUP];
  search_affine(x, w, INFINITY, as_half, &d, &m);
  affine_codes(x, d, m, q);
  put_u16(b, to_half(d)), put_u16(b + 2, to_half(m));
  for (int i = 0; i < 16; i++) b[4 + i] = (uint8_t)(q[i] | q[i + 16] << 4);
}

static float unrounded(float v) { return v; }

static int clamp63(int v) { return v < 0 ? 0 : v > 63 ? 63 : v; }

/* A group's scale and minimum, d and -m; or what their 6-bit numbers count. */
typedef struct affine {
  float d, m;
} affine;

/* The 6-bit scale and minimum near d / unit.d and -m / unit.m of least error for a group. */
static void choose_group(const float *x, const float *w, affine near, affine unit, uint8_t *scale, uint8_t *min) {
  int s0 = unit.d > 0 ? (int)lrintf(near.d / unit.d) : 0, m0 = unit.m > 0 ? (int)lrintf(-near.m / unit.m) : 0;
  float e_best = INFINITY;
  for (int s = s0 - 1; s <= s0 + 1; s++)
    for (int k = m0 - 1; k <= m0 + 1; k++) {
      if (s != clamp63(s) || k != clamp63(k)) continue;
      float e = try_affine(x, w, unit.d * (float)s, -(unit.m * (float)k), NULL);
      if (e < e_best) e_best = e, *scale = (uint8_t)s, *min = (uint8_t)k;
    }
}

void nb_ggml_write_q4_k(const float *x, const float *w, uint8_t *b) {
  affine near[8];
  float top_d = 0, top_m = 0;
  uint8_t scale[8] = {0}, min[8] = {0}, q[8 * GROUP] = {0};
  for (int g = 0; g < 8; g++) {
    search_affine(x + GROUP * g, w + GROUP * g, 0, unrounded, &near[g].d, &near[g].m);
    top_d = fmaxf(top_d, near[g].d), top_m = fmaxf(top_m, -near[g].m);
  }
  const affine unit = {as_half(top_d / 63), as_half(top_m / 63)};
  for (int g = 0; g < 8; g++) choose_group(x + GROUP * g, w + GROUP * g, near[g], unit, &scale[g], &min[g]);
  for (int g = 0; g < 8; g++)
    affine_codes(x + GROUP * g, unit.d * (float)scale[g], -(unit.m * (float)min[g]), q + GROUP * g);
  put_u16(b, to_half(unit.d)), put_u16(b + 2, to_half(unit.m));
  nb_ggml_pack_scales(scale, min, b + 4);
  for (int g = 0; g < 8; g += 2)
    for (int i = 0; i < 32; i++) b[16 + 16 * g + i] = (uint8_t)(q[32 * g + i] | q[32 * g + 32 + i] << 4);
}
