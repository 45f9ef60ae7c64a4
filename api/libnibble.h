/* SPDX-License-Identifier: MIT */
/* What the files behind the public header share. */
#ifndef NB_LIBNIBBLE_H
#define NB_LIBNIBBLE_H

#include "api/nibble.h"
#include "base/parallel.h"
#include "base/text.h"
#include "formats/open.h"
#include "model/context.h"

struct nibble_model {
  char *path; /* as it was given, or of the first source; for messages */
  nb_opened opened;
  uint64_t tables, workspace; /* as nibble_fit has them */
  uint64_t reserved;          /* for the caches of sessions */
  uint64_t limit;             /* memory_limit; 0: none */
  nb_priority priority;
  nb_session *session;
  nb_kv_type kv;
  int threads;
  atomic_int interrupt;
};

_Static_assert((int)NIBBLE_PRIORITY_HIGH == NB_PRIORITY_HIGH && (int)NIBBLE_PRIORITY_LOW == NB_PRIORITY_LOW &&
                   (int)NIBBLE_PRIORITY_BACKGROUND == NB_PRIORITY_BACKGROUND,
               "the two lists of priorities are one");

/* A status and its message as the caller gets them; to may be NULL. */
nibble_status nb_api_report(nb_status st, const nb_err *from, nibble_error *to);

/* Threads (0 or less: all processors) and instruction sets (cpu NULL: all) as options give them. */
nb_status nb_api_machine(const char *cpu, int *threads, unsigned *cpu_features, nb_err *err);

/* Options of this version out of those of any: given (or NULL) begins with its size_t size, out (size bytes) is this
 * version's structure and the first version's took `first` bytes. What the caller's version had not becomes zero, what
 * this one has not must be. type: the structure's name, for messages. */
nb_status nb_api_options(const void *given, size_t first, const char *type, void *out, size_t size, nb_err *err);

/* NB_ERR_MEMORY when another cache of n tokens would pass the model's limit; the message says how many would not. */
nb_status nb_api_room(const nibble_model *m, size_t tokens, nb_kv_type type, nb_err *err);

/* The bytes of the tables of an opened model. */
uint64_t nb_api_tables(const nb_opened *o);

/* What an opened model would take with these options and a session of that many tokens (0: its positions). */
nb_status nb_api_fit(const nb_opened *m, const nibble_options *o, const nb_session_opts *so, size_t tokens,
                     nibble_fit *out, nb_err *err);

/* What a turn came to. */
typedef struct nb_api_turn {
  nibble_stats stats;
  size_t reused;         /* tokens that the context's cache had */
  size_t drafted, taken; /* guessed tokens that were tried, and those of them that were right */
} nb_api_turn;

/* A turn in a context, up to a stop string. */
nb_status nb_api_generate(nibble_model *m, nb_context *context, const int32_t *ids, size_t n,
                          const nibble_generation *g, nb_api_turn *turn, nb_err *err);

/* Hands a text over, also an empty one as a string, and reports. */
nibble_status nb_api_give_text(nb_status st, nb_text *t, char **text, size_t *n_bytes, nb_err *from, nibble_error *to);

#endif
