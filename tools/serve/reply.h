/* SPDX-License-Identifier: MIT */
/* Answers in OpenAI's form: whole ones, pieces of a stream, errors. A reply reads its job under the worker's lock. */
#ifndef NB_SERVE_REPLY_H
#define NB_SERVE_REPLY_H

#include "tools/serve/worker.h"
#include "tools/serve/request.h"

typedef struct serve_reply {
  serve_kind kind;
  const char *model; /* its name */
  const nb_tokenizer *tokenizer;
  char id[40];
  int64_t created; /* seconds since 1970 */
  bool logprobs, include_usage, echo;
  size_t top;
} serve_reply;

/* How far a stream has told of a text. */
typedef struct serve_told {
  size_t bytes;  /* of echo and text */
  size_t scored; /* log-probs */
  size_t offset; /* characters of the tokens told, for text_offset */
  bool first, role, over;
} serve_told;

/* Appends the whole answer. */
nb_status serve_reply_whole(const serve_reply *r, const serve_job *j, nb_text *out, nb_err *err);
/* Appends what is new of every text as events of a stream, and the end when all texts are over. *over: that was it. */
nb_status serve_reply_events(const serve_reply *r, const serve_job *j, serve_told *told, nb_text *out, bool *over,
                             nb_err *err);
/* Appends {"error": {...}}. code: NULL writes null. */
nb_status serve_reply_error(const char *message, const char *type, const char *code, nb_text *out, nb_err *err);

#endif
