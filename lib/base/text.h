/* SPDX-License-Identifier: MIT */
/* A growable byte string. Start from {0}; release with nb_text_free. After any successful append s is
 * NUL-terminated (the NUL is not counted in n); bytes may contain NULs of their own. */
#ifndef NB_TEXT_H
#define NB_TEXT_H

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

typedef struct nb_text {
  char *s;    /* NULL while nothing was ever appended */
  size_t n;   /* bytes used */
  size_t cap; /* bytes allocated */
} nb_text;

static inline void nb_text_free(nb_text *t) {
  free(t->s);
  *t = (nb_text){0};
}

/* Makes room for `more` bytes and a NUL after the text. */
static inline nb_status nb_text_reserve(nb_text *t, size_t more, nb_err *err) {
  size_t need;
  if (!nb_add(t->n, more, &need) || !nb_add(need, 1, &need))
    return nb_fail(err, NB_ERR_MEMORY, "out of memory: a text of more than %zu bytes", t->n);
  return nb_grow(&t->s, &t->cap, need, 1, err);
}

static inline nb_status nb_text_append(nb_text *t, const char *s, size_t n, nb_err *err) {
  NB_TRY(nb_text_reserve(t, n, err));
  if (n) memcpy(t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = 0;
  return NB_OK;
}

static inline nb_status nb_text_append_str(nb_text *t, const char *s, nb_err *err) {
  return nb_text_append(t, s, strlen(s), err);
}

static inline void nb_text_clear(nb_text *t) {
  t->n = 0;
  if (t->s) t->s[0] = 0;
}

#endif
