/* SPDX-License-Identifier: MIT */
/* The settings beside a tokenizer: tokenizer_config.json, special_tokens_map.json, added_tokens.json and the chat
 * template. They are read as transformers 5 reads them (PreTrainedTokenizerFast, its TokenizersBackend):
 *
 * - the tokens of `added_tokens_decoder`, by ascending id, are added, or replace the flags of those that
 *   tokenizer.json has; the ids that they state are not used otherwise;
 * - where there is no `added_tokens_decoder`, added_tokens.json and tokenizer.json's own added tokens are it, and
 *   special_tokens_map.json goes before tokenizer_config.json; else neither of these two files counts;
 * - bos, eos, unk, sep, pad, cls and mask_token, every other key that ends in _token, the values of an object
 *   `extra_special_tokens`: special tokens that templates know by name, added where they are missing;
 * - the texts of a list `extra_special_tokens`, or else of `additional_special_tokens`, are added in the same way;
 * - add_bos_token and add_eos_token count for nothing: tokenizer.json's post-processor adds what it adds.
 *
 * transformers 4 differs in the last point: its Llama, Gemma and a few other classes obey them. Those classes of
 * transformers 5 that build a tokenizer anew from its vocabulary (LlamaTokenizer and others) are not followed:
 * tokenizer.json is. */
#ifndef NB_TOKENIZER_CONFIG_H
#define NB_TOKENIZER_CONFIG_H

#include "formats/tokenizer_dir.h"

#include <cJSON.h>

typedef struct nb_tokenizer_config {
  const nb_tokenizer_files *files;
  cJSON *config, *map, *added; /* the files of these names, NULL when they are not there */
} nb_tokenizer_config;

/* The files must outlive *out. Released with nb_tokenizer_config_free, after a failure too. */
nb_status nb_tokenizer_config_parse(const nb_tokenizer_files *files, nb_tokenizer_config *out, nb_err *err);
void nb_tokenizer_config_free(nb_tokenizer_config *c);

/* How many ids nb_tokenizer_config_apply may need beyond those that there are. */
size_t nb_tokenizer_config_most(const nb_tokenizer_config *c);

/* Adds the tokens and their names, sets the chat template. `own`: tokenizer.json's array of added tokens, which have
 * been added, or NULL. */
nb_status nb_tokenizer_config_apply(const nb_tokenizer_config *c, const cJSON *own, nb_tokenizer *t, nb_err *err);

/* Flags (NB_TOKEN_*) of an added token as files store it; `must` when the five keys have to be there. Without a key
 * `normalized` is the opposite of `special`. */
nb_status nb_tokenizer_config_flags(const cJSON *token, const char *where, bool must, unsigned *flags, nb_err *err);

#endif
