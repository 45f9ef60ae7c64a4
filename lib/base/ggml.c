/* SPDX-License-Identifier: MIT */
/* Reading blocks. Every product and sum is rounded to float in the order in which the Python package computes it. */
#include "base/ggml.h"

#include "base/f16.h"

#include <string.h>
#include <strings.h>

const int8_t nb_ggml_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

static uint16_t u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static float half(const uint8_t *p) { return nb_f16_f32(u16(p)); }

/* ---- floats ---- */

static void read_f32(const uint8_t *b, float *out) {
  *out = nb_bits_f32((uint32_t)u16(b) | (uint32_t)u16(b + 2) << 16);
}
static void read_f16(const uint8_t *b, float *out) { *out = half(b); }
static void read_bf16(const uint8_t *b, float *out) { *out = nb_bf16_f32(u16(b)); }

/* ---- 32 weights with one scale; nibbles: low ones are the first half, high ones the second ---- */

/* Sixteen bytes at a time, so that compilers make vectors of them. */
static void nibbles(const uint8_t *q, uint8_t code[32]) {
  for (int i = 0; i < 16; i++) code[i] = q[i] & 15;
  for (int i = 0; i < 16; i++) code[16 + i] = q[i] >> 4;
}
/* The fifth bits, on top of the four. */
static void fifth_bits(const uint8_t *high, uint8_t code[32]) {
  for (int i = 0; i < 32; i++) code[i] |= (uint8_t)((high[i / 8] >> i % 8 & 1) << 4);
}
static void scaled(const uint8_t code[32], float d, int zero, float *out) {
  for (int i = 0; i < 32; i++) out[i] = d * (float)(code[i] - zero);
}
static void scaled_and_moved(const uint8_t code[32], float d, float m, float *out) {
  for (int i = 0; i < 32; i++) out[i] = d * (float)code[i] + m;
}

static void read_q4_0(const uint8_t *b, float *out) {
  uint8_t code[32];
  nibbles(b + 2, code);
  scaled(code, half(b), 8, out);
}

static void read_q4_1(const uint8_t *b, float *out) {
  uint8_t code[32];
  nibbles(b + 4, code);
  scaled_and_moved(code, half(b), half(b + 2), out);
}

static void read_q5_0(const uint8_t *b, float *out) {
  uint8_t code[32];
  nibbles(b + 6, code);
  fifth_bits(b + 2, code);
  scaled(code, half(b), 16, out);
}

static void read_q5_1(const uint8_t *b, float *out) {
  uint8_t code[32];
  nibbles(b + 8, code);
  fifth_bits(b + 4, code);
  scaled_and_moved(code, half(b), half(b + 2), out);
}

static void read_q8_0(const uint8_t *b, float *out) {
  float d = half(b);
  int8_t code[32];
  memcpy(code, b + 2, sizeof code);
  for (int i = 0; i < 32; i++) out[i] = d * (float)code[i];
}

static void read_iq4_nl(const uint8_t *b, float *out) {
  uint8_t code[32];
  float d = half(b);
  nibbles(b + 2, code);
  for (int i = 0; i < 32; i++) out[i] = d * (float)nb_ggml_iq4_values[code[i]];
}

/* ---- 256 weights, with scales of their own for each 16 or 32 ---- */

/* Two bits of weight i: 32 bytes hold 4 x 32 weights, low bits first. */
static int two_bits(const uint8_t *q, int i) { return q[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3; }
static void read_q2_k(const uint8_t *b, float *out) {
  const uint8_t *scale = b, *q = b + 16;
  float d = half(b + 80), dmin = half(b + 82);
  for (int g = 0; g < 16; g++) {
    float dl = d * (float)(scale[g] & 15), ml = dmin * (float)(scale[g] >> 4);
    for (int i = 16 * g; i < 16 * g + 16; i++) out[i] = dl * (float)two_bits(q, i) - ml;
  }
}

static void read_q3_k(const uint8_t *b, float *out) {
  const uint8_t *high = b, *q = b + 32, *scale = b + 96;
  float d = half(b + 108);
  for (int g = 0; g < 16; g++) {
    int low4 = g < 8 ? scale[g] & 15 : scale[g - 8] >> 4, high2 = scale[8 + g % 4] >> g / 4 * 2 & 3;
    float dl = d * (float)((low4 | high2 << 4) - 32);
    for (int i = 16 * g; i < 16 * g + 16; i++) {
      int third = high[i % 32] >> i / 32 & 1;
      out[i] = dl * (float)(two_bits(q, i) - (third ? 0 : 4));
    }
  }
}

void nb_ggml_unpack_scales(const uint8_t p[12], uint8_t scale[8], uint8_t min[8]) {
  for (int g = 0; g < 4; g++) {
    scale[g] = p[g] & 63;
    min[g] = p[4 + g] & 63;
    scale[4 + g] = (uint8_t)((p[8 + g] & 15) | (p[g] >> 2 & 48));
    min[4 + g] = (uint8_t)(p[8 + g] >> 4 | (p[4 + g] >> 2 & 48));
  }
}

void nb_ggml_pack_scales(const uint8_t scale[8], const uint8_t min[8], uint8_t p[12]) {
  for (int g = 0; g < 4; g++) {
    p[g] = (uint8_t)(scale[g] | (scale[4 + g] >> 4) << 6);
    p[4 + g] = (uint8_t)(min[g] | (min[4 + g] >> 4) << 6);
    p[8 + g] = (uint8_t)((scale[4 + g] & 15) | (min[4 + g] & 15) << 4);
  }
}

/* Q4_K, and with the fifth bits in `high` Q5_K. 32 bytes hold the four bits of 2 x 32 weights, low ones first. */
static void read_k(const uint8_t *b, const uint8_t *high, const uint8_t *q, float *out) {
  uint8_t scale[8], min[8], code[32];
  float d = half(b), dmin = half(b + 2);
  nb_ggml_unpack_scales(b + 4, scale, min);
  for (int g = 0; g < 8; g++) {
    float dl = d * (float)scale[g], ml = dmin * (float)min[g];
    const uint8_t *p = q + g / 2 * 32;
    int shift = g % 2 * 4;
    for (int i = 0; i < 32; i++) code[i] = p[i] >> shift & 15;
    for (int i = 0; high && i < 32; i++) code[i] |= (uint8_t)((high[i] >> g & 1) << 4);
    for (int i = 0; i < 32; i++) out[32 * g + i] = dl * (float)code[i] - ml;
  }
}

static void read_q4_k(const uint8_t *b, float *out) { read_k(b, NULL, b + 16, out); }
static void read_q5_k(const uint8_t *b, float *out) { read_k(b, b + 16, b + 48, out); }

static void read_q6_k(const uint8_t *b, float *out) {
  const uint8_t *scale = b + 192;
  float d = half(b + 208);
  for (int g = 0; g < 16; g++) {
    float dl = d * (float)(int8_t)scale[g];
    const uint8_t *low = b + g / 8 * 64 + g % 4 * 16, *high = b + 128 + g / 8 * 32 + g % 2 * 16;
    int shift = g % 8 / 4 * 4, high_shift = g % 8 / 2 * 2;
    uint8_t code[16];
    for (int i = 0; i < 16; i++) code[i] = (uint8_t)((low[i] >> shift & 15) | (high[i] >> high_shift & 3) << 4);
    for (int i = 0; i < 16; i++) out[16 * g + i] = dl * (float)(code[i] - 32);
  }
}

static void read_iq4_xs(const uint8_t *b, float *out) {
  float d = half(b);
  unsigned high = u16(b + 2);
  const uint8_t *low = b + 4, *q = b + 8;
  for (int g = 0; g < 8; g++) {
    int scale = (low[g / 2] >> g % 2 * 4 & 15) | (int)(high >> 2 * g & 3) << 4;
    float dl = d * (float)(scale - 32);
    uint8_t code[32];
    nibbles(q + 16 * g, code);
    for (int i = 0; i < 32; i++) out[32 * g + i] = dl * (float)nb_ggml_iq4_values[code[i]];
  }
}

/* ---- the list ---- */

static const nb_ggml_type types[] = {
    {NB_GGML_F32, "F32", 1, 4, read_f32, nb_ggml_write_f32},
    {NB_GGML_F16, "F16", 1, 2, read_f16, nb_ggml_write_f16},
    {NB_GGML_BF16, "BF16", 1, 2, read_bf16, nb_ggml_write_bf16},
    {NB_GGML_Q8_0, "Q8_0", 32, 34, read_q8_0, nb_ggml_write_q8_0},
    {NB_GGML_Q4_0, "Q4_0", 32, 18, read_q4_0, nb_ggml_write_q4_0},
    {NB_GGML_Q4_1, "Q4_1", 32, 20, read_q4_1, nb_ggml_write_q4_1},
    {6, "Q5_0", 32, 22, read_q5_0, NULL},
    {7, "Q5_1", 32, 24, read_q5_1, NULL},
    {10, "Q2_K", 256, 84, read_q2_k, NULL},
    {11, "Q3_K", 256, 110, read_q3_k, NULL},
    {NB_GGML_Q4_K, "Q4_K", 256, 144, read_q4_k, nb_ggml_write_q4_k},
    {13, "Q5_K", 256, 176, read_q5_k, NULL},
    {14, "Q6_K", 256, 210, read_q6_k, NULL},
    {NB_GGML_IQ4_NL, "IQ4_NL", 32, 18, read_iq4_nl, nb_ggml_write_iq4_nl},
    {23, "IQ4_XS", 256, 136, read_iq4_xs, NULL},
    /* known, so that a file's layout can be checked, and refused by name */
    {9, "Q8_1", 32, 36, NULL, NULL},
    {15, "Q8_K", 256, 292, NULL, NULL},
    {16, "IQ2_XXS", 256, 66, NULL, NULL},
    {17, "IQ2_XS", 256, 74, NULL, NULL},
    {18, "IQ3_XXS", 256, 98, NULL, NULL},
    {19, "IQ1_S", 256, 50, NULL, NULL},
    {21, "IQ3_S", 256, 110, NULL, NULL},
    {22, "IQ2_S", 256, 82, NULL, NULL},
    {24, "I8", 1, 1, NULL, NULL},
    {25, "I16", 1, 2, NULL, NULL},
    {26, "I32", 1, 4, NULL, NULL},
    {27, "I64", 1, 8, NULL, NULL},
    {28, "F64", 1, 8, NULL, NULL},
    {29, "IQ1_M", 256, 56, NULL, NULL},
    {34, "TQ1_0", 256, 54, NULL, NULL},
    {35, "TQ2_0", 256, 66, NULL, NULL},
    {39, "MXFP4", 32, 17, NULL, NULL},
    {40, "NVFP4", 64, 36, NULL, NULL},
};

const nb_ggml_type *nb_ggml_find(uint32_t id) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (types[i].id == id) return &types[i];
  return NULL;
}

const nb_ggml_type *nb_ggml_find_name(const char *name) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcasecmp(types[i].name, name)) return &types[i];
  return NULL;
}

void nb_ggml_read(const nb_ggml_type *t, const void *data, size_t n, float *out) {
  const uint8_t *p = data;
  for (size_t i = 0; i < n; i += t->block, p += t->bytes) t->read(p, out + i);
}

/* Types of one weight a block, without a call for each. */
static bool write_floats(const nb_ggml_type *t, const float *x, size_t n, void *out) {
  if (t->id == NB_GGML_F32) memcpy(out, x, n * sizeof *x); /* a little-endian machine, as everywhere in nibble */
  else if (t->id == NB_GGML_F16)
    for (size_t i = 0; i < n; i++) memcpy((uint8_t *)out + 2 * i, &(uint16_t){nb_f32_f16(x[i])}, 2);
  else if (t->id == NB_GGML_BF16)
    for (size_t i = 0; i < n; i++) memcpy((uint8_t *)out + 2 * i, &(uint16_t){nb_f32_bf16(x[i])}, 2);
  else return false;
  return true;
}

void nb_ggml_write(const nb_ggml_type *t, const float *x, const float *importance, size_t n, void *out) {
  float alike[NB_GGML_MAX_BLOCK];
  uint8_t *p = out;
  if (write_floats(t, x, n, out)) return;
  for (size_t i = 0; i < NB_GGML_MAX_BLOCK; i++) alike[i] = 1;
  for (size_t i = 0; i < n; i += t->block, p += t->bytes) t->write(x + i, importance ? importance + i : alike, p);
}
