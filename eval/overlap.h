/* SPDX-License-Identifier: MIT */
/* Whether a model was calibrated on what it is evaluated on: by the sketch of the calibration text that a .nbl file's
 * provenance holds (sketch.h, formats/FORMAT.md). A checkpoint has none, and nothing is found. */
#ifndef NB_OVERLAP_H
#define NB_OVERLAP_H

#include "eval/dataset.h"
#include "formats/open.h"
#include "eval/sketch.h"

/* The sketch of the model's calibration text, empty when it has none; nb_sketch_free releases. NB_ERR_FORMAT: what
 * stands in its place is no sketch; the message names `name`. */
nb_status nb_overlap_sketch(const nb_opened *m, const char *name, nb_sketch *out, nb_err *err);

/* Marks found[i] for each of n items whose row (its texts, one after another) shares ten words in a row with the
 * sketched text; found may be NULL. *count: how many there are. */
nb_status nb_overlap_items(const nb_sketch *s, const nb_item *const *items, size_t n, bool *found, size_t *count,
                           nb_err *err);

/* The same for windows of ctx tokens: how many of the n of ids (n, ctx) share text. */
nb_status nb_overlap_windows(const nb_sketch *s, const nb_tokenizer *t, const int32_t *ids, size_t n, size_t ctx,
                             size_t *count, nb_err *err);

#endif
