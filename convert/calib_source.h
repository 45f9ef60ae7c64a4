/* SPDX-License-Identifier: MIT */
/* The texts that a calibration draws from: files, folders, archives, or the mix that comes with the program. */
#ifndef NB_CALIB_SOURCE_H
#define NB_CALIB_SOURCE_H

#include "formats/open.h"

#include <cJSON.h>

/* A text as token ids. */
typedef struct nb_calib_source {
  nb_ids ids;
  cJSON *origin; /* for the provenance: name, bytes, xxh3 */
  uint64_t hash; /* of its bytes */
} nb_calib_source;

typedef struct nb_calib_sources {
  nb_calib_source *items; /* (n) in the order that they were given, a folder's by name */
  size_t n;
  size_t n_left_out;  /* members of folders and archives with other names, */
  char left_out[160]; /* of which this is the first: its path */
} nb_calib_sources;

/* Reads and tokenizes. given (n): text files; .jsonl or .json files of chats ("messages" or "conversations": role and
 * content), rendered by the model's own template; folders and .zip files, of which the members whose names end in .txt,
 * .jsonl or .json count. n 0: the bundled texts; where a model has no template, their chats are read as plain text. Of
 * a text of more than 16 MiB, so much is taken in pieces spread evenly over it. nb_calib_sources_free releases. */
nb_status nb_calib_sources_read(const char *const *given, size_t n, const nb_tokenizer *t, nb_calib_sources *out,
                                nb_err *err);
void nb_calib_sources_free(nb_calib_sources *s);

/* The texts of data/calibration (calibration.c is made of them by the Makefile). */
typedef struct nb_calib_bundled {
  const char *name;
  const unsigned char *bytes;
  size_t n;
} nb_calib_bundled;
extern const nb_calib_bundled nb_calib_bundle[];
extern const size_t nb_n_calib_bundle;

#endif
