/* SPDX-License-Identifier: MIT */
/* The architectures as GGUF files have them: what they call themselves and their tensors, against Hugging Face's names.
 * One table serves reading (gguf_checkpoint.c) and writing (convert/gguf_export.c). */
#ifndef NB_GGUF_ARCH_H
#define NB_GGUF_ARCH_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct nb_gguf_name {
  const char *gguf, *hf; /* without ".weight" or ".bias"; %L stands for the layer */
} nb_gguf_name;

typedef struct nb_gguf_arch {
  const char *name;         /* general.architecture, and the prefix of its keys: "llama" */
  const char *architecture; /* "LlamaForCausalLM" */
  const char *model_type;   /* "llama" */
  const char *activation;   /* config.json's hidden_act, which no key says */
  bool interleaved;         /* rows of q and k are stored pair by pair for the rotation, not in halves */
  bool norm_plus_one;       /* norms are stored with 1 added, which Hugging Face's checkpoints leave to the model */
  bool layer_norm;          /* the norms' epsilon is layer_norm_epsilon */
  const nb_gguf_name *names;
  size_t n_names;
} nb_gguf_arch;

/* By general.architecture, n bytes, or by Hugging Face's name; NULL: none. Mistral is "llama". */
const nb_gguf_arch *nb_gguf_arch_find(const char *name, size_t n);
const nb_gguf_arch *nb_gguf_arch_of(const char *architecture);

/* "llama, phi3, ...": for messages. */
const char *nb_gguf_arch_list(char *out, size_t n);

enum { NB_GGUF_ROOM = 128 /* bytes of a name */ };

/* The other side's name of a tensor ("blk.3.attn_q.weight", "model.layers.3.self_attn.q_proj.weight"); false when the
 * architecture has none. */
bool nb_gguf_arch_to_hf(const nb_gguf_arch *a, const char *gguf, char out[NB_GGUF_ROOM]);
bool nb_gguf_arch_from_hf(const nb_gguf_arch *a, const char *hf, char out[NB_GGUF_ROOM]);

/* Whether a tensor of that GGUF name holds rows of q or k, which `interleaved` is about; *key: of k. */
bool nb_gguf_arch_rotated(const char *gguf, bool *key);
/* Whether it is a norm's weight. */
bool nb_gguf_arch_norm(const char *gguf);

#endif
