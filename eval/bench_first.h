/* SPDX-License-Identifier: MIT */
/* How long one waits for the first token of an answer when nothing is open yet: what a program that starts, or one that
 * was not used for long, takes. */
#ifndef NB_BENCH_FIRST_H
#define NB_BENCH_FIRST_H

#include "base/status.h"
#include "model/model.h"

enum { NB_BENCH_CHAT = 64 }; /* tokens of a prompt as people begin a chat with */

typedef struct nb_bench_first {
  size_t tokens;  /* of the prompt: NB_BENCH_CHAT, or what fits the model */
  double open_s;  /* seconds until the file was open, its tokenizer included */
  double first_s; /* until the first token was there, with opening */
} nb_bench_first;

/* Opens the model at path once more, makes a session and a cache of this type, runs a prompt of random tokens, up to
 * the logits of its first token. Everything that it made is released. How much of the file is in memory beforehand is
 * the caller's business (nb_mapfile_forget). */
nb_status nb_bench_first_token(const char *path, const nb_session_opts *session, nb_kv_type kv, nb_bench_first *out,
                               nb_err *err);

#endif
