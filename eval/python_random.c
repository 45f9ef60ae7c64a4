/* SPDX-License-Identifier: MIT */
#include "eval/python_random.h"

#include <stdbool.h>

enum { N = 624, M = 397 };

static void init(nb_python_random *r, uint32_t seed) {
  r->state[0] = seed;
  for (uint32_t i = 1; i < N; i++) r->state[i] = 1812433253u * (r->state[i - 1] ^ r->state[i - 1] >> 30) + i;
}

/* The initialization by an array, which here has one element. */
void nb_python_random_seed(nb_python_random *r, uint32_t seed) {
  init(r, 19650218u);
  uint32_t *s = r->state, i = 1;
  for (size_t k = 0; k < N; k++) {
    s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1664525u) + seed;
    if (++i >= N) s[0] = s[N - 1], i = 1;
  }
  for (size_t k = 0; k < N - 1; k++) {
    s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1566083941u) - i;
    if (++i >= N) s[0] = s[N - 1], i = 1;
  }
  s[0] = 0x80000000u;
  r->at = N;
}

static uint32_t next(nb_python_random *r) {
  uint32_t *s = r->state;
  if (r->at == N) {
    for (size_t k = 0; k < N; k++) {
      uint32_t y = (s[k] & 0x80000000u) | (s[(k + 1) % N] & 0x7fffffffu);
      s[k] = s[(k + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    r->at = 0;
  }
  uint32_t y = s[r->at++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

/* A number below n > 0, 32 bits: as many bits as n has, drawn again while too large. */
static uint32_t below(nb_python_random *r, uint32_t n) {
  unsigned bits = 0;
  for (uint32_t v = n; v; v >>= 1) bits++;
  uint32_t x;
  do x = next(r) >> (32 - bits);
  while (x >= n);
  return x;
}

/* Small populations are drawn from a list that shrinks; of large ones, numbers that came before are drawn again. */
void nb_python_random_sample(nb_python_random *r, size_t n, size_t k, uint32_t *out, uint32_t *scratch) {
  size_t set_size = 21;
  if (k > 5) {
    size_t power = 4;
    while (power < 3 * k) power *= 4;
    set_size += power;
  }
  if (n <= set_size) {
    for (size_t i = 0; i < n; i++) scratch[i] = (uint32_t)i;
    for (size_t i = 0; i < k; i++) {
      uint32_t j = below(r, (uint32_t)(n - i));
      out[i] = scratch[j];
      scratch[j] = scratch[n - i - 1];
    }
    return;
  }
  for (size_t i = 0; i < k; i++) {
    bool again = true;
    while (again) {
      out[i] = below(r, (uint32_t)n);
      again = false;
      for (size_t m = 0; m < i; m++) again = again || out[m] == out[i];
    }
  }
}
