/* SPDX-License-Identifier: MIT */
#include "tools/serve/job.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_LOGPROBS = 1 << 22 /* of all texts of a request, which are held until it is answered */ };

typedef struct maker {
  const nb_opened *m;
  const serve_request *r;
  size_t context;
  serve_job *job;
  bool *too_long;
} maker;

/* The ids of a request's prompt; text: where it belongs to the answer. */
static nb_status prompt_ids(const maker *k, size_t prompt, nb_ids *ids, nb_text *text, nb_err *err) {
  const nb_tokenizer *t = k->m->tokenizer;
  const serve_request *r = k->r;
  if (r->kind == SERVE_CHAT) {
    nb_text chat = {0};
    nb_status st = nb_chat_render_tokenizer(t, r->messages.m, r->messages.n, true, &chat, err);
    if (st == NB_OK) st = nb_tokenizer_encode(t, chat.s ? chat.s : "", chat.n, 0, ids, err);
    nb_text_free(&chat);
    return st;
  }
  const serve_prompt *p = &r->prompts[prompt];
  if (p->text) {
    NB_TRY(nb_tokenizer_encode(t, p->text, strlen(p->text), NB_ENCODE_ADD_SPECIAL, ids, err));
    return r->echo ? nb_text_append_str(text, p->text, err) : NB_OK;
  }
  for (size_t i = 0; i < p->n_ids; i++) {
    if ((size_t)p->ids[i] >= k->m->model.config.vocab)
      return nb_fail(err, NB_ERR_ARG, "token id %d of the prompt is not below %zu", p->ids[i],
                     k->m->model.config.vocab);
    NB_TRY(nb_ids_push(ids, p->ids[i], err));
  }
  return r->echo ? nb_tokenizer_decode(t, p->ids, p->n_ids, false, text, err) : NB_OK;
}

static nb_status set_prompt(const maker *k, size_t prompt, const nb_ids *ids, const nb_text *text, uint64_t seed,
                            nb_err *err) {
  const serve_request *r = k->r;
  if (!ids->n) return nb_fail(err, NB_ERR_ARG, "the prompt is empty");
  *k->too_long = ids->n + (r->max_tokens > 0) > k->context;
  if (*k->too_long)
    return nb_fail(err, NB_ERR_ARG, "the prompt has %zu tokens, and the context is %zu", ids->n, k->context);
  for (size_t i = 0; i < r->n; i++) {
    serve_choice *c = &k->job->choice[prompt * r->n + i];
    NB_TRY(nb_new(&c->prompt, ids->n, sizeof *c->prompt, "a prompt", err));
    memcpy(c->prompt, ids->id, ids->n * sizeof *c->prompt);
    c->n_prompt = ids->n;
    c->max_new = nb_min(r->max_tokens, k->context - ids->n);
    c->sampling = r->sampling;
    c->sampling.seed = (r->has_seed ? r->sampling.seed : seed) + i;
    NB_TRY(nb_text_append(&c->echo, text->s, text->n, err));
  }
  return NB_OK;
}

static nb_status fill(const maker *k, uint64_t seed, nb_err *err) {
  const serve_request *r = k->r;
  serve_job *j = k->job;
  size_t n_prompts = r->kind == SERVE_CHAT ? 1 : r->n_prompts, told = 0;
  j->top = r->top, j->logprobs = r->logprobs, j->score_prompt = r->echo && r->logprobs;
  j->per_prompt = r->n;
  if (r->top > k->m->model.config.vocab) return nb_fail(err, NB_ERR_ARG, "the vocabulary is smaller than logprobs");
  if (r->max_tokens == 0 && !r->logprobs)
    return nb_fail(err, NB_ERR_ARG, "\"max_tokens\" is 0 and no log-probs are asked for");
  NB_TRY(nb_new(&j->stops, r->n_stop + 1, sizeof *j->stops, "stop strings", err));
  for (; j->n_stops < r->n_stop; j->n_stops++)
    if (!(j->stops[j->n_stops] = strdup(r->stop[j->n_stops])))
      return nb_fail(err, NB_ERR_MEMORY, "out of memory: stop strings");
  for (size_t p = 0; p < n_prompts; p++) {
    nb_ids ids = {0};
    nb_text text = {0};
    nb_status st = prompt_ids(k, p, &ids, &text, err);
    if (st == NB_OK) st = set_prompt(k, p, &ids, &text, seed, err);
    if (j->score_prompt) told += ids.n * r->n;
    nb_ids_free(&ids);
    nb_text_free(&text);
    NB_TRY(st);
  }
  for (size_t i = 0; i < j->n_choices; i++) told += j->choice[i].max_new;
  told *= r->top + 1;
  if (r->logprobs && told > MAX_LOGPROBS)
    return nb_fail(err, NB_ERR_ARG, "the request may ask for %zu log-probs, and %d is the most: ask for fewer tokens",
                   told, MAX_LOGPROBS);
  return NB_OK;
}

nb_status serve_job_make(const nb_opened *m, const serve_request *r, size_t context, uint64_t seed, serve_job **out,
                         bool *too_long, nb_err *err) {
  maker k = {.m = m, .r = r, .context = context, .too_long = too_long};
  *too_long = false, *out = NULL;
  NB_TRY(serve_job_new(r->n * (r->kind == SERVE_CHAT ? 1 : r->n_prompts), &k.job, err));
  nb_status st = fill(&k, seed, err);
  if (st != NB_OK) return serve_job_free(NULL, k.job), st;
  *out = k.job;
  return NB_OK;
}
