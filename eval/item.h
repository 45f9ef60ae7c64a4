/* SPDX-License-Identifier: MIT */
/* Items (dataset.h): from a row of a data set, and their texts into JSON. */
#ifndef NB_ITEM_H
#define NB_ITEM_H

#include "eval/dataset.h"
#include "formats/jsonout.h"

/* Reads a row. where: "FILE:LINE", before messages. subject: from the file's name, of rows
 * that name none, or NULL. index: the row's number,
 * for the id of a row that has none. answer: from an answers file, or NULL. The item points into row and pool. */
nb_status nb_item_read(const nb_task *t, const cJSON *row, const char *where, const char *subject, size_t index,
                       const char *answer, nb_pool *pool, nb_item *item, nb_err *err);

/* Whether the task's "where" asks for the row. NB_ERR_FORMAT: it has not one text at a path of it. */
nb_status nb_item_wanted(const nb_task *t, const cJSON *row, const char *where, nb_pool *pool, bool *wanted,
                         nb_err *err);

/* Writes the members "question" and "choices". */
void nb_item_write_texts(nb_jsonout *j, const nb_item *item);

#endif
