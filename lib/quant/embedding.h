/* SPDX-License-Identifier: MIT */
/* What an error in the embedding's rows costs. No calibration text can tell: rows are looked up, not multiplied. */
#ifndef NB_EMBEDDING_H
#define NB_EMBEDDING_H

#include "model/model.h"

/* How much the elements of the embedding's rows matter beside each other: out (D), of mean 1. The first layer reads
 * them through its norms, so element k counts by the squared column k of the matrices behind a norm times the norm's
 * squared weight; what reads the attention's input and what reads the feed-forward block's count alike. Later layers
 * add little: they see the embedding beneath what the first have added. NB_ERR_NUMERIC: a weight is not finite. */
nb_status nb_embedding_importance(const nb_config *c, const nb_weights *w, float *out, nb_err *err);

#endif
