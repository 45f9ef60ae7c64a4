/* SPDX-License-Identifier: MIT */
/* A text's hidden states on their way through a model whose matrices are exchanged here and there: one walk through the
 * layers, each made ready once, moves several sets of states, and in the end tells how far each one's predictions are
 * from the first's. Of sens.c and trial.c. */
#ifndef NB_WALK_H
#define NB_WALK_H

#include "model/model.h"
#include "base/progress.h"

typedef struct nb_walk_opts {
  const int32_t *tokens; /* (n_seqs, seq_len) */
  size_t n_seqs, seq_len;
  int threads;
  unsigned cpu_features;
  const nb_progress *progress; /* in layers and ends that a set of states passes; may be NULL */
} nb_walk_opts;

typedef struct nb_walk {
  const nb_config *c;
  const nb_weights *w;
  const nb_walk_opts *o;
  nb_session *s;
  nb_segment *seg; /* (n_seqs) */
  size_t T;        /* tokens in all */
  float **states;  /* (n of most) of (T, hidden) */
  size_t n, most;
  uint64_t done, total; /* of progress; total is the caller's to set */
} nb_walk;

/* Room for `most` sets of states. All arguments are borrowed. nb_walk_free releases, also after a failure. */
nb_status nb_walk_create(const nb_config *c, const nb_weights *w, const nb_walk_opts *o, size_t most, nb_walk *out,
                         nb_err *err);
void nb_walk_free(nb_walk *p);

/* One more set of states, the last: those of the tokens by an embedding, or a copy of a set. */
nb_status nb_walk_embed(nb_walk *p, const nb_linear *embed, nb_err *err);
nb_status nb_walk_split(nb_walk *p, size_t from, nb_err *err);

/* Moves a set through a layer. */
nb_status nb_walk_layer(nb_walk *p, const nb_layer *layer, size_t set, nb_err *err);

/* A set and the head that it is read by. */
typedef struct nb_walk_end {
  size_t set;
  const nb_linear *head;
  double *kl; /* (n_seqs) out: the mean KL divergence, in nats, of a sequence's predictions from the reference's */
} nb_walk_end;

/* Once all layers are passed: norms all sets in place, and compares. The reference is set 0, read by `head`. */
nb_status nb_walk_compare(nb_walk *p, const nb_linear *head, const nb_walk_end *ends, size_t n, nb_err *err);

#endif
