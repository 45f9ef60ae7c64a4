/* SPDX-License-Identifier: MIT */
/* Small allocations that are all released together. */
#ifndef NB_POOL_H
#define NB_POOL_H

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

typedef struct nb_pool_chunk {
  struct nb_pool_chunk *next;
} nb_pool_chunk;

/* Start from {0}; release with nb_pool_free. */
typedef struct nb_pool {
  nb_pool_chunk *chunks;
  char *at;
  size_t left;
} nb_pool;

/* n zeroed bytes, aligned for any scalar; NULL when memory is out. */
static inline void *nb_pool_get(nb_pool *p, size_t n) {
  if (n > SIZE_MAX / 2) return NULL;
  n = nb_round_up(n ? n : 1, 16);
  if (n > p->left) {
    size_t size = nb_max(n, 1 << 16);
    nb_pool_chunk *c = calloc(1, 16 + size);
    if (!c) return NULL;
    c->next = p->chunks, p->chunks = c;
    p->at = (char *)c + 16, p->left = size;
  }
  void *r = p->at;
  p->at += n, p->left -= n;
  return r;
}

/* A copy of n bytes with a NUL behind it; NULL when memory is out. */
static inline char *nb_pool_copy(nb_pool *p, const char *s, size_t n) {
  char *r = n < SIZE_MAX ? nb_pool_get(p, n + 1) : NULL;
  if (r && n) memcpy(r, s, n);
  return r;
}

static inline void nb_pool_free(nb_pool *p) {
  for (nb_pool_chunk *c = p->chunks, *next; c; c = next) next = c->next, free(c);
  *p = (nb_pool){0};
}

#endif
