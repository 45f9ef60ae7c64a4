/* SPDX-License-Identifier: MIT */
/* A Hugging Face checkpoint's directory: its configuration, its weights, and where its tokenizer is. */
#ifndef NB_HF_DIR_H
#define NB_HF_DIR_H

#include "config.h"
#include "safetensors.h"

typedef struct nb_hf_dir {
  nb_config config;
  nb_safetensors weights;
  /* Paths of files that are there, NULL of those that are not; owned. */
  char *config_json;
  char *generation_config_json;
  char *tokenizer_json;
  char *tokenizer_config_json;
  char *chat_template_jinja; /* where transformers 5 keeps the template that was in tokenizer_config.json */
} nb_hf_dir;

/* Opens DIR/config.json with DIR/generation_config.json (hf_config.h) and the weights (nb_safetensors_open).
 * The weights' shapes are not compared with the configuration: that is nb_weights_bind's part. On failure
 * *out is empty. */
nb_status nb_hf_dir_open(const char *dir, nb_hf_dir *out, nb_err *err);

/* Releases everything; a zeroed or closed one is fine. */
void nb_hf_dir_close(nb_hf_dir *d);

#endif
