/* SPDX-License-Identifier: MIT */
/* Loops that do nothing but what a machine's limit is made of: the yardsticks of `nibble bench`. Independent chains in
 * registers, so that only the unit's own rate counts. */
#ifndef NB_PEAK_H
#define NB_PEAK_H

#include "kernels/simd16.h"

enum { PEAK_CHAINS = 6 };

INLINE uint64_t peak_f32(size_t rounds, uint64_t *sink) {
  v16 acc[PEAK_CHAINS];
  for (int i = 0; i < PEAK_CHAINS; i++) acc[i] = v_add(v_iota(), v_set((float)i)); /* no two registers alike */
  v16 x = v_set(0.999f + 0.0001f * (float)(*sink & 1)), y = v_set(0.5f);
  for (size_t r = 0; r < rounds; r++) UNROLL
  for (int i = 0; i < PEAK_CHAINS; i++) acc[i] = v_fma(acc[i], x, y);
  for (int i = 0; i < PEAK_CHAINS; i++) *sink += (uint64_t)(v_sum(acc[i]) > 1);
  return (uint64_t)rounds * PEAK_CHAINS * 16;
}

/* Sums 8-byte words: the compiler's plain loads are wide enough to saturate the memory. */
INLINE uint64_t peak_read(const uint8_t *p, size_t n) {
  uint64_t sum[8] = {0}, word[8];
  for (size_t i = 0; i + sizeof word <= n; i += sizeof word) {
    memcpy(word, p + i, sizeof word);
    for (int j = 0; j < 8; j++) sum[j] ^= word[j];
  }
  return sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

#ifdef NB_LINEAR_Q8_H /* where the integer machine is */
INLINE uint64_t peak_int8(size_t rounds, uint64_t *sink) {
  int8_t bytes[64];
  for (int i = 0; i < 64; i++) bytes[i] = (int8_t)(*sink + (uint64_t)i);
  b64 w = b_load((const uint8_t *)bytes);
  q8_in x = q8_inputs(bytes);
  q8_acc acc[PEAK_CHAINS];
  for (int i = 0; i < PEAK_CHAINS; i++) acc[i] = q8_start(i);
  for (size_t r = 0; r < rounds; r++) UNROLL
  for (int i = 0; i < PEAK_CHAINS; i++) {
    w = b_hold(w); /* without it, products of the same bytes would be taken once for all chains */
    acc[i] = q8_dot(acc[i], w, x, true);
  }
  for (int i = 0; i < PEAK_CHAINS; i++) *sink += (uint64_t)(v_sum(q8_float(acc[i])) > 1);
  return (uint64_t)rounds * PEAK_CHAINS * 64;
}
#endif

#endif
