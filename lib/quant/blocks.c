/* SPDX-License-Identifier: MIT */
#include "quant/blocks.h"

#include "base/assert.h"
#include "base/f16.h"
#include "base/little.h"

#include <math.h>
#include <string.h>

enum { G = NB_BLOCKS_GROUP };

static float half_at(const uint8_t *p) { return nb_f16_f32((uint16_t)nb_little_get(p, 2)); }

static uint16_t to_half(float x) { return nb_f32_f16(fmaxf(-65504, fminf(65504, x))); }

bool nb_blocks_make(const nb_ggml_type *type, nb_blocks *out) {
  static const int8_t counted[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const nb_qfmt uniform = {4, 0, G}, table = {4, 1, G}, eight = {8, 0, G};
  *out = (nb_blocks){.type = type};
  switch (type->id) {
  case NB_GGML_Q8_0: nb_grid_make(eight, NULL, &out->grid); return true;
  case NB_GGML_Q4_0: nb_grid_make(uniform, NULL, &out->grid); return true;
  case NB_GGML_IQ4_NL: nb_grid_make(table, nb_ggml_iq4_values, &out->grid); return true;
  case NB_GGML_Q4_1:
  case NB_GGML_Q4_K:
    nb_grid_make(table, counted, &out->grid);
    out->offset = true;
    return true;
  default: return false;
  }
}

size_t nb_blocks_row_bytes(const nb_blocks *b, size_t K) {
  nb_assert(K % b->type->block == 0);
  return K / b->type->block * b->type->bytes;
}

/* The block that group g is in. */
static const uint8_t *block_of(const nb_blocks *b, const uint8_t *row, size_t g) {
  return row + g * G / b->type->block * b->type->bytes;
}

void nb_blocks_round(const nb_blocks *b, const float *w, const float *h, size_t K, uint8_t *row, float *step,
                     float *offset) {
  nb_ggml_write(b->type, w, h, K, row);
  for (size_t g = 0; g < K / G; g++) {
    const uint8_t *at = block_of(b, row, g);
    step[g] = half_at(at);
    offset[g] = b->type->id == NB_GGML_Q4_1 ? half_at(at + 2) : 0;
    if (b->type->id != NB_GGML_Q4_K) continue;
    uint8_t scale[8], min[8];
    nb_ggml_unpack_scales(at + 4, scale, min);
    step[g] = half_at(at) * (float)scale[g % 8];
    offset[g] = -(half_at(at + 2) * (float)min[g % 8]);
  }
}

/* The multiple of a unit by 0 to 63. */
static float multiple(float unit, float x) { return unit > 0 ? unit * fminf(63, fmaxf(0, rintf(x / unit))) : 0; }

float nb_blocks_step(const nb_blocks *b, const uint8_t *row, size_t g, float x) {
  if (b->type->id == NB_GGML_Q4_K) return multiple(half_at(block_of(b, row, g)), x);
  return nb_f16_f32(to_half(x));
}

float nb_blocks_offset(const nb_blocks *b, const uint8_t *row, size_t g, float x) {
  if (b->type->id == NB_GGML_Q4_K) return -multiple(half_at(block_of(b, row, g) + 2), -x);
  return b->offset ? nb_f16_f32(to_half(x)) : 0;
}

static void store_q4_k(const uint8_t *code, const float *step, const float *offset, uint8_t *at) {
  uint8_t scale[8], min[8];
  float d = half_at(at), m = half_at(at + 2);
  for (int g = 0; g < 8; g++) {
    scale[g] = (uint8_t)(d > 0 ? rintf(step[g] / d) : 0);
    min[g] = (uint8_t)(m > 0 ? rintf(-offset[g] / m) : 0);
  }
  nb_ggml_pack_scales(scale, min, at + 4);
  for (int g = 0; g < 8; g += 2)
    for (int i = 0; i < G; i++) at[16 + G / 2 * g + i] = (uint8_t)(code[G * g + i] | code[G * g + G + i] << 4);
}

void nb_blocks_store(const nb_blocks *b, const uint8_t *code, const float *step, const float *offset, size_t K,
                     uint8_t *row) {
  size_t size = b->type->block;
  for (size_t k = 0; k < K; k += size, row += b->type->bytes, code += size, step += size / G, offset += size / G) {
    if (b->type->id == NB_GGML_Q4_K) {
      store_q4_k(code, step, offset, row);
      continue;
    }
    uint8_t *q = row + 2;
    nb_little_put(row, to_half(*step), 2);
    if (b->offset) nb_little_put(q, to_half(*offset), 2), q += 2;
    for (int i = 0; i < G; i++)
      if (b->grid.fmt.bits == 8) q[i] = (uint8_t)b->grid.value[code[i]];
      else if (i < G / 2) q[i] = (uint8_t)(code[i] | code[i + G / 2] << 4);
  }
}
