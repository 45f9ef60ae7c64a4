/* SPDX-License-Identifier: MIT */
#include "test.h"

#include "base/f16.h"
#include "base/mem.h"
#include "base/qmat.h"

static nb_err err;
static unsigned seed;
static unsigned rnd(void) { return (seed = seed * 1664525u + 1013904223u) >> 8; }

TEST(blocks_round_trip) {
  for (unsigned bits = 3; bits <= 8; bits++) {
    uint8_t code[16 * 40], back[16 * 40], block[512];
    for (size_t i = 0; i < sizeof code; i++) code[i] = (uint8_t)(rnd() & ((1u << bits) - 1));
    memcpy(back, code, sizeof back);
    nb_qmat_pack_block(code, 40, bits, block);
    for (size_t r = 0; r < 16; r++) memset(back + r * 40, 0xff, 32);
    nb_qmat_unpack_block(block, bits, back, 40);
    CHECK(memcmp(code, back, sizeof code) == 0);
  }
}

/* The layout's own words: byte 4 r + i of a line, plane by plane. */
TEST(a_code_is_where_the_header_says) {
  uint8_t code[16 * 32] = {0}, block[512];
  code[5 * 32 + 22] = 0x7f; /* row 5, input 22 = 4 * 5 + 2, seven bits */
  nb_qmat_pack_block(code, 32, 7, block);
  CHECK(block[2 * 64 + 22] == 0xf0);              /* four bits: line 2 holds 16..23, 20..23 in the high nibble */
  CHECK(block[4 * 64 + 1 * 64 + 22] == 0x3 << 2); /* two bits: line 1 holds 16..31, m = 1 */
  CHECK(block[6 * 64 + 22] == 1 << 5);            /* one bit: m = 5 */
  size_t set = 0;
  for (size_t i = 0; i < 7 * 64; i++) set += block[i] != 0;
  CHECK(set == 3);
}

TEST(rows_dequantize) {
  static const char *const names[] = {"t3g32", "t4g64",  "t5g128", "u3g64", "u4g256", "u5g32",
                                      "u6g64", "u7g128", "u8g32",  "c3g64", "c4g128", "c5g256"};
  for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
    nb_qfmt fmt;
    nb_qmat m;
    nb_qmat_layout l;
    enum { N = 19, K = 150 };
    CHECK_OK(nb_qfmt_parse(names[f], &fmt, &err));
    CHECK_OK(nb_qmat_plan(N, K, fmt, &m, &l, &err));
    uint8_t *data = nb_alloc(l.total, 1), *all = malloc(m.n_tiles * 16 * m.n_blocks * 32);
    for (size_t i = 0; i < l.total; i++) data[i] = (uint8_t)rnd();
    CHECK_OK(nb_qmat_view(N, K, fmt, data, l.total, &m, &err));
    for (size_t n = 0; n < m.n_tiles * 16; n++)
      ((uint16_t *)(void *)(data + l.row_scale))[n] = nb_f32_bf16(0.25f + (float)n);
    size_t ld = m.n_blocks * 32;
    for (size_t t = 0; t < m.n_tiles; t++)
      for (size_t b = 0; b < m.n_blocks; b++)
        nb_qmat_read_levels(m.codes + (t * m.n_blocks + b) * fmt.bits * 64, fmt, all + t * 16 * ld + b * 32, ld);
    int8_t value[256];
    nb_qmat_values(&m, value);
    for (size_t n = 0; n < N; n++) {
      float row[K];
      nb_qmat_dequant_row(&m, n, row);
      for (size_t k = 0; k < K; k++) {
        float want = (0.25f + (float)n) * m.scale[(n / 16 * m.n_groups + k / fmt.group) * 16 + n % 16];
        CHECK(row[k] == want * value[all[n * ld + k]]);
      }
    }
    nb_free(data), free(all);
  }
}

TEST(plans_are_checked) {
  nb_qmat m;
  nb_qmat_layout l;
  CHECK(nb_qmat_plan(0, 64, (nb_qfmt){4, 1, 64}, &m, &l, &err) == NB_ERR_ARG);
  CHECK(nb_qmat_plan(64, (size_t)1 << 60, (nb_qfmt){4, 1, 64}, &m, &l, &err) == NB_ERR_ARG);
  CHECK(nb_qmat_plan(64, 64, (nb_qfmt){2, 0, 64}, &m, &l, &err) == NB_ERR_ARG);
  CHECK(nb_qmat_plan(64, 64, (nb_qfmt){6, 1, 64}, &m, &l, &err) == NB_ERR_ARG);
  CHECK(nb_qmat_plan(64, 64, (nb_qfmt){6, NB_TRELLIS, 64}, &m, &l, &err) == NB_ERR_ARG);
  CHECK(nb_qmat_plan(64, 64, (nb_qfmt){4, NB_QKINDS, 64}, &m, &l, &err) == NB_ERR_ARG);
  CHECK(nb_qmat_plan(64, 64, (nb_qfmt){4, 0, 48}, &m, &l, &err) == NB_ERR_ARG);
  CHECK_OK(nb_qmat_plan(3072, 3072, (nb_qfmt){4, 1, 128}, &m, &l, &err));
  CHECK(l.total == 64 + 3072 * 2 + 3072 * 24 + 3072 * 3072 / 2);
  CHECK(fabs(nb_qmat_bpw(3072, 3072, m.fmt) - 8.0 * (double)l.total / (3072.0 * 3072)) < 1e-12);
  CHECK(nb_qmat_view(3072, 3072, m.fmt, NULL, l.total - 1, &m, &err) == NB_ERR_FORMAT);
}

TEST(names_round_trip) {
  static const char *const bad[] = {"",      "t",     "t4",     "t4g",     "t6g64", "u9g64", "u2g64",
                                    "t4g48", "x4g64", "t4g64x", "u4g1024", "c6g64", "c2g64"};
  char name[16];
  nb_qfmt f;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK_MSG(nb_qfmt_parse(bad[i], &f, &err) == NB_ERR_ARG, "%s", bad[i]);
  for (unsigned i = 0; i < 9 * NB_QKINDS; i++)
    for (unsigned g = 32; g <= 256; g *= 2) {
      unsigned bits = i % 9;
      nb_qfmt in = {(uint8_t)bits, (uint8_t)(i / 9), (uint16_t)g};
      if (!nb_qfmt_valid(in)) continue;
      nb_qfmt_name(in, name);
      CHECK_OK(nb_qfmt_parse(name, &f, &err));
      CHECK(f.bits == bits && f.kind == in.kind && f.group == g);
    }
}

int main(void) {
  seed = (unsigned)test_seed(1);
  RUN(blocks_round_trip);
  RUN(a_code_is_where_the_header_says);
  RUN(rows_dequantize);
  RUN(plans_are_checked);
  RUN(names_round_trip);
  return test_end();
}
