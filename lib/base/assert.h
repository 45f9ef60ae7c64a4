/* SPDX-License-Identifier: MIT */
/* Assertions of what nibble's own code assumes, checked in the builds that test (NB_ASSERT: the Makefile defines it for
 * asan, tsan and coverage). Elsewhere they are compiled, so that they stay valid, and never evaluated. What comes from
 * outside, a file or a caller of the public library, is not asserted: there it is an error with a message. */
#ifndef NB_BASE_ASSERT_H
#define NB_BASE_ASSERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef NB_ASSERT
#include <assert.h>
#define nb_assert(x) assert(x)
#else
#define nb_assert(x) ((void)(0 && (x)))
#endif

/* What assertions ask of pointers: whether one is a multiple of n bytes, and whether two stretches do not overlap. */
static inline bool nb_assert_aligned(const void *p, size_t n) { return (uintptr_t)p % n == 0; }
static inline bool nb_assert_apart(const void *a, size_t a_bytes, const void *b, size_t b_bytes) {
  uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
  return x < y ? a_bytes <= y - x : b_bytes <= x - y;
}

#endif
