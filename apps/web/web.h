/* SPDX-License-Identifier: MIT */
/* A model in a web page: what worker.js calls. One model and one answer at a time, in steps (model/batch.h), so that
 * the caller breathes between them, hears that the answer is to stop, and loses no cache by it.
 *
 * Strings are the caller's and read during the call; those that are returned stay until the next call. Functions that
 * can fail return 0 or NULL, and web_error says why. */
#ifndef NB_WEB_H
#define NB_WEB_H

#include <emscripten.h>

EMSCRIPTEN_KEEPALIVE const char *web_error(void);

/* The next file of the model that web_open opens: a .nbl file, or its parts in their order. */
EMSCRIPTEN_KEEPALIVE int web_place(const char *path);
/* Opens them, in place of the model before, which is closed also when this fails. */
EMSCRIPTEN_KEEPALIVE int web_open(void);
/* What is open, as JSON: chat (whether it has a template), context (its positions), file_bytes, kernels. */
EMSCRIPTEN_KEEPALIVE const char *web_describe(void);

/* Adds a message to the conversation that web_begin answers. */
EMSCRIPTEN_KEEPALIVE int web_message(const char *role, const char *content);
/* Begins an answer to the messages, which are forgotten, or goes on with a prompt (NULL: the messages). max_tokens 0:
 * as many as fit; the rest as nibble_generation has it. What does not suit is refused. */
EMSCRIPTEN_KEEPALIVE int web_begin(const char *prompt, double max_tokens, double temperature, double top_p,
                                   double seed);
/* One step of it. JSON: text (what is new, whole characters), prompt_tokens, completion_tokens, and when it has ended
 * end ("stop", "length" or "cancelled"). */
EMSCRIPTEN_KEEPALIVE const char *web_step(void);
/* The answer ends with the next step. What was run stays, for the next turn to go on from. */
EMSCRIPTEN_KEEPALIVE void web_stop(void);

#endif
