/* SPDX-License-Identifier: MIT */
/* Questions as token sequences, cut as lm-evaluation-harness cuts them: context and continuation are encoded
 * together, and what lies behind the context's own tokens is scored; white space at the context's end goes to the
 * continuation; an empty context is the begin token (the end token when there is none). */
#ifndef NB_TOKENS_H
#define NB_TOKENS_H

#include "eval/prompt.h"
#include "text/tokenizer.h"

/* A token whose log-prob belongs to a choice. */
typedef struct nb_target {
  uint32_t pos; /* of the sequence: the row behind tokens [0, pos] predicts it */
  int32_t token;
  uint32_t choice;
} nb_target;

/* What the model reads: the choices whose contexts and leading tokens are the same share one. */
typedef struct nb_sequence {
  int32_t *tokens; /* (n) */
  size_t n;
  nb_target *target; /* (n_targets), pos ascending */
  size_t n_targets;
} nb_sequence;

/* What happens to questions that are longer than the model takes: the run fails, they count as wrong without being run,
 * or they lose tokens at their beginning. */
typedef enum nb_overlong { NB_OVERLONG_FAIL, NB_OVERLONG_WRONG, NB_OVERLONG_TRUNCATE } nb_overlong;

/* How a question fits into what the model takes. */
typedef enum nb_fit {
  NB_FIT_WHOLE,
  NB_FIT_CUT, /* sequences lost tokens at their beginning */
  NB_FIT_NOT  /* too long; nothing was cut */
} nb_fit;

typedef struct nb_question {
  const nb_item *item;
  nb_prompt prompt;
  size_t shots;     /* examples that fit */
  nb_sequence *seq; /* (n_seqs), at most the number of choices */
  size_t n_seqs;
  size_t n_tokens; /* of the longest sequence */
  uint64_t hash;   /* XXH3 of the prompt's texts */
  nb_fit fit;
} nb_question;

typedef struct nb_encode_opts {
  bool plain;        /* add nothing that the tokenizer's template adds (BOS) */
  bool cut;          /* sequences that are too long keep their last tokens */
  size_t max_tokens; /* the longest sequence that the model takes */
} nb_encode_opts;

/* Builds and encodes a question. A sequence longer than max_tokens loses examples where the task allows it, then, with
 * o->cut, tokens at its beginning, as lm-evaluation-harness cuts it, though never the last one of its context. *out
 * says what it came to. nb_question_free releases. */
nb_status nb_question_make(const nb_prompter *p, const nb_tokenizer *tok, const nb_encode_opts *o, const nb_item *item,
                           nb_question *out, nb_err *err);
void nb_question_free(nb_question *q);

/* The tokens of a context, without the white space at its end. Where the text begins with the begin token itself,
 * nothing is added to it, as in lm-evaluation-harness 0.4.13: it would stand there twice. */
nb_status nb_tokens_context(const nb_tokenizer *tok, bool plain, const nb_text *context, nb_ids *tokens, nb_err *err);

/* A context, the tokens that nb_tokens_context gave it, and what may follow it. */
typedef struct nb_text_pair {
  const nb_text *context;
  const nb_ids *context_tokens;
  const nb_text *continuation;
} nb_text_pair;

/* Appends one pair to tokens: those of the context, then what the encoding of context and continuation together has
 * behind them; *n_context of them are the context. */
nb_status nb_tokens_pair(const nb_tokenizer *tok, bool plain, const nb_text_pair *pair, nb_ids *tokens,
                         size_t *n_context, nb_err *err);

#endif
