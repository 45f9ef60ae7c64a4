/* SPDX-License-Identifier: MIT */
/* A file that grows by one record for every answered question, so that a run that was killed goes on where it was. A
 * record carries a checksum: what a crash left half written at the end is cut off; damage anywhere else is an error. */
#ifndef NB_JOURNAL_H
#define NB_JOURNAL_H

#include "eval/pool.h"
#include "eval/runner.h"

typedef struct nb_journal nb_journal;

/* The questions of a run, and which of them a journal has answered. */
typedef struct nb_journal_answers {
  size_t n;
  nb_answer *answer; /* (n) */
  bool *done;        /* (n) false, until there is an answer */
  size_t resumed;    /* how many there are */
  nb_pool *pool;     /* of what was written, which comes without marks */
} nb_journal_answers;

/* Opens path for a run that `key` (any text: protocol, data and model) identifies. A new file is made; an old one must
 * have the same key and number of questions: its records are put into *to. NB_ERR_ARG: another run's journal;
 * NB_ERR_FORMAT: damaged; NB_ERR_IO: another process has it open. */
nb_status nb_journal_open(const char *path, const char *key, nb_journal_answers *to, nb_journal **out, nb_err *err);

/* Appends question i's answer. It survives the end of this process at once, and a crash of the machine up to the last
 * few seconds' worth. */
nb_status nb_journal_add(nb_journal *j, size_t i, const nb_answer *a, nb_err *err);

/* Closes; the file stays. NULL is accepted. */
void nb_journal_close(nb_journal *j);

#endif
