/* SPDX-License-Identifier: MIT */
/* The keys of a GGUF file as the config.json of the checkpoint that it was made from: what each architecture then
 * computes is decided in one place, by formats/hf_config.h. */
#ifndef NB_GGUF_CONFIG_H
#define NB_GGUF_CONFIG_H

#include "formats/gguf.h"
#include "formats/gguf_arch.h"
#include "model/config.h"

/* A whole number's key, before which the architecture's name goes ("llama."), and what config.json calls it. The list
 * ends with NULL. */
typedef struct nb_gguf_key {
  const char *gguf, *hf;
} nb_gguf_key;
extern const nb_gguf_key nb_gguf_config_sizes[];

/* The file's architecture. NB_ERR_UNSUPPORTED, naming it and those that are supported, for another. */
nb_status nb_gguf_config_arch(const nb_gguf *g, const nb_gguf_arch **out, nb_err *err);

/* How attention is divided, checked so far that the products fit. */
typedef struct nb_gguf_heads {
  size_t heads, kv_heads, head_dim;
} nb_gguf_heads;
nb_status nb_gguf_config_heads(const nb_gguf *g, const nb_gguf_arch *arch, nb_gguf_heads *out, nb_err *err);

/* The text of config.json; the caller frees *out with free. NB_ERR_FORMAT for keys that are missing or of other types;
 * NB_ERR_UNSUPPORTED for experts, layers of different shapes and kinds of rotary scaling that are not known. */
nb_status nb_gguf_config_print(const nb_gguf *g, char **out, nb_err *err);

/* The same as a checked configuration. */
nb_status nb_gguf_config_read(const nb_gguf *g, nb_config *out, nb_err *err);

/* The reverse: the keys of a configuration, and the tables of factors that some of them want as tensors.
 * NB_ERR_UNSUPPORTED for an architecture or a scaling that GGUF files cannot say. */
typedef struct nb_gguf_table {
  const char *name; /* "rope_factors_long.weight" */
  size_t n;
  float factor[NB_MAX_ROPE_FACTORS];
} nb_gguf_table;
nb_status nb_gguf_config_write(const nb_config *c, const nb_gguf_arch *arch, nb_gguf_writer *w, nb_gguf_table tables[2],
                               size_t *n_tables, nb_err *err);

#endif
