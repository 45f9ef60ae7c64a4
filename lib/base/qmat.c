/* SPDX-License-Identifier: MIT */
#include "base/assert.h"
#include "base/qmat.h"

#include "base/f16.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool nb_qfmt_valid(nb_qfmt f) {
  bool group = f.group == 32 || f.group == 64 || f.group == 128 || f.group == 256;
  static const uint8_t most[NB_QKINDS] = {8, 5, 5};
  return group && f.kind < NB_QKINDS && f.bits >= 3 && f.bits <= most[f.kind];
}

static const char letters[NB_QKINDS + 1] = "utc";

void nb_qfmt_name(nb_qfmt f, char out[16]) {
  snprintf(out, 16, "%c%ug%u", f.kind < NB_QKINDS ? letters[f.kind] : '?', f.bits, f.group);
}

nb_status nb_qfmt_parse(const char *s, nb_qfmt *out, nb_err *err) {
  unsigned bits = 0, group = 0;
  char kind = 0, rest = 0;
  const char *letter;
  if (sscanf(s, "%c%1ug%3u%c", &kind, &bits, &group, &rest) == 3 && (letter = strchr(letters, kind)) && *letter) {
    nb_qfmt f = {(uint8_t)bits, (uint8_t)(letter - letters), (uint16_t)group};
    if (nb_qfmt_valid(f)) {
      *out = f;
      return NB_OK;
    }
  }
  return nb_fail(
      err, NB_ERR_ARG,
      "'%s' is not a weight format: write c (trellis-coded; 3 to 5 bits), t (table; 3 to 5) or u (uniform; 3 "
      "to 8), the bits, g, and the group 32, 64, 128 or 256, as in t4g64",
      s);
}

nb_status nb_qmat_plan(size_t N, size_t K, nb_qfmt fmt, nb_qmat *m, nb_qmat_layout *l, nb_err *err) {
  if (!nb_qfmt_valid(fmt))
    return nb_fail(err, NB_ERR_ARG, "no weight format has %u bits, kind %u, group %u", fmt.bits, fmt.kind, fmt.group);
  if (N == 0 || K == 0 || N > 1u << 28 || K > 1u << 24)
    return nb_fail(err, NB_ERR_ARG, "a matrix of %zu x %zu is out of range", N, K);
  memset(m, 0, sizeof *m);
  m->N = N, m->K = K, m->fmt = fmt;
  m->n_tiles = (N + NB_TILE - 1) / NB_TILE;
  size_t Kp = nb_round_up(K, NB_QA_GROUP);
  m->n_groups = (Kp + fmt.group - 1) / fmt.group;
  m->n_blocks = Kp / NB_BLOCK;
  nb_assert(m->n_blocks % (NB_QA_GROUP / NB_BLOCK) == 0 && m->n_groups * fmt.group >= Kp && Kp - K < NB_QA_GROUP);
  size_t scales, codes;
  if (!nb_mul(m->n_tiles * NB_TILE, m->n_groups, &scales) || !nb_mul(m->n_tiles * 64, m->n_blocks * fmt.bits, &codes) ||
      codes > SIZE_MAX / 2)
    return nb_fail(err, NB_ERR_ARG, "a matrix of %zu x %zu is out of range", N, K);
  l->table = 0;
  l->row_scale = fmt.kind != NB_UNIFORM ? 64 : 0;
  l->scale = l->row_scale + nb_round_up(m->n_tiles * NB_TILE * 2, 64);
  l->codes = l->scale + nb_round_up(scales, 64);
  l->total = l->codes + codes;
  nb_assert(l->row_scale % NB_ALIGN == 0 && l->scale % NB_ALIGN == 0 && l->codes % NB_ALIGN == 0);
  nb_assert(l->table <= l->row_scale && l->row_scale < l->scale && l->scale < l->codes && l->codes < l->total);
  return NB_OK;
}

nb_status nb_qmat_view(size_t N, size_t K, nb_qfmt fmt, const void *data, size_t n_bytes, nb_qmat *m, nb_err *err) {
  nb_qmat_layout l;
  NB_TRY(nb_qmat_plan(N, K, fmt, m, &l, err));
  if (n_bytes != l.total)
    return nb_fail(err, NB_ERR_FORMAT, "a %zu x %zu matrix takes %zu bytes, not %zu", N, K, l.total, n_bytes);
  const uint8_t *p = data;
  nb_assert(nb_assert_aligned(p, NB_QMAT_ALIGN));
  m->table = fmt.kind != NB_UNIFORM ? (const int8_t *)(p + l.table) : NULL;
  m->row_scale = (const uint16_t *)(const void *)(p + l.row_scale);
  m->scale = (const int8_t *)(p + l.scale);
  m->codes = p + l.codes;
  return NB_OK;
}

void nb_qmat_values(const nb_qmat *m, int8_t value[256]) {
  nb_assert(nb_qfmt_valid(m->fmt) && (m->fmt.kind == NB_UNIFORM) == !m->table);
  int levels = nb_qfmt_levels(m->fmt);
  for (int l = 0; l < levels; l++) value[l] = m->table ? m->table[l] : (int8_t)(l - levels / 2);
}

/* The planes of a code: widths of the parts, low bits first. */
static unsigned planes(unsigned bits, unsigned width[3]) {
  unsigned n = 0;
  for (unsigned w = 8; w; w /= 2)
    if (bits & w) width[n++] = w;
  nb_assert(n >= 1 && n <= 3); /* 3 to 8 bits */
  return n;
}

void nb_qmat_pack_block(const uint8_t *code, size_t ld, unsigned bits, uint8_t *out) {
  nb_assert(ld >= NB_BLOCK);
  unsigned width[3], n = planes(bits, width), low = 0;
  memset(out, 0, (size_t)bits * 64);
  for (unsigned p = 0; p < n; p++) {
    unsigned per_byte = 8 / width[p], mask = (1u << width[p]) - 1;
    for (unsigned r = 0; r < NB_TILE; r++)
      for (unsigned k = 0; k < NB_BLOCK; k++) {
        unsigned line = k / (4 * per_byte), m = k / 4 % per_byte, part = code[r * ld + k] >> low & mask;
        out[line * 64 + 4 * r + k % 4] |= (uint8_t)(part << (m * width[p]));
      }
    out += width[p] * 64;
    low += width[p];
  }
}

void nb_qmat_unpack_block(const uint8_t *block, unsigned bits, uint8_t *code, size_t ld) {
  nb_assert(ld >= NB_BLOCK);
  unsigned width[3], n = planes(bits, width), low = 0;
  for (unsigned p = 0; p < n; p++) {
    unsigned per_byte = 8 / width[p], mask = (1u << width[p]) - 1;
    for (unsigned r = 0; r < NB_TILE; r++)
      for (unsigned k = 0; k < NB_BLOCK; k++) {
        unsigned line = k / (4 * per_byte), m = k / 4 % per_byte;
        unsigned part = block[line * 64 + 4 * r + k % 4] >> (m * width[p]) & mask;
        code[r * ld + k] = (uint8_t)((low ? code[r * ld + k] : 0) | part << low);
      }
    block += width[p] * 64;
    low += width[p];
  }
}

void nb_qmat_write_levels(const uint8_t *level, size_t ld, nb_qfmt fmt, uint8_t *out) {
  if (fmt.kind != NB_TRELLIS) {
    nb_qmat_pack_block(level, ld, fmt.bits, out);
    return;
  }
  uint8_t code[NB_TILE][NB_BLOCK];
  for (unsigned r = 0; r < NB_TILE; r++)
    for (unsigned k = 0; k < NB_BLOCK; k++) code[r][k] = (uint8_t)nb_qmat_trellis_code(level[r * ld + k]);
  nb_qmat_pack_block(code[0], NB_BLOCK, fmt.bits, out);
}

/* Levels of a trellis in place of a row's codes. */
static void take_levels(uint8_t *code, const uint8_t *before, const uint8_t *after) {
  for (unsigned k = 0; k < NB_BLOCK; k++) code[k] = (uint8_t)nb_qmat_trellis_level(code[k], before[k], after[k]);
}

void nb_qmat_read_levels(const uint8_t *block, nb_qfmt fmt, uint8_t *level, size_t ld) {
  nb_qmat_unpack_block(block, fmt.bits, level, ld);
  if (fmt.kind != NB_TRELLIS) return;
  uint8_t code[NB_TILE][NB_BLOCK];
  for (unsigned r = 0; r < NB_TILE; r++) memcpy(code[r], level + r * ld, NB_BLOCK);
  for (unsigned r = 0; r < NB_TILE; r++)
    take_levels(level + r * ld, code[nb_qmat_trellis_before(r)], code[nb_qmat_trellis_after(r)]);
}

/* Row r's 32 codes of a block, without unpacking the other rows. */
static void unpack_row(const uint8_t *block, unsigned bits, unsigned r, uint8_t code[NB_BLOCK]) {
  unsigned width[3], n = planes(bits, width), low = 0;
  memset(code, 0, NB_BLOCK);
  for (unsigned p = 0; p < n; p++) {
    unsigned per_byte = 8 / width[p], mask = (1u << width[p]) - 1;
    for (unsigned step = 0; step < NB_BLOCK / 4; step++) {
      const uint8_t *bytes = block + step / per_byte * 64 + 4 * r;
      unsigned shift = step % per_byte * width[p];
      for (unsigned i = 0; i < 4; i++) code[4 * step + i] |= (uint8_t)((bytes[i] >> shift & mask) << low);
    }
    block += width[p] * 64;
    low += width[p];
  }
}

void nb_qmat_dequant_row(const nb_qmat *m, size_t n, float *out) {
  nb_assert(n < m->N && m->codes && m->scale && m->row_scale);
  int8_t value[256];
  uint8_t code[NB_BLOCK], beside[2][NB_BLOCK];
  nb_qmat_values(m, value);
  size_t tile = n / NB_TILE, r = n % NB_TILE, block_bytes = (size_t)m->fmt.bits * 64;
  float row = nb_bf16_f32(m->row_scale[n]);
  const uint8_t *block = m->codes + tile * m->n_blocks * block_bytes;
  for (size_t k0 = 0; k0 < m->K; k0 += NB_BLOCK, block += block_bytes) {
    float scale = row * m->scale[(tile * m->n_groups + k0 / m->fmt.group) * NB_TILE + r];
    unpack_row(block, m->fmt.bits, (unsigned)r, code);
    if (m->fmt.kind == NB_TRELLIS) {
      unpack_row(block, m->fmt.bits, nb_qmat_trellis_before((unsigned)r), beside[0]);
      unpack_row(block, m->fmt.bits, nb_qmat_trellis_after((unsigned)r), beside[1]);
      take_levels(code, beside[0], beside[1]);
    }
    for (size_t k = k0; k < nb_min(k0 + NB_BLOCK, m->K); k++) out[k] = scale * value[code[k - k0]];
  }
}

double nb_qmat_bpw(size_t N, size_t K, nb_qfmt fmt) {
  nb_qmat m;
  nb_qmat_layout l;
  if (nb_qmat_plan(N, K, fmt, &m, &l, NULL) != NB_OK) return 0;
  return 8.0 * (double)l.total / ((double)N * (double)K);
}
