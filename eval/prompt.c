/* SPDX-License-Identifier: MIT */
#include "eval/prompt.h"

#include "eval/template.h"

#include <stdio.h>

/* ---- pieces of one item ---- */

static const char *const letters[NB_MAX_CHOICES] = {"A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M",
                                                    "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z"};

typedef struct pieces {
  const nb_task *t;
  const nb_item *item;
  char where[240]; /* for messages */
  nb_text options; /* the option template over all choices */
} pieces;

/* Renders a template; choice: the number of the choice that {{choice}} and {{letter}} stand for. */
static nb_status render(const pieces *p, const char *tmpl, size_t choice, nb_text *out, nb_err *err) {
  const nb_item *it = p->item;
  nb_variable var[] = {{"question", it->question},
                       {"subject", it->subject},
                       {"choice", it->choice[choice]},
                       {"letter", letters[choice]},
                       {"last_letter", letters[it->n_choices - 1]},
                       {"options", p->options.s},
                       {"answer", letters[it->answer]},
                       {"answer_text", it->choice[it->answer]}};
  nb_scope scope = {var, sizeof var / sizeof *var, it->row};
  return nb_template_render(tmpl, &scope, p->where, out, err);
}

static bool has_options(const nb_task *t) { return strstr(t->prompt, "{{options") != NULL; }

static nb_status pieces_begin(const nb_task *t, const nb_item *item, pieces *p, nb_err *err) {
  *p = (pieces){.t = t, .item = item};
  snprintf(p->where, sizeof p->where, "task %s, question %.150s", t->name, item->id);
  for (size_t i = 0; has_options(t) && i < item->n_choices; i++) NB_TRY(render(p, t->option, i, &p->options, err));
  return NB_OK;
}

/* The question with everything before its answer. */
static nb_status render_prompt(const pieces *p, size_t choice, nb_text *out, nb_err *err) {
  if (!p->t->prompt_filter) return render(p, p->t->prompt, choice, out, err);
  nb_text text = {0};
  nb_status st = render(p, p->t->prompt, choice, &text, err);
  if (st == NB_OK) st = nb_template_filter(p->t->prompt_filter, &text, p->where, err);
  if (st == NB_OK) st = nb_text_append(out, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}

/* Delimiter and the text that answers with this choice. */
static nb_status render_answer(const pieces *p, size_t choice, nb_text *out, nb_err *err) {
  NB_TRY(nb_text_append_str(out, p->t->delimiter, err));
  switch (p->t->score) {
  case NB_SCORE_LETTER: return nb_text_append_str(out, letters[choice], err);
  case NB_SCORE_CONTINUATION: return nb_text_append_str(out, p->item->choice[choice], err);
  case NB_SCORE_PARTIAL: return render(p, p->t->target, choice, out, err);
  }
  return NB_OK;
}

static nb_status append_example(const nb_task *t, const nb_item *item, nb_text *out, nb_err *err) {
  pieces p;
  nb_status st;
  NB_GOTO(pieces_begin(t, item, &p, err));
  NB_GOTO(render_prompt(&p, item->answer, out, err));
  NB_GOTO(render_answer(&p, item->answer, out, err));
  NB_GOTO(nb_text_append_str(out, t->separator, err));
  if (out->n > NB_MAX_PROMPT_BYTES)
    NB_GOTO(nb_fail(err, NB_ERR_UNSUPPORTED, "%s: the examples have more than %d bytes", p.where, NB_MAX_PROMPT_BYTES));
fail:
  nb_text_free(&p.options);
  return st;
}

/* ---- examples ---- */

/* The examples that all prompts share: the first item of each of n subjects, evenly spread over the pool's subjects in
 * their order; where there are fewer subjects than n, simply the first n items. NB_SHOTS_FIRST: the first n rows. */
static nb_status choose_shared(nb_prompter *p, nb_err *err) {
  size_t n_subjects = 0;
  for (size_t i = 0; i < p->pool->n; i++)
    n_subjects += i == 0 || strcmp(p->pool->item[i].subject, p->pool->item[i - 1].subject) != 0;
  NB_TRY(nb_new(&p->shared, p->shots, sizeof *p->shared, "examples", err));
  size_t subject = 0, taken = 0;
  bool first = p->task->shots_select == NB_SHOTS_FIRST;
  for (size_t i = 0; i < p->pool->n && taken < p->shots; i++) {
    bool begins = i == 0 || strcmp(p->pool->item[i].subject, p->pool->item[i - 1].subject) != 0;
    if (first && p->pool->item[i].at < p->shots) p->shared[p->pool->item[i].at] = &p->pool->item[i], taken++;
    if (first) continue;
    bool take = n_subjects < p->shots || (begins && subject == taken * n_subjects / p->shots);
    if (take) p->shared[taken++] = &p->pool->item[i];
    subject += begins;
  }
  if (taken < p->shots)
    return nb_fail(err, NB_ERR_ARG, "task %s: %zu examples wanted, split \"%s\" has %zu", p->task->name, p->shots,
                   p->pool->split, taken);
  return NB_OK;
}

nb_status nb_prompter_create(const nb_task *t, size_t shots, const nb_dataset *pool, nb_prompter *out, nb_err *err) {
  *out = (nb_prompter){.task = t, .shots = shots, .pool = pool};
  if (!shots || t->shots_select == NB_SHOTS_SUBJECT) return NB_OK;
  nb_status st = choose_shared(out, err);
  if (st != NB_OK) nb_prompter_free(out);
  return st;
}

void nb_prompter_free(nb_prompter *p) {
  nb_free(p->shared);
  *p = (nb_prompter){0};
}

static nb_status append_examples(const nb_prompter *p, const nb_item *item, size_t shots, nb_text *out, nb_err *err) {
  if (p->shared) {
    for (size_t i = 0; i < shots; i++) NB_TRY(append_example(p->task, p->shared[i], out, err));
    return NB_OK;
  }
  size_t taken = 0;
  for (size_t i = 0; i < p->pool->n && taken < shots; i++) {
    const nb_item *e = &p->pool->item[i];
    if (strcmp(e->subject, item->subject) || e->row == item->row) continue;
    NB_TRY(append_example(p->task, e, out, err));
    taken++;
  }
  if (taken < shots)
    return nb_fail(err, NB_ERR_ARG, "task %s, question %s: %zu examples wanted, split \"%s\" has %zu%s%s",
                   p->task->name, item->id, shots, p->pool->split, taken, *item->subject ? " for subject " : "",
                   item->subject);
  return NB_OK;
}

/* ---- the whole ---- */

static size_t code_points(const char *s) {
  size_t n = 0;
  for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
  return n;
}

nb_status nb_prompt_build(const nb_prompter *p, const nb_item *item, size_t shots, nb_prompt *out, nb_err *err) {
  const nb_task *t = p->task;
  pieces pc;
  nb_status st;
  size_t n = item->n_choices;
  *out = (nb_prompt){.n = n, .n_contexts = t->score == NB_SCORE_PARTIAL ? n : 1};
  NB_GOTO(pieces_begin(t, item, &pc, err));
  NB_GOTO(nb_new(&out->context, out->n_contexts, sizeof *out->context, "a prompt", err));
  NB_GOTO(nb_new(&out->continuation, n, sizeof *out->continuation, "a prompt", err));
  NB_GOTO(nb_new(&out->chars, n, sizeof *out->chars, "a prompt", err));
  NB_GOTO(nb_new(&out->bytes, n, sizeof *out->bytes, "a prompt", err));

  nb_text *head = &out->context[0];
  NB_GOTO(render(&pc, t->header, item->answer, head, err));
  if (shots) NB_GOTO(append_examples(p, item, shots, head, err));
  for (size_t c = 1; c < out->n_contexts; c++) NB_GOTO(nb_text_append(&out->context[c], head->s, head->n, err));
  for (size_t c = 0; c < out->n_contexts; c++) {
    NB_GOTO(render_prompt(&pc, c, &out->context[c], err));
    if (out->context[c].n > NB_MAX_PROMPT_BYTES)
      NB_GOTO(nb_fail(err, NB_ERR_UNSUPPORTED, "%s: a prompt of more than %d bytes", pc.where, NB_MAX_PROMPT_BYTES));
  }
  for (size_t c = 0; c < n; c++) {
    NB_GOTO(render_answer(&pc, c, &out->continuation[c], err));
    const char *text = t->score == NB_SCORE_LETTER ? letters[c] : item->choice[c];
    out->bytes[c] = strlen(text), out->chars[c] = code_points(text);
    if (!out->bytes[c] || !out->continuation[c].n)
      NB_GOTO(nb_fail(err, NB_ERR_FORMAT, "%s: choice %zu is empty: there is nothing to score", pc.where, c + 1));
  }
  nb_text_free(&pc.options);
  return NB_OK;
fail:
  nb_text_free(&pc.options);
  nb_prompt_free(out);
  return st;
}

void nb_prompt_free(nb_prompt *p) {
  for (size_t i = 0; p->context && i < p->n_contexts; i++) nb_text_free(&p->context[i]);
  for (size_t i = 0; p->continuation && i < p->n; i++) nb_text_free(&p->continuation[i]);
  nb_free(p->context), nb_free(p->continuation), nb_free(p->chars), nb_free(p->bytes);
  *p = (nb_prompt){0};
}

static void hash_text(const nb_text *t, XXH3_state_t *state) {
  unsigned char len[8];
  for (unsigned i = 0; i < 8; i++) len[i] = (unsigned char)((uint64_t)t->n >> 8 * i);
  XXH3_128bits_update(state, len, sizeof len);
  if (t->n) XXH3_128bits_update(state, t->s, t->n);
}

void nb_prompt_hash(const nb_prompt *p, XXH3_state_t *state) {
  for (size_t i = 0; i < p->n_contexts; i++) hash_text(&p->context[i], state);
  for (size_t i = 0; i < p->n; i++) hash_text(&p->continuation[i], state);
}
