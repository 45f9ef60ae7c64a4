/* SPDX-License-Identifier: MIT */
/* A .nbl file again, from what its provenance (FORMAT.md) remembers: one command gives one file on any machine, so that
 * anybody who has the checkpoint can see that a file is what it says. */
#ifndef NB_REPRODUCE_H
#define NB_REPRODUCE_H

#include "convert/recipe.h"
#include "formats/nbl.h"

/* A recipe out of a file's provenance. */
typedef struct nb_reproduce_plan {
  nb_recipe recipe; /* its strings belong to the file, its texts to the caller */
  const char **set; /* what recipe.set points to */
  char tune[32];    /* what recipe.tune points to: a tuning by time is repeated by its steps */
  const char *text; /* the calibration's "kind", or NULL: without */
} nb_reproduce_plan;

/* Reads the recipe. calib (n_calib): the texts, which a file names but does not hold; needed where the kind is "texts",
 * and refused elsewhere. NB_ERR_FORMAT: `name` has no provenance, or a damaged one. nb_reproduce_free releases, also
 * after a failure. */
nb_status nb_reproduce_read(const nb_nbl *f, const char *name, const char *const *calib, size_t n_calib,
                            nb_reproduce_plan *out, nb_err *err);
void nb_reproduce_free(nb_reproduce_plan *p);

/* NB_ERR_ARG says before the work what cannot give the same file: another checkpoint (which is read whole for its
 * hashes), other texts. */
nb_status nb_reproduce_check(const nb_nbl *f, const nb_opened *m, const nb_reproduce_plan *p, int threads, nb_err *err);

/* Where two files differ, a line each: sizes, metadata by its keys, tokenizer, tensors by their names. Nothing is
 * appended when they are equal, byte by byte. */
nb_status nb_reproduce_compare(const char *a, const char *b, nb_text *where, nb_err *err);

#endif
