/* SPDX-License-Identifier: MIT */
/* Rows of a checkpoint's embedding for ids that the tokenizer has no token for. Some checkpoints hold NaN there, which
 * nothing ever reads; but whoever rounds or compares the whole matrix would stop at them. */
#ifndef NB_UNUSED_ROWS_H
#define NB_UNUSED_ROWS_H

#include "base/text.h"
#include "model/weights.h"
#include "text/tokenizer.h"

/* Where rows of the embedding that no token uses hold what no format can (NaN, infinity, 1e30 and beyond), w's
 * embedding becomes a copy with zeros there: *own, which the caller frees after w; NULL when nothing was wrong. Appends
 * a line to notes that says how many rows and which is the first. A tied head multiplies by those rows, so that its
 * logits are NaN: then they stay, and the line says that. Reads only rows that no token uses. */
nb_status nb_unused_rows_clear(const nb_tokenizer *t, nb_weights *w, void **own, nb_text *notes, nb_err *err);

#endif
