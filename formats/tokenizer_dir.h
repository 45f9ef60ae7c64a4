/* SPDX-License-Identifier: MIT */
/* Reads the tokenizer of a checkpoint, whatever files it consists of: tokenizer.json (formats/tokenizer_json.h) or a
 * tiktoken file (formats/tokenizer_tiktoken.h), with the settings beside it (formats/tokenizer_config.h). What the
 * files ask for is done or refused by name; nothing is guessed from a model's name. */
#ifndef NB_TOKENIZER_DIR_H
#define NB_TOKENIZER_DIR_H

#include "text/tokenizer.h"

/* The files of a directory that a tokenizer may consist of: tokenizer.json first, the tiktoken file second. */
enum { NB_TOKENIZER_FILES = 6 };
extern const char *const nb_tokenizer_file_names[NB_TOKENIZER_FILES];

/* A file's bytes in memory. */
typedef struct nb_source {
  const char *bytes; /* NULL when there is no such file */
  size_t n;
  const char *name; /* for messages */
} nb_source;

typedef struct nb_tokenizer_files {
  nb_source json;     /* tokenizer.json */
  nb_source tiktoken; /* cl100k_base.tiktoken, of which use is made when there is no tokenizer.json */
  nb_source config;   /* tokenizer_config.json */
  nb_source map;      /* special_tokens_map.json */
  nb_source added;    /* added_tokens.json */
  nb_source jinja;    /* chat_template.jinja, which goes before the template in tokenizer_config.json */
} nb_tokenizer_files;

/* Builds a tokenizer from the files that there are. Released with nb_tokenizer_free. */
nb_status nb_tokenizer_from_files(const nb_tokenizer_files *files, nb_tokenizer **out, nb_err *err);

/* The same from the files of a directory. */
nb_status nb_tokenizer_read_dir(const char *dir, nb_tokenizer **out, nb_err *err);

#endif
