/* SPDX-License-Identifier: MIT */
/* What the parts of the Parquet reader share: parquet_meta.c (the footer), parquet_codec.c (compression),
 * parquet_encoding.c (values), parquet_page.c (columns page by page), parquet_value.c (a value as JSON), and parquet.c,
 * which puts rows together. The names of numbers are the format's (parquet.thrift of apache/parquet-format). */
#ifndef NB_PARQUET_IMPL_H
#define NB_PARQUET_IMPL_H

#include "base/mem.h"
#include "formats/parquet.h"

#include <stdlib.h>
#include <string.h>

enum {
  NB_PARQUET_MAX_DEPTH = 16,     /* of structs and lists */
  NB_PARQUET_MAX_COLUMNS = 4096, /* leaves */
  NB_PARQUET_MAX_PAGE = 1 << 28  /* bytes of a page, unpacked */
};

typedef enum nb_parquet_type {
  NB_PARQUET_BOOLEAN,
  NB_PARQUET_INT32,
  NB_PARQUET_INT64,
  NB_PARQUET_INT96,
  NB_PARQUET_FLOAT,
  NB_PARQUET_DOUBLE,
  NB_PARQUET_BYTE_ARRAY,
  NB_PARQUET_FIXED
} nb_parquet_type;

/* What a column's values mean. */
typedef enum nb_parquet_meaning {
  NB_PARQUET_NUMBER, /* or a truth value: what the physical type says */
  NB_PARQUET_UNSIGNED,
  NB_PARQUET_TEXT,
  NB_PARQUET_BYTES,
  NB_PARQUET_UUID,
  NB_PARQUET_DATE,
  NB_PARQUET_TIME,
  NB_PARQUET_TIMESTAMP,
  NB_PARQUET_DECIMAL,
  NB_PARQUET_FLOAT16,
  NB_PARQUET_NOTHING /* nothing but nulls */
} nb_parquet_meaning;

/* A value of a page or of a dictionary. */
typedef struct nb_parquet_value {
  union {
    int64_t i; /* BOOLEAN, INT32, INT64 */
    double f;  /* FLOAT, DOUBLE */
    const uint8_t *bytes;
  };
  uint32_t n; /* of bytes */
} nb_parquet_value;

/* Where a column's values of a row group are. */
typedef struct nb_parquet_chunk {
  size_t offset, size;
  size_t n_values; /* nulls included */
  int codec;
} nb_parquet_chunk;

typedef struct nb_parquet_column {
  char *name; /* "choices.list.element", for messages */
  nb_parquet_type type;
  size_t length; /* bytes of a FIXED value */
  nb_parquet_meaning meaning;
  int scale;        /* of a decimal */
  int64_t unit;     /* units a second of times */
  bool utc;         /* timestamps are UTC's, and not of a clock on some wall */
  uint8_t def, rep; /* the largest definition and repetition levels */

  /* the chunk at hand */
  nb_parquet_chunk chunk;
  const uint8_t *p, *end; /* what is left of it */
  size_t values_left;
  nb_parquet_value *dict; /* (n_dict) */
  uint8_t *dict_bytes;
  size_t n_dict;

  /* the page at hand */
  uint8_t *bytes;          /* unpacked; values point into it */
  uint8_t *strings;        /* what delta encoding put together */
  uint8_t *levels;         /* (n) repetition, then (n) definition levels */
  nb_parquet_value *value; /* (n_values) those that are not null */
  size_t n, n_values;
  size_t at, value_at; /* the next one */
} nb_parquet_column;

/* The schema as what is built from it: a list is one node, whatever groups the format wraps it in. */
typedef enum nb_parquet_kind { NB_PARQUET_LEAF, NB_PARQUET_STRUCT, NB_PARQUET_LIST } nb_parquet_kind;
typedef struct nb_parquet_node {
  nb_parquet_kind kind;
  char *name;
  bool optional;
  uint8_t def;              /* at least this definition level: it is not null */
  uint8_t item_def;         /* of a list: at least this one, it is not empty */
  uint8_t rep;              /* of a list: the repetition level of its second and later elements */
  size_t column, n_columns; /* the leaves below it, in order */
  size_t child, next;       /* of a struct its first member, of a list its element; the next member; 0: none */
} nb_parquet_node;

struct nb_parquet {
  const uint8_t *bytes;
  size_t size;
  const char *file;
  size_t left;           /* of the budget */
  nb_parquet_node *node; /* (n_nodes) [0] is the root, a struct */
  size_t n_nodes, cap_nodes;
  nb_parquet_column *column; /* (n_columns) */
  size_t n_columns, cap_columns;
  size_t *rows; /* (n_groups) */
  size_t n_groups, cap_groups;
  nb_parquet_chunk *chunk; /* (n_groups, n_columns) */
  size_t n_chunks, cap_chunks;
  size_t group, row; /* the next row's */
  size_t row_number; /* of the row read last, from 1 */
  char where[320];
};

/* Takes bytes from the budget. */
nb_status nb_parquet_spend(nb_parquet *p, size_t bytes, nb_err *err);
/* "FILE: column NAME, row N: ..." */
nb_status nb_parquet_fail(const nb_parquet *p, const nb_parquet_column *c, const char *what, nb_err *err);

/* Reads and checks the footer: schema and row groups. */
nb_status nb_parquet_meta_read(nb_parquet *p, nb_err *err);

/* The name of a codec, for messages; NULL: no such number. */
const char *nb_parquet_codec_name(int codec);
/* Unpacks n bytes to exactly size bytes. `where` stands before messages. */
nb_status nb_parquet_codec_unpack(int codec, const uint8_t *in, size_t n, uint8_t *out, size_t size, const char *where,
                                  nb_err *err);

/* Encoded values of a page, and where they go. */
typedef struct nb_parquet_coded {
  int encoding; /* the format's number, whose name is in messages */
  const uint8_t *in;
  size_t n;                /* bytes */
  nb_parquet_value *value; /* (count) */
  size_t count;
  uint8_t **strings; /* receives a block that the values point into, where one was made (free releases it) */
} nb_parquet_coded;

/* Decodes exactly so many values of the column. */
nb_status nb_parquet_encoding_read(nb_parquet *p, const nb_parquet_column *c, const nb_parquet_coded *v, nb_err *err);
/* Decodes count levels up to `most` (RLE); false when they are not there or too large. */
bool nb_parquet_encoding_levels(const uint8_t *in, size_t n, size_t count, uint8_t most, uint8_t *out);

/* Puts the column at the beginning of a chunk, and releases what it holds. */
void nb_parquet_page_begin(const nb_parquet *p, nb_parquet_column *c, const nb_parquet_chunk *chunk);
/* Sees to it that a next entry is there: in the page at hand or in the next one. NB_ERR_FORMAT at the chunk's end. */
nb_status nb_parquet_page_need(nb_parquet *p, nb_parquet_column *c, nb_err *err);
void nb_parquet_page_free(nb_parquet_column *c);

/* The value as JSON, which the caller owns; spends what it takes. */
nb_status nb_parquet_value_json(nb_parquet *p, const nb_parquet_column *c, const nb_parquet_value *v, cJSON **out,
                                nb_err *err);

#endif
