/* SPDX-License-Identifier: MIT */
/* A model as a GGUF file that llama.cpp loads: every tensor of its checkpoint under llama.cpp's name, in a type of
 * blocks, with the tokenizer and chat template in the metadata. */
#ifndef NB_GGUF_EXPORT_H
#define NB_GGUF_EXPORT_H

#include "base/ggml.h"
#include "base/progress.h"
#include "model/model.h"
#include "text/tokenizer.h"

/* The checkpoint's tensors, one by one. */
typedef struct nb_gguf_source {
  size_t n;
  /* Tensor i: Hugging Face's name; its rows (0: it is a vector) and inputs; a matrix that it is made of (vectors:
   * NULL), by whose format "auto" chooses. */
  void (*describe)(void *ctx, size_t i, const char **name, size_t *N, size_t *K, const nb_linear **w);
  /* Row n of tensor i (vectors have one): out (K). Called by several threads. */
  void (*row)(void *ctx, size_t i, size_t n, float *out);
  /* The blocks of row n of a matrix, where it is in those of `type` already; NULL, also for the function: it is to be
   * rounded, or is a vector. */
  const uint8_t *(*blocks)(void *ctx, size_t i, size_t n, const nb_ggml_type *type);
  void *ctx;
} nb_gguf_source;

typedef struct nb_gguf_export {
  const nb_config *config;
  const nb_tokenizer *tokenizer;
  const nb_gguf_source *tensors;
  const nb_ggml_type
      *type; /* of the matrices whose rows are whole blocks of it; NULL: what each holds now, as nearly */
  const nb_ggml_type *embed, *head; /* of the embedding and of a head of its own; NULL: as type */
  int threads;
  const nb_progress *progress; /* bytes written */
  uint64_t bytes;              /* result: of the file */
  double error;                /* result: squared error over squared weights of all matrices; 0: nothing was rounded */
  size_t n_fallback;           /* result: matrices whose rows were no whole blocks, which became Q8_0 or F16 */
} nb_gguf_export;

/* Writes the file, whole or not at all. NB_ERR_UNSUPPORTED for an architecture, tokenizer or scaling that GGUF files
 * cannot say. */
nb_status nb_gguf_export_run(nb_gguf_export *x, const char *path, nb_err *err);

#endif
