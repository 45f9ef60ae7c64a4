/* SPDX-License-Identifier: MIT */
#include "eval/names.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* The slot of the name, or the free one where it would be. */
static size_t *find(const nb_names *t, const char *name) {
  size_t i = (size_t)XXH3_64bits(name, strlen(name)) & (t->slots - 1);
  while (t->slot[i] && strcmp(t->name[t->slot[i] - 1], name)) i = (i + 1) & (t->slots - 1);
  return &t->slot[i];
}

/* Twice the slots; never more than half of them are taken. */
static nb_status widen(nb_names *t, nb_err *err) {
  nb_names wider = *t;
  wider.slots = t->slots ? 2 * t->slots : 64;
  NB_TRY(nb_new(&wider.slot, wider.slots, sizeof *wider.slot, "names", err));
  for (size_t i = 0; i < t->n; i++) *find(&wider, t->name[i]) = i + 1;
  nb_free(t->slot);
  *t = wider;
  return NB_OK;
}

nb_status nb_names_number(nb_names *t, const char *name, size_t *number, nb_err *err) {
  if (2 * (t->n + 1) > t->slots) NB_TRY(widen(t, err));
  size_t *slot = find(t, name);
  if (!*slot) {
    NB_TRY(nb_grow(&t->name, &t->cap, t->n + 1, sizeof *t->name, err));
    t->name[t->n++] = name;
    *slot = t->n;
  }
  *number = *slot - 1;
  return NB_OK;
}

void nb_names_free(nb_names *t) {
  free(t->name);
  nb_free(t->slot);
  *t = (nb_names){0};
}
