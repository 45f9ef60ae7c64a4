/* SPDX-License-Identifier: MIT */
/* linear_q8, linear_float, quantize_q8. */
#include "check.h"

#include "base/f16.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

nb_qmat random_qmat(check *c, size_t N, size_t K, nb_qfmt f, bool extreme) {
  nb_qmat m;
  nb_qmat_layout l;
  nb_err err;
  if (nb_qmat_plan(N, K, f, &m, &l, &err) != NB_OK) that(c, false, err.msg);
  /* four arrays, each flush with its own unreadable page */
  size_t scales = nb_round_up(m.n_tiles * m.n_groups * NB_TILE, 64), codes = m.n_tiles * m.n_blocks * f.bits * 64;
  uint16_t *row = buffer(c, m.n_tiles * NB_TILE * 2);
  int8_t *scale = buffer(c, scales), *table = NULL;
  uint8_t *code = buffer(c, codes);
  if (f.kind) {
    const int levels = nb_qfmt_levels(f);
    table = buffer(c, (size_t)levels);
    for (int i = 0; i < levels; i++)
      table[i] = (int8_t)(extreme ? -128 + i * 255 / (levels - 1) : (int)rnd_below(c, 256) - 128);
  }
  for (size_t i = 0; i < m.n_tiles * NB_TILE; i++) {
    row[i] = nb_f32_bf16(i < N ? ldexpf(1 + fabsf(rnd_unit(c)), extreme ? (int)rnd_below(c, 200) - 100 : -10) : 0);
    if (extreme && rnd_below(c, 10) == 0) row[i] = 0;
  }
  for (size_t i = 0; i < scales; i++) scale[i] = (int8_t)(rnd(c) >> 40);
  if (extreme)
    for (size_t i = 0; i < scales; i++) scale[i] = rnd_below(c, 3) ? (rnd_below(c, 2) ? 127 : -127) : 0;
  int kind = extreme ? (int)rnd_below(c, 3) : 0; /* random, all the lowest code, all the highest */
  for (size_t i = 0; i < codes; i++) code[i] = kind == 0 ? (uint8_t)(rnd(c) >> 40) : kind == 1 ? 0 : 255;
  m.row_scale = row, m.scale = scale, m.codes = code, m.table = table;
  return m;
}

nb_q8 random_q8(check *c, size_t T, size_t K, bool extreme) {
  nb_q8 x = {.T = T, .K = K, .Kp = rnd_below(c, 2) ? nb_round_up(K, NB_K_PAD) : nb_kernels_pad_inputs(K)};
  x.q = buffer(c, T * x.Kp);
  x.scale = buffer(c, T * x.Kp / 64 * 4);
  x.sum = buffer(c, T * x.Kp / 32 * 4);
  int kind = extreme ? (int)rnd_below(c, 3) : 0; /* random, all +-127, all 127 */
  for (size_t t = 0; t < T; t++)
    for (size_t k = 0; k < x.Kp; k++) {
      int v = kind == 0 ? (int)rnd_below(c, 255) - 127 : kind == 1 && rnd_below(c, 2) ? -127 : 127;
      x.q[t * x.Kp + k] = (int8_t)(k < K ? v : 0);
    }
  for (size_t i = 0; i < T * x.Kp / 64; i++)
    x.scale[i] = ldexpf(fabsf(rnd_unit(c)), extreme ? (int)rnd_below(c, 160) - 120 : 0);
  for (size_t b = 0; b < T * x.Kp / 32; b++) {
    x.sum[b] = 0;
    for (size_t i = 0; i < 32; i++) x.sum[b] += x.q[b * 32 + i];
  }
  return x;
}

static void linear_q8_double(check *c, const nb_qmat *w, const nb_q8 *x, const float *y, size_t ldy) {
  int8_t value[256];
  nb_qmat_values(w, value);
  size_t step = nb_min(w->fmt.group, 64);
  uint8_t *code = malloc(w->n_blocks * NB_TILE * NB_BLOCK);
  for (size_t tile = 0; tile < w->n_tiles; tile++) {
    for (size_t b = 0; b < w->n_blocks; b++)
      nb_qmat_read_levels(w->codes + (tile * w->n_blocks + b) * w->fmt.bits * 64, w->fmt, code + b * NB_TILE * NB_BLOCK,
                          NB_BLOCK);
    for (size_t n = tile * NB_TILE; n < nb_min(w->N, (tile + 1) * NB_TILE); n++)
      for (size_t t = 0; t < x->T; t++) {
        double sum = 0, size = 0, row = nb_bf16_f32(w->row_scale[n]);
        for (size_t k = 0; k < w->K; k++) {
          double s = (double)w->scale[(tile * w->n_groups + k / w->fmt.group) * NB_TILE + n % NB_TILE] *
                     x->scale[(t * x->Kp + k) / 64];
          double p = s * value[code[(k / 32 * NB_TILE + n % NB_TILE) * NB_BLOCK + k % 32]] * x->q[t * x->Kp + k];
          sum += p, size += fabs(p);
        }
        double steps = (double)(w->K / step + 1);
        near(c, sum * row, y[t * ldy + n], (steps + 4) * U * size * row + 0x1p-140);
      }
  }
  free(code);
}

void test_linear_q8(check *c) {
  static const size_t Ks[] = {1, 31, 64, 65, 200, 256, 320, 576, 1100}, groups[] = {32, 64, 128, 256};
  static const char *const names[] = {"u3", "u4", "u5", "u6", "u7", "u8", "t3", "t4", "t5", "c3", "c4", "c5"};
  size_t K = rnd_of(c, Ks, 9), N = 1 + rnd_below(c, 150);
  size_t T = rnd_below(c, 2) ? 1 + rnd_below(c, 8) : 1 + rnd_below(c, 40);
  if (rnd_below(c, 20) == 0) T = 140;
  char name[16];
  nb_qfmt f = {0};
  snprintf(name, sizeof name, "%sg%zu", names[rnd_below(c, sizeof names / sizeof *names)], rnd_of(c, groups, 4));
  that(c, nb_qfmt_parse(name, &f, NULL) == NB_OK, "no format");
  bool extreme = rnd_below(c, 3) == 0;
  nb_qmat w = random_qmat(c, N, K, f, extreme);
  nb_q8 x = random_q8(c, T, K, extreme);
  size_t ldy = N + rnd_below(c, 5), tile0 = rnd_below(c, w.n_tiles),
         tile1 = tile0 + 1 + rnd_below(c, w.n_tiles - tile0);
  snprintf(c->what, sizeof c->what, "linear_q8 %s N=%zu K=%zu T=%zu tiles %zu-%zu%s", name, N, K, T, tile0, tile1,
           extreme ? " extreme" : "");
  void *scratch = buffer(c, nb_kernels_linear_scratch(K));
  float *want = floats(c, (T - 1) * ldy + N), *got = floats(c, (T - 1) * ldy + N);
  if (c->k == c->ref) {
    c->ref->linear_q8(&w, 0, w.n_tiles, &x, want, ldy, scratch);
    if (!extreme) linear_q8_double(c, &w, &x, want, ldy);
    return;
  }
  c->ref->linear_q8(&w, tile0, tile1, &x, want, ldy, scratch);
  c->k->linear_q8(&w, tile0, tile1, &x, got, ldy, scratch);
  same_floats(c, want, got, (T - 1) * ldy + N);
}

void test_linear_float(check *c) {
  static const size_t Ks[] = {1, 7, 16, 33, 64, 100, 256, 300, 530};
  size_t K = rnd_of(c, Ks, 9), N = 1 + rnd_below(c, 90), T = 1 + rnd_below(c, 25), ldx = K + rnd_below(c, 9);
  if (rnd_below(c, 20) == 0) T = 133;
  nb_dtype type = (nb_dtype)rnd_below(c, 3);
  int kind = (int)rnd_below(c, F_KINDS);
  size_t ldy = N + rnd_below(c, 5), n0 = rnd_below(c, N), n1 = n0 + 1 + rnd_below(c, N - n0);
  snprintf(c->what, sizeof c->what, "linear_float %s N=%zu K=%zu T=%zu rows %zu-%zu", nb_dtype_name(type), N, K, T, n0,
           n1);
  float *f = floats(c, N * K), *x = floats(c, (T - 1) * ldx + K);
  rnd_floats(c, f, N * K, kind);
  rnd_floats(c, x, (T - 1) * ldx + K, kind);
  nb_tensor w = {type, 2, {N, K, 1, 1}, f, N * K * nb_dtype_bytes(type), NULL};
  if (type != NB_F32) {
    uint16_t *h = buffer(c, N * K * 2);
    for (size_t i = 0; i < N * K; i++) h[i] = type == NB_F16 ? nb_f32_f16(f[i]) : nb_f32_bf16(f[i]);
    w.data = h;
  }
  void *scratch = buffer(c, nb_kernels_linear_scratch(K));
  float *want = floats(c, (T - 1) * ldy + N), *got = floats(c, (T - 1) * ldy + N);
  const nb_rows rows = {x, T, ldx, NULL};
  c->ref->linear_float(&w, n0, n1, &rows, want, ldy, scratch);
  c->k->linear_float(&w, n0, n1, &rows, got, ldy, scratch);
  same_floats(c, want, got, (T - 1) * ldy + N);
  for (size_t t = 0; t < T; t++)
    for (size_t n = n0; n < n1; n++) {
      double sum = 0, size = 0;
      for (size_t k = 0; k < K; k++) {
        const uint16_t *h = w.data;
        double a = type == NB_F32   ? f[n * K + k]
                   : type == NB_F16 ? nb_f16_f32(h[n * K + k])
                                    : nb_bf16_f32(h[n * K + k]);
        sum += a * x[t * ldx + k], size += fabs(a * x[t * ldx + k]);
      }
      if (size < 1e37) near(c, sum, got[t * ldy + n], (double)(K + 1) * U * size + (double)K * 0x1p-149);
    }
}

/* Rows in blocks of GGUF files give the bits of the floats that they are read as. */
void test_linear_blocks(check *c) {
  static const char *const names[] = {"q8_0", "q4_0", "q4_1", "iq4_nl", "q4_k"};
  const nb_ggml_type *type = nb_ggml_find_name(names[rnd_below(c, 5)]);
  size_t K = type->block * (1 + rnd_below(c, type->block == 256 ? 3 : 20)), N = 1 + rnd_below(c, 70);
  size_t T = rnd_below(c, 20) == 0 ? 133 : 1 + rnd_below(c, 12), n0 = rnd_below(c, N),
         n1 = n0 + 1 + rnd_below(c, N - n0);
  snprintf(c->what, sizeof c->what, "linear_float %s N=%zu K=%zu T=%zu rows %zu-%zu", type->name, N, K, T, n0, n1);
  float *f = floats(c, N * K), *x = floats(c, T * K);
  for (size_t i = 0; i < N * K; i++) f[i] = (float)rnd_below(c, 2001) * 1e-3f - 1;
  for (size_t i = 0; i < T * K; i++) x[i] = (float)rnd_below(c, 2001) * 1e-3f - 1;
  nb_tensor dense = {NB_F32, 2, {N, K, 1, 1}, f, N * K * sizeof *f, NULL}, blocks = dense;
  blocks.blocks = type;
  blocks.n_bytes = nb_tensor_bytes(&blocks, N * K);
  uint8_t *b = buffer(c, blocks.n_bytes);
  nb_ggml_write(type, f, NULL, N * K, b);
  nb_ggml_read(type, b, N * K, f);
  blocks.data = b;
  void *scratch = buffer(c, nb_kernels_linear_scratch(K));
  float *want = floats(c, T * N), *got = floats(c, T * N);
  const nb_rows rows = {x, T, K, NULL};
  c->ref->linear_float(&dense, n0, n1, &rows, want, N, scratch);
  c->k->linear_float(&blocks, n0, n1, &rows, got, N, scratch);
  same_floats(c, want, got, T * N);
}

void test_quantize_q8(check *c) {
  size_t K = 1 + rnd_below(c, 700), Kp = nb_round_up(K, NB_K_PAD);
  float *x = floats(c, K);
  rnd_floats(c, x, K, (int)rnd_below(c, F_KINDS));
  if (rnd_below(c, 4) == 0) memset(x, 0, K * sizeof *x);
  int8_t *q[2];
  float *scale[2];
  int32_t *sum[2];
  const nb_kernels *k[2] = {c->ref, c->k};
  snprintf(c->what, sizeof c->what, "quantize_q8 K=%zu", K);
  for (int i = 0; i < 2; i++) {
    q[i] = buffer(c, Kp), scale[i] = floats(c, Kp / 64), sum[i] = buffer(c, Kp / 32 * sizeof **sum);
    k[i]->quantize_q8(x, K, Kp, q[i], scale[i], sum[i]);
  }
  same_bytes(c, q[0], q[1], Kp);
  same_floats(c, scale[0], scale[1], Kp / 64);
  same_bytes(c, sum[0], sum[1], Kp / 32 * sizeof **sum);
  for (size_t i = 0; i < Kp; i++) {
    double s = scale[1][i / 64], v = i < K ? x[i] : 0;
    that(c, q[1][i] >= -127, "-128 in q");
    near(c, v, s * q[1][i], s == 0 ? 0x1p-100 : s * 0.50001);
  }
  for (size_t b = 0; b < Kp / 32; b++) {
    int32_t s = 0;
    for (size_t i = 0; i < 32; i++) s += q[1][b * 32 + i];
    that(c, s == sum[1][b], "wrong sum");
  }
}
