/* SPDX-License-Identifier: MIT */
/* Calibrated rounding of a checkpoint to GGUF's blocks: the solver of `nibble quantize` with the types of llama.cpp. */
#ifndef NB_GGUF_CALIBRATE_H
#define NB_GGUF_CALIBRATE_H

#include "base/ggml.h"
#include "formats/open.h"
#include "quant/calib.h"

typedef struct nb_gguf_calibrated {
  nb_model model;            /* the checkpoint's, with the vectors that folding has changed; borrows it */
  nb_layer *layers;          /* (layers) that model shows */
  float *vectors;            /* theirs */
  const nb_ggml_type **type; /* (n_matrices) by number */
  uint8_t **rows;            /* (n_matrices) the blocks, row by row */
  double plain, loss;        /* means over the layers' matrices, as nb_quantized has them */
  size_t tokens;             /* calibrated on */
} nb_gguf_calibrated;

typedef struct nb_gguf_calibrate_opts {
  const nb_ggml_type *type, *embed, *head; /* of the layers' matrices, of the embedding, of the head */
  const char *const *texts;                /* (n_texts) as nb_calib_text_read takes them */
  size_t n_texts;
  size_t tokens, seq; /* to read, and of a sequence */
  int threads;
  unsigned cpu_features;
  const nb_reporter *reporter; /* may be NULL */
} nb_gguf_calibrate_opts;

/* The type that rows of K weights get when they are asked to be of a type: another where they are no whole blocks. */
const nb_ggml_type *nb_gguf_type_for(const nb_ggml_type *type, size_t K);

/* Calibrates m, a checkpoint with its tokenizer. Memory: the blocks of all matrices, beside what nb_calib_run takes.
 * nb_gguf_calibrated_free releases *out, also after a failure. */
nb_status nb_gguf_calibrate(const nb_opened *m, const nb_gguf_calibrate_opts *o, nb_gguf_calibrated *out, nb_err *err);
void nb_gguf_calibrated_free(nb_gguf_calibrated *c);

#endif
