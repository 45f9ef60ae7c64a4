/* SPDX-License-Identifier: MIT */
/* The reference kernels: plain C, meant to be read. */

/* There are no vectors to keep in registers here, and a compiler that must inline everything takes minutes for it. */
#define INLINE static inline

#include "kernels/v16_ref.h"

#include "base/assert.h"

#include "kernels/float_table.h"
#include "kernels/peak.h"

enum { REF_T = 16 }; /* tokens that share an unpacked block */

static void linear_q8_tokens(const nb_qmat *w, size_t tile_no, const nb_q8 *x, size_t t0, size_t n_t, float *y,
                             size_t ldy) {
  int8_t value[256];
  nb_qmat_values(w, value);
  float acc[REF_T][NB_TILE] = {{0}};
  size_t step = nb_min(w->fmt.group, NB_QA_GROUP), block_bytes = (size_t)w->fmt.bits * 64;
  for (size_t k = 0; k < w->n_blocks * NB_BLOCK; k += step) {
    uint8_t level[2][NB_TILE * NB_BLOCK];
    for (size_t b = 0; b < step / NB_BLOCK; b++)
      nb_qmat_read_levels(w->codes + (tile_no * w->n_blocks + k / NB_BLOCK + b) * block_bytes, w->fmt, level[b],
                          NB_BLOCK);
    const int8_t *scale = w->scale + (tile_no * w->n_groups + k / w->fmt.group) * NB_TILE;
    for (size_t t = 0; t < n_t; t++) {
      const int8_t *q = x->q + (t0 + t) * x->Kp + k;
      float x_scale = x->scale[((t0 + t) * x->Kp + k) / NB_QA_GROUP];
      for (size_t r = 0; r < NB_TILE; r++) {
        int32_t isum = 0;
        for (size_t i = 0; i < step; i++) isum += q[i] * value[level[i / NB_BLOCK][r * NB_BLOCK + i % NB_BLOCK]];
        acc[t][r] = nb_fma((float)isum, (float)scale[r] * x_scale, acc[t][r]);
      }
    }
  }
  for (size_t t = 0; t < n_t; t++)
    for (size_t r = 0; r < NB_TILE && tile_no * NB_TILE + r < w->N; r++) {
      size_t n = tile_no * NB_TILE + r;
      y[(t0 + t) * ldy + n] = acc[t][r] * nb_bf16_f32(w->row_scale[n]);
    }
}

static void linear_q8(const nb_qmat *w, size_t tile0, size_t tile1, const nb_q8 *x, float *y, size_t ldy,
                      void *scratch) {
  (void)scratch;
  nb_assert(tile0 <= tile1 && tile1 <= w->n_tiles && x->Kp >= w->n_blocks * NB_BLOCK);
  for (size_t i = tile0; i < tile1; i++)
    for (size_t t = 0; t < x->T; t += REF_T) linear_q8_tokens(w, i, x, t, nb_min(x->T - t, REF_T), y, ldy);
}

/* What the plain loop above is made of, without its unpacking. */
static uint64_t peak_int8(size_t rounds) {
  uint32_t sum[64] = {0};
  int8_t a[64], b[64];
  for (int i = 0; i < 64; i++) a[i] = (int8_t)(rounds + (size_t)i), b[i] = (int8_t)(a[i] * 3);
  for (size_t r = 0; r < rounds; r++)
    for (int i = 0; i < 64; i++) sum[i] += (uint32_t)(a[i] * b[i]);
  for (int i = 0; i < 64; i++) __asm__ volatile("" : : "r"(sum[i]));
  return (uint64_t)rounds * 64;
}

/* Words of 8 bytes, which compilers widen. */
static uint64_t peak_words(const uint8_t *p, size_t n) {
  uint64_t sum[8] = {0}, word[8];
  for (size_t i = 0; i + sizeof word <= n; i += sizeof word) {
    memcpy(word, p + i, sizeof word);
    for (int j = 0; j < 8; j++) sum[j] ^= word[j];
  }
  for (int j = 0; j < 8; j++) __asm__ volatile("" : : "r"(sum[j]));
  return n;
}

#define SET_PEAKS(INT8, F32, READ) F32("plain C", 6, 16)
PEAKS(SET_PEAKS, {NB_PEAK_INT8, "plain C", 64, 0, peak_int8, NULL}, {NB_PEAK_READ, "plain C", 1, 0, NULL, peak_words});

void nb_kernels_ref(nb_kernels *k) {
  k->name = "ref";
  k->linear_q8 = linear_q8;
  PEAK_ADD(k, peaks);
  set_float_kernels(k);
}

size_t nb_kernels_linear_scratch(size_t K) {
  (void)K; /* every kernel works in blocks of a fixed size */
  return NB_LINEAR_SCRATCH;
}

size_t nb_attn_scratch_bytes(size_t head_dim) {
  size_t rows = ATTN_ROWS + NB_V16_MAX_ROWS;
  return (2 * (rows + NB_KV_BLOCK) * nb_round_up(head_dim, 16) + 3 * rows) * sizeof(float) +
         rows * nb_round_up(head_dim, 16) * sizeof(int16_t);
}
