/* SPDX-License-Identifier: MIT */
/* A model that answers on the terminal: what `nibble generate` and `nibble chat` share. The cache stays between
 * answers, and of a prompt only the tokens are run that the cache does not begin with. */
#ifndef NB_TALK_H
#define NB_TALK_H

#include "formats/open.h"
#include "model/context.h"
#include "tools/cli.h"
#include "tools/messages.h"

typedef struct talk {
  const nb_opened *m;
  nb_session *session;
  nb_context *context; /* NULL before the first answer */
  nb_kv_type kv;
  nb_draft_mode draft;
} talk;

/* kv: the cache's type, or NULL for the one that fits. draft: whether guesses of what comes next are tried.
 * talk_end releases, also after a failure. */
nb_status talk_begin(const nb_opened *m, const cli_common *c, const char *kv, nb_draft_mode draft, talk *out,
                     nb_err *err);
void talk_end(talk *t);

/* An answer: what is wanted, and what it came to. talk_answer_free releases. */
typedef struct talk_answer {
  nb_sampling sampling;
  size_t max_new;
  bool ignore_eos, stream; /* stream: print the text as it comes */
  bool (*stop)(void);      /* asked again and again; true ends the answer where it is */

  nb_text text;
  nb_generation_stats stats;
  bool stopped; /* by `stop` */
} talk_answer;

/* Goes on from the ids. The answer's text is whole characters, also when it was stopped. */
nb_status talk_run(talk *t, const nb_ids *ids, talk_answer *a, nb_err *err);
void talk_answer_free(talk_answer *a);

/* The tokens that a model sees: as many as were asked for (0: its positions). NB_ERR_ARG: it has fewer. */
nb_status talk_context(const nb_opened *m, const char *model, int asked, size_t *context, nb_err *err);

/* Whether a conversation goes through the tokenizer's chat template. Without one, or raw, its turns make one text: each
 * turn of the user begins a new line, and the model goes on from the end. */
bool talk_has_template(const nb_tokenizer *t, bool raw);
/* Notes that there is no template. NB_ERR_ARG: a system message was given, which has no place then. */
nb_status talk_check_template(const nb_tokenizer *t, bool raw, bool system, const cli_common *c, const char *model,
                              nb_err *err);
/* Appends the ids of a conversation that the model is to answer: its system message (NULL: none) and the messages
 * m[0..n). */
nb_status talk_ids(const nb_tokenizer *t, bool raw, const char *system, const nb_chat_message *m, size_t n, nb_ids *ids,
                   nb_err *err);

#endif
