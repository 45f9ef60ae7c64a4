/* SPDX-License-Identifier: MIT */
/* The bodies of OpenAI's requests for text: checked and brought into one form. Every byte is a stranger's.
 * Reference: https://platform.openai.com/docs/api-reference/chat/create and .../completions/create. What nibble cannot
 * do is refused where it would change the answer (penalties, tools, ...); members that nobody knows are ignored. */
#ifndef NB_SERVE_REQUEST_H
#define NB_SERVE_REQUEST_H

#include "model/generate.h"
#include "tools/messages.h"

enum {
  SERVE_MAX_STOPS = 16,    /* stop strings of a request */
  SERVE_MAX_CHOICES = 128, /* texts of a request: prompts times n */
  SERVE_MAX_STOP_BYTES = 1024
};

typedef enum serve_kind { SERVE_COMPLETION, SERVE_CHAT } serve_kind;

/* One prompt of /v1/completions: a text, or token ids. */
typedef struct serve_prompt {
  const char *text; /* NULL: ids */
  int32_t *ids;     /* (n_ids) */
  size_t n_ids;
} serve_prompt;

typedef struct serve_request {
  cJSON *json; /* strings below are borrowed from it */
  serve_kind kind;
  const char *model;     /* NULL: not named */
  serve_prompt *prompts; /* (n_prompts), of completions */
  size_t n_prompts;
  messages messages; /* of chats */
  size_t n;          /* texts a prompt */
  size_t max_tokens; /* SIZE_MAX: as many as fit */
  nb_sampling sampling;
  bool has_seed;
  const char *stop[SERVE_MAX_STOPS];
  size_t n_stop;
  bool stream, include_usage;
  bool echo;     /* the prompt belongs to the answer */
  bool logprobs; /* of each token, */
  size_t top;    /* and of so many likeliest ones */
} serve_request;

/* Reads n bytes; a NUL in a text becomes U+FFFD. NB_ERR_FORMAT or NB_ERR_ARG says what is wrong with which member;
 * NB_ERR_UNSUPPORTED names what nibble does not do. serve_request_free releases, also after a failure. */
nb_status serve_request_parse(serve_kind kind, const char *bytes, size_t n, serve_request *out, nb_err *err);
void serve_request_free(serve_request *r);

#endif
