/* SPDX-License-Identifier: MIT */
/* The rows of an Apache Parquet file (parquet.apache.org/docs/file-format) as JSON objects, the same as the rows of the
 * JSON lines that would say the same: what evaluation sets on the Hugging Face hub are kept in.
 *
 * Read: columns flat, in structs and in lists, to any depth up to 16; nulls; all physical types but INT96; texts,
 * numbers, decimals, dates and times (as ISO 8601 text), bytes and UUIDs (as hexadecimal text); the encodings plain,
 * dictionary, run-length, the three delta ones and byte stream split; pages of version 1 and 2, with their checksums
 * where they are there; not compressed, Snappy, gzip, and zstd where nibble was built with it. The rest (brotli, LZ4,
 * LZO, encryption, maps, variants) is refused by name. What statistics, indexes and Bloom filters say is not used.
 *
 * One page of each column is in memory at a time. All that is unpacked and made, is counted against a budget that
 * depends on the file's size, so that no small file keeps a reader busy or fills its memory. */
#ifndef NB_PARQUET_H
#define NB_PARQUET_H

#include "base/status.h"

#include <cJSON.h>
#include <stddef.h>

typedef struct nb_parquet nb_parquet;

/* How far a file may expand: so many bytes, and so many times its own size, at most the third. */
#define NB_PARQUET_FREE ((size_t)32 << 20)
#define NB_PARQUET_MAX_RATIO 100
#define NB_PARQUET_MAX ((size_t)4 << 30)

/* Begins reading n bytes, which must outlive *out, as `file` (the caller's too). The metadata are read and checked:
 * NB_ERR_FORMAT what is damaged, NB_ERR_UNSUPPORTED what is not read. nb_parquet_close releases. */
nb_status nb_parquet_open(const void *bytes, size_t n, const char *file, nb_parquet **out, nb_err *err);

/* The next row, an object that the caller owns; *row is NULL at the end. Members are in the schema's order, with null
 * where there is no value (nor one that JSON has: NaN and infinities). After a failure only nb_parquet_close may be
 * called. */
nb_status nb_parquet_next(nb_parquet *p, cJSON **row, nb_err *err);

/* Where the row that was read last is, for messages: "FILE: row N", counted from 1. */
const char *nb_parquet_where(const nb_parquet *p);

void nb_parquet_close(nb_parquet *p); /* NULL is fine */

#endif
