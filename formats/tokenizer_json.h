/* SPDX-License-Identifier: MIT */
/* Reads Hugging Face's tokenizer.json, with tokenizer_config.json and chat_template.jinja beside it.
 * What the file asks for is done or refused by name; nothing is guessed from a model's name. */
#ifndef NB_TOKENIZER_JSON_H
#define NB_TOKENIZER_JSON_H

#include "text/tokenizer.h"

/* A file's bytes in memory. */
typedef struct nb_source {
  const char *bytes; /* NULL when there is no such file */
  size_t n;
  const char *name; /* for messages */
} nb_source;

/* Builds a tokenizer from tokenizer.json and, where they are there, tokenizer_config.json (bos_token,
 * eos_token, chat_template: a string, or a list of named ones of which "default" is taken) and
 * chat_template.jinja (which goes before the one in the configuration). Released with nb_tokenizer_free. */
nb_status nb_tokenizer_from_json(nb_source tokenizer, nb_source config, nb_source jinja, nb_tokenizer **out,
                                 nb_err *err);

/* The same from the files of a directory. */
nb_status nb_tokenizer_read_dir(const char *dir, nb_tokenizer **out, nb_err *err);

#endif
