/* SPDX-License-Identifier: MIT */
/* GGUF files (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3, little-endian, one file or
 * splits: keys with typed values, then tensors in blocks of the types of base/ggml.h. Opening checks everything
 * structural and reads nothing of the tensors; its time and memory are bounded by the bytes before them. */
#ifndef NB_GGUF_H
#define NB_GGUF_H

#include "base/ggml.h"
#include "base/tensor.h"
#include "formats/mapfile.h"
#include "formats/outfile.h"

#include <stdbool.h>

/* Types of values, as numbered in the file. */
typedef enum nb_gguf_kind {
  NB_GGUF_U8,
  NB_GGUF_I8,
  NB_GGUF_U16,
  NB_GGUF_I16,
  NB_GGUF_U32,
  NB_GGUF_I32,
  NB_GGUF_F32,
  NB_GGUF_BOOL,
  NB_GGUF_STRING,
  NB_GGUF_ARRAY,
  NB_GGUF_U64,
  NB_GGUF_I64,
  NB_GGUF_F64,
  NB_GGUF_KINDS
} nb_gguf_kind;

/* --- reading --- */

/* A value of one key: borrowed from the file. */
typedef struct nb_gguf_value {
  char *key;           /* NUL-terminated, owned by the nb_gguf */
  nb_gguf_kind kind;   /* of the value, or of an array's elements: never NB_GGUF_ARRAY */
  bool array;          /* elements, not one value */
  size_t n;            /* elements; 1 when it is no array */
  const uint8_t *data; /* as they stand in the file: numbers, or strings, each after its length in 8 bytes */
} nb_gguf_value;

typedef struct nb_gguf_tensor {
  char *name;
  const nb_ggml_type *type;
  unsigned n_dims;           /* 1 to NB_MAX_DIMS */
  size_t shape[NB_MAX_DIMS]; /* row-major as everywhere in nibble, so the reverse of the file's; unused ones are 1 */
  size_t n_bytes;
  const uint8_t *data;
  size_t shard;  /* which of nb_gguf.shards */
  size_t offset; /* of its bytes in the shard's data */
} nb_gguf_tensor;

typedef struct nb_gguf_shard {
  nb_mapfile map;      /* zeroed when the bytes are the caller's */
  const uint8_t *data; /* the whole file */
  size_t size;         /* bytes */
  size_t header_bytes; /* the first tensor begins here */
  char *path;
} nb_gguf_shard;

/* An open file with its splits. Opening fills it; after that it is never written: threads may share it. */
typedef struct nb_gguf {
  nb_gguf_shard *shards;
  size_t n_shards;
  nb_gguf_value *values; /* (n_values) of the first shard, by key */
  size_t n_values;
  nb_gguf_tensor *tensors; /* (n_tensors) of all shards, by name */
  size_t n_tensors;
} nb_gguf;

/* Opens a file, and of a split model (NAME-00001-of-0000N.gguf) all the others. Refused, naming key or tensor:
 * another version or byte order; counts, lengths, dimensions and offsets that the file cannot hold or whose products
 * overflow; arrays of arrays; two keys or tensors of one name; an alignment that is no power of two up to 1 MiB; rows
 * that are no whole blocks; tensors that overlap or leave gaps; types that are not known. */
nb_status nb_gguf_open(const char *path, nb_gguf *out, nb_err *err);

/* As one file that is in memory already; the bytes must outlive *out. `name` stands in for its path. */
nb_status nb_gguf_open_memory(const void *data, size_t n, const char *name, nb_gguf *out, nb_err *err);

/* Releases everything; a zeroed or closed one is fine. */
void nb_gguf_close(nb_gguf *g);

/* Whether a file of that path begins as a GGUF file does. */
bool nb_gguf_is(const char *path);

const nb_gguf_tensor *nb_gguf_tensor_find(const nb_gguf *g, const char *name);

/* The value of a key, or NULL. */
const nb_gguf_value *nb_gguf_get(const nb_gguf *g, const char *key);

/* Element i of numbers or booleans, as a double (64-bit integers are rounded) or as an integer (floats that are not
 * whole and what does not fit are false). */
double nb_gguf_number(const nb_gguf_value *v, size_t i);
bool nb_gguf_integer(const nb_gguf_value *v, size_t i, int64_t *out);

/* Walks over strings: begin, then next as often as there are elements. Strings are not NUL-terminated. */
typedef struct nb_gguf_strings {
  const uint8_t *at;
  size_t left;
} nb_gguf_strings;
nb_gguf_strings nb_gguf_strings_begin(const nb_gguf_value *v);
bool nb_gguf_strings_next(nb_gguf_strings *s, const char **text, size_t *n);

/* Single values. A key that is not there leaves *out as it is when it is optional, else NB_ERR_FORMAT; so does one of
 * another type or outside [min, max]. */
enum { NB_GGUF_REQUIRED = 0, NB_GGUF_OPTIONAL = 1 };
nb_status nb_gguf_size(const nb_gguf *g, const char *key, int optional, size_t min, size_t max, size_t *out,
                       nb_err *err);
nb_status nb_gguf_f64(const nb_gguf *g, const char *key, int optional, double *out, nb_err *err);
nb_status nb_gguf_bool(const nb_gguf *g, const char *key, int optional, bool *out, nb_err *err);
nb_status nb_gguf_string(const nb_gguf *g, const char *key, int optional, const char **text, size_t *n, nb_err *err);

/* --- writing --- */

/* New; every key; every tensor's name and shape; head; the tensors' bytes in that order; end. What the caller does
 * wrong (bytes or strings too many or too few, rows that are no whole blocks) is NB_ERR_ARG. */
typedef struct nb_gguf_writer nb_gguf_writer;

nb_status nb_gguf_writer_new(nb_outfile *out, nb_gguf_writer **w, nb_err *err);
void nb_gguf_writer_free(nb_gguf_writer *w);

nb_status nb_gguf_put_u32(nb_gguf_writer *w, const char *key, uint32_t v, nb_err *err);
nb_status nb_gguf_put_f32(nb_gguf_writer *w, const char *key, float v, nb_err *err);
nb_status nb_gguf_put_bool(nb_gguf_writer *w, const char *key, bool v, nb_err *err);
nb_status nb_gguf_put_string(nb_gguf_writer *w, const char *key, const char *s, size_t n, nb_err *err);
nb_status nb_gguf_put_f32s(nb_gguf_writer *w, const char *key, const float *v, size_t n, nb_err *err);
nb_status nb_gguf_put_i32s(nb_gguf_writer *w, const char *key, const int32_t *v, size_t n, nb_err *err);
/* An array of n strings, which follow one by one with nb_gguf_put_element. */
nb_status nb_gguf_put_strings(nb_gguf_writer *w, const char *key, size_t n, nb_err *err);
nb_status nb_gguf_put_element(nb_gguf_writer *w, const char *s, size_t n, nb_err *err);

/* Announces a tensor; shape is row-major. */
nb_status nb_gguf_put_tensor(nb_gguf_writer *w, const char *name, const nb_ggml_type *type, const size_t *shape,
                             unsigned n_dims, nb_err *err);
/* Writes everything announced, and reserves the file's room; *bytes (or NULL) is its whole size. */
nb_status nb_gguf_writer_head(nb_gguf_writer *w, uint64_t *bytes, nb_err *err);
/* The next bytes of the next tensor, in pieces of any size that end where a tensor ends. */
nb_status nb_gguf_writer_data(nb_gguf_writer *w, const void *data, size_t n, nb_err *err);
/* Fails unless every byte has come. The caller then commits the outfile. */
nb_status nb_gguf_writer_end(nb_gguf_writer *w, nb_err *err);

#endif
