/* SPDX-License-Identifier: MIT */
/* config.json and generation_config.json of a Hugging Face checkpoint, both as the hub has them
 * (rope_theta, rope_scaling, torch_dtype) and as transformers 5 saves them (rope_parameters, dtype).
 * Rules and defaults are those of transformers' configuration classes and of its rope parameters (hf_family.c has what
 * differs between families), with these differences: the dimensions have no defaults; hidden_size must be a multiple of
 * num_attention_heads where head_dim is not given; absent beginning and end of text ids mean none; an
 * original_max_position_embeddings that stands only inside rope_parameters is used. */
#ifndef NB_HF_CONFIG_H
#define NB_HF_CONFIG_H

#include "model/config.h"

/* Reads and checks (nb_config_check) the n bytes of a config.json. `file` names it in messages.
 * NB_ERR_UNSUPPORTED, naming what and what is supported instead, for another architecture, kind of rotary
 * embedding, activation, data type, biases that the family has not, or a quantized checkpoint. */
nb_status nb_hf_config_parse(const char *json, size_t n, const char *file, nb_config *out, nb_err *err);

/* Reads a generation_config.json: what it says about bos_token_id and eos_token_id replaces what c has. */
nb_status nb_hf_config_parse_generation(const char *json, size_t n, const char *file, nb_config *c, nb_err *err);

/* Reads DIR/config.json and, where there is one, DIR/generation_config.json. */
nb_status nb_hf_config_read(const char *dir, nb_config *out, nb_err *err);

/* The canonical text: a config.json as transformers 5 has it, that nb_hf_config_parse turns into an equal
 * nb_config again. A .nbl file holds it, and an exported checkpoint. The caller frees *out with free; *n
 * does not count the NUL behind it. */
nb_status nb_hf_config_print(const nb_config *c, char **out, size_t *n, nb_err *err);

#endif
