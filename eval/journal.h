/* SPDX-License-Identifier: MIT */
/* A file that grows by one record for every answered question, so that a run that was killed goes on where it was. A
 * record carries a checksum: what a crash left half written at the end is cut off; damage anywhere else is an error. */
#ifndef NB_JOURNAL_H
#define NB_JOURNAL_H

#include "eval/pool.h"
#include "eval/runner.h"

typedef struct nb_journal nb_journal;

/* Opens path for a run that `key` (any text: protocol, data and model) identifies, over n questions. A new file is
 * made; an old one must have the same key and n: its records are put into answer[] and done[] (n each), *resumed of
 * them; what was written comes from the pool, without marks. NB_ERR_ARG: another run's journal; NB_ERR_FORMAT: damaged;
 * NB_ERR_IO: another process has it open. */
nb_status nb_journal_open(const char *path, const char *key, size_t n, nb_pool *pool, nb_answer *answer, bool *done,
                          size_t *resumed, nb_journal **out, nb_err *err);

/* Appends question i's answer. It survives the end of this process at once, and a crash of the machine up to the last
 * few seconds' worth. */
nb_status nb_journal_add(nb_journal *j, size_t i, const nb_answer *a, nb_err *err);

/* Closes; the file stays. NULL is accepted. */
void nb_journal_close(nb_journal *j);

#endif
