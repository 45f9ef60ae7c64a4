/* SPDX-License-Identifier: MIT */
#include "eval/prompt.h"

#include "base/little.h"
#include "eval/item.h"
#include "eval/python_random.h"
#include "eval/template.h"

#include <stdio.h>
#include <stdlib.h>

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
                       {"choice", choice < it->n_choices ? it->choice[choice] : NULL},
                       {"letter", choice < it->n_choices ? letters[choice] : NULL},
                       {"last_letter", it->n_choices ? letters[it->n_choices - 1] : NULL},
                       {"options", p->options.s},
                       {"answer", it->correct ? letters[it->answer] : NULL},
                       {"answer_text", it->correct ? it->choice[it->answer] : NULL},
                       {"target", it->n_targets ? it->target[0] : NULL}};
  nb_scope scope = {var, sizeof var / sizeof *var, it->row};
  return nb_template_render(tmpl, &scope, p->where, out, err);
}

/* The prompt and the header that hold for an item's subject. */
static const char *prompt_of(const pieces *p) { return nb_task_text(p->t, p->item->subject, "prompt", p->t->prompt); }
static const char *header_of(const pieces *p) { return nb_task_text(p->t, p->item->subject, "header", p->t->header); }

static nb_status pieces_begin(const nb_task *t, const nb_item *item, pieces *p, nb_err *err) {
  *p = (pieces){.t = t, .item = item};
  snprintf(p->where, sizeof p->where, "task %s, question %.150s", t->name, item->id);
  bool options = strstr(prompt_of(p), "{{options") != NULL;
  for (size_t i = 0; options && i < item->n_choices; i++) NB_TRY(render(p, t->option, i, &p->options, err));
  return NB_OK;
}

/* The question with everything before its answer. */
static nb_status render_prompt(const pieces *p, size_t choice, nb_text *out, nb_err *err) {
  if (!p->t->prompt_filter) return render(p, prompt_of(p), choice, out, err);
  nb_text text = {0};
  nb_status st = render(p, prompt_of(p), choice, &text, err);
  if (st == NB_OK) st = nb_template_filter(p->t->prompt_filter, &text, p->where, err);
  if (st == NB_OK) st = nb_text_append(out, text.s, text.n, err);
  nb_text_free(&text);
  return st;
}

/* The text that answers with this choice. */
static nb_status render_answer(const pieces *p, size_t choice, nb_text *out, nb_err *err) {
  switch (p->t->score) {
  case NB_SCORE_LETTER: return nb_text_append_str(out, letters[choice], err);
  case NB_SCORE_CONTINUATION: return nb_text_append_str(out, p->item->choice[choice], err);
  case NB_SCORE_PARTIAL:
  case NB_SCORE_GENERATE: return render(p, p->t->target, choice, out, err);
  }
  return NB_OK;
}

static nb_status append_example(const nb_task *t, const nb_item *item, nb_turns *out, nb_err *err) {
  pieces p;
  nb_text *text;
  nb_status st;
  NB_GOTO(pieces_begin(t, item, &p, err));
  NB_GOTO(nb_turns_add(out, false, t->delimiter, &text, err));
  NB_GOTO(render_prompt(&p, item->answer, text, err));
  NB_GOTO(nb_turns_add(out, true, t->separator, &text, err));
  NB_GOTO(render_answer(&p, item->answer, text, err));
  if (text->n > NB_MAX_PROMPT_BYTES || out->n > 2 * NB_MAX_SHOTS)
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

/* The rows that the task itself gives as examples, for all subjects ("") or for one. */
static nb_status read_given(nb_prompter *p, const cJSON *rows, const char *subject, nb_err *err) {
  nb_dataset *d = &p->given;
  char where[200];
  snprintf(where, sizeof where, "task %s, an example%s%s", p->task->name, *subject ? " for " : "", subject);
  for (const cJSON *r = rows ? rows->child : NULL; r; r = r->next) {
    NB_TRY(nb_grow(&d->item, &d->cap_items, d->n + 1, sizeof *d->item, err));
    NB_TRY(nb_item_read(p->task, r, &(nb_item_source){where, subject, NULL}, &d->pool, &d->item[d->n], err));
    d->item[d->n].id = "an example", d->item[d->n].at = d->n;
    d->n++;
  }
  return NB_OK;
}

static nb_status read_all_given(nb_prompter *p, nb_err *err) {
  const nb_task *t = p->task;
  NB_TRY(read_given(p, t->examples, "", err));
  for (const cJSON *s = t->by_subject ? t->by_subject->child : NULL; s; s = s->next) {
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(s, "examples");
    if (rows && !cJSON_IsArray(rows))
      return nb_fail(err, NB_ERR_FORMAT, "task %s: \"examples\" of %s are no list", t->name, s->string);
    NB_TRY(read_given(p, rows, s->string, err));
  }
  snprintf(p->given.split, sizeof p->given.split, "examples");
  if (p->given.n) p->pool = &p->given;
  return NB_OK;
}

static int by_place(const void *a, const void *b) {
  const nb_item *x = *(const nb_item *const *)a, *y = *(const nb_item *const *)b;
  return (x->at > y->at) - (x->at < y->at);
}

/* Draws every question's examples, in the questions' order: each draw depends on those before it. */
static nb_status draw(nb_prompter *p, nb_err *err) {
  size_t n, pool = p->pool->n, same = p->set == p->pool; /* from its own split one more: the question may be drawn */
  uint32_t *scratch = NULL;
  nb_python_random r;
  nb_status st = NB_OK;
  if (pool < p->shots + same)
    return nb_fail(err, NB_ERR_ARG, "task %s: %zu examples wanted, split \"%s\" has %zu", p->task->name, p->shots,
                   p->pool->split, pool);
  size_t rows = 0; /* of the set, those left out included: a question is found by its row */
  for (size_t i = 0; i < p->set->n; i++) rows = nb_max(rows, p->set->item[i].at + 1);
  if (!nb_mul(rows, p->shots + same, &n)) n = SIZE_MAX;
  NB_GOTO(nb_new(&p->drawn, n, sizeof *p->drawn, "examples", err));
  NB_GOTO(nb_new(&scratch, pool, sizeof *scratch, "examples", err));
  NB_GOTO(nb_new(&p->by_row, pool, sizeof *p->by_row, "examples", err));
  for (size_t i = 0; i < pool; i++) p->by_row[i] = &p->pool->item[i];
  qsort(p->by_row, pool, sizeof *p->by_row, by_place);
  nb_python_random_seed(&r, 1234);
  for (size_t i = 0; i < rows; i++)
    nb_python_random_sample(&r, pool, p->shots + same, p->drawn + i * (p->shots + same), scratch);
fail:
  nb_free(scratch);
  return st;
}

nb_status nb_prompter_create(const nb_task *t, size_t shots, const nb_dataset *pool, const nb_dataset *set,
                             nb_prompter *out, nb_err *err) {
  nb_status st;
  *out = (nb_prompter){.task = t, .shots = shots, .pool = pool, .set = set};
  if (!shots) return NB_OK;
  NB_GOTO(read_all_given(out, err));
  if (!out->pool) NB_GOTO(nb_fail(err, NB_ERR_ARG, "task %s has no examples", t->name));
  if (t->shots_select == NB_SHOTS_RANDOM) {
    NB_GOTO(draw(out, err));
  } else if (t->shots_select != NB_SHOTS_SUBJECT || (t->examples && out->given.n)) {
    NB_GOTO(choose_shared(out, err));
  }
  return NB_OK;
fail:
  nb_prompter_free(out);
  return st;
}

void nb_prompter_free(nb_prompter *p) {
  nb_free(p->shared), nb_free(p->drawn), nb_free(p->by_row);
  nb_dataset_free(&p->given);
  *p = (nb_prompter){0};
}

static nb_status append_drawn(const nb_prompter *p, const nb_item *item, size_t shots, nb_turns *out, nb_err *err) {
  size_t same = p->set == p->pool;
  const uint32_t *drawn = p->drawn + item->at * (p->shots + same);
  for (size_t i = 0; i < p->shots + same && shots; i++) {
    const nb_item *e = p->by_row[drawn[i]];
    if (e->row == item->row) continue;
    NB_TRY(append_example(p->task, e, out, err));
    shots--;
  }
  return NB_OK;
}

static nb_status append_examples(const nb_prompter *p, const nb_item *item, size_t shots, nb_turns *out, nb_err *err) {
  if (p->drawn) return append_drawn(p, item, shots, out, err);
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

/* Contexts of all choices, or the one of all: header, examples, and the question as the last turn. */
static nb_status build_contexts(const nb_prompter *p, const pieces *pc, size_t shots, nb_prompt *out, nb_err *err) {
  nb_turns turns = {.n = 0};
  nb_text *text;
  nb_status st;
  NB_GOTO(render(pc, header_of(pc), pc->item->answer, &turns.system, err));
  if (shots) NB_GOTO(append_examples(p, pc->item, shots, &turns, err));
  for (size_t c = 0; c < out->n_contexts; c++) {
    NB_GOTO(nb_turns_add(&turns, false, "", &text, err));
    NB_GOTO(render_prompt(pc, c, text, err));
    NB_GOTO(nb_turns_render(&turns, &p->form, p->task->separator, &out->context[c], err));
    nb_turns_drop(&turns);
    if (out->context[c].n > NB_MAX_PROMPT_BYTES)
      NB_GOTO(nb_fail(err, NB_ERR_UNSUPPORTED, "%s: a prompt of more than %d bytes", pc->where, NB_MAX_PROMPT_BYTES));
  }
fail:
  nb_turns_free(&turns);
  return st;
}

nb_status nb_prompt_build(const nb_prompter *p, const nb_item *item, size_t shots, nb_prompt *out, nb_err *err) {
  const nb_task *t = p->task;
  pieces pc;
  nb_status st;
  size_t n = t->score == NB_SCORE_GENERATE ? 0 : item->n_choices;
  *out = (nb_prompt){.n = n, .n_contexts = t->score == NB_SCORE_PARTIAL ? n : 1};
  NB_GOTO(pieces_begin(t, item, &pc, err));
  NB_GOTO(nb_new(&out->context, out->n_contexts, sizeof *out->context, "a prompt", err));
  NB_GOTO(nb_new(&out->continuation, n + 1, sizeof *out->continuation, "a prompt", err));
  NB_GOTO(nb_new(&out->chars, n + 1, sizeof *out->chars, "a prompt", err));
  NB_GOTO(nb_new(&out->bytes, n + 1, sizeof *out->bytes, "a prompt", err));
  NB_GOTO(build_contexts(p, &pc, shots, out, err));
  for (size_t c = 0; c < n; c++) {
    /* An answer in a turn of its own follows no blank. */
    if (p->form.chat == NB_CHAT_NO) NB_GOTO(nb_text_append_str(&out->continuation[c], t->delimiter, err));
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
  nb_little_put(len, t->n, sizeof len);
  XXH3_128bits_update(state, len, sizeof len);
  if (t->n) XXH3_128bits_update(state, t->s, t->n);
}

void nb_prompt_hash(const nb_prompt *p, XXH3_state_t *state) {
  for (size_t i = 0; i < p->n_contexts; i++) hash_text(&p->context[i], state);
  for (size_t i = 0; i < p->n; i++) hash_text(&p->continuation[i], state);
}
