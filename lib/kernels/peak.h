/* SPDX-License-Identifier: MIT */
/* Loops that do nothing but what a machine's limit is made of: the yardsticks of `nibble bench`. Each instruction set
 * makes several of each of these three, since no single one is the fastest on every processor, and adds them to its
 * table's; the best of them all is the limit. */
#ifndef NB_PEAK_H
#define NB_PEAK_H

#include "kernels/simd16.h"

/* clang takes UNROLL's number for one that the loop must have. */
#ifdef __clang__
#define PEAK_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PEAK_UNROLL UNROLL
#endif

/* n chains of float sums in registers: with as many as a multiply-add takes cycles on all units together, or more,
 * only the units' own rate counts. */
INLINE uint64_t peak_f32(const int n, size_t rounds) {
  v16 acc[16];
  PEAK_UNROLL for (int i = 0; i < n; i++) acc[i] = v_add(v_iota(), v_set((float)i)); /* no two registers alike */
  v16 x = v_set(0.25f), y = v_set(0.5f);
  for (size_t r = 0; r < rounds; r++) PEAK_UNROLL
  for (int i = 0; i < n; i++) acc[i] = v_fma(x, y, acc[i]); /* as the kernels do it: the sum is added to */
  PEAK_UNROLL for (int i = 0; i < n; i++) v_use(acc[i]);
  return (uint64_t)rounds * (uint64_t)n * 16;
}

/* Reads n bytes (a multiple of 256 times the streams) in as many streams side by side, each asking for what lies
 * `ahead` bytes further (0: nothing), as vectors that nothing is done with. */
INLINE uint64_t peak_read(const int streams, const size_t ahead, const uint8_t *p, size_t n) {
  const size_t part = n / (size_t)streams;
  for (size_t i = 0; i < part; i += 256) PEAK_UNROLL for (int s = 0; s < streams; s++) {
      const uint8_t *q = p + (size_t)s * part + i;
      PEAK_UNROLL for (int j = 0; j < 256; j += 64) {
        if (ahead) __builtin_prefetch(q + j + ahead);
        v_use(v_load((const float *)(const void *)(q + j)));
      }
    }
  return n;
}

#ifdef NB_LINEAR_Q8_H /* where the integer machine is */
/* n chains of the products that linear_q8.h is made of. */
INLINE uint64_t peak_int8(const int n, size_t rounds) {
  int8_t bytes[64];
  for (int i = 0; i < 64; i++) bytes[i] = (int8_t)i;
  b64 w = b_load((const uint8_t *)bytes);
  q8_in x = q8_inputs(bytes);
  q8_acc acc[16];
  PEAK_UNROLL for (int i = 0; i < n; i++) acc[i] = q8_start(i);
  for (size_t r = 0; r < rounds; r++) PEAK_UNROLL
  for (int i = 0; i < n; i++) {
    w = b_hold(w); /* without it, products of the same bytes would be taken once for all chains */
    acc[i] = q8_dot(acc[i], w, x, true);
  }
  PEAK_UNROLL for (int i = 0; i < n; i++) v_use(q8_float(acc[i]));
  return (uint64_t)rounds * (uint64_t)n * 64;
}
#endif

/* A set names its loops once, as SET_PEAKS(INT8, F32, READ), a list of INT8("instruction", n, registers): n chains of
 * so many registers each; F32 likewise; and READ("instruction", streams, ahead). PEAKS(SET_PEAKS) makes functions of
 * them, and the array `peaks` of their lines and of those of loops that are functions already, which follow. */
#define PEAK_INT8(instruction, n, registers)                                                                           \
  static uint64_t peak_int8_##n(size_t rounds) { return peak_int8(n, rounds); }                                        \
  _Static_assert(n <= 16, "acc");
#define PEAK_F32(instruction, n, registers)                                                                            \
  static uint64_t peak_f32_##n(size_t rounds) { return peak_f32(n, rounds); }                                          \
  _Static_assert(n <= 16, "acc");
#define PEAK_READ(instruction, streams, ahead)                                                                         \
  static uint64_t peak_read_##streams##_##ahead(const uint8_t *p, size_t n) {                                          \
    return peak_read(streams, ahead, p, n);                                                                            \
  }                                                                                                                    \
  _Static_assert(NB_PEAK_BYTES % (256 * streams) == 0, "whole steps");
#define PEAK_INT8_LINE(instruction, n, registers)                                                                      \
  {NB_PEAK_INT8, instruction, (n) * (registers), 0, peak_int8_##n, NULL},
#define PEAK_F32_LINE(instruction, n, registers) {NB_PEAK_F32, instruction, (n) * (registers), 0, peak_f32_##n, NULL},
#define PEAK_READ_LINE(instruction, streams, ahead)                                                                    \
  {NB_PEAK_READ, instruction, streams, ahead, NULL, peak_read_##streams##_##ahead},
#define PEAKS(list, ...)                                                                                               \
  list(PEAK_INT8, PEAK_F32,                                                                                            \
       PEAK_READ) static const nb_peak peaks[] = {list(PEAK_INT8_LINE, PEAK_F32_LINE, PEAK_READ_LINE) __VA_ARGS__}

/* All the ways of reading: they differ by machine, and there is no telling which is the fastest. */
#define PEAK_READS(READ, instruction)                                                                                  \
  READ(instruction, 1, 0)                                                                                              \
  READ(instruction, 1, 1024)                                                                                           \
  READ(instruction, 1, 4096)                                                                                           \
  READ(instruction, 2, 0)                                                                                              \
  READ(instruction, 2, 1024)                                                                                           \
  READ(instruction, 2, 4096)                                                                                           \
  READ(instruction, 4, 0)                                                                                              \
  READ(instruction, 4, 1024)                                                                                           \
  READ(instruction, 4, 4096)                                                                                           \
  READ(instruction, 8, 0)                                                                                              \
  READ(instruction, 8, 1024)                                                                                           \
  READ(instruction, 8, 4096)

/* Adds a set's list to those of the sets below. */
#define PEAK_ADD(k, list) nb_kernels_add_peaks(k, list, sizeof(list) / sizeof *(list))

#endif
