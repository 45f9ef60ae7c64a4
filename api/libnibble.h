/* SPDX-License-Identifier: MIT */
/* What the files behind the public header share. */
#ifndef NB_LIBNIBBLE_H
#define NB_LIBNIBBLE_H

#include "api/nibble.h"
#include "base/text.h"
#include "formats/open.h"

struct nibble_model {
  char *path; /* as it was given */
  nb_opened opened;
  nb_session *session;
  nb_kv_type kv;
  int threads;
  atomic_int interrupt;
};

/* A status and its message as the caller gets them; to may be NULL. */
nibble_status nb_api_report(nb_status st, const nb_err *from, nibble_error *to);

/* Threads (0 or less: all processors) and instruction sets (cpu NULL: all) as options give them. */
nb_status nb_api_machine(const char *cpu, int *threads, unsigned *cpu_features, nb_err *err);

/* Options of this version out of those of any: given (or NULL) begins with its size_t size, out (size bytes) is this
 * version's structure and the first version's took `first` bytes. What the caller's version had not becomes zero, what
 * this one has not must be. type: the structure's name, for messages. */
nb_status nb_api_options(const void *given, size_t first, const char *type, void *out, size_t size, nb_err *err);

/* Hands a text over, also an empty one as a string, and reports. */
nibble_status nb_api_give_text(nb_status st, nb_text *t, char **text, size_t *n_bytes, nb_err *from, nibble_error *to);

#endif
