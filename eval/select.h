/* SPDX-License-Identifier: MIT */
/* Which of a set's questions a run answers. */
#ifndef NB_SELECT_H
#define NB_SELECT_H

#include "eval/dataset.h"

typedef struct nb_selection {
  const char *subjects; /* names with commas between them; NULL: all */
  size_t limit;         /* the first so many of each subject; 0: all */
  size_t sample;        /* so many in all, of each subject in proportion, at least one, drawn by seed; 0: all */
  uint64_t seed;
  size_t shard, shards; /* of what is left the shard-th (from 0) of `shards` consecutive parts; shards 0: all */
} nb_selection;

/* *out: (n) items in the set's order, released with free. NB_ERR_ARG: an unknown subject (named), a
 * sample smaller than the number of subjects, or nothing left
 * (unless it is because there are more shards than questions). */
nb_status nb_select(const nb_dataset *d, const nb_selection *s, const nb_item ***out, size_t *n, nb_err *err);

#endif
