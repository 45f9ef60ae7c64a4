/* SPDX-License-Identifier: MIT */
/* Which files of a data set belong to a split: a task's patterns against paths.
 *
 * A pattern is compared with the end of a path, from a '/' on; {subject} matches any text without '/'; a ".gz" behind
 * the path is passed over. Where a pattern's last part has no point, it is a name without its ending: it matches that
 * name in any form that rows.h reads, and in the forms in which the hub keeps a split as one or several files:
 * "ARC-Easy/test" is ARC-Easy/test.csv, ARC-Easy/test-00000-of-00002.parquet (perhaps with a hash of 16 digits before
 * the ending), and ARC-Easy/test/0000.parquet. */
#ifndef NB_PATTERN_H
#define NB_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a path matches a pattern. kind: an index into nb_rows_endings; a pattern without an ending matches only files
 * of that kind, one with an ending does not look at it. *begin, *length: what {subject} matched (length 0 without). */
bool nb_pattern_match(const char *pattern, const char *path, size_t kind, size_t *begin, size_t *length);

/* How many kinds such a pattern is to be tried with, in turn: 1 when it has an ending. */
size_t nb_pattern_kinds(const char *pattern);

#endif
