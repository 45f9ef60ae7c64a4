/* SPDX-License-Identifier: MIT */
/* A prompt as turns of a conversation, and those as the text that the model reads: one after another, or through the
 * model's chat template, as lm-evaluation-harness's --apply_chat_template and --fewshot_as_multiturn do it. */
#ifndef NB_TURNS_H
#define NB_TURNS_H

#include "text/tokenizer.h"

#include <stdbool.h>

typedef enum nb_chat {
  NB_CHAT_NO,       /* the turns' texts, one after another */
  NB_CHAT_SINGLE,   /* all of that in one turn of the user */
  NB_CHAT_MULTITURN /* examples are turns: the user asks, the assistant answers */
} nb_chat;

/* What files call them; the list ends with NULL. */
extern const char *const nb_chat_words[];

typedef struct nb_turn {
  bool assistant;
  nb_text text;
  const char *delimiter; /* behind it where turns make one text */
} nb_turn;

typedef struct nb_turns {
  nb_text system;
  nb_turn *turn; /* (n) */
  size_t n, cap;
} nb_turns;

/* How turns become a text. */
typedef struct nb_turns_form {
  nb_chat chat;
  const char *system;            /* what stands before a task's own header; NULL: nothing */
  const nb_tokenizer *tokenizer; /* of the model, whose chat template is used; or NULL, and then */
  const char *chat_template;     /* a template, */
  const char *bos, *eos;         /* with these texts; NULL: empty in it */
} nb_turns_form;

/* Adds an empty turn, whose text is then filled. The delimiter must outlive the turns. */
nb_status nb_turns_add(nb_turns *t, bool assistant, const char *delimiter, nb_text **text, nb_err *err);
/* Takes the last turn away. */
void nb_turns_drop(nb_turns *t);
void nb_turns_free(nb_turns *t);

/* Appends the text. The form's system text goes in front of the turns' own, with the separator between unless blanks
 * meet there. A template that refuses the system message is asked again without it, as the harness does. */
nb_status nb_turns_render(nb_turns *t, const nb_turns_form *f, const char *separator, nb_text *out, nb_err *err);

#endif
