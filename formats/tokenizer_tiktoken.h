/* SPDX-License-Identifier: MIT */
/* A vocabulary in tiktoken's form (github.com/openai/tiktoken): a token in base64, a blank and its rank on every
 * line. The file says neither how text is split nor which special tokens there are, so that only one is known by its
 * name: cl100k_base with the special tokens of phi-3-small, the one model that comes with nothing else. */
#ifndef NB_TOKENIZER_TIKTOKEN_H
#define NB_TOKENIZER_TIKTOKEN_H

#include "formats/tokenizer_config.h"

#define NB_TIKTOKEN_NAME "cl100k_base.tiktoken"

/* Builds phi-3-small's tokenizer from the ranks and the settings. Its begin and end token are <|endoftext|>, it adds
 * neither to a text, and without a chat template in the settings it has phi-3-small's. Refused, naming the line: bad
 * base64, a rank that is missing or comes twice, a token that comes twice, a byte without a token. The caller finishes
 * it, or after a failure frees what *out is then. */
nb_status nb_tokenizer_tiktoken_build(const nb_source *ranks, const nb_tokenizer_config *config, nb_tokenizer **out,
                                      nb_err *err);

#endif
