/* SPDX-License-Identifier: MIT */
/* The .nbl file (FORMAT.md): one file with the configuration, the tokenizer (with its chat template) and the weights,
 * whose tensors are used where the mapping puts them. */
#ifndef NB_NBL_H
#define NB_NBL_H

#include "model/config.h"
#include "base/qmat.h"
#include "base/tensor.h"
#include "formats/mapfile.h"
#include "model/weights.h"

#include <cJSON.h>

enum { NB_NBL_VERSION = 1, NB_NBL_HEADER = 64, NB_NBL_RECORD = 64 };

/* One record of the directory. */
typedef struct nb_nbl_tensor {
  nb_part part;    /* which tensor of the model it is */
  bool coded;      /* of matrices only */
  nb_qfmt fmt;     /* coded */
  nb_dtype dtype;  /* dense */
  uint64_t offset; /* in the file */
  uint64_t size;   /* bytes, without padding */
  uint64_t hash;   /* XXH3-64 of the tensor and its padding */
} nb_nbl_tensor;

/* "t4g64" or "BF16" */
void nb_nbl_format_name(const nb_nbl_tensor *t, char out[16]);

/* ---- reading ---- */

typedef struct nb_nbl nb_nbl;

/* Opens a file, or all the parts of a split one (split.h) by the name of the first. Everything structural is checked,
 * and the hash of all that precedes the tensors; the tensors' hashes are too when verify is set (on `threads` threads).
 * NB_ERR_FORMAT: not a .nbl file or a damaged one; NB_ERR_UNSUPPORTED: written by a newer nibble. Ends with
 * nb_nbl_close; nothing read from it may outlive that. */
nb_status nb_nbl_open(const char *path, bool verify, int threads, nb_nbl **out, nb_err *err);

/* The same for what lies in any place: a whole file in one, which begins at a multiple of NB_QMAT_ALIGN bytes
 * (NB_ERR_ARG otherwise), or all its parts in their order. */
nb_status nb_nbl_open_places(const nb_mapfile_place *place, size_t n, bool verify, int threads, nb_nbl **out,
                             nb_err *err);

/* Bytes in memory, borrowed, at a multiple of NB_QMAT_ALIGN; `name` goes into messages. */
typedef struct nb_nbl_bytes {
  const void *data;
  size_t size;
  const char *name;
} nb_nbl_bytes;

/* The same for bytes in memory: a whole file, or its parts in their order. */
nb_status nb_nbl_open_bytes(const nb_nbl_bytes *bytes, size_t n, bool verify, int threads, nb_nbl **out, nb_err *err);
/* A whole file alone. */
nb_status nb_nbl_open_memory(const void *data, size_t n, const char *name, bool verify, int threads, nb_nbl **out,
                             nb_err *err);
void nb_nbl_close(nb_nbl *f);

/* Checks every tensor's hash; NB_ERR_FORMAT names the first damaged one. */
nb_status nb_nbl_verify(const nb_nbl *f, int threads, nb_err *err);

const nb_config *nb_nbl_config(const nb_nbl *f);
const cJSON *nb_nbl_meta(const nb_nbl *f); /* the metadata object */
const void *nb_nbl_tokenizer(const nb_nbl *f, size_t *n_bytes);
uint64_t nb_nbl_file_bytes(const nb_nbl *f);  /* of the whole file, without the heads of its parts */
uint64_t nb_nbl_data_offset(const nb_nbl *f); /* of the first tensor */
size_t nb_nbl_count(const nb_nbl *f);
const nb_nbl_tensor *nb_nbl_at(const nb_nbl *f, size_t i);
const void *nb_nbl_data(const nb_nbl *f, size_t i); /* (size) bytes */
/* The file's bytes from `at` on, below its size: *n of them lie together, up to the end of the file or of a part. */
const void *nb_nbl_run(const nb_nbl *f, uint64_t at, size_t *n);
/* What tells the file from any other: the checksum in its header, which covers those of its tensors. 16 bytes. */
const uint8_t *nb_nbl_hash_of(const nb_nbl *f);

/* The weights by role, for nb_weights_bind; *src borrows f. */
void nb_nbl_source(const nb_nbl *f, nb_weight_source *src);

/* ---- writing ---- */

/* How a tensor is to be stored. */
typedef struct nb_nbl_choice {
  bool coded;     /* of matrices only */
  nb_qfmt fmt;    /* coded */
  nb_dtype dtype; /* dense */
} nb_nbl_choice;

/* What stands between the directory and the tensors. */
typedef struct nb_nbl_head {
  const char *meta; /* JSON */
  size_t meta_bytes;
  const void *tokenizer;
  size_t tokenizer_bytes; /* 0: none */
} nb_nbl_head;

/* Fills the directory t (parts->n), whose first tensor begins where the head's sizes let it, and gives the exact size
 * of the file. how (parts->n): by part. */
nb_status nb_nbl_plan(const nb_parts *parts, const nb_nbl_choice *how, const nb_nbl_head *head, nb_nbl_tensor *t,
                      uint64_t *file_bytes, nb_err *err);

typedef struct nb_nbl_writer nb_nbl_writer;

/* Starts a file that appears under its name only when it is complete. t (n, from nb_nbl_plan) is copied. */
nb_status nb_nbl_writer_open(const char *path, const nb_nbl_tensor *t, size_t n, const nb_nbl_head *head,
                             nb_nbl_writer **out, nb_err *err);
/* Writes the next tensor, of exactly its planned size. */
nb_status nb_nbl_writer_put(nb_nbl_writer *w, const void *data, size_t n_bytes, nb_err *err);
/* Replaces the metadata by another of the same size (hashes that are known only now). */
nb_status nb_nbl_writer_meta(nb_nbl_writer *w, const char *meta, size_t meta_bytes, nb_err *err);
/* Completes the file: NB_ERR_ARG when tensors are missing. The writer is gone afterwards, whatever happens. */
nb_status nb_nbl_writer_commit(nb_nbl_writer *w, nb_err *err);
/* Throws the unfinished file away. NULL is fine. */
void nb_nbl_writer_abort(nb_nbl_writer *w);

#endif
