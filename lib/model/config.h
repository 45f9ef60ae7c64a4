/* SPDX-License-Identifier: MIT */
/* What a decoder computes: the plain-old-data description that config.json and a .nbl file are read into and that the
 * forward pass is built from. Every difference between architectures that changes arithmetic is a field here; which
 * tensors follow from it is parts.h, what a checkpoint calls them arch.h. Letters as in tensor.h. */
#ifndef NB_CONFIG_H
#define NB_CONFIG_H

#include "base/status.h"
#include "base/tensor.h"
#include "kernels/kernels.h"

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
  NB_MAX_EXPERTS = 256,
  NB_MAX_EOS = 16,
  NB_MAX_MASKED = 32,
  NB_MAX_ARCHITECTURE = 64
};

typedef enum nb_norm_kind {
  NB_NORM_RMS,  /* x / rms(x) * w (Zhang and Sennrich, arXiv 1910.07467) */
  NB_NORM_LAYER /* (x - mean) / deviation * w + b (Ba et al., arXiv 1607.06450) */
} nb_norm_kind;

/* How a block's two branches meet the residual stream x. */
typedef enum nb_block_kind {
  NB_BLOCK_SEQUENTIAL, /* x += attention(norm(x)); x += ffn(norm'(x)) */
  NB_BLOCK_PARALLEL,   /* h = norm(x); x += attention(h) + ffn(h) */
  NB_BLOCK_SANDWICH    /* x += norm''(attention(norm(x))); x += norm'''(ffn(norm'(x))) */
} nb_block_kind;

/* What a layer's queries see, all of it causal. */
typedef enum nb_attend {
  NB_ATTEND_FULL,
  NB_ATTEND_WINDOW, /* position i sees j with i - sliding_window < j */
  NB_ATTEND_SPARSE  /* blocks of NB_KV_BLOCK positions: query block qb and head h see key block kb when qb - kb <
                     * sparse_local or (kb + h sparse_shift + 1) % sparse_stride == 0 (Phi-3-small, arXiv 2404.14219) */
} nb_attend;

/* How the experts of a token are chosen and weighed. */
typedef enum nb_routing {
  NB_ROUTE_SOFTMAX,  /* the largest logits, by the softmax over them alone (Mixtral, arXiv 2401.04088) */
  NB_ROUTE_SPARSEMIX /* two experts, each by a softmax over the logits near it (SparseMixer, arXiv 2310.00811) */
} nb_routing;

typedef enum nb_rope_kind {
  NB_ROPE_DEFAULT,  /* RoFormer, arXiv 2104.09864: inverse frequencies theta^(-2i/rotary_dim) */
  NB_ROPE_LONGROPE, /* LongRoPE, arXiv 2402.13753: each divided by a short or a long factor */
  NB_ROPE_LINEAR,   /* each divided by `factor` (Chen et al., arXiv 2306.15595) */
  NB_ROPE_LLAMA3,   /* low frequencies divided by `factor`, a band between blended (Llama 3.1) */
  NB_ROPE_YARN,     /* blended over a range of dimensions (arXiv 2309.00071) */
  NB_ROPE_DYNAMIC   /* past the original positions theta grows with the sequence's length (NTK-aware scaling) */
} nb_rope_kind;

/* The parameters of the scaled kinds; 0 where a kind has no use for them. */
typedef struct nb_rope_scaling {
  double factor;
  double low_freq_factor, high_freq_factor; /* llama3 */
  double beta_fast, beta_slow;              /* yarn */
  bool truncate;                            /* yarn: the range's ends are rounded to whole dimensions */
} nb_rope_scaling;

/* Zeroed memory with the fields set; has no pointers, so that assignment copies it. */
typedef struct nb_config {
  char architecture[NB_MAX_ARCHITECTURE]; /* the first of config.json's "architectures": "Phi3ForCausalLM" */
  nb_dtype dtype;                         /* that the checkpoint says it is stored in; tensors may differ */

  /* ---- shape ---- */
  size_t hidden; /* D */
  size_t ffn;    /* F, of one expert when there are several */
  size_t layers;
  size_t heads;        /* H query heads */
  size_t kv_heads;     /* divides heads; query head h reads kv head h / (heads / kv_heads) */
  size_t head_dim;     /* even; heads * head_dim need not be hidden */
  size_t rotary_dim;   /* even, 2 to head_dim: the leading components of a head that are rotated, in halves:
                        * i with i + rotary_dim/2 */
  size_t vocab;        /* V rows of the embedding and of the head */
  bool tie_embeddings; /* the head is the embedding */

  /* ---- the block ---- */
  nb_norm_kind norm;
  float norm_eps; /* added to the mean square, or to the variance */
  nb_block_kind block;
  bool qk_norm; /* a norm over each head's query and key (weights of head_dim) before they are rotated */
  bool qkv_bias, o_bias, ffn_bias, head_bias;
  bool gated; /* the feed-forward block is down(act(gate x) * (up x)); else down(act(up x)) */
  nb_activation activation;
  size_t experts;           /* feed-forward blocks of a layer, of which a router picks some; 0: one, no router */
  size_t experts_per_token; /* of NB_ROUTE_SPARSEMIX 2 */
  nb_routing routing;
  float router_jitter; /* NB_ROUTE_SPARSEMIX: how near is near, relative */

  /* ---- attention ---- */
  size_t max_position;                /* the longest sequence the model is made for, tokens */
  uint8_t attend[NB_MAX_LAYERS];      /* nb_attend of each layer */
  size_t sliding_window;              /* positions that a windowed layer's query sees, itself included; 0: none is */
  size_t sparse_local, sparse_stride; /* NB_ATTEND_SPARSE, in blocks */
  size_t sparse_shift;                /* and between heads */
  float attn_scale;                   /* scores are attn_scale * (q . k) */
  float attn_softcap;                 /* and become cap * tanh(score / cap); 0: not */

  /* ---- multipliers ---- */
  float embed_scale;                /* of the embedding's rows; 1 */
  float logit_scale;                /* of the head's outputs; 1 */
  float logit_softcap;              /* as attn_softcap, of the logits; 0: not */
  size_t n_masked;                  /* ids that the model never predicts: their logits are the lowest float */
  int32_t masked[NB_MAX_MASKED][2]; /* [first, last] each */

  /* ---- rotation ---- */
  nb_rope_kind rope_kind;
  double rope_theta;
  double rope_local_theta; /* not 0: windowed layers rotate by this, unscaled */
  nb_rope_scaling rope_scaling;
  size_t original_max_position; /* longrope: sequences of more tokens use long_factor; yarn, llama3, dynamic: what the
                                 * model was trained for before it was stretched; else equal to max_position */
  float rope_scale, rope_scale_long;       /* multiply both the cosine and the sine; the second with long factors; 1 */
  float short_factor[NB_MAX_ROPE_FACTORS]; /* (rotary_dim/2), longrope only; the rest is 0 */
  float long_factor[NB_MAX_ROPE_FACTORS];  /* (rotary_dim/2), longrope only; the rest is 0 */

  /* ---- ids ---- */
  int32_t bos_id;              /* -1: none */
  int32_t eos_ids[NB_MAX_EOS]; /* a generated text ends at any of these */
  size_t n_eos;
} nb_config;

/* Whether the numbers are ones that a forward pass can be built from: each within its limit above,
 * head counts that divide, an even rotary_dim, ids below vocab, finite positive factors, and no weight
 * whose size overflows. NB_ERR_FORMAT with a message naming the field. */
nb_status nb_config_check(const nb_config *c, nb_err *err);

/* Whether a token ends a text. */
bool nb_config_ends(const nb_config *c, int32_t id);

/* NB_ERR_ARG names the first of n token ids that is not in the vocabulary. */
nb_status nb_config_check_ids(const nb_config *c, const int32_t *ids, size_t n, nb_err *err);

/* What a cache of a sequence of `length` tokens is rotated by: 0 the factors of short sequences, else those of a
 * sequence of that length (LongRoPE has one set for all of them, dynamic scaling one for each length). transformers
 * chooses by the whole sequence's length, for all of its positions. */
size_t nb_config_stretch(const nb_config *c, size_t length);

/* Fills inv_freq (rotary_dim/2): the angle of pair i at position p is p * inv_freq[i]. stretch: nb_config_stretch;
 * local: of windowed layers. Computed in float in the order that transformers uses. */
void nb_config_inv_freq(const nb_config *c, size_t stretch, bool local, float *inv_freq);

/* The cosines and sines (rotary_dim/2 each) of the angles at a position, times `scale`. The angle is rounded to
 * float, as the reference does. */
void nb_config_rope(const nb_config *c, const float *inv_freq, float scale, size_t position, float *cosines,
                    float *sines);

#endif
