/* SPDX-License-Identifier: MIT */
/* x * y + z in floats, rounded once, on every machine and with every C library. Some libraries' fmaf is not: that of
 * musl 1.2.2, which Emscripten has, takes some sums beside the middle of two floats for that middle. */
#ifndef NB_FMA_H
#define NB_FMA_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Where the instruction is, it. Else: the product of two floats is exact in doubles; its sum with z is rounded to odd
 * (what the rounding to nearest left, found as in Knuth's two-sum, makes an even last bit odd), and that rounds to the
 * float that the exact sum rounds to, since doubles have more than two bits to spare (Boldo and Melquiond 2008,
 * "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd"). */
static inline float nb_fma(float x, float y, float z) {
#if defined(__FMA__) || defined(__aarch64__)
  return fmaf(x, y, z);
#else
  const double p = (double)x * y, s = p + z, back = s - p, left = (p - (s - back)) + (z - back);
  int64_t sum, rest;
  memcpy(&sum, &s, sizeof sum), memcpy(&rest, &left, sizeof rest);
  if ((left < 0 || left > 0) && !(sum & 1)) sum += (sum ^ rest) < 0 ? -1 : 1; /* -1: the exact sum is nearer to 0 */
  double odd;
  memcpy(&odd, &sum, sizeof odd);
  return (float)odd;
#endif
}

#endif
