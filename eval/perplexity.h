/* SPDX-License-Identifier: MIT */
/* How well a model predicts a text: every token of it once, by windows that overlap as much as is asked for. */
#ifndef NB_PERPLEXITY_H
#define NB_PERPLEXITY_H

#include "base/progress.h"
#include "model/model.h"

typedef struct nb_perplexity_opts {
  size_t ctx;         /* tokens that the model reads at a time, at least 1 */
  size_t stride;      /* tokens that each window after the first predicts, 1 to ctx: each of them sees at least
                       * ctx - stride + 1 tokens before it */
  size_t max_windows; /* 0: all */
  int32_t bos;        /* stands before the text; -1: nothing does, and its first token is not predicted */
  bool bos_each;      /* bos takes the place of each later window's first token, too */
  nb_kv_type kv;
  double *each;                /* (tokens predicted, at most n) receives their log-probs in turn; may be NULL */
  const nb_progress *progress; /* counts windows; may be NULL */
} nb_perplexity_opts;

/* Sums of natural logarithms. Window k reads tokens [k stride, k stride + ctx) of bos and text, the last window the
 * last ctx of them, and predicts those behind them that no window before it did. With stride = ctx that is what
 * lm-evaluation-harness's rolling log-likelihoods are (context of 1), else the sliding window of Hugging Face's guide
 * to perplexity with a max_length of ctx + 1 (whose last window is a shorter one). */
typedef struct nb_perplexity {
  size_t windows;
  size_t scored,
      end;       /* tokens predicted: those of the text before `end`, without its first one where there is no bos */
  double nll;    /* sum of their negative log-likelihoods, nats */
  double nll_se; /* standard error of their mean, by windows; NaN for one window */
  double seconds;
} nb_perplexity;

/* tokens: the text, n of them. NB_ERR_ARG: sizes out of range, nothing to predict. NB_ERR_NUMERIC: not finite. */
nb_status nb_perplexity_measure(nb_session *s, const nb_model *m, const int32_t *tokens, size_t n,
                                const nb_perplexity_opts *o, nb_perplexity *out, nb_err *err);

#endif
