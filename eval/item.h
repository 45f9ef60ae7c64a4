/* SPDX-License-Identifier: MIT */
/* Items (dataset.h): from a row of a data set, and their texts into JSON. */
#ifndef NB_ITEM_H
#define NB_ITEM_H

#include "eval/dataset.h"
#include "formats/jsonout.h"

/* Where a row comes from, and what stands not in it but beside it. */
typedef struct nb_item_source {
  const char *where;   /* "FILE:LINE", before messages */
  const char *subject; /* from the file's name, or NULL */
  const char *answer;  /* from an answers file, or NULL */
} nb_item_source;

/* Reads a row. The item points into row and pool; its id is NULL when the row has none, and left_out is true, and
 * nothing but the subject read, when the task's "where" does not want it (nb_dataset_finish). */
nb_status nb_item_read(const nb_task *t, const cJSON *row, const nb_item_source *from, nb_pool *pool, nb_item *item,
                       nb_err *err);

/* Writes the members "question", and "choices" and "targets" where it has some. */
void nb_item_write_texts(nb_jsonout *j, const nb_item *item);

#endif
