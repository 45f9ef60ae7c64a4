/* SPDX-License-Identifier: MIT */
/* Texts of a grammar, for fuzz targets whose inputs hardly ever survive a random change: the bytes of the input choose
 * between the ways in which each part can be written. In a way, ` and a letter stand for a part; where the input has
 * ended, or the depth is reached, the first way is taken, which holds no part of its own kind. */
#ifndef NB_GRAMMAR_H
#define NB_GRAMMAR_H

#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>

typedef struct grammar_rule {
  char letter;
  const char *const *way;
  size_t n;
} grammar_rule;

typedef struct grammar {
  const grammar_rule *rule;
  size_t n_rules;
  const uint8_t *data;
  size_t n;
  int depth;
} grammar;

static inline void grammar_expand(grammar *g, char letter, nb_text *out) {
  enum { DEPTH = 9, LENGTH = 6000 };
  const grammar_rule *r = g->rule;
  while (r->letter != letter) r++;
  size_t k = 0;
  if (g->depth < DEPTH && out->n < LENGTH && g->n) k = *g->data % r->n, g->data++, g->n--;
  g->depth++;
  for (const char *p = r->way[k]; *p;) {
    size_t plain = strcspn(p, "`");
    if (nb_text_append(out, p, plain, NULL) != NB_OK) abort();
    p += plain;
    if (*p) grammar_expand(g, p[1], out), p += 2;
  }
  g->depth--;
}

#endif
