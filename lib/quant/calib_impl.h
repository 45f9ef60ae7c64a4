/* SPDX-License-Identifier: MIT */
/* Inside of a calibrated run: its state, and the pieces that stand in files of their own. */
#ifndef NB_CALIB_IMPL_H
#define NB_CALIB_IMPL_H

#include "quant/calib.h"
#include "quant/curvature.h"
#include "quant/solve.h"

enum {
  NB_FOLD_TOKENS = 4096, /* by which scales are chosen (fold.h) */
  NB_FOLD_EACH = 16      /* of which one in so many says what rounding inputs to int8 loses */
};

typedef struct nb_calib {
  const nb_config *c;
  const nb_weights *w;
  const nb_parts *parts;
  const nb_qfmt *formats; /* by number of the matrix */
  const nb_calib_opts *o;
  nb_session *s;
  size_t T;      /* tokens of a batch: one sequence */
  float *states; /* (n_seqs * T, D): those of the text so far */
  float *x;      /* (T, D): a working copy */
  size_t n_sites;
  float **H;             /* (n_sites) */
  float **few;           /* (n_sites) one of NB_FOLD_EACH tokens in H, where scales are to be chosen; NULL otherwise */
  size_t *count, *n_few; /* (n_sites) tokens in H, in `few` */
  bool *wanted;          /* (n_sites) statistics wanted */
  bool folding;          /* the tap fills `few`, too */
  float *fake;           /* (T, K) int8-rounded inputs */
  nb_rounded in;         /* these as the statistics take them */
  int8_t *q8;            /* a row a thread, of Kp values */
  float *q8_scale;
  int32_t *q8_sum;
  size_t Kp;
  nb_kv *kv;
  const float *const *vec; /* as nb_quantized has it, of the layer at hand */
  nb_linear *now;          /* (per_layer) the layer's matrices as they are so far */
  nb_coded *coded;         /* (per_layer) the layer's quantized matrices */
  nb_quantized *out;       /* (per_layer) what is to be put of them */
  size_t next;             /* the first that has not been put */
  nb_curvature *curvature; /* made when the first layer is solved; NULL: rows are solved alone */
  nb_row_sums *G;          /* (per_layer) the layer's, as nb_curvature_layer gives them */
  nb_matmul mul;           /* with them */
  nb_solve solve;
} nb_calib;

/* ---- calib_sums.c ---- */

/* x (T, K) as int8 with a scale for each 64, as the kernels will see it, in r->fake. */
void nb_calib_round_inputs(nb_calib *r, const float *x, size_t T, size_t K);
/* H (K, K) += r->fake^T r->fake. */
void nb_calib_add_inputs(nb_calib *r, float *H, size_t T, size_t K);

/* The first sequences, of NB_FOLD_TOKENS in all, by which scales are chosen; how many of their inputs are kept, at
 * most. */
size_t nb_calib_fold_seqs(const nb_calib *r);
size_t nb_calib_few_most(const nb_calib *r);
/* Adds one of NB_FOLD_EACH inputs x (T, K) of a sequence to few (*n, K). */
void nb_calib_keep_few(const float *x, size_t T, size_t K, float *few, size_t *n);

/* Sequence `seq`, whose states x (T, D) are, through a layer. */
nb_status nb_calib_run_sequence(nb_calib *r, const nb_layer *l, size_t seq, float *x, const nb_tap *tap, nb_err *err);

/* Collects the statistics of the wanted sites over the first n_seqs sequences with the layer as it is now. */
nb_status nb_calib_collect(nb_calib *r, const nb_layer *now, size_t n_seqs, nb_err *err);
void nb_calib_free_sums(nb_calib *r);

/* ---- calib_ends.c ---- */

static inline uint64_t nb_calib_weights_of(const nb_part *p) { return (uint64_t)p->N * p->K; }

/* Rounds and puts a matrix without statistics. */
nb_status nb_calib_plain(const nb_weights *w, const nb_qfmt *formats, size_t matrix, int effort, const nb_calib_opts *o,
                         nb_err *err);
/* Rounds and puts the embedding, whose rows are the first states. */
nb_status nb_calib_embedding(nb_calib *r, nb_err *err);
/* Solves and puts a head of its own, after all layers. */
nb_status nb_calib_head(nb_calib *r, nb_err *err);

#endif
