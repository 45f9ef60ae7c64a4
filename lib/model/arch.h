/* SPDX-License-Identifier: MIT */
/* The architectures: what their checkpoints call each tensor, and how tensors that hold several matrices divide. What
 * an architecture computes is in nb_config; how config.json says it, in formats/hf_config.c. */
#ifndef NB_ARCH_H
#define NB_ARCH_H

#include "model/parts.h"

/* Which rows of a stored tensor a part is. */
typedef enum nb_rows_of {
  NB_ROWS_ALL,
  NB_ROWS_QKV,               /* of all query heads, key heads, value heads, one after another */
  NB_ROWS_QKV_GROUPS,        /* for each key head its query heads, itself, its value head */
  NB_ROWS_GATE_UP,           /* the gate, then up */
  NB_ROWS_GATE_UP_ALTERNATE, /* even rows gate, odd rows up */
  NB_ROWS_EXPERT,            /* a tensor (experts, N, K), or (N, K) each */
  NB_ROWS_EXPERT_GATE_UP     /* (experts, 2 N, K): gate, then up */
} nb_rows_of;

/* A role's name in checkpoints: %L stands for the layer, %E for the expert. A role may have several, in the order in
 * which they are looked for; the first is what `export` writes. */
typedef struct nb_arch_name {
  nb_role role;
  const char *pattern;
  nb_rows_of rows;
} nb_arch_name;

typedef struct nb_arch {
  const char *architecture; /* "LlamaForCausalLM" */
  const char *model_type;   /* "llama" */
  bool norm_plus_one;       /* checkpoints store RMS norms less 1 */
  const nb_arch_name *name; /* (n_names) */
  size_t n_names;
} nb_arch;

/* All of them, and one by its "architectures" or model_type (NULL: none). */
extern const nb_arch *const nb_arch_all[];
extern const size_t nb_arch_count;
const nb_arch *nb_arch_find(const char *architecture);
const nb_arch *nb_arch_of_type(const char *model_type);
/* "LlamaForCausalLM, MistralForCausalLM, ...": for messages. */
const char *nb_arch_list(char *out, size_t n);

/* Writes the k-th name of a part (k from 0); false when it has no more. *rows is filled. */
bool nb_arch_tensor_name(const nb_arch *a, const nb_part *p, size_t k, char out[128], nb_rows_of *rows);

/* Rows of a part in a stored tensor with `stored` rows (and, of experts in one tensor, that many for each): row n is
 * the stored row first + n / run * stride + n % run. */
typedef struct nb_row_map {
  size_t stored, first, run, stride;
} nb_row_map;
nb_row_map nb_arch_rows(const nb_config *c, const nb_part *p, nb_rows_of rows);

/* Whether a checkpoint's tensor of this name has a place in the model: one of the parts' names, or something that
 * follows from the configuration (rotary frequencies, a head that is tied). */
bool nb_arch_knows(const nb_arch *a, const nb_config *c, const nb_parts *parts, const char *name);

#endif
