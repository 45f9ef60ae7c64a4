/* SPDX-License-Identifier: MIT */
/* Renders a model's chat template, the Jinja text that comes with its tokenizer, as transformers'
 * apply_chat_template does (trim_blocks, lstrip_blocks; raise_exception; loop controls). A template is a
 * program from a stranger: it can read only what is given here, and its memory, steps and output are
 * bounded. Constructs that are not supported are refused by name with their line. */
#ifndef NB_CHAT_TEMPLATE_H
#define NB_CHAT_TEMPLATE_H

#include "text/tokenizer.h"

typedef struct nb_chat_message {
  const char *role;    /* "system", "user", "assistant", or what the template knows; NUL-terminated UTF-8 */
  const char *content; /* NUL-terminated UTF-8 */
} nb_chat_message;

/* A special token as templates see it: its name ("bos_token", "pad_token", ...) and its text, NUL-terminated UTF-8. */
typedef struct nb_chat_token {
  const char *name, *text;
} nb_chat_token;

typedef struct nb_chat_options {
  bool add_generation_prompt; /* end with what opens the assistant's answer */
  const nb_chat_token *token; /* (n_tokens); other names are undefined in the template */
  size_t n_tokens;
  int64_t now; /* seconds since 1970 (UTC) for strftime_now; 0: it is undefined, and templates have their own date */
  size_t max_work; /* how much the rendering may cost (lib/text/jinja.h: JINJA_MAX_WORK, its unit); 0: that much */
} nb_chat_options;

/* Appends the conversation, rendered, to out. The text holds special tokens, BOS often among them: encode
 * it without NB_ENCODE_ADD_SPECIAL. A template that rejects the conversation (raise_exception) fails with
 * its message. */
nb_status nb_chat_render(const char *template_text, size_t n_bytes, const nb_chat_message *message, size_t n_messages,
                         const nb_chat_options *options, nb_text *out, nb_err *err);

/* The same with a tokenizer's own template and tokens. Fails (NB_ERR_UNSUPPORTED) when it has no template. */
nb_status nb_chat_render_tokenizer(const nb_tokenizer *t, const nb_chat_message *message, size_t n_messages,
                                   bool add_generation_prompt, nb_text *out, nb_err *err);

#endif
