/* SPDX-License-Identifier: MIT */
/* The 16-lane machine on AArch64's NEON: see v16_ref.h for what each primitive means. */
#ifndef NB_V16_H
#define NB_V16_H

#include <arm_neon.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { V16_ROWS = 3 };

typedef struct v16 {
  float32x4_t a, b, c, d; /* lanes 0..3, 4..7, 8..11, 12..15 */
} v16;

static inline v16 v_quad(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d) {
  v16 r = {a, b, c, d};
  return r;
}
static inline v16 v_set(float x) {
  float32x4_t v = vdupq_n_f32(x);
  return v_quad(v, v, v, v);
}
static inline v16 v_load(const float *p) {
  return v_quad(vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12));
}
static inline void v_store(float *p, v16 x) {
  vst1q_f32(p, x.a), vst1q_f32(p + 4, x.b), vst1q_f32(p + 8, x.c), vst1q_f32(p + 12, x.d);
}
static inline v16 v_hold(v16 x) { return x; }
static inline void v_use(v16 x) { __asm__ volatile("" : : "w"(x.a), "w"(x.b), "w"(x.c), "w"(x.d)); }
#include "kernels/v16_tail.h"

static inline v16 v_add(v16 x, v16 y) {
  return v_quad(vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d));
}
static inline v16 v_sub(v16 x, v16 y) {
  return v_quad(vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d));
}
static inline v16 v_mul(v16 x, v16 y) {
  return v_quad(vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d));
}
static inline v16 v_div(v16 x, v16 y) {
  return v_quad(vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b), vdivq_f32(x.c, y.c), vdivq_f32(x.d, y.d));
}
static inline v16 v_fma(v16 x, v16 y, v16 z) {
  return v_quad(vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d));
}
static inline float32x4_t v_max4(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
static inline v16 v_max(v16 x, v16 y) {
  return v_quad(v_max4(x.a, y.a), v_max4(x.b, y.b), v_max4(x.c, y.c), v_max4(x.d, y.d));
}
static inline v16 v_select_lt(v16 p, v16 q, v16 x, v16 y) {
  return v_quad(vbslq_f32(vcltq_f32(p.a, q.a), x.a, y.a), vbslq_f32(vcltq_f32(p.b, q.b), x.b, y.b),
                vbslq_f32(vcltq_f32(p.c, q.c), x.c, y.c), vbslq_f32(vcltq_f32(p.d, q.d), x.d, y.d));
}
static inline float32x4_t v_absmax4(float32x4_t m, float32x4_t x) {
  uint32x4_t u = vandq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(0x7fffffff));
  return vreinterpretq_f32_u32(vmaxq_u32(vreinterpretq_u32_f32(m), u));
}
static inline v16 v_absmax(v16 m, v16 x) {
  return v_quad(v_absmax4(m.a, x.a), v_absmax4(m.b, x.b), v_absmax4(m.c, x.c), v_absmax4(m.d, x.d));
}
static inline float32x4_t v_shift_exponent4(float32x4_t x, uint32_t add) {
  return vreinterpretq_f32_u32(vshlq_n_u32(vaddq_u32(vreinterpretq_u32_f32(x), vdupq_n_u32(add)), 23));
}
static inline v16 v_shift_exponent(v16 x, uint32_t add) {
  return v_quad(v_shift_exponent4(x.a, add), v_shift_exponent4(x.b, add), v_shift_exponent4(x.c, add),
                v_shift_exponent4(x.d, add));
}

static inline float v_sum(v16 x) {
  float32x4_t q = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  float32x2_t h = vadd_f32(vget_low_f32(q), vget_high_f32(q));
  return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}
static inline void v_zip(v16 x, v16 y, v16 *low, v16 *high) {
  *low = v_quad(vzip1q_f32(x.a, y.a), vzip2q_f32(x.a, y.a), vzip1q_f32(x.b, y.b), vzip2q_f32(x.b, y.b));
  *high = v_quad(vzip1q_f32(x.c, y.c), vzip2q_f32(x.c, y.c), vzip1q_f32(x.d, y.d), vzip2q_f32(x.d, y.d));
}
static inline v16 v_load4(const float *p) {
  float32x4_t v = vld1q_f32(p);
  return v_quad(v, v, v, v);
}
static inline v16 v_low_pairs(v16 x, v16 y) {
  return v_quad(vzip1q_f32(x.a, y.a), vzip1q_f32(x.b, y.b), vzip1q_f32(x.c, y.c), vzip1q_f32(x.d, y.d));
}
static inline v16 v_high_pairs(v16 x, v16 y) {
  return v_quad(vzip2q_f32(x.a, y.a), vzip2q_f32(x.b, y.b), vzip2q_f32(x.c, y.c), vzip2q_f32(x.d, y.d));
}
static inline float v_hmax(v16 x) {
  float32x4_t q = v_max4(v_max4(x.a, x.c), v_max4(x.b, x.d));
  q = v_max4(q, vextq_f32(q, q, 2));
  q = v_max4(q, vextq_f32(q, q, 1));
  return vgetq_lane_f32(q, 0);
}
static inline float v_habsmax(v16 x) {
  v16 m = v_absmax(x, v_quad(x.c, x.d, x.c, x.d));
  uint32x4_t u = vmaxq_u32(vreinterpretq_u32_f32(m.a), vreinterpretq_u32_f32(m.b));
  uint32_t bits = vmaxvq_u32(u);
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static inline float32x4_t v_bf16x4(uint16x4_t h) { return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(h), 16)); }
static inline v16 v_load_bf16(const void *p) {
  const uint8_t *b = p;
  uint16x8_t x = vreinterpretq_u16_u8(vld1q_u8(b)), y = vreinterpretq_u16_u8(vld1q_u8(b + 16));
  return v_quad(v_bf16x4(vget_low_u16(x)), v_bf16x4(vget_high_u16(x)), v_bf16x4(vget_low_u16(y)),
                v_bf16x4(vget_high_u16(y)));
}
static inline v16 v_load_f16(const void *p) {
  const uint8_t *b = p;
  float16x8_t x = vreinterpretq_f16_u8(vld1q_u8(b)), y = vreinterpretq_f16_u8(vld1q_u8(b + 16));
  return v_quad(vcvt_f32_f16(vget_low_f16(x)), vcvt_high_f32_f16(x), vcvt_f32_f16(vget_low_f16(y)),
                vcvt_high_f32_f16(y));
}
static inline v16 v_load_i8(const int8_t *p) {
  int8x16_t q = vld1q_s8(p);
  int16x8_t x = vmovl_s8(vget_low_s8(q)), y = vmovl_s8(vget_high_s8(q));
  return v_quad(vcvtq_f32_s32(vmovl_s16(vget_low_s16(x))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(x))),
                vcvtq_f32_s32(vmovl_s16(vget_low_s16(y))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(y))));
}
static inline void v_store_f16(uint16_t *p, v16 x) {
  vst1q_u16(p, vreinterpretq_u16_f16(vcombine_f16(vcvt_f16_f32(x.a), vcvt_f16_f32(x.b))));
  vst1q_u16(p + 8, vreinterpretq_u16_f16(vcombine_f16(vcvt_f16_f32(x.c), vcvt_f16_f32(x.d))));
}
static inline uint16x8_t v_low16(float32x4_t x, float32x4_t y) {
  return vcombine_u16(vmovn_u32(vreinterpretq_u32_f32(x)), vmovn_u32(vreinterpretq_u32_f32(y)));
}
static inline void v_store_low8(void *p, v16 x) {
  vst1q_u8(p, vcombine_u8(vmovn_u16(v_low16(x.a, x.b)), vmovn_u16(v_low16(x.c, x.d))));
}

static inline void v_store_low16(int16_t *p, v16 x) {
  vst1q_s16(p, vreinterpretq_s16_u16(v_low16(x.a, x.b)));
  vst1q_s16(p + 8, vreinterpretq_s16_u16(v_low16(x.c, x.d)));
}

typedef struct p16 {
  int16x8x2_t a, b; /* val[0], val[1]: the first and second of lanes 0..7, 8..15 */
} p16;
typedef int16x4_t x16; /* the first, the second, and again */
typedef struct s16 {
  int32x4_t a, b, c, d;
} s16;

static inline p16 p_load(const int16_t *p) {
  p16 r = {vld2q_s16(p), vld2q_s16(p + 16)};
  return r;
}
static inline p16 p_load_i8(const int8_t *p) {
  int8x16x2_t q = vld2q_s8(p);
  p16 r;
  for (int i = 0; i < 2; i++) {
    r.a.val[i] = vmovl_s8(vget_low_s8(q.val[i]));
    r.b.val[i] = vmovl_s8(vget_high_s8(q.val[i]));
  }
  return r;
}
static inline x16 x_load(const int16_t *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return vreinterpret_s16_s32(vdup_n_s32(x));
}
static inline s16 s_zero(void) {
  int32x4_t z = vdupq_n_s32(0);
  s16 r = {z, z, z, z};
  return r;
}
static inline s16 s_dot(s16 s, p16 p, x16 x) {
  s.a = vmlal_lane_s16(vmlal_lane_s16(s.a, vget_low_s16(p.a.val[0]), x, 0), vget_low_s16(p.a.val[1]), x, 1);
  s.b = vmlal_high_lane_s16(vmlal_high_lane_s16(s.b, p.a.val[0], x, 0), p.a.val[1], x, 1);
  s.c = vmlal_lane_s16(vmlal_lane_s16(s.c, vget_low_s16(p.b.val[0]), x, 0), vget_low_s16(p.b.val[1]), x, 1);
  s.d = vmlal_high_lane_s16(vmlal_high_lane_s16(s.d, p.b.val[0], x, 0), p.b.val[1], x, 1);
  return s;
}
static inline v16 s_float(s16 s) {
  return v_quad(vcvtq_f32_s32(s.a), vcvtq_f32_s32(s.b), vcvtq_f32_s32(s.c), vcvtq_f32_s32(s.d));
}

/* The 4 x 4 transpose. */
static inline void v_transpose4(float32x4_t *p, float32x4_t *q, float32x4_t *r, float32x4_t *s) {
  float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(*p, *q)), b = vreinterpretq_f64_f32(vtrn2q_f32(*p, *q));
  float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(*r, *s)), d = vreinterpretq_f64_f32(vtrn2q_f32(*r, *s));
  *p = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
  *q = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
  *r = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
  *s = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}
static inline void v_transpose(v16 r[16]) {
  v16 t[16];
  for (int i = 0; i < 16; i += 4) {
    v_transpose4(&r[i].a, &r[i + 1].a, &r[i + 2].a, &r[i + 3].a);
    v_transpose4(&r[i].b, &r[i + 1].b, &r[i + 2].b, &r[i + 3].b);
    v_transpose4(&r[i].c, &r[i + 1].c, &r[i + 2].c, &r[i + 3].c);
    v_transpose4(&r[i].d, &r[i + 1].d, &r[i + 2].d, &r[i + 3].d);
  }
  for (int i = 0; i < 4; i++) {
    t[i] = v_quad(r[i].a, r[i + 4].a, r[i + 8].a, r[i + 12].a);
    t[i + 4] = v_quad(r[i].b, r[i + 4].b, r[i + 8].b, r[i + 12].b);
    t[i + 8] = v_quad(r[i].c, r[i + 4].c, r[i + 8].c, r[i + 12].c);
    t[i + 12] = v_quad(r[i].d, r[i + 4].d, r[i + 8].d, r[i + 12].d);
  }
  memcpy(r, t, sizeof t);
}

#endif
