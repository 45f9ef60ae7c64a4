/* SPDX-License-Identifier: MIT */
#include "quant/lattice.h"

#include "base/assert.h"
#include "base/f16.h"

#include <math.h>

static float stored(nb_dtype type, float x) {
  return type == NB_F16 ? nb_f16_f32(nb_f32_f16(x)) : type == NB_BF16 ? nb_bf16_f32(nb_f32_bf16(x)) : x;
}

/* The number of the type next to x > 0 in a direction. */
static float neighbour(nb_dtype type, float x, int direction) {
  if (type == NB_F32) return direction ? nextafterf(x, direction > 0 ? INFINITY : 0) : x;
  if (type == NB_F16) return nb_f16_f32((uint16_t)(nb_f32_f16(x) + direction));
  return nb_bf16_f32((uint16_t)(nb_f32_bf16(x) + direction));
}

/* Whether every weight is a multiple of s, as the type stores it, by a code from low to high. */
static bool divides(float s, nb_dtype type, const float *w, size_t n, float low, float high) {
  if (!(fabsf(s) > 0 && fabsf(s) < INFINITY)) return false;
  for (size_t k = 0; k < n; k++) {
    float q = rintf(w[k] / s);
    if (!(q >= low && q <= high) || stored(type, s * q) != w[k]) return false;
  }
  return true;
}

float nb_lattice_step(const nb_grid *g, nb_dtype type, const float *w, size_t n) {
  nb_assert(g->fmt.kind == NB_UNIFORM);
  int half = g->levels / 2;
  float peak = 0;
  for (size_t k = 0; k < n; k++) peak = fmaxf(peak, fabsf(w[k]));
  for (int m = 1; peak > 0 && m <= half; m++)
    for (int direction = -1; direction <= 1; direction++) {
      float s = neighbour(type, stored(type, peak / (float)m), direction);
      if (divides(s, type, w, n, (float)-half, (float)(half - 1))) return s;
      if (m == half && divides(-s, type, w, n, (float)-half, (float)(half - 1))) return -s;
    }
  return 0;
}

/* Scales for the row's step r; their squared error. */
static double round_to(const float *s, size_t n, float r, int8_t *scale) {
  double error = 0;
  for (size_t i = 0; i < n; i++) {
    float q = fminf(127, fmaxf(-127, r > 0 ? rintf(s[i] / r) : 0));
    double off = s[i] - (double)q * (double)r;
    scale[i] = (int8_t)q;
    error += off * off;
  }
  return error;
}

void nb_lattice_scales(const float *s, size_t n_groups, int8_t *scale, uint16_t *row_scale) {
  double least = INFINITY;
  float peak = 0;
  int best = 127;
  for (size_t i = 0; i < n_groups; i++) peak = fmaxf(peak, fabsf(s[i]));
  for (int top = 127; top > 0; top--) {
    double error = round_to(s, n_groups, nb_bf16_f32(nb_f32_bf16(peak / (float)top)), scale);
    if (error < least) least = error, best = top;
  }
  *row_scale = nb_f32_bf16(peak / (float)best);
  round_to(s, n_groups, nb_bf16_f32(*row_scale), scale);
}
