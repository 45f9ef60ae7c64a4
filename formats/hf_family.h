/* SPDX-License-Identifier: MIT */
/* The families of architectures as config.json describes them: which keys, which defaults, and what a family has that
 * others do not. Shared by the reader (hf_config.c) and the writer (hf_config_write.c); not for others. */
#ifndef NB_HF_FAMILY_H
#define NB_HF_FAMILY_H

#include "formats/json.h"
#include "formats/jsonout.h"
#include "model/arch.h"

/* How a family says which layers attend to a window. */
typedef enum nb_hf_windows {
  NB_HF_WINDOW_ALL,   /* sliding_window, when it is not null, is every layer's */
  NB_HF_WINDOW_NONE,  /* there are none */
  NB_HF_WINDOW_ASKED, /* use_sliding_window, then layers from max_window_layers on; or layer_types */
  NB_HF_WINDOW_EVERY, /* all but each `pattern`-th layer; or layer_types */
  NB_HF_WINDOW_SPARSE /* block-sparse but for each dense_attention_every_n_layers-th */
} nb_hf_windows;

typedef struct nb_hf_family {
  const char *architecture;
  /* keys */
  const char *ffn, *eps, *theta, *activation;
  /* what transformers takes where a key is missing */
  bool tied;
  size_t max_position, head_dim; /* head_dim 0: hidden_size / num_attention_heads */
  double default_eps, default_theta;
  const char *default_activation;
  bool gelu_is_tanh; /* early files say "gelu", or hidden_activation beside it, and mean the tanh form, which is what
                      * their makers' code computes */
  /* the block */
  nb_norm_kind norm;
  nb_block_kind block;
  bool gated;
  bool biases;                   /* of all linears, without a key for it */
  bool qkv_bias;                 /* of q, k, v, likewise */
  bool qk_norm;                  /* likewise */
  bool attention_bias, mlp_bias; /* there are keys of these names */
  nb_hf_windows windows;
  size_t pattern; /* NB_HF_WINDOW_EVERY, where sliding_window_pattern is not given */
  /* More keys: reads what it has (the common keys are read already), and writes it. NULL: none. */
  nb_status (*read)(const cJSON *j, const char *file, nb_config *c, nb_err *err);
  void (*write)(const nb_config *c, nb_jsonout *out);
} nb_hf_family;

/* The family of an architecture that arch.h knows. */
const nb_hf_family *nb_hf_family_find(const char *architecture);

/* The words of config.json by enum. */
extern const char *const nb_hf_dtype_names[];                   /* by nb_dtype */
extern const char *const nb_hf_rope_names[NB_ROPE_DYNAMIC + 1]; /* by nb_rope_kind */

/* Refuses an architecture by name, with the list of those that are known and, when only its name is not, with what to
 * do. model_type: "" when there is none. Returns NB_ERR_UNSUPPORTED. */
nb_status nb_hf_unknown(const char *architecture, const char *model_type, const char *file, nb_err *err);

/* The activations by their names in config.json; the first name of each is the one that is written. */
nb_status nb_hf_activation(const char *name, const char *file, nb_activation *out, nb_err *err);
const char *nb_hf_activation_name(const nb_hf_family *f, nb_activation a);

#endif
