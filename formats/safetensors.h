/* SPDX-License-Identifier: MIT */
/* Safetensors checkpoints, one file or shards: https://huggingface.co/docs/safetensors. A file is the size
 * of its header (8 bytes, little-endian), the header (JSON: name -> dtype, shape, data_offsets) and the
 * tensors' bytes, without gaps. Everything structural is checked on opening; nothing of the tensors is read.
 */
#ifndef NB_SAFETENSORS_H
#define NB_SAFETENSORS_H

#include "formats/mapfile.h"
#include "formats/outfile.h"
#include "base/tensor.h"

#include <stdbool.h>

/* 128 bits of XXH3 (https://github.com/Cyan4973/xxHash), in its canonical byte order. */
typedef struct nb_hash {
  uint8_t bytes[16];
} nb_hash;

/* --- reading --- */

typedef struct nb_st_tensor {
  char *name;
  nb_tensor view;   /* borrowed from the shard; of no use unless `readable` */
  bool readable;    /* F32, F16 or BF16, of at most NB_MAX_DIMS dimensions */
  char dtype[16];   /* as the file calls it */
  size_t shard;     /* which of nb_safetensors.shards */
  size_t begin;     /* of its bytes in the shard's data */
  const void *data; /* n_bytes, also of a tensor that is not readable */
  size_t n_bytes;
  void *owned;         /* the same bytes when they are not the file's own (formats/gguf_checkpoint.h), or NULL */
  size_t stored_bytes; /* that it takes in the file: n_bytes unless it was stored in another type */
} nb_st_tensor;

typedef struct nb_st_shard {
  nb_mapfile map;      /* zeroed when the bytes are the caller's (nb_safetensors_open_memory) */
  const uint8_t *data; /* the whole file */
  size_t size;         /* bytes */
  size_t header_bytes; /* of the size field and the header: the first tensor begins here */
  char *path;
} nb_st_shard;

/* An open checkpoint. Every nb_tensor found in it lives until nb_safetensors_close. Opening fills it, after
 * that it is never written: threads may share it. */
typedef struct nb_safetensors {
  nb_st_shard *shards; /* (n_shards) */
  size_t n_shards;
  nb_st_tensor *tensors; /* (n_tensors), by name */
  size_t n_tensors;
  size_t cap_tensors;
  size_t n_missing; /* tensors that the index names and no shard has; */
  char *missing;    /* one of them, or NULL */
} nb_safetensors;

/* Opens what `path` is: a .safetensors file; a model.safetensors.index.json, whose shards lie beside it; a
 * directory with model.safetensors, with such an index, or with one .safetensors file (the first of these
 * that is there, as transformers chooses). Refused: a header that is no strict JSON or larger than the file
 * or 100 MB; a shape whose product overflows or disagrees with data_offsets; offsets outside the file;
 * tensors that overlap; bytes that belong to none; a name that two shards have; a shard that is missing.
 * Messages name file and tensor. What the index says beyond the names of shards is not needed: a tensor that it names
 * and no shard has may be one that nobody asks for (n_missing). */
nb_status nb_safetensors_open(const char *path, nb_safetensors *out, nb_err *err);

/* As one file that is in memory already; the bytes must outlive *out. `name` stands in for its path. */
nb_status nb_safetensors_open_memory(const void *data, size_t n, const char *name, nb_safetensors *out, nb_err *err);

/* Releases everything; a zeroed or closed one is fine. */
void nb_safetensors_close(nb_safetensors *st);

/* The tensor of that name, or NULL. */
const nb_st_tensor *nb_safetensors_lookup(const nb_safetensors *st, const char *name);

/* Finds by name for the forward pass: NB_ERR_FORMAT when there is no such tensor, NB_ERR_UNSUPPORTED when
 * its type or its number of dimensions cannot be read. *out borrows st. */
void nb_safetensors_source(const nb_safetensors *st, nb_tensor_source *out);

/* The hash of a tensor's bytes: worth taking while its pages are in memory anyway (about 10 GB/s). */
nb_hash nb_safetensors_hash(const nb_st_tensor *t);

/* What identifies a shard: the hash of its first header_bytes followed by the hashes of its tensors (those
 * of nb_safetensors_hash, so that they can be taken in any order by any thread) in the order of their bytes
 * in the file. hashes[i] is the hash of st->tensors[i]. */
nb_status nb_safetensors_fingerprint(const nb_safetensors *st, size_t shard, const nb_hash *hashes, nb_hash *out,
                                     nb_err *err);

/* --- writing --- */

typedef struct nb_st_spec {
  const char *name; /* no quotes, backslashes or control characters */
  nb_dtype dtype;
  unsigned n_dims; /* 1 to NB_MAX_DIMS */
  size_t shape[NB_MAX_DIMS];
} nb_st_spec;

typedef struct nb_st_writer {
  nb_outfile *out;
  uint64_t left; /* bytes of tensors still to come */
} nb_st_writer;

/* Writes the header for these n tensors, which follow in this order, and reserves the file's room. The
 * metadata says format "pt", without which transformers refuses a file, and which nibble wrote it. */
nb_status nb_safetensors_begin(nb_outfile *out, const nb_st_spec *tensors, size_t n, nb_st_writer *w, nb_err *err);

/* The next bytes of the tensors, in pieces of any size. */
nb_status nb_safetensors_put(nb_st_writer *w, const void *data, size_t n, nb_err *err);

/* Fails unless every byte has come. The caller then commits the outfile. */
nb_status nb_safetensors_end(const nb_st_writer *w, nb_err *err);

#endif
