/* SPDX-License-Identifier: MIT */
/* How far models' next-token distributions are from a reference's, over a text: perplexities, Kullback-Leibler
 * divergence, and how often they agree on the most likely token. No logits are stored: the models go through the text
 * together, and the reference only once for all of them. */
#ifndef NB_FIDELITY_H
#define NB_FIDELITY_H

#include "model/model.h"
#include "base/progress.h"

typedef struct nb_fidelity_opts {
  const int32_t *tokens;       /* (n) the text */
  size_t n;                    /* of which windows are taken from the first token on */
  size_t ctx;                  /* tokens of a window, at least 2 */
  size_t max_chunks;           /* windows at most; 0: all whole windows of the text */
  int32_t bos;                 /* put in place of each window's first token; -1: no */
  double *window_kl;           /* (candidates, windows) receives the mean divergence of each window; may be NULL */
  const nb_progress *progress; /* counts windows; may be NULL */
} nb_fidelity_opts;

/* One of those that are compared. */
typedef struct nb_fidelity_side {
  nb_session *session; /* its own, with max_tokens >= ctx */
  const nb_model *model;
  nb_kv_type kv;
  const char *name; /* for messages */
} nb_fidelity_side;

/* Of a window t[0 .. ctx), the predictions of t[ctx/2 .. ctx) are scored. Divergences in nats. */
typedef struct nb_fidelity {
  size_t chunks, scored;      /* windows and predictions */
  double ref_ppl, cand_ppl;   /* exp of the mean negative log-likelihood */
  double kl_mean, kl_mean_se; /* KL(reference || candidate); standard error over windows, NaN for one */
  double kl_median, kl_p90, kl_p99, kl_max;
  double top1, top1_se;             /* fraction of predictions with the same most likely token; by windows */
  double ref_seconds, cand_seconds; /* in the forward passes and heads */
} nb_fidelity;

/* Compares candidates (n_cands, at least 1) with the reference over o's text, each into out (n_cands). The vocabularies
 * must have one size. NB_ERR_ARG when the text is shorter than a window; NB_ERR_NUMERIC: a state or a logit is not
 * finite. */
nb_status nb_fidelity_measure(const nb_fidelity_side *ref, const nb_fidelity_side *cand, size_t n_cands,
                              const nb_fidelity_opts *o, nb_fidelity *out, nb_err *err);

#endif
