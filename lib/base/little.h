/* SPDX-License-Identifier: MIT */
/* Little-endian numbers in bytes, which all of nibble's files and those that it reads have. */
#ifndef NB_LITTLE_H
#define NB_LITTLE_H

#include <stddef.h>
#include <stdint.h>

/* The number in n <= 8 bytes. */
static inline uint64_t nb_little_get(const void *bytes, size_t n) {
  const uint8_t *p = bytes;
  uint64_t v = 0;
  for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}

/* Writes the lowest n <= 8 bytes of v. */
static inline void nb_little_put(void *bytes, uint64_t v, size_t n) {
  uint8_t *p = bytes;
  for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(v >> 8 * i);
}

#endif
