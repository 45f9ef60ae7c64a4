/* SPDX-License-Identifier: MIT */
/* What a path really is, when it could not be read as what it was given for: the mistakes of first minutes (a pointer
 * of git-lfs, the root of the hub's cache, an adapter, a file of another program), each named with what to do. */
#ifndef NB_EXPLAIN_H
#define NB_EXPLAIN_H

#include "formats/filekind.h"
#include "formats/safetensors.h"

/* For a failure st to open the model (or the tokenizer) at path: puts a better message in err's place where it
 * knows one, and returns NB_ERR_FORMAT then, else st. What is understood and refused (NB_ERR_UNSUPPORTED) keeps its
 * message. Reads a few small files. */
nb_status nb_explain_model(const char *path, nb_status st, nb_err *err);

/* The same for a file of another kind than `wanted`, by its first n bytes (formats/filekind.h): says "PATH is X, not
 * WANTED", and what to do with it. Of files that are wanted for questions (NB_FILE_QUESTION, NB_FILE_PARQUET) only what
 * cannot be rows of a data set is told so: those may have members of any name. */
nb_status nb_explain_bytes(const char *path, const void *head, size_t n, nb_file_kind wanted, nb_status st,
                           nb_err *err);

/* NB_ERR_FORMAT when n bytes that a user gave as a text are a model, a table or an archive: as text, these would give
 * numbers without a meaning. */
nb_status nb_explain_text(const char *path, const char *bytes, size_t n, nb_err *err);
/* Reads a text that a user gave, as nb_mapfile_read does, and checks that. */
nb_status nb_explain_read_text(const char *path, size_t max_bytes, char **out, size_t *n, nb_err *err);

/* For a failure st to find a model's tensors: names with a prefix that some programs leave there. */
nb_status nb_explain_names(const nb_safetensors *checkpoint, nb_status st, nb_err *err);

#endif
