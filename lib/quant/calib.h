/* SPDX-License-Identifier: MIT */
/* Quantizes a model on calibration text, a layer at a time.
 *
 * The text's hidden states run through the model as the quantized model computes them (int8 activations, what was
 * quantized before). They first pass a layer at 8 bits (proxy8.h), whose linears are solved on the inputs that they get
 * there, rounded to int8 as at run time (gptq.h); then they move on through the quantized layer. Memory: the states
 * (tokens x D floats) and one layer's statistics. */
#ifndef NB_CALIB_H
#define NB_CALIB_H

#include "quant/gptq.h"
#include "model/model.h"

/* A quantized matrix on its way out. */
typedef struct nb_quantized {
  size_t matrix;           /* its number in the list of parts */
  const float *const *vec; /* (NB_ROLES) by role, the vectors of its layer, or of the head those outside of the layers,
                            * as they are now (folds change them); NULL: they are the checkpoint's */
  const void *data;        /* n_bytes as nb_qmat_plan says; the dense bytes when the matrix is left as it is */
  size_t n_bytes;
  double plain, loss; /* relative to the output's energy: of plain rounding, of the result; -1 when not measured */
  size_t fell_back;   /* rows that kept plain rounding */
  bool few;           /* an expert's, which saw too few tokens: rounded by their weights, not solved */
} nb_quantized;

typedef struct nb_calib_opts {
  const int32_t *tokens; /* (n_seqs, seq_len) */
  size_t n_seqs, seq_len;
  double damp;     /* of the statistics' diagonal: 0.01 */
  int sweeps;      /* of coordinate descent after GPTQ */
  bool gptq;       /* false: importance-weighted rounding and sweeps only */
  bool fit_tables; /* a table of its own for each matrix */
  bool sequential; /* within a layer too, inputs come from what is quantized already */
  bool calibrate_head;
  bool fold;            /* the layers' inner bases: see fold.h; not of layers with a matrix left unquantized */
  size_t fisher_tokens; /* of the first sequences: so many (one sequence at least) tell by the loss's gradients how rows
                         * go together (curvature.h); 0, or a model whose gradients are not known: rows are solved alone
                         */
  int threads;
  unsigned cpu_features;
  const nb_progress *progress; /* in weights; may be NULL */
  /* (n_matrices) Blocks of GGUF files instead: data is then these. Types that the solver does not know are rounded
   * weight by weight. No `resume`. NULL: .nbl formats. */
  const nb_ggml_type *const *blocks;
  /* Takes each matrix: the embedding, every layer's in their order, the head. */
  nb_status (*put)(void *ctx, const nb_quantized *q, nb_err *err);
  /* The bytes of a layer's matrix from an earlier run that was cut short (they are put again), or NULL; may be NULL. */
  const void *(*resume)(void *ctx, size_t matrix, size_t n_bytes);
  void *ctx;
} nb_calib_opts;

/* Quantizes a dense model. formats (parts.n_matrices): by number; bits 0: the matrix is left as it is; NULL with
 * `blocks`. NB_ERR_NUMERIC names the layer whose states are not finite. */
nb_status nb_calib_run(const nb_config *c, const nb_weights *w, const nb_qfmt *formats, const nb_calib_opts *o,
                       nb_err *err);

/* Quantizes without calibration: scale search only. Uses o's threads, progress, put and ctx. */
nb_status nb_calib_fast(const nb_weights *w, const nb_qfmt *formats, int effort, const nb_calib_opts *o, nb_err *err);

#endif
