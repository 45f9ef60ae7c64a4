/* SPDX-License-Identifier: MIT */
/* Strict JSON (RFC 8259) over cJSON, and getters whose messages say what is wrong with which key.
 * The bytes are scanned once before cJSON sees them, so that every defect is reported with its line and
 * column, and nothing that cJSON is lenient about gets through. */
#ifndef NB_JSON_H
#define NB_JSON_H

#include "base/status.h"

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>

enum {
  NB_JSON_MAX_DEPTH = 64,      /* of nested arrays and objects */
  NB_JSON_MAX_NUMBER = 63,     /* characters of a number, cJSON's limit */
  NB_JSON_MAX_VALUES = 1 << 25 /* of a text: each takes 64 bytes, and may be 2 */
};

/* Parses the n bytes; no terminating NUL is needed, a byte order mark in front is skipped. Refused, as
 * "FILE:LINE:COLUMN: what" (columns count characters): anything but one JSON value, duplicate keys in an
 * object (compared by a 128-bit hash of their decoded text) whose values are not written the same, nesting deeper than
 * NB_JSON_MAX_DEPTH, invalid UTF-8, lone surrogates, NUL characters (raw or escaped), raw control characters in
 * strings. The caller releases *out with cJSON_Delete. `file` names the source in messages. */
nb_status nb_json_parse(const char *bytes, size_t n, const char *file, cJSON **out, nb_err *err);

/* As nb_json_parse, for a text that begins on line `first_line` of the file (1 is the first). */
nb_status nb_json_parse_at(const char *bytes, size_t n, const char *file, size_t first_line, cJSON **out, nb_err *err);

/* The getters. `obj` is an object (anything else is an error), `where` goes in front of messages: the
 * file, or the file and the path inside it. Looking a key up walks the object's list, so never call these
 * in a loop over a large object: iterate over obj->child instead. A null counts as absent. */

/* The member, or NULL when it is absent or null. */
const cJSON *nb_json_get(const cJSON *obj, const char *key);

/* The largest whole number that a size_t and JSON's numbers have: 2^53, less where addresses have 32 bits. */
#define NB_JSON_WHOLE ((size_t)((uint64_t)SIZE_MAX < (uint64_t)1 << 53 ? (uint64_t)SIZE_MAX : (uint64_t)1 << 53))

/* A whole number between min and max, exact: at most 2^53. */
nb_status nb_json_size(const cJSON *obj, const char *where, const char *key, size_t min, size_t max, size_t *out,
                       nb_err *err);
/* A finite number. */
nb_status nb_json_f64(const cJSON *obj, const char *where, const char *key, double *out, nb_err *err);
nb_status nb_json_bool(const cJSON *obj, const char *where, const char *key, bool *out, nb_err *err);
/* *out belongs to obj. */
nb_status nb_json_string(const cJSON *obj, const char *where, const char *key, const char **out, nb_err *err);
nb_status nb_json_object(const cJSON *obj, const char *where, const char *key, const cJSON **out, nb_err *err);
nb_status nb_json_array(const cJSON *obj, const char *where, const char *key, const cJSON **out, nb_err *err);

/* One of the words of a list that ends with NULL: its place. */
nb_status nb_json_word(const cJSON *obj, const char *where, const char *key, const char *const *words, unsigned *out,
                       nb_err *err);

/* As above, but *out is left alone when the key is absent or null. */
nb_status nb_json_optional_size(const cJSON *obj, const char *where, const char *key, size_t min, size_t max,
                                size_t *out, nb_err *err);
nb_status nb_json_optional_f64(const cJSON *obj, const char *where, const char *key, double *out, nb_err *err);
nb_status nb_json_optional_bool(const cJSON *obj, const char *where, const char *key, bool *out, nb_err *err);
nb_status nb_json_optional_string(const cJSON *obj, const char *where, const char *key, const char **out, nb_err *err);
nb_status nb_json_optional_object(const cJSON *obj, const char *where, const char *key, const cJSON **out, nb_err *err);
nb_status nb_json_optional_array(const cJSON *obj, const char *where, const char *key, const cJSON **out, nb_err *err);

nb_status nb_json_optional_word(const cJSON *obj, const char *where, const char *key, const char *const *words,
                                unsigned *out, nb_err *err);

/* The value of an item, for elements of arrays and for members met in iteration: as nb_json_size and
 * nb_json_f64, `what` naming the item in the message. */
nb_status nb_json_as_size(const cJSON *item, const char *where, const char *what, size_t min, size_t max, size_t *out,
                          nb_err *err);
nb_status nb_json_as_f64(const cJSON *item, const char *where, const char *what, double *out, nb_err *err);

#endif
