/* SPDX-License-Identifier: MIT */
/* A matrix in a form of its own: coded by plain rounding, in blocks of GGUF files, or its stored bytes in one piece. */
#ifndef NB_CODED_H
#define NB_CODED_H

#include "base/ggml.h"
#include "quant/quant.h"

typedef struct nb_coded {
  nb_linear w;      /* as it is used now */
  const void *data; /* what a file stores of it */
  size_t n_bytes;
  void *own;     /* owned; NULL when data is the source's */
  float *values; /* owned: of blocks (N, K), which w shows; else NULL */
  double error;  /* of the rounding, relative and squared, when it was asked for; else -1 */
} nb_coded;

/* Rounds a matrix to a format by nb_quant_plain (want_error: measures the error). bits 0, or a matrix that is coded
 * already: as nb_coded_dense. nb_coded_free releases, also after a failure. */
nb_status nb_coded_plain(const nb_linear *w, nb_qfmt fmt, const nb_quant_opts *o, bool want_error, nb_coded *out,
                         nb_err *err);
/* The matrix as it is, its bytes in one piece: copied where its rows lie apart, as floats where it is in blocks. */
nb_status nb_coded_dense(const nb_linear *w, const char *what, nb_coded *out, nb_err *err);
/* Room for a matrix in a format, to be filled by the caller: n_bytes zeroed bytes at own. */
nb_status nb_coded_room(const nb_linear *w, nb_qfmt fmt, const char *what, nb_coded *out, nb_err *err);
/* Room for a matrix in blocks of a type that is written: own likewise. Its values are w's after nb_coded_blocks_read.
 */
nb_status nb_coded_blocks_room(const nb_linear *w, const nb_ggml_type *type, const char *what, nb_coded *out,
                               nb_err *err);
void nb_coded_blocks_read(nb_coded *c, const nb_ggml_type *type, int threads);
/* Rounds a matrix to blocks, each weight by itself. Of how, effort is of no use. */
nb_status nb_coded_blocks(const nb_linear *w, const nb_ggml_type *type, const nb_quant_opts *how, nb_coded *out,
                          nb_err *err);
void nb_coded_free(nb_coded *c);

#endif
