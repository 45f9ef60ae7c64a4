/* SPDX-License-Identifier: MIT */
#include "eval/plan.h"

#include "base/parallel.h"

enum { GROUP = 256 }; /* questions between two steps of the progress */

typedef struct planning {
  const nb_plan_set *set;
  const nb_item *const *items; /* of the group */
  nb_planned *question;
  XXH128_hash_t hash[GROUP]; /* of each one's texts and tokens */
  nb_status status[GROUP];
  nb_err errors[GROUP];
} planning;

/* The texts are hashed already; the tokens add the tokenizer and the way of encoding. */
static nb_status hash_question(const nb_question *q, XXH128_hash_t *out, nb_err *err) {
  XXH3_state_t *h = XXH3_createState();
  if (!h) return nb_fail(err, NB_ERR_MEMORY, "out of memory: a prompt's hash");
  XXH3_128bits_reset(h);
  XXH3_128bits_update(h, &q->hash, sizeof q->hash);
  for (size_t i = 0; i < q->n_seqs; i++) {
    const nb_sequence *s = &q->seq[i];
    XXH3_128bits_update(h, &s->n, sizeof s->n);
    XXH3_128bits_update(h, s->tokens, s->n * sizeof *s->tokens);
    XXH3_128bits_update(h, &s->n_targets, sizeof s->n_targets);
    XXH3_128bits_update(h, s->target, s->n_targets * sizeof *s->target);
  }
  *out = XXH3_128bits_digest(h);
  XXH3_freeState(h);
  return NB_OK;
}

static void plan_questions(void *ctx, size_t begin, size_t end, int thread) {
  planning *p = ctx;
  const nb_plan_set *set = p->set;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    nb_question q;
    p->status[i] = nb_question_make(set->prompter, set->tok, set->encode, p->items[i], &q, &p->errors[i]);
    if (p->status[i] != NB_OK) continue;
    p->status[i] = hash_question(&q, &p->hash[i], &p->errors[i]);
    p->question[i] = (nb_planned){q.hash, (uint32_t)q.n_tokens, (uint32_t)q.shots, q.fit};
    nb_question_free(&q);
  }
}

/* Chains a group's hashes to those before it. */
static nb_status add_group(nb_plan *out, const planning *p, size_t n, nb_err *err) {
  for (size_t i = 0; i < n; i++) {
    if (p->status[i] != NB_OK) {
      if (err) *err = p->errors[i];
      return p->status[i];
    }
    uint64_t chain[4] = {out->hash[0], out->hash[1], p->hash[i].low64, p->hash[i].high64};
    XXH128_hash_t h = XXH3_128bits(chain, sizeof chain);
    out->hash[0] = h.low64, out->hash[1] = h.high64;
    out->n_cut += p->question[i].fit == NB_FIT_CUT, out->n_not += p->question[i].fit == NB_FIT_NOT;
  }
  return NB_OK;
}

nb_status nb_plan_make(const nb_plan_set *set, int threads, const nb_progress *progress, nb_plan *out, nb_err *err) {
  planning *g = NULL;
  size_t n = set->n;
  nb_status st;
  *out = (nb_plan){.n = n, .max_tokens = set->encode->max_tokens};
  NB_GOTO(nb_new(&out->question, n, sizeof *out->question, "prompts", err));
  NB_GOTO(nb_new(&g, 1, sizeof *g, "prompts", err));
  *g = (planning){.set = set};
  for (size_t i = 0; i < n; i += GROUP) {
    size_t k = nb_min(GROUP, n - i);
    g->items = set->items + i, g->question = out->question + i;
    nb_parallel_for(threads, k, 1, plan_questions, g);
    NB_GOTO(add_group(out, g, k, err));
    NB_GOTO(nb_progress_step(progress, i + k, n, err));
  }
  nb_free(g);
  return NB_OK;
fail:
  nb_free(g);
  nb_plan_free(out);
  return st;
}

void nb_plan_free(nb_plan *p) {
  nb_free(p->question);
  *p = (nb_plan){0};
}

nb_status nb_plan_fewer_shots(const nb_plan *plan, const nb_plan_set *set, int *shots, nb_err *err) {
  nb_prompter fewer = *set->prompter;
  nb_encode_opts whole = *set->encode;
  whole.cut = false;
  *shots = (int)fewer.shots;
  for (size_t i = 0; i < plan->n && *shots >= 0; i++) {
    nb_fit fit = plan->question[i].fit;
    while (fit != NB_FIT_WHOLE && *shots >= 0) {
      nb_question q;
      fewer.shots = (size_t)*shots;
      NB_TRY(nb_question_make(&fewer, set->tok, &whole, set->items[i], &q, err));
      fit = q.fit;
      nb_question_free(&q);
      if (fit != NB_FIT_WHOLE) --*shots;
    }
  }
  return NB_OK;
}
