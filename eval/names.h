/* SPDX-License-Identifier: MIT */
/* Numbers for names, in the order in which they first come: subjects and categories of many questions, in a time that
 * does not grow with how many there are. */
#ifndef NB_NAMES_H
#define NB_NAMES_H

#include "base/mem.h"

#include <stdbool.h>

/* Start from {0}; release with nb_names_free. */
typedef struct nb_names {
  const char **name; /* (n) by number; the caller's */
  size_t n, cap;
  size_t *slot; /* (slots) a number and one, 0: free; a power of two */
  size_t slots;
} nb_names;

/* *number: the name's, which is the old n where it is new; it must outlive the table. */
nb_status nb_names_number(nb_names *t, const char *name, size_t *number, nb_err *err);
void nb_names_free(nb_names *t);

#endif
