/* SPDX-License-Identifier: MIT */
/* Written answers (marker.h) in files: as members of a result's answer, and as bytes of a journal's record. */
#ifndef NB_WRITTEN_H
#define NB_WRITTEN_H

#include "eval/marker.h"
#include "formats/jsonout.h"

/* Writes the members "written", "new_tokens", "found", "marks", "weights", "approximate" where it is so, and
 * "prompt" where it is kept. */
void nb_written_write(nb_jsonout *j, const nb_written *w);

/* Reads them; n_marks: as many as the protocol names. Memory comes from the pool. */
nb_status nb_written_read(const cJSON *answer, const char *where, size_t n_marks, nb_pool *pool, const nb_written **out,
                          nb_err *err);

/* Appends everything but the marks, which the rules give again. */
nb_status nb_written_pack(const nb_written *w, nb_text *out, nb_err *err);
/* Reads n bytes; false: they are no such thing, or memory is out. */
bool nb_written_unpack(const unsigned char *bytes, size_t n, nb_pool *pool, nb_written **out);

#endif
