/* SPDX-License-Identifier: MIT */
/* Hugging Face's tokenizer.json, for formats/tokenizer_dir.c. */
#ifndef NB_TOKENIZER_JSON_H
#define NB_TOKENIZER_JSON_H

#include "formats/tokenizer_config.h"

/* Builds a tokenizer from tokenizer.json and the settings; the caller finishes it, or after a failure frees what *out
 * is then. */
nb_status nb_tokenizer_json_build(const nb_source *json, const nb_tokenizer_config *config, nb_tokenizer **out,
                                  nb_err *err);

#endif
