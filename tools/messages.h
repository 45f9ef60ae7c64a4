/* SPDX-License-Identifier: MIT */
/* The messages of a conversation as OpenAI's interface writes them: an array of {"role": ..., "content": ...}, where
 * content is a string or parts of text. Requests of `nibble serve` and the files of `nibble chat` hold such arrays. */
#ifndef NB_MESSAGES_H
#define NB_MESSAGES_H

#include "base/text.h"
#include "formats/jsonout.h"
#include "text/chat_template.h"

#include <cJSON.h>

enum { MESSAGES_MAX = 4096 };

/* Start from {0}; messages_free releases. Roles and contents are owned. */
typedef struct messages {
  nb_chat_message *m; /* (n) */
  size_t n, cap;
} messages;

/* Appends a copy. */
nb_status messages_add(messages *list, const char *role, const char *content, nb_err *err);
/* Takes messages [from, to) away. */
void messages_remove(messages *list, size_t from, size_t to);
void messages_free(messages *list);

/* Appends an array's messages; other members of a message are ignored. NB_ERR_FORMAT says which message is none. */
nb_status messages_read(const cJSON *array, const char *where, messages *list, nb_err *err);
/* Writes the array as member `key`. */
void messages_write(const messages *list, nb_jsonout *j, const char *key);

#endif
