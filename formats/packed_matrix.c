/* SPDX-License-Identifier: MIT */
/* Values of packed matrices. Products of a 16-bit scale and a difference of codes are exact in float, so that rounding
 * them is the one rounding that the projects' own arithmetic in 16 bits has. */
#include "formats/packed_matrix.h"

#include "base/f16.h"
#include "base/little.h"
#include "model/weights.h"

#include <string.h>

unsigned nb_packed_number(const nb_packed_numbers *x, size_t n, size_t j) {
  static const uint8_t place[8] = {0, 4, 1, 5, 2, 6, 3, 7};
  size_t line = x->by_row ? n : j, i = x->by_row ? j : n;
  if (x->shuffled) i = i / 8 * 8 + place[i % 8];
  size_t bit = i * x->bits, byte = bit / 8 % 4, shift = bit % 8;
  const uint8_t *word = x->data + line * x->line_step + bit / 32 * x->word_step;
  unsigned v = word[byte];
  if (shift + x->bits > 8) v |= (unsigned)(byte < 3 ? word[byte + 1] : word[x->word_step]) << 8;
  return (v >> shift & ((1u << x->bits) - 1)) ^ x->flip;
}

/* As a number of this type is stored, back as a float. */
static float rounded(nb_dtype dtype, float v) {
  return dtype == NB_F16 ? nb_f16_f32(nb_f32_f16(v)) : dtype == NB_BF16 ? nb_bf16_f32(nb_f32_bf16(v)) : v;
}

static void store(nb_dtype dtype, float v, void *out, size_t k) {
  if (dtype == NB_F32) {
    memcpy((uint8_t *)out + 4 * k, &v, sizeof v);
    return;
  }
  uint16_t h = dtype == NB_F16 ? nb_f32_f16(v) : nb_f32_bf16(v);
  memcpy((uint8_t *)out + 2 * k, &h, sizeof h);
}

void nb_packed_row(const nb_packed_matrix *m, size_t n, void *out) {
  nb_dtype dtype = m->scale.dtype;
  size_t width = m->K / m->groups, last = SIZE_MAX;
  float scale = 0, bias = 0;
  int zero = (int)m->middle;
  for (size_t k = 0; k < m->K; k++) {
    size_t g = m->g_idx ? (size_t)nb_little_get(m->g_idx + 4 * k, 4) : k / width;
    if (g != last) {
      size_t at = n * m->scale_row + g * m->scale_group;
      last = g;
      nb_tensor_floats(&m->scale, at, 1, &scale);
      if (m->bias.data) nb_tensor_floats(&m->bias, at, 1, &bias);
      if (m->zero.data) zero = (int)((nb_packed_number(&m->zero, n, g) + m->zero_add) & ((1u << m->zero.bits) - 1));
    }
    float v = scale * (float)((int)nb_packed_number(&m->code, n, k) - zero);
    if (m->bias.data) v = rounded(dtype, v) + bias;
    store(dtype, v, out, k);
  }
}
