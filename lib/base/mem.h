/* SPDX-License-Identifier: MIT */
/* Overflow-checked, aligned allocation, and overflow-checked size arithmetic. */
#ifndef NB_MEM_H
#define NB_MEM_H

#include "base/assert.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NB_ALIGN = 64 }; /* bytes; a cache line, and the widest vector */

/* *out = a*b or a+b; false (and *out untouched) when the result does not fit. */
static inline bool nb_mul(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_mul_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}
static inline bool nb_add(size_t a, size_t b, size_t *out) {
  size_t r;
  if (__builtin_add_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

/* x rounded up to a multiple of m (m > 0; the caller knows that x + m - 1 fits). */
static inline size_t nb_round_up(size_t x, size_t m) {
  nb_assert(m > 0 && x <= SIZE_MAX - (m - 1));
  return (x + m - 1) / m * m;
}
static inline size_t nb_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t nb_max(size_t a, size_t b) { return a > b ? a : b; }

/* count * size zeroed bytes, 64-byte aligned; NULL when the product overflows or memory is out.
 * Large blocks come from the system as untouched zero pages. Released with nb_free. */
void *nb_alloc(size_t count, size_t size);
void nb_free(void *p);

/* As nb_alloc, storing the pointer in *(void **)out, with an error message naming `what`. */
nb_status nb_new(void *out, size_t count, size_t size, const char *what, nb_err *err);

/* Grows *(void **)array, of *capacity elements of `size` bytes, to hold at least `need` (doubling).
 * The memory is malloc's: released with free. */
nb_status nb_grow(void *array, size_t *capacity, size_t need, size_t size, nb_err *err);

#endif
