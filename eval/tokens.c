/* SPDX-License-Identifier: MIT */
#include "eval/tokens.h"

#include "eval/template.h"

#include <stdlib.h>

/* ---- one pair ---- */

/* The length of s without the white space at its end. */
static nb_status stripped_length(const nb_text *s, size_t *n, nb_err *err) {
  nb_text copy = {0}; /* "|x" keeps what is in front from being stripped */
  nb_status st;
  NB_GOTO(nb_text_append(&copy, "|", 1, err));
  NB_GOTO(nb_text_append(&copy, s->s, s->n, err));
  NB_GOTO(nb_template_filter("strip", &copy, "a context", err));
  *n = copy.n - 1;
fail:
  nb_text_free(&copy);
  return st;
}

static nb_status encode_after_nothing(const nb_tokenizer *tok, const nb_text *continuation, nb_ids *tokens,
                                      size_t *n_context, nb_err *err) {
  int32_t prefix = nb_tokenizer_bos(tok);
  if (prefix < 0) prefix = nb_tokenizer_eos(tok);
  if (prefix < 0) return nb_fail(err, NB_ERR_ARG, "an empty prompt, and the tokenizer names no begin or end token");
  NB_TRY(nb_ids_push(tokens, prefix, err));
  NB_TRY(nb_tokenizer_encode(tok, continuation->s, continuation->n, 0, tokens, err));
  if (tokens->n > 1 && tokens->id[1] == prefix) { /* the text itself begins with it */
    tokens->n--;
    memmove(tokens->id, tokens->id + 1, tokens->n * sizeof *tokens->id);
  }
  *n_context = 1;
  return NB_OK;
}

/* What the encoding of a text that begins with `context` adds. */
static unsigned specials(const nb_tokenizer *tok, bool plain, const nb_text *context) {
  return plain || nb_tokenizer_begun(tok, context->s, context->n) ? 0 : NB_ENCODE_ADD_SPECIAL;
}

nb_status nb_tokens_context(const nb_tokenizer *tok, bool plain, const nb_text *context, nb_ids *tokens, nb_err *err) {
  size_t n;
  if (!context->n) return NB_OK;
  NB_TRY(stripped_length(context, &n, err));
  return nb_tokenizer_encode(tok, context->s, n, specials(tok, plain, context), tokens, err);
}

nb_status nb_tokens_pair(const nb_tokenizer *tok, bool plain, const nb_text_pair *pair, nb_ids *tokens,
                         size_t *n_context, nb_err *err) {
  const nb_text *context = pair->context, *continuation = pair->continuation;
  if (!context->n) return encode_after_nothing(tok, continuation, tokens, n_context, err);
  nb_text all = {0};
  nb_ids whole = {0};
  nb_status st;
  *n_context = pair->context_tokens->n;
  NB_GOTO(nb_text_append(&all, context->s, context->n, err));
  NB_GOTO(nb_text_append(&all, continuation->s, continuation->n, err));
  NB_GOTO(nb_tokenizer_encode(tok, all.s, all.n, specials(tok, plain, context), &whole, err));
  for (size_t i = 0; i < nb_max(*n_context, whole.n); i++)
    NB_GOTO(nb_ids_push(tokens, i < *n_context ? pair->context_tokens->id[i] : whole.id[i], err));
fail:
  nb_text_free(&all);
  nb_ids_free(&whole);
  return st;
}

/* ---- a question ---- */

/* Adds a choice's tokens: to a sequence that reads the same, or as a new one. Takes over ids. */
static nb_status add_choice(nb_question *q, uint32_t choice, nb_ids *ids, size_t n_context, nb_err *err) {
  size_t n = ids->n - 1; /* the last token is only predicted */
  nb_sequence *s = NULL;
  for (size_t i = 0; i < q->n_seqs && !s; i++)
    if (q->seq[i].n == n && !memcmp(q->seq[i].tokens, ids->id, n * sizeof *ids->id)) s = &q->seq[i];
  if (!s) {
    s = &q->seq[q->n_seqs++];
    *s = (nb_sequence){.tokens = ids->id, .n = n};
  }
  size_t more = ids->n - n_context;
  nb_target *t = realloc(s->target, (s->n_targets + more) * sizeof *t);
  if (t) s->target = t;
  for (size_t i = 0; t && i < more; i++)
    t[s->n_targets++] = (nb_target){(uint32_t)(n_context + i - 1), ids->id[n_context + i], choice};
  if (s->tokens != ids->id) nb_ids_free(ids);
  if (n > q->n_tokens) q->n_tokens = n;
  return t ? NB_OK : nb_fail(err, NB_ERR_MEMORY, "out of memory: a question's tokens");
}

static int by_pos(const void *a, const void *b) {
  const nb_target *x = a, *y = b;
  return x->pos != y->pos ? (x->pos > y->pos) - (x->pos < y->pos) : (x->choice > y->choice) - (x->choice < y->choice);
}

/* Leaves the last max_tokens that are run (the very last token is only predicted) and a token of the context at least;
 * without `cut` everything. Says in q what it came to. */
static void fit_tokens(const nb_encode_opts *o, nb_question *q, nb_ids *ids, size_t *n_context) {
  size_t over = ids->n > o->max_tokens ? ids->n - 1 - o->max_tokens : 0;
  if (!over) return;
  if (!o->cut || over >= *n_context) {
    q->fit = NB_FIT_NOT;
    return;
  }
  if (q->fit == NB_FIT_WHOLE) q->fit = NB_FIT_CUT;
  ids->n -= over, *n_context -= over;
  memmove(ids->id, ids->id + over, ids->n * sizeof *ids->id);
}

static nb_status encode_choices(const nb_tokenizer *tok, const nb_encode_opts *o, nb_question *q, nb_err *err) {
  nb_ids context = {0};
  nb_status st;
  NB_TRY(nb_new(&q->seq, q->prompt.n, sizeof *q->seq, "a question's tokens", err));
  for (size_t c = 0; c < q->prompt.n; c++) {
    nb_ids ids = {0};
    size_t n_context = 0;
    if (c < q->prompt.n_contexts) { /* the same for all choices, or each its own */
      context.n = 0;
      NB_GOTO(nb_tokens_context(tok, o->plain, &q->prompt.context[c], &context, err));
    }
    const nb_text_pair pair = {nb_prompt_context(&q->prompt, c), &context, &q->prompt.continuation[c]};
    st = nb_tokens_pair(tok, o->plain, &pair, &ids, &n_context, err);
    if (st == NB_OK && (ids.n <= n_context || !n_context))
      st = nb_fail(err, NB_ERR_UNSUPPORTED, "choice %zu has no token of its own with this tokenizer", c + 1);
    if (st != NB_OK) {
      nb_ids_free(&ids);
      goto fail;
    }
    fit_tokens(o, q, &ids, &n_context);
    NB_GOTO(add_choice(q, (uint32_t)c, &ids, n_context, err));
  }
  for (size_t i = 0; i < q->n_seqs; i++) qsort(q->seq[i].target, q->seq[i].n_targets, sizeof *q->seq[i].target, by_pos);
fail:
  nb_ids_free(&context);
  return st;
}

/* A prompt whose answer is written is one sequence without targets. */
static nb_status encode_prompt(const nb_tokenizer *tok, const nb_encode_opts *o, nb_question *q, nb_err *err) {
  const nb_text *context = &q->prompt.context[0];
  nb_ids ids = {0};
  NB_TRY(nb_new(&q->seq, 1, sizeof *q->seq, "a question's tokens", err));
  nb_status st = nb_tokenizer_encode(tok, context->s, context->n, specials(tok, o->plain, context), &ids, err);
  if (st == NB_OK && !ids.n) st = nb_fail(err, NB_ERR_ARG, "the prompt is empty");
  if (st != NB_OK) return nb_ids_free(&ids), st;
  size_t over = ids.n > o->max_tokens ? ids.n - o->max_tokens : 0;
  if (over) q->fit = o->cut ? NB_FIT_CUT : NB_FIT_NOT;
  if (over && o->cut) ids.n -= over, memmove(ids.id, ids.id + over, ids.n * sizeof *ids.id);
  q->seq[0] = (nb_sequence){.tokens = ids.id, .n = ids.n};
  q->n_seqs = 1, q->n_tokens = ids.n;
  return NB_OK;
}

static void free_sequences(nb_question *q) {
  for (size_t i = 0; i < q->n_seqs; i++) free(q->seq[i].tokens), free(q->seq[i].target);
  nb_free(q->seq);
  q->seq = NULL, q->n_seqs = 0, q->n_tokens = 0;
}

static nb_status hash_prompt(nb_question *q, nb_err *err) {
  XXH3_state_t *h = XXH3_createState();
  if (!h) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a prompt's hash");
  XXH3_128bits_reset(h);
  nb_prompt_hash(&q->prompt, h);
  q->hash = XXH3_128bits_digest(h).low64;
  XXH3_freeState(h);
  return NB_OK;
}

nb_status nb_question_make(const nb_prompter *p, const nb_tokenizer *tok, const nb_encode_opts *o, const nb_item *item,
                           nb_question *out, nb_err *err) {
  *out = (nb_question){.item = item, .shots = p->shots};
  nb_encode_opts whole = *o;
  for (;; out->shots--) {
    bool drops = p->task->drop_shots && out->shots;
    whole.cut = o->cut && !drops;
    out->fit = NB_FIT_WHOLE;
    nb_status st = nb_prompt_build(p, item, out->shots, &out->prompt, err);
    if (st == NB_OK) st = out->prompt.n ? encode_choices(tok, &whole, out, err) : encode_prompt(tok, &whole, out, err);
    if (st == NB_OK && (out->fit != NB_FIT_NOT || !drops)) st = hash_prompt(out, err);
    if (st != NB_OK) {
      nb_question_free(out);
      return nb_fail_in(err, st, "question %s", item->id);
    }
    if (out->fit != NB_FIT_NOT || !drops) return NB_OK;
    free_sequences(out);
    nb_prompt_free(&out->prompt);
  }
}

void nb_question_free(nb_question *q) {
  free_sequences(q);
  nb_prompt_free(&q->prompt);
}
