/* SPDX-License-Identifier: MIT */
/* Puts the kernels that are written on the 16-lane machine into a table. */
#ifndef NB_FLOAT_TABLE_H
#define NB_FLOAT_TABLE_H

#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/gram.h"
#include "kernels/linear_float.h"
#include "kernels/quant_fit.h"
#include "kernels/trellis_path.h"

INLINE void set_float_kernels(nb_kernels *k) {
  k->quantize_q8 = quantize_q8;
  k->linear_float = linear_float;
  k->gemm = gemm;
  k->gram_round = gram_round;
  k->gram_add = gram_add;
  k->rmsnorm = rmsnorm;
  k->layernorm = layernorm;
  k->rope = rope;
  k->hadamard = hadamard;
  k->activate = activate;
  k->exp = exp_all;
  k->softcap = softcap;
  k->add = add;
  k->kv_store = kv_store;
  k->attention = attention;
  k->logsumexp = logsumexp;
  k->quant_fit = quant_fit;
  k->quant_codes = quant_codes;
  k->trellis_path = trellis_path;
}

#endif
