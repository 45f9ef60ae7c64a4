/* SPDX-License-Identifier: MIT */
/* What a decoder's shape is: the plain-old-data description that config.json and a .nbl file are read
 * into and that the forward pass is built from. Letters as in tensor.h. */
#ifndef NB_CONFIG_H
#define NB_CONFIG_H

#include "base/status.h"
#include "base/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits that nb_config_check enforces. Every product of two or three dimensions that a forward pass
 * needs then fits 64 bits with room for the element's size. */
enum {
  NB_MAX_HIDDEN = 1 << 17,
  NB_MAX_FFN = 1 << 19,
  NB_MAX_LAYERS = 1 << 10,
  NB_MAX_HEADS = 1 << 10,
  NB_MAX_HEAD_DIM = 512,
  NB_MAX_ROPE_FACTORS = NB_MAX_HEAD_DIM / 2,
  NB_MAX_VOCAB = 1 << 22,
  NB_MAX_POSITION = 1 << 24,
  NB_MAX_EOS = 16,
  NB_MAX_ARCHITECTURE = 64
};

typedef enum nb_rope_kind {
  NB_ROPE_DEFAULT = 0, /* RoFormer, arXiv 2104.09864: inverse frequencies theta^(-2i/rotary_dim) */
  NB_ROPE_LONGROPE = 1 /* LongRoPE, arXiv 2402.13753: each divided by a short or a long factor */
} nb_rope_kind;

typedef enum nb_activation { NB_ACT_SILU = 0 } nb_activation;

/* Zeroed memory with the fields set; has no pointers, so that assignment copies it. */
typedef struct nb_config {
  char architecture[NB_MAX_ARCHITECTURE]; /* the first of config.json's "architectures": "Phi3ForCausalLM" */
  nb_activation activation;               /* of the gate in the feed-forward block */
  nb_dtype dtype;                         /* that the checkpoint says it is stored in; tensors may differ */

  size_t hidden; /* D */
  size_t ffn;    /* F; gate_up_proj is (2F, D) with the gate first, down_proj (D, F) */
  size_t layers;
  size_t heads;        /* H query heads */
  size_t kv_heads;     /* divides heads; query head h reads kv head h / (heads / kv_heads) */
  size_t head_dim;     /* even; heads * head_dim need not be hidden */
  size_t rotary_dim;   /* even, 2 to head_dim: the leading components of a head that are rotated, in halves:
                        * i with i + rotary_dim/2 */
  size_t vocab;        /* V rows of the embedding and of the head */
  bool tie_embeddings; /* the head is the embedding */
  float rms_eps;       /* added to the mean square */

  size_t max_position;   /* the longest sequence the model is made for, tokens */
  size_t sliding_window; /* position i attends to j with i - window < j <= i; 0: no window */

  nb_rope_kind rope_kind;
  double rope_theta;
  size_t original_max_position;            /* longrope: sequences of more tokens use long_factor; otherwise unused
                                            * and equal to max_position */
  float rope_scale;                        /* multiplies both the cosine and the sine; 1 without longrope */
  float short_factor[NB_MAX_ROPE_FACTORS]; /* (rotary_dim/2), longrope only; the rest is 0 */
  float long_factor[NB_MAX_ROPE_FACTORS];  /* (rotary_dim/2), longrope only; the rest is 0 */

  int32_t bos_id;              /* -1: none */
  int32_t eos_ids[NB_MAX_EOS]; /* a generated text ends at any of these */
  size_t n_eos;
} nb_config;

/* Whether the numbers are ones that a forward pass can be built from: each within its limit above,
 * head counts that divide, an even rotary_dim, ids below vocab, finite positive factors, and no weight
 * whose size overflows. NB_ERR_FORMAT with a message naming the field. */
nb_status nb_config_check(const nb_config *c, nb_err *err);

/* Fills inv_freq (rotary_dim/2): the angle of pair i at position p is p * inv_freq[i]. `long_factors`
 * chooses long_factor (for a sequence of more than original_max_position tokens); it is ignored unless
 * rope_kind is NB_ROPE_LONGROPE. Computed in float in the order that transformers uses. */
void nb_config_inv_freq(const nb_config *c, bool long_factors, float *inv_freq);

/* The cosines and sines (rotary_dim/2 each) of the angles at a position, times rope_scale. The angle is rounded to
 * float, as the reference does. */
void nb_config_rope(const nb_config *c, const float *inv_freq, size_t position, float *cosines, float *sines);

#endif
