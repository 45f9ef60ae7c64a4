/* SPDX-License-Identifier: MIT */
/* Reading Thrift's compact protocol (github.com/apache/thrift, doc/specs/thrift-compact-protocol.md), in which Parquet
 * writes its metadata. The reader never leaves its bytes: what does not fit sets `failed`, after which every read gives
 * 0 and every loop ends; look at it once, at the end of a struct. A struct is read so:
 *
 *   nb_thrift_field f = {0};
 *   while (nb_thrift_next(t, &f)) switch (f.id) { case 1: x = nb_thrift_int(t, &f); break; default: nb_thrift_skip(t,
 * &f); }
 *
 * A struct in a field is read by a loop of its own at that place. */
#ifndef NB_THRIFT_H
#define NB_THRIFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum nb_thrift_type {
  NB_THRIFT_STOP,
  NB_THRIFT_TRUE,
  NB_THRIFT_FALSE,
  NB_THRIFT_I8,
  NB_THRIFT_I16,
  NB_THRIFT_I32,
  NB_THRIFT_I64,
  NB_THRIFT_DOUBLE,
  NB_THRIFT_BYTES,
  NB_THRIFT_LIST,
  NB_THRIFT_SET,
  NB_THRIFT_MAP,
  NB_THRIFT_STRUCT
} nb_thrift_type;

typedef struct nb_thrift {
  const uint8_t *p, *end;
  bool failed;
} nb_thrift;

typedef struct nb_thrift_field {
  int16_t id;
  nb_thrift_type type;
} nb_thrift_field;

/* The head of the next field; false at the struct's end. */
bool nb_thrift_next(nb_thrift *t, nb_thrift_field *f);

/* The field's value. A value of another type than the function's sets `failed`. */
int64_t nb_thrift_int(nb_thrift *t, const nb_thrift_field *f);
bool nb_thrift_bool(nb_thrift *t, const nb_thrift_field *f);
const uint8_t *nb_thrift_bytes(nb_thrift *t, const nb_thrift_field *f, size_t *n); /* in the bytes read; NULL: failed */
/* The field must be a struct, whose fields then follow. */
bool nb_thrift_struct(nb_thrift *t, const nb_thrift_field *f);

/* The number of elements of a list and their type as that of *element, whose values follow. At most as many as there
 * are bytes left. */
size_t nb_thrift_list(nb_thrift *t, const nb_thrift_field *f, nb_thrift_field *element);

/* Passes over the field's value, at most 32 structs or lists deep. */
void nb_thrift_skip(nb_thrift *t, const nb_thrift_field *f);

#endif
