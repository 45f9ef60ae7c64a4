/* SPDX-License-Identifier: MIT */
/* Borrowed views of stored tensors, and where they come from.
 * Dimension letters, used in the shape comments of the whole project:
 *   T tokens   D model width   H heads   F feed-forward width   V vocabulary
 *   N output rows of a matrix   K its inputs   G group of inputs that share a scale */
#ifndef NB_TENSOR_H
#define NB_TENSOR_H

#include "base/ggml.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum nb_dtype { NB_F32 = 0, NB_F16 = 1, NB_BF16 = 2 } nb_dtype;

enum { NB_MAX_DIMS = 4 };

static inline size_t nb_dtype_bytes(nb_dtype t) { return t == NB_F32 ? 4 : 2; }
static inline const char *nb_dtype_name(nb_dtype t) { return t == NB_F32 ? "F32" : t == NB_F16 ? "F16" : "BF16"; }

/* A dense row-major tensor. Never owns its data: the file that it was found in does. */
typedef struct nb_tensor {
  nb_dtype dtype;
  unsigned n_dims;           /* 1 to NB_MAX_DIMS */
  size_t shape[NB_MAX_DIMS]; /* unused dimensions are 1 */
  const void *data;          /* maybe unaligned: read through memcpy or unaligned loads */
  size_t n_bytes;            /* product of shape times the element's size, checked */
  /* NULL; or rows are whole blocks of this type, one that is read, and dtype is F32, which they are read as. */
  const nb_ggml_type *blocks;
} nb_tensor;

/* Bytes of n elements one after another, whole blocks where there are such. */
static inline size_t nb_tensor_bytes(const nb_tensor *t, size_t n) {
  return t->blocks ? n / t->blocks->block * t->blocks->bytes : n * nb_dtype_bytes(t->dtype);
}

/* A place where tensors are found by name: a set of safetensors shards. */
typedef struct nb_tensor_source {
  /* NB_OK and *out filled, or NB_ERR_FORMAT with a message naming the tensor and the file. */
  nb_status (*find)(void *ctx, const char *name, nb_tensor *out, nb_err *err);
  bool (*has)(void *ctx, const char *name); /* whether there is a tensor of this name */
  void *ctx;
} nb_tensor_source;

#endif
