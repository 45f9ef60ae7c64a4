/* SPDX-License-Identifier: MIT */
#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* calloc, so that big blocks are untouched zero pages, with the original pointer kept in front. */
void *nb_alloc(size_t count, size_t size) {
  size_t n, total;
  if (!nb_mul(count, size, &n) || !nb_add(n, NB_ALIGN + sizeof(void *), &total)) return NULL;
  char *raw = calloc(1, total);
  if (!raw) return NULL;
  uintptr_t p = ((uintptr_t)raw + sizeof(void *) + NB_ALIGN - 1) & ~(uintptr_t)(NB_ALIGN - 1);
  nb_assert(p - (uintptr_t)raw >= sizeof raw && p + n <= (uintptr_t)raw + total);
  memcpy((char *)p - sizeof(void *), &raw, sizeof raw);
  return (void *)p;
}

void nb_free(void *p) {
  nb_assert(nb_assert_aligned(p, NB_ALIGN)); /* nb_alloc's, not malloc's */
  if (!p) return;
  void *raw;
  memcpy(&raw, (char *)p - sizeof(void *), sizeof raw);
  free(raw);
}

nb_status nb_new(void *out, size_t count, size_t size, const char *what, nb_err *err) {
  void *p = nb_alloc(count, size);
  memcpy(out, &p, sizeof p);
  if (p) return NB_OK;
  return nb_fail(err, NB_ERR_MEMORY, "out of memory: %s needs %zu x %zu bytes", what, count, size);
}

nb_status nb_grow(void *array, size_t *capacity, size_t need, size_t size, nb_err *err) {
  nb_assert(size > 0);
  if (need <= *capacity) return NB_OK;
  size_t cap = *capacity > SIZE_MAX / 2 ? need : nb_max(nb_max(*capacity * 2, need), 16), bytes;
  void *old, *p = NULL;
  memcpy(&old, array, sizeof old);
  if (nb_mul(cap, size, &bytes)) p = realloc(old, bytes);
  if (!p) return nb_fail(err, NB_ERR_MEMORY, "out of memory: an array of %zu x %zu bytes", cap, size);
  memcpy(array, &p, sizeof p);
  *capacity = cap;
  return NB_OK;
}
