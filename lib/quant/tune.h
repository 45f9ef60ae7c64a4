/* SPDX-License-Identifier: MIT */
/* Tunes a quantized model to predict like the full-precision one: the gains of its norms and the scales of its rows,
 * end to end, by the KL divergence of the next-token distributions, with Adam (arXiv 1412.6980). A part of the text is
 * never tuned on; the steps at which the divergence there was least are what is kept, step 0 included, so that the
 * result is never worse there. The codes do not change, nor does the file's size (norms are stored as floats).
 * The same bits for any number of threads. */
#ifndef NB_TUNE_H
#define NB_TUNE_H

#include "model/model.h"
#include "base/progress.h"

typedef struct nb_tune_opts {
  const int32_t *tokens; /* (n_seqs, seq_len) */
  size_t n_seqs, seq_len;
  size_t n_check;     /* the last sequences, which only judge: at least 1, fewer than n_seqs */
  size_t batch;       /* sequences a step */
  size_t max_steps;   /* 0: until the time is over */
  double max_seconds; /* no step begins later; 0: no limit */
  double rate;        /* of Adam, for changes relative to each gain or scale: about 1e-3 */
  int threads;
  unsigned cpu_features;
  const nb_progress *progress; /* in steps, or in seconds when only time limits them; may be NULL */
} nb_tune_opts;

typedef struct nb_tuned {
  float *vectors;       /* all norms, in the order of the parts, as nb_weights.vectors has them */
  uint16_t *row_scale;  /* of the layers' matrices, one after another: matrix i starts at row_at[i] and has as many
                         * entries as it has rows */
  size_t *row_at;       /* (parts.embed) by number */
  size_t steps, kept;   /* steps done; the step whose result this is */
  double before, after; /* mean KL divergence on the sequences that judge */
} nb_tuned;

/* coded: the quantized model; every matrix of its layers must be coded, its architecture one that
 * nb_backward_supports. full: the model that it should be like. */
nb_status nb_tune(const nb_model *full, const nb_model *coded, const nb_tune_opts *o, nb_tuned *out, nb_err *err);
void nb_tuned_free(nb_tuned *t);

#endif
