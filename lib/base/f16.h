/* SPDX-License-Identifier: MIT */
/* Conversions between float and the two 16-bit floating-point types, all rounding to nearest even. */
#ifndef NB_F16_H
#define NB_F16_H

#include <stdint.h>
#include <string.h>

static inline float nb_bits_f32(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}
static inline uint32_t nb_f32_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}

static inline float nb_bf16_f32(uint16_t h) { return nb_bits_f32((uint32_t)h << 16); }

/* NaN stays NaN. */
static inline uint16_t nb_f32_bf16(float f) {
  uint32_t u = nb_f32_bits(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40);
  return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

static inline float nb_f16_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 0x3ff;
  if (exp == 31) return nb_bits_f32(sign | 0x7f800000u | man << 13);
  if (exp) return nb_bits_f32(sign | (exp + 112) << 23 | man << 13);
  float f = (float)man * 0x1p-24f; /* zero and subnormals */
  return nb_bits_f32(sign | nb_f32_bits(f));
}

/* Overflow goes to infinity, NaN stays NaN. */
static inline uint16_t nb_f32_f16(float f) {
  uint32_t u = nb_f32_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
  if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00);
  if (a < 0x38800000u) { /* below 2^-14: adding 0.5 leaves the subnormal in the low mantissa bits */
    float r = nb_bits_f32(a) + 0.5f;
    return (uint16_t)(sign | (nb_f32_bits(r) - 0x3f000000u));
  }
  uint32_t odd = a >> 13 & 1;
  return (uint16_t)(sign | ((a - 0x38000000u + 0xfffu + odd) >> 13));
}

#endif
